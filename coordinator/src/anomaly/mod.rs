//! Anomalies: what is unusual about a bot's runs and workers, each said once.
//!
//! Those of a run are found when it is folded into the bot's series, and never change. Those that
//! last (a silent bot, a stuck worker, mixed versions) are found by looking again and again
//! ([`lasting`](mod@lasting)); they keep their identity for as long as they last.

pub mod lasting;

pub mod changes;

use fleet_worker_sdk::{BotId, SessionId, WorkerId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Run;
use crate::series::{self, Judged, Level};

pub use changes::{Changes, changes};
pub use lasting::{Facts, lasting};

/// What is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run took unusually long, or was over unusually soon.
    Duration,
    /// A run had unusually many or few findings.
    Findings,
    /// An unusual share of a run's findings were errors.
    ErrorShare,
    /// Unusually many runs have failed in a row.
    Failures,
    /// A bot has gone silent: no run, or no heartbeat though its workers used to beat.
    Silent,
    /// A worker beats but gets nothing done.
    Stuck,
    /// Workers of one bot have run different versions for longer than a rollout takes.
    VersionSkew,
}

impl Kind {
    /// Whether it begins and ends; what is unusual about a run stays so.
    pub const fn lasts(self) -> bool {
        matches!(self, Self::Silent | Self::Stuck | Self::VersionSkew)
    }

    /// The word in every format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Findings => "findings",
            Self::ErrorShare => "error_share",
            Self::Failures => "failures",
            Self::Silent => "silent",
            Self::Stuck => "stuck",
            Self::VersionSkew => "version_skew",
        }
    }
}

impl From<series::Kind> for Kind {
    fn from(kind: series::Kind) -> Self {
        match kind {
            series::Kind::Duration => Self::Duration,
            series::Kind::Findings => Self::Findings,
            series::Kind::ErrorShare => Self::ErrorShare,
            series::Kind::Failures => Self::Failures,
            series::Kind::Interval => Self::Silent,
        }
    }
}

/// Something unusual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Its identity: the same thing observed again has the same, and is stored once.
    pub id: String,
    /// What is unusual.
    pub kind: Kind,
    /// About which bot.
    pub bot: BotId,
    /// In which session, if it is about a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// About which worker, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// What was seen: seconds, findings, a share 0-1, runs, versions.
    pub observed: f64,
    /// What was expected, in the same unit.
    pub expected: f64,
    /// How far from it values usually are; 0 for a fixed limit.
    pub spread: f64,
    /// Spreads between the two; none for a fixed limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub z: Option<f64>,
    /// Samples that the expectation is made of; 0 for a fixed limit.
    pub samples: u64,
    /// How much it matters: a warning or an error.
    pub level: Level,
    /// All of it in one line, for people.
    pub text: String,
    /// When the run ended, or from when on it was unusual (the store's clock).
    pub at: Timestamp,
    /// When what lasted was over (the store's clock); none while it lasts, and for a run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

impl Anomaly {
    /// Whether it is about now, not about a run: it began, and has not ended.
    pub fn is_open(&self) -> bool {
        self.kind.lasts() && self.ended.is_none()
    }
}

/// What is unusual about a run of `bot`.
pub fn of_run(bot: &BotId, run: &Run, judged: &Judged) -> Anomaly {
    let kind = Kind::from(judged.kind);
    Anomaly {
        id: format!("{}:{bot}:{}:{}", kind.as_str(), run.session, run.attempt),
        session: Some(run.session.clone()),
        ..of(kind, bot, judged, run.ended)
    }
}

fn of(kind: Kind, bot: &BotId, judged: &Judged, at: Timestamp) -> Anomaly {
    let verdict = judged.verdict;
    Anomaly {
        id: String::new(),
        kind,
        bot: bot.clone(),
        session: None,
        worker: None,
        observed: judged.observed,
        expected: verdict.expected,
        spread: verdict.spread,
        z: Some(verdict.z),
        samples: verdict.samples,
        level: verdict.level,
        text: judged.text(),
        at,
        ended: None,
    }
}
