//! How a score went: a bounded list of points a scope, one a minute at most.

use std::fmt;
use std::str::FromStr;

use fleet_worker_sdk::{BotId, Error, Repository};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::health::{Health, Status};

/// Points kept of a scope: a sparkline shows a few hundred, and at one an hour, which is what a
/// calm score comes to, they reach back three weeks.
pub const MAX_POINTS: usize = 512;
/// Width of a bucket, in milliseconds: a score that changes several times within a minute leaves
/// the last of them, whoever wrote it.
pub const BUCKET_MS: i64 = 60_000;
/// A score that does not change leaves a point this often, in milliseconds, so that a line goes on.
pub const CALM_MS: i64 = 3_600_000;

/// What a history is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The fleet.
    Fleet,
    /// A bot.
    Bot(BotId),
    /// A repository: the quality of its latest session.
    Repository(Repository),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("fleet"),
            Self::Bot(bot) => write!(f, "bot:{bot}"),
            Self::Repository(repository) => write!(f, "repository:{repository}"),
        }
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            None if text == "fleet" => Ok(Self::Fleet),
            Some(("bot", id)) => Ok(Self::Bot(BotId::new(id)?)),
            Some(("repository", name)) => Ok(Self::Repository(Repository::new(name)?)),
            _ => Err(Error::invalid(
                "scope",
                "write it as fleet, bot:ID or repository:NAME",
            )),
        }
    }
}

/// A score at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When (the store's clock).
    pub at: Timestamp,
    /// 0-100, to a tenth; none when nothing was known.
    pub score: Option<f64>,
    /// The status then.
    pub status: Status,
}

/// What becomes of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It says nothing new, or is older than the last.
    Ignore,
    /// It replaces the last, which is of the same minute.
    Replace,
    /// It is added.
    Append,
}

impl Point {
    /// A health at a moment.
    pub fn of(health: &Health, at: Timestamp) -> Self {
        Self {
            at,
            score: health.score.map(|score| (score * 10.0).round() / 10.0),
            status: health.status,
        }
    }

    /// Whether it shows the same as `other`.
    pub fn is_like(&self, other: &Self) -> bool {
        self.tenths() == other.tenths() && self.status == other.status
    }

    fn tenths(&self) -> Option<i64> {
        self.score.map(|score| (score * 10.0).round() as i64)
    }

    /// What becomes of it after `last`: added if it shows something else or the last is an hour
    /// old, in the place of the last if that is of the same minute.
    pub fn after(&self, last: Option<&Self>) -> Take {
        let Some(last) = last else {
            return Take::Append;
        };
        let (at, before) = (self.at.as_millisecond(), last.at.as_millisecond());
        if at < before || (self.is_like(last) && at - before < CALM_MS) {
            Take::Ignore
        } else if at.div_euclid(BUCKET_MS) == before.div_euclid(BUCKET_MS) {
            Take::Replace
        } else {
            Take::Append
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(second: i64, score: f64) -> Point {
        Point {
            at: Timestamp::from_second(1_735_689_600 + second).unwrap(),
            score: Some(score),
            status: Status::Healthy,
        }
    }

    #[test]
    fn scopes_come_back_from_their_text() {
        for text in ["fleet", "bot:hypatia", "repository:acme/shop"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "fleet:x",
            "bot:",
            "bot:a b",
            "repository:",
            "tier:engine",
        ] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_change_is_added_and_the_rest_of_its_minute_replaces_it() {
        let first = point(0, 90.0);
        assert_eq!(first.after(None), Take::Append);
        assert_eq!(point(30, 91.0).after(Some(&first)), Take::Replace);
        assert_eq!(point(60, 91.0).after(Some(&first)), Take::Append);
        assert_eq!(
            point(-1, 91.0).after(Some(&first)),
            Take::Ignore,
            "it is older"
        );
    }

    #[test]
    fn what_does_not_change_is_added_once_an_hour() {
        let first = point(0, 90.0);
        assert_eq!(point(3_599, 90.0).after(Some(&first)), Take::Ignore);
        assert_eq!(point(3_600, 90.0).after(Some(&first)), Take::Append);
        let worse = Point {
            status: Status::Degraded,
            ..point(60, 90.0)
        };
        assert_eq!(worse.after(Some(&first)), Take::Append);
    }
}
