//! All alerts of the fleet: they pend while they may pass by themselves, fire, and resolve when what
//! they are about has been over for a while.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::labels::Labels;
use super::notify::Log;
use super::rules::Observation;
use super::settings::AlertSettings;
use super::{MAX_ALERTS, Name};

/// How long a resolved alert is still shown, and told of where a group or an outage made it wait:
/// longer than any group waits between two notices.
pub const KEEP_RESOLVED: SignedDuration = SignedDuration::from_hours(1);

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It may pass by itself: nobody is told yet.
    Pending,
    /// It lasts.
    Firing,
    /// It is over.
    Resolved,
}

impl Phase {
    /// The word in every format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its identity.
    pub labels: Labels,
    /// Where it stands.
    pub phase: Phase,
    /// When it was first observed (the store's clock).
    pub starts_at: Timestamp,
    /// When it was over; only of a resolved one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Since when it has not been observed; it resolves when that has lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_since: Option<Timestamp>,
    /// What was measured last.
    pub value: f64,
    /// It in one sentence.
    pub summary: String,
    /// What it means and what to do.
    pub description: String,
}

impl Alert {
    fn new(observed: &Observation, now: Timestamp) -> Self {
        Self {
            labels: observed.labels.clone(),
            phase: Phase::Pending,
            starts_at: now,
            ends_at: None,
            clear_since: None,
            value: observed.value,
            summary: observed.summary.clone(),
            description: observed.description.clone(),
        }
    }

    /// The alert, observed at `now`.
    fn seen(
        before: Option<&Self>,
        observed: &Observation,
        now: Timestamp,
        hold: SignedDuration,
    ) -> Self {
        let known = before.filter(|alert| alert.phase != Phase::Resolved);
        let starts_at = known.map_or(now, |alert| alert.starts_at);
        let fires = known.is_some_and(|alert| alert.phase == Phase::Firing)
            || now.duration_since(starts_at) >= hold;
        Self {
            starts_at,
            phase: if fires { Phase::Firing } else { Phase::Pending },
            ..Self::new(observed, now)
        }
    }

    /// The alert, not observed at `now`; none when nothing is left to say of it.
    fn unseen(&self, now: Timestamp, hold: SignedDuration) -> Option<Self> {
        let mut alert = self.clone();
        match self.phase {
            Phase::Pending => return None,
            Phase::Firing => {
                let since = *alert.clear_since.get_or_insert(now);
                if now.duration_since(since) >= hold {
                    alert.phase = Phase::Resolved;
                    alert.ends_at = Some(since);
                    alert.clear_since = None;
                }
            }
            Phase::Resolved => {
                let ended = self.ends_at.unwrap_or(now);
                if now.duration_since(ended) >= KEEP_RESOLVED {
                    return None;
                }
            }
        }
        Some(alert)
    }

    /// Whether what it is about lasts now: it fires, and was there at the last look.
    pub fn lasts(&self) -> bool {
        self.phase == Phase::Firing && self.clear_since.is_none()
    }
}

/// The alerts of a fleet, and who has been told of which.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Board {
    #[serde(with = "rows", default)]
    alerts: BTreeMap<Labels, Alert>,
    #[serde(default)]
    pub(super) log: Log,
}

/// A map with label sets for keys is no JSON object: its alerts are written as a list.
mod rows {
    use serde::{Deserializer, Serializer};

    use super::{Alert, BTreeMap, Deserialize, Labels};

