//! What is read back from a store: sessions with their facts, workers, runs, rollups.

use std::collections::BTreeMap;

use fleet_worker_sdk::session::SessionState;
use fleet_worker_sdk::trace::TraceContext;
use fleet_worker_sdk::{
    BotId, Command, Execution, ExecutionState, Repository, SessionId, Severity, Version,
    WeightClass, WorkerId, WorkerState,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::health::{Health, Status};

/// Number of findings a severity, suppressed ones apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Open errors.
    pub error: u64,
    /// Open warnings.
    pub warning: u64,
    /// Open infos.
    pub info: u64,
    /// Open suggestions.
    pub suggestion: u64,
    /// Suppressed, of any severity.
    pub suppressed: u64,
}

impl Tally {
    /// All findings, suppressed ones included.
    pub fn total(&self) -> u64 {
        self.error + self.warning + self.info + self.suggestion + self.suppressed
    }

    /// The count of a severity, to read or change.
    pub fn of_mut(&mut self, severity: Severity) -> &mut u64 {
        match severity {
            Severity::Error => &mut self.error,
            Severity::Warning => &mut self.warning,
            Severity::Info => &mut self.info,
            Severity::Suggestion => &mut self.suggestion,
        }
    }

    /// The count of a severity.
    pub fn of(&self, severity: Severity) -> u64 {
        let mut copy = *self;
        *copy.of_mut(severity)
    }
}

/// A session, as listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Which repository.
    pub repository: Repository,
    /// Branch or tag; empty when unknown.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Commit; empty when unknown.
    pub commit: String,
    /// Run, `0` unless given.
    pub run: String,
    /// Open or complete: see [`SessionState::of`].
    pub state: SessionState,
    /// When it was opened (the store's clock).
    pub opened: Timestamp,
    /// When it last changed (the store's clock).
    pub changed: Timestamp,
    /// Changes with every change of it.
    pub version: Version,
    /// Changes when its log is rewritten.
    pub generation: u64,
    /// Findings counted, which is findings indexed.
    pub total: u64,
    /// Findings among them whose batch could not be read and went to the dead letters.
    pub quarantined: u64,
    /// Findings by severity.
    pub tally: Tally,
    /// One entry a bot, in order of bot id.
    pub executions: Vec<Execution>,
    /// The health stored by a coordinator, with the version it was computed from.
    pub derived: Option<Derived>,
}

/// A session with all that its health is made of, read at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// The session.
    pub session: Session,
    /// Its counters.
    pub counts: Counts,
    /// Members of the index; equals the sum of the counts and the total, or something is broken.
    pub indexed: u64,
}

/// Counters kept with every push; their cost does not grow with the findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// By bot.
    pub by_bot: BTreeMap<BotId, Tally>,
    /// Open findings by category; at most [`MAX_CATEGORIES`], then [`OTHER`].
    pub by_category: BTreeMap<String, u64>,
    /// Open findings by weight class and rule; at most [`MAX_RULES`], then [`OTHER`].
    #[serde(with = "by_rule")]
    pub by_rule: BTreeMap<(WeightClass, String), u64>,
}

/// Most rules counted apart in a session.
pub const MAX_RULES: usize = 4_096;
/// Most categories counted apart in a session.
pub const MAX_CATEGORIES: usize = 256;
/// Where rules and categories over the limit are counted.
pub const OTHER: &str = "other";

impl Counts {
    /// Findings by severity, over all bots.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for tally in self.by_bot.values() {
            for &severity in Severity::ALL {
                *sum.of_mut(severity) += tally.of(severity);
            }
            sum.suppressed += tally.suppressed;
        }
        sum
    }
}

mod by_rule {
    use super::{BTreeMap, Deserialize, Serialize, WeightClass};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Row {
        class: WeightClass,
        rule: String,
        count: u64,
    }

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<(WeightClass, String), u64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map.iter().map(|((class, rule), count)| Row {
            class: *class,
            rule: rule.clone(),
            count: *count,
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<(WeightClass, String), u64>, D::Error> {
        let rows = Vec::<Row>::deserialize(from)?;
        Ok(rows
            .into_iter()
            .map(|row| ((row.class, row.rule), row.count))
            .collect())
    }
}

/// A result computed from a session at a version; refused when that is no longer the one stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Derived {
    /// The version it was computed from.
    pub version: Version,
    /// The session's health then.
    pub health: Health,
    /// Quality of the repository, 0-100: this session's part of the fleet's health.
    pub quality: Option<f64>,
    /// The band of that quality, as the repository's band before makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<Status>,
}

/// A worker, as it last reported and as the store last heard it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// Who.
    pub id: WorkerId,
    /// Of which bot.
    pub bot: BotId,
    /// Version of the bot.
    pub version: String,
    /// Version of the SDK that it was built with; empty when unknown.
    #[serde(default)]
    pub sdk: String,
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// When it started, by its own clock.
    pub started: Timestamp,
    /// State it reported.
    pub state: WorkerState,
    /// Sessions it works on.
    pub sessions: Vec<SessionId>,
    /// Last heartbeat (the store's clock).
    pub last_beat: Timestamp,
    /// When its progress counter last moved (the store's clock).
    pub last_progress: Timestamp,
    /// Command it has not yet obeyed.
    pub command: Option<Command>,
}

/// A finished execution, as the bot's series keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which session.
    pub session: SessionId,
    /// Which attempt.
    pub attempt: u32,
    /// Completed, failed or skipped.
    pub outcome: ExecutionState,
    /// It ended well but did not look at everything.
    pub partial: bool,
    /// When it finished (the store's clock).
    pub ended: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Findings received.
    pub findings: u64,
    /// Findings that the session had of the bot when it finished, by severity.
    #[serde(default)]
    pub tally: Tally,
}

/// Sums over every session of the fleet, kept partition by partition and merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Sessions stored.
    pub sessions: u64,
    /// Repositories whose quality is known (of their latest session that has one).
    pub repositories: u64,
    /// Sum of those qualities, in thousandths of a point.
    pub quality_milli: u64,
    /// Findings accepted since the fleet was created.
    pub findings: u64,
    /// Findings among them whose sessions were removed.
    #[serde(default)]
    pub dropped: u64,
}

impl Rollup {
    /// Findings stored.
    pub fn stored(&self) -> u64 {
        self.findings.saturating_sub(self.dropped)
    }
}

/// A change to look at again: of which session, at which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEntry {
    /// Where the store keeps it, to settle it.
    pub receipt: String,
    /// Which session changed.
    pub session: SessionId,
    /// How often it has been handed out before.
    pub redelivered: u32,
    /// The trace that the change is part of.
    pub trace: Option<TraceContext>,
}

/// Something that changed, to look at again. A hint: it may be lost, repeated or late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Update {
    /// A session: findings, executions or health.
    Session {
        /// Which.
        session: SessionId,
        /// Its version.
        version: Version,
        /// The trace that the change is part of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<TraceContext>,
    },
    /// Workers or bots: one appeared, changed state or died.
    Workers,
    /// The fleet's health.
    Fleet,
    /// Hints may have been lost: look at everything again.
    Resync,
}
