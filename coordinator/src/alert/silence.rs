//! Silences: what somebody wants to hear nothing of for a while.

use fleet_worker_sdk::{Error, Result};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::labels::{Label, Labels};

/// Matchers of a silence: there are five labels.
const MAX_MATCHERS: usize = 5;
/// Characters of an author's name.
const MAX_AUTHOR: usize = 128;
/// Characters of a comment: a sentence or three.
const MAX_COMMENT: usize = 1_024;
/// Characters of a matcher's value: a repository's name has 255 at most.
const MAX_VALUE: usize = 320;
/// Longest silence: half a year. What is wanted for longer is a setting.
const LONGEST: SignedDuration = SignedDuration::from_hours(183 * 24);

/// A label and what its value must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// Which label.
    pub label: Label,
    /// The value, in which `*` stands for any characters. An empty one matches alerts without the label.
    pub value: String,
    /// Whether it must not match instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
}

impl Matcher {
    /// Reads `label=value` or `label!=value`.
    ///
    /// # Errors
    /// `Error::Invalid` naming the labels there are.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |why: String| Err(Error::invalid("matcher", why));
        let Some((name, value)) = text.split_once('=') else {
            return refuse(format!("{text:?} is not of the form label=value"));
        };
        let (name, not) = name
            .strip_suffix('!')
            .map_or((name, false), |name| (name, true));
        let Some(label) = Label::parse(name.trim()) else {
            let known: Vec<_> = Label::ALL.iter().map(|label| label.as_str()).collect();
            return refuse(format!(
                "{name:?} is no label; there are {}",
                known.join(", ")
            ));
        };
        let value = value.trim().trim_matches('"').to_owned();
        if value.chars().count() > MAX_VALUE {
            return refuse(format!(
                "the value of {name} is longer than {MAX_VALUE} characters"
            ));
        }
        Ok(Self { label, value, not })
    }

    /// Whether it matches an alert's labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        glob(&self.value, labels.get(self.label)) != self.not
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.not { "!=" } else { "=" };
        write!(f, "{}{sign}{}", self.label, self.value)
    }
}

/// Whether all matchers match.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

/// Whether `text` is of the form of `pattern`, in which `*` stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// What somebody wants to hear nothing of until a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its id, made by whoever stores it.
    pub id: String,
    /// All of them must match.
    pub matchers: Vec<Matcher>,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// From when on (the store's clock).
    pub starts_at: Timestamp,
    /// Until when; in the past where it has been ended.
    pub ends_at: Timestamp,
}

impl Silence {
    /// A silence from `now` on, checked.
    ///
    /// # Errors
    /// `Error::Invalid` without matchers (it would silence everything by mistake), author or comment,
    /// and where it would last no time or longer than half a year.
    pub fn new(
        matchers: Vec<Matcher>,
        author: &str,
        comment: &str,
        now: Timestamp,
        lasts: SignedDuration,
    ) -> Result<Self> {
        if matchers.is_empty() || matchers.len() > MAX_MATCHERS {
            let why = format!(
                "1 to {MAX_MATCHERS} matchers are needed, such as bot=scan; alertname=* is everything"
            );
            return Err(Error::invalid("matchers", why));
        }
        if lasts <= SignedDuration::ZERO || lasts > LONGEST {
            return Err(Error::invalid(
                "duration",
                "it is more than nothing and at most 183 days",
            ));
        }
        Ok(Self {
            id: uuid::Uuid::now_v7().to_string(),
            matchers,
            author: self::author(author)?,
            comment: text("comment", comment, MAX_COMMENT)?,
            starts_at: now,
            ends_at: now + lasts,
        })
    }

    /// Whether it is in force at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }

    /// Whether it silences an alert of these labels at `now`.
    pub fn silences(&self, labels: &Labels, now: Timestamp) -> bool {
        self.is_active(now) && all_match(&self.matchers, labels)
    }
}

/// Whether any of `silences` keeps these labels quiet at `now`.
pub fn is_silenced(silences: &[Silence], labels: &Labels, now: Timestamp) -> bool {
    silences.iter().any(|silence| silence.silences(labels, now))
}

/// Somebody's name, checked and without the spaces around it: whoever silences, or does anything else
/// that the audit keeps.
///
/// # Errors
/// `Error::Invalid` where it is empty, longer than 128 characters or has control characters.
pub fn author(name: &str) -> Result<String> {
    text("author", name, MAX_AUTHOR)
}

fn text(what: &str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= most;
    if fits && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    let why = format!("it has 1 to {most} characters, none of them a control character");
    Err(Error::invalid(what, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::labels::{Name, Severity};

    fn labels() -> Labels {
        let bot = "scan-rust".parse().unwrap();
        Labels::new(Name::BotFailing, Severity::Warning).bot(&bot)
    }

    #[test]
    fn matchers_match_values_patterns_and_what_is_missing() {
        for (text, matches) in [
            ("bot=scan-rust", true),
            ("bot=\"scan-rust\"", true),
            ("bot=scan", false),
            ("bot=scan*", true),
            ("bot=*rust", true),
            ("bot=*n-r*", true),
            ("bot=*a*a*", false),
            ("bot=scan-rust*rust", false),
            ("bot!=scan-rust", false),
            ("bot!=other", true),
            ("repo=", true),
            ("repo=*", true),
            ("tier=verifier", false),
            ("alertname=*", true),
        ] {
            assert_eq!(
                Matcher::parse(text).unwrap().matches(&labels()),
                matches,
                "{text}"
            );
        }
        let refused = Matcher::parse("but=scan").unwrap_err().to_string();
        assert!(refused.contains("alertname"), "{refused}");
        assert!(Matcher::parse("bot").is_err());
    }

    #[test]
    fn a_silence_has_an_author_a_reason_and_an_end() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let matchers = || vec![Matcher::parse("bot=scan*").unwrap()];
        let hour = SignedDuration::from_hours(1);
        let silence = Silence::new(matchers(), "ana", "moving house", now, hour).unwrap();
        assert!(silence.silences(&labels(), now));
        assert!(!silence.silences(&labels(), now + hour), "it is over");
        assert!(!silence.silences(&Labels::new(Name::Backlog, Severity::Info), now));
        assert!(Silence::new(vec![], "ana", "why", now, hour).is_err());
        assert!(Silence::new(matchers(), " ", "why", now, hour).is_err());
        assert!(Silence::new(matchers(), "ana", "a\nb", now, hour).is_err());
        assert!(Silence::new(matchers(), "ana", "why", now, -hour).is_err());
        assert!(Silence::new(matchers(), "ana", "why", now, hour * 24 * 365).is_err());
    }
}
