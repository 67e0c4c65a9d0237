//! What an import takes and what it says it did.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Fingerprint};
use crate::ids::{BotId, SessionId, WorkerId};
use crate::push::Rule;
use crate::session::{Ongoing, OpenSession};
use crate::severity::words;

/// Most results that may be rejected: a report with more bad ones is none, `partial` or not.
pub const MAX_REJECTED: usize = 10_000;

/// How a report is imported.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Into which session.
    pub open: OpenSession,
    /// The bot that made it; by default, that of its tool's name.
    pub bot: Option<BotId>,
    /// Take the good results of a report that has bad ones.
    pub partial: bool,
    /// The worker at whose request it is imported.
    pub worker: Option<WorkerId>,
}

/// A running execution that an import fills and ends, in place of starting one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continued {
    /// How far it is.
    pub ongoing: Ongoing,
    /// How the tool ended.
    pub ended: Ended,
}

words!(
    /// How the tool of a report ended, as far as who ran it can tell.
    Ended, "end of a tool" {
        /// Well: the report decides whether everything was looked at.
        Well = "well",
        /// With a code that may mean anything: the report is whole only if it says itself that
        /// the tool was successful.
        Unsure = "unsure",
        /// Before its end: the report is partial whatever it says.
        Cut = "cut",
    }
);

impl Ended {
    /// Whether a section of a report is partial, given how its tool ended.
    pub(super) fn partial(self, section: &Section) -> bool {
        section.partial
            || match self {
                Self::Well => false,
                Self::Unsure => !section.vouched,
                Self::Cut => true,
            }
    }
}

/// A result that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Where in the report: `runs[0].results[17]`, `line 3`.
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// What an import did. `received = new + unchanged + updated + reopened + repeats + rejected`;
/// suppressed is a part of these, closed is what this scan no longer saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSummary {
    /// The session it went to.
    pub session: SessionId,
    /// Whether this import created it.
    pub created: bool,
    /// The bots it was taken for.
    pub bots: Vec<BotId>,
    /// Results in the report.
    pub received: u64,
    /// Findings seen for the first time.
    pub new: u64,
    /// Findings known before, and the same.
    pub unchanged: u64,
    /// Findings known before, with another level, message, region or suppression.
    pub updated: u64,
    /// Findings that had been closed.
    pub reopened: u64,
    /// Results that repeat another one of the report.
    pub repeats: u64,
    /// Results that could not be taken; at most [`MAX_REJECTED`].
    pub rejected: Vec<Rejected>,
    /// Results that are suppressed.
    pub suppressed: u64,
    /// Findings of the last scan that this one no longer saw.
    pub closed: u64,
}

/// An import's summary against its session alone, and what it saw, to be counted against a baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// New and unchanged are those of the session; updated, reopened and closed are 0.
    pub summary: ImportSummary,
    /// The distinct findings by bot, and whether the session had them before.
    pub seen: BTreeMap<BotId, Vec<(Fingerprint, bool)>>,
    /// Bots that did not look at everything, or of whose report not everything was taken: their
    /// executions are partial and close nothing.
    pub partial: BTreeSet<BotId>,
}

/// What a report holds of one bot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Section {
    pub(super) bot: BotId,
    pub(super) version: String,
    /// The tool says that it did not look at everything.
    pub(super) partial: bool,
    /// The tool says that it was successful, whatever code it ended with.
    pub(super) vouched: bool,
}

/// A result, or why it is none.
pub(super) type Reading = std::result::Result<Finding, String>;

/// Hears of a result: its place, on demand, and what it is.
pub(super) type Each<'a> = dyn FnMut(&dyn Fn() -> String, Reading) -> crate::Result<()> + 'a;

/// A report that was checked whole and can be read finding by finding, as often as need be.
pub(super) trait Report: Send + Sync {
    fn sections(&self) -> &[Section];

    /// Calls `each` with every result of a section, in order, and its place.
    fn each(&self, section: usize, each: &mut Each<'_>) -> crate::Result<()>;

    /// A rule's texts.
    fn rule(&self, section: usize, rule: &str) -> Option<Rule>;
}