    pub(super) fn serialize<S: Serializer>(
        alerts: &BTreeMap<Labels, Alert>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(alerts.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Labels, Alert>, D::Error> {
        let rows = Vec::<Alert>::deserialize(from)?.into_iter();
        Ok(rows.map(|alert| (alert.labels.clone(), alert)).collect())
    }
}

impl Board {
    /// All alerts, most urgent first.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// Those that fire, most urgent first.
    pub fn firing(&self) -> impl Iterator<Item = &Alert> {
        self.alerts().filter(|alert| alert.phase == Phase::Firing)
    }

    /// One of them.
    pub fn get(&self, labels: &Labels) -> Option<&Alert> {
        self.alerts.get(labels)
    }

    /// Whether an alert of this name fires.
    pub fn fires(&self, name: Name) -> bool {
        self.firing().any(|alert| alert.labels.alertname == name)
    }

    /// The board after `observed` was seen at `now`, and nothing else.
    #[must_use]
    pub(super) fn observe(
        &self,
        observed: &[Observation],
        now: Timestamp,
        settings: &AlertSettings,
    ) -> Self {
        let mut seen: BTreeMap<&Labels, &Observation> = BTreeMap::new();
        for one in observed {
            let kept = seen.entry(&one.labels).or_insert(one);
            if one.rank().gt(&kept.rank()) {
                *kept = one;
            }
        }
        let hold = settings.resolve_hold;
        let over = self
            .alerts
            .iter()
            .filter(|(labels, _)| !seen.contains_key(labels));
        let over =
            over.filter_map(|(labels, alert)| Some((labels.clone(), alert.unseen(now, hold)?)));
        let lasting = seen.iter().map(|(labels, one)| {
            let hold = settings.limit(labels.alertname).hold;
            let alert = Alert::seen(self.alerts.get(*labels), one, now, hold);
            ((*labels).clone(), alert)
        });
        let mut alerts: BTreeMap<Labels, Alert> = over.chain(lasting).collect();
        if alerts.len() > MAX_ALERTS {
            bound(&mut alerts);
        }
        Self {
            alerts,
            log: self.log.clone(),
        }
    }
}

/// Keeps [`MAX_ALERTS`]: what is resolved goes first, then the least urgent.
fn bound(alerts: &mut BTreeMap<Labels, Alert>) {
    let mut order: Vec<(bool, Labels)> = alerts
        .values()
        .map(|alert| (alert.phase == Phase::Resolved, alert.labels.clone()))
        .collect();
    order.sort();
    for (_, labels) in order.iter().skip(MAX_ALERTS) {
        alerts.remove(labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::labels::{Name, Severity};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn backlog() -> Observation {
        Observation {
            labels: Labels::new(Name::Backlog, Severity::Warning),
            value: 40.0,
            summary: "behind".to_owned(),
            description: String::new(),
        }
    }

    /// The phase after each look: at a second, with the backlog there or not.
    fn phases(looks: &[(i64, bool)]) -> Vec<Option<Phase>> {
        let settings = AlertSettings::default();
        let mut board = Board::default();
        let look = |(second, there): &(i64, bool)| {
            let observed = if *there { vec![backlog()] } else { vec![] };
            board = board.observe(&observed, at(*second), &settings);
            board.get(&backlog().labels).map(|alert| alert.phase)
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn it_pends_fires_and_resolves() {
        use Phase::{Firing, Pending, Resolved};
        // Hold-down of a backlog 30 s, resolve hold 5 min.
        let looks = [
            (0, true),
            (29, true),
            (30, true),
            (60, false),
            (359, false),
            (360, false),
            (3_659, false),
            (3_660, false),
        ];
        let expected = [
            Some(Pending),
            Some(Pending),
            Some(Firing),
            Some(Firing),
            Some(Firing),
            Some(Resolved),
            Some(Resolved),
            None,
        ];
        assert_eq!(phases(&looks), expected);
    }

    #[test]
    fn what_passes_by_itself_never_fires_and_what_comes_back_soon_never_resolved() {
        use Phase::{Firing, Pending};
        assert_eq!(
            phases(&[(0, true), (20, false), (40, true), (60, false)]),
            [Some(Pending), None, Some(Pending), None]
        );
        let flapping: Vec<_> = (0..40).map(|n| (n * 60, n % 4 != 3)).collect();
        let phases = phases(&flapping);
        assert!(
            phases[1..].iter().all(|phase| *phase == Some(Firing)),
            "{phases:?}"
        );
    }

    #[test]
    fn a_resolved_alert_tells_when_it_began_and_ended_and_begins_anew() {
        let settings = AlertSettings::default();
        let labels = backlog().labels;
        let there = [backlog()];
        let mut board = Board::default();
        for (second, observed) in [(0, &there[..]), (30, &there), (60, &[]), (400, &[])] {
            board = board.observe(observed, at(second), &settings);
        }
        let alert = board.get(&labels).unwrap();
        assert_eq!((alert.starts_at, alert.ends_at), (at(0), Some(at(60))));
        let again = board.observe(&there, at(500), &settings);
        let alert = again.get(&labels).unwrap();
        assert_eq!((alert.phase, alert.starts_at), (Phase::Pending, at(500)));
    }

    #[test]
    fn a_flood_keeps_the_most_urgent() {
        let observation = |number: usize, severity| Observation {
            labels: Labels::new(Name::BotFailing, severity)
                .bot(&format!("bot-{number:04}").parse().unwrap()),
            ..backlog()
        };
        let mut flood: Vec<_> = (0..MAX_ALERTS)
            .map(|n| observation(n, Severity::Warning))
            .collect();
        flood.push(observation(MAX_ALERTS, Severity::Critical));
        let board = Board::default().observe(&flood, at(0), &AlertSettings::default());
        assert_eq!(board.alerts().count(), MAX_ALERTS);
        let first = board.alerts().next().unwrap();
        assert_eq!(first.labels.severity, Severity::Critical);
    }
}
