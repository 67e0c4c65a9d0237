//! What is asked of an index and what it answers.

use std::fmt;
use std::str::FromStr;

use fleet_worker_sdk::{BotId, Error, Fingerprint, Identified, Severity};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most findings on one page: what one frame or one report step should hold.
pub const MAX_PAGE: usize = 1_000;

/// Which findings. Any of the values of a field, and all fields; an empty field lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Of these bots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bots: Vec<BotId>,
    /// Of these severities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<Severity>,
    /// In these categories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Of these rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// In this file, or in this folder when it ends in `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// With this text, whatever its case, in message, path, rule id or element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Open, suppressed or both.
    pub suppression: Suppression,
}

/// Words of a choice, as the SDK has them: every value, its text, and back.
macro_rules! word {
    ($name:ident, $what:literal { $($variant:ident = $text:literal),+ }) => {
        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value's word in every format.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = fleet_worker_sdk::Error;
            fn from_str(text: &str) -> Result<Self, fleet_worker_sdk::Error> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(fleet_worker_sdk::Error::invalid($what, format!("`{text}` is not one of {}", [$($text),+].join(", ")))),
                }
            }
        }
    };
}

pub(crate) use word;

/// Open findings, suppressed ones, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// Those that no suppression holds for.
    #[default]
    Open,
    /// Those that one holds for.
    Suppressed,
    /// Both.
    All,
}

word!(Suppression, "suppression" { Open = "open", Suppressed = "suppressed", All = "all" });

/// The order of findings; ties by order of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Worst weight class first.
    #[default]
    Severity,
    /// By path, then line.
    Path,
    /// By rule id.
    Rule,
    /// Last arrival first.
    Newest,
}

word!(Sort, "sort" { Severity = "severity", Path = "path", Rule = "rule", Newest = "newest" });

/// A place in a sorted list: after a finding. Opaque to callers; stays valid while findings are
/// appended, in every process, and after the session is folded anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Of which order.
    pub(crate) sort: Sort,
    /// After which finding.
    pub(crate) after: Fingerprint,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sort, self.after)
    }
}

impl FromStr for Cursor {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split_once('.');
        let parsed = parts.and_then(|(sort, after)| {
            Some(Self {
                sort: sort.parse().ok()?,
                after: after.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| {
            let why = "it is not one that a page gave; ask for the first page again";
            Error::invalid("cursor", why)
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Asks for one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageQuery {
    /// Which findings.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// From where on; the beginning when none.
    pub after: Option<Cursor>,
    /// At most this many; 1 to [`MAX_PAGE`], others are brought into that range.
    pub limit: usize,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The findings.
    pub findings: Vec<FindingView>,
    /// How many pass the filter, on all pages together.
    pub total: u64,
    /// Where the next page begins; none when this is the last.
    pub next: Option<Cursor>,
}

/// A finding as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingView {
    /// The bot that found it.
    pub bot: BotId,
    /// The severity shown.
    pub severity: Severity,
    /// Whether a suppression holds.
    pub suppressed: bool,
    /// When the session received it (the store's clock).
    pub first_seen: Timestamp,
    /// The finding and who it is.
    #[serde(flatten)]
    pub identified: Identified,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_text() {
        for &sort in Sort::ALL {
            let cursor = Cursor {
                sort,
                after: Fingerprint([0xab; 16]),
            };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused() {
        let fingerprint = "ab".repeat(16);
        for text in [
            "",
            "severity",
            "severity.12",
            &format!("size.{fingerprint}"),
        ] {
            let error = text.parse::<Cursor>().unwrap_err();
            assert!(matches!(error, Error::Invalid { what, .. } if what == "cursor"));
        }
    }
}
