//! From when on what is an alert, with the reason for each number.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::labels::{Name, Severity};

/// From when on one kind of thing is an alert. The unit of both limits is that of the kind's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// From this value on it is a warning; none: never.
    pub warning: Option<f64>,
    /// From this value on it is critical; none: never.
    pub critical: Option<f64>,
    /// How long it must last before anybody is told.
    pub hold: SignedDuration,
}

impl Limit {
    const fn new(warning: Option<f64>, critical: Option<f64>, hold: i64) -> Self {
        Self {
            warning,
            critical,
            hold: SignedDuration::from_secs(hold),
        }
    }

    /// How urgent `value` is; none when it is no alert.
    pub fn severity(&self, value: f64) -> Option<Severity> {
        if self.critical.is_some_and(|limit| value >= limit) {
            Some(Severity::Critical)
        } else if self.warning.is_some_and(|limit| value >= limit) {
            Some(Severity::Warning)
        } else {
            None
        }
    }

    /// The default of a kind.
    #[allow(
        clippy::match_same_arms,
        reason = "each kind has its own reason for its threshold"
    )]
    pub const fn of(name: Name) -> Self {
        match name {
            // Seconds. Clients ride over a restart or failover of Redis in less.
            Name::StoreUnreachable => Self::new(None, Some(15.0), 0),
            // Sessions. One is one too many; a minute, for a count may be read amid a change.
            Name::ConservationMismatch => Self::new(None, Some(1.0), 60),
            // Share of the tier's bots that fail. Half a tier still does half its work.
            Name::TierDown => Self::new(None, Some(1.0), 30),
            // Runs failed in a row. One is bad luck, two a coincidence; after twice three it is not
            // that one repository.
            Name::BotFailing => Self::new(Some(3.0), Some(6.0), 0),
            // Share of the last 20 runs that failed. Every second run is wasted.
            Name::HighErrorRate => Self::new(Some(0.5), None, 0),
            // Share of the memory limit. Retention makes room from 0.8 on: at 0.9 it cannot keep
            // up, at 0.97 pushes are about to be refused. A minute, in which it gets its turn.
            Name::ResourceExhaustion => Self::new(Some(0.9), Some(0.97), 60),
            // Letters. Each is something that was sent and is not there.
            Name::DeadLetters => Self::new(Some(1.0), None, 0),
            // Age of the oldest change in seconds. Scores follow within one usually: half a minute
            // is seen by people, five mean that no coordinator works.
            Name::Backlog => Self::new(Some(30.0), Some(300.0), 30),
            // Workers. They have made no progress for ten minutes already.
            Name::WorkerStuck => Self::new(Some(1.0), None, 0),
            // Spreads (z) that the silence is above the usual time between runs.
            Name::BotSilent => Self::new(Some(crate::series::WARNING), None, 0),
            // Spreads (z) that the latest run's duration is above the usual one; at 6 no scan of
            // those measured was a false alarm.
            Name::SlowExecution => Self::new(Some(crate::series::ERROR), None, 0),
            // Spreads (z), as above.
            Name::Anomaly => Self::new(Some(crate::series::ERROR), None, 0),
            // Raised by hand.
            Name::Test => Self::new(None, None, 0),
        }
    }
}

/// How alerts are raised.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSettings {
    /// Kinds with limits of their own; the others have [`Limit::of`].
    pub limits: BTreeMap<Name, Limit>,
    /// How long it must be over before an alert resolves: what comes back sooner is the same one.
    pub resolve_hold: SignedDuration,
    /// A complete run that takes longer than this is slow whatever the bot usually takes; none: only
    /// what is unusual is.
    pub slow_after: Option<SignedDuration>,
    /// How long an unusual run is news.
    pub anomaly_for: SignedDuration,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            limits: BTreeMap::new(),
            // As long as a group waits between notices: what flaps faster is told once.
            resolve_hold: SignedDuration::from_mins(5),
            slow_after: None,
            // Three notices' time: long enough to be seen, gone before the next scan.
            anomaly_for: SignedDuration::from_mins(15),
        }
    }
}

impl AlertSettings {
    /// From when on `name` is an alert.
    pub fn limit(&self, name: Name) -> Limit {
        let own = self.limits.get(&name).copied();
        own.unwrap_or_else(|| Limit::of(name))
    }
}
