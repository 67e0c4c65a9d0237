//! When which channel is told of what.
//!
//! A channel hears of alerts in groups: of a new group after a wait, in which the rest of the trouble
//! shows; of changes of it at intervals; of what lasts again and again. What it has been told to fire
//! is written down, so that nobody hears that something is over of which they never heard.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::board::{Alert, Board, Phase};
use super::labels::{Label, Labels};
use super::silence::{Matcher, all_match};
use super::{Known, Severity};

/// Most alerts of one delivery, some 60 KB; more go in several.
pub const MAX_DELIVERED: usize = 100;

/// When a channel is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Alerts with the same values of these are told together.
    pub group_by: Vec<Label>,
    /// How long the first notice of a group waits for the rest of it.
    pub wait: SignedDuration,
    /// Least time between two notices of a group.
    pub interval: SignedDuration,
    /// After how long what still fires is told again.
    pub repeat: SignedDuration,
}

/// Who is told of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name in the configuration.
    pub name: String,
    /// Only alerts of these severities; all when empty.
    pub severities: Vec<Severity>,
    /// Only alerts that all of these match.
    pub matchers: Vec<Matcher>,
    /// When.
    pub pace: Pace,
}

impl Channel {
    /// Whether it wants to hear of an alert.
    pub fn wants(&self, labels: &Labels) -> bool {
        (self.severities.is_empty() || self.severities.contains(&labels.severity))
            && all_match(&self.matchers, labels)
    }

    fn group(&self, labels: &Labels) -> String {
        let values = self.pace.group_by.iter();
        let values: Vec<String> = values
            .map(|label| format!("{label}={}", labels.get(*label)))
            .collect();
        values.join(",")
    }
}

/// What one channel is told at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id: the same delivery tried again has the same.
    pub id: String,
    /// To which channel.
    pub channel: String,
    /// Of which group: `alertname=backlog`.
    pub group: String,
    /// When it was decided (the store's clock).
    pub at: Timestamp,
    /// Those that fire, then those that are over.
    pub alerts: Vec<Alert>,
}

/// Channel -> group -> what it was told.
pub(super) type Log = BTreeMap<String, BTreeMap<String, Told>>;

/// What a channel was told of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    /// Since when there is something new to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// When it was told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    /// What it was told to fire, and not that it is over.
    #[serde(default)]
    firing: BTreeSet<Labels>,
}

/// What is to be delivered now; writes it down on the board.
pub(super) fn notify(
    board: &mut Board,
    quiet: &BTreeSet<Labels>,
    known: &Known<'_>,
    channels: &[Channel],
) -> Vec<Delivery> {
    let mut before = std::mem::take(&mut board.log);
    let mut deliveries = Vec::new();
    for channel in channels {
        let mut told = before.remove(&channel.name).unwrap_or_default();
        let mut groups: BTreeMap<String, Vec<&Alert>> = BTreeMap::new();
        let heard = |alert: &&Alert| channel.wants(&alert.labels) && !quiet.contains(&alert.labels);
        for alert in board.alerts().filter(heard) {
            groups
                .entry(channel.group(&alert.labels))
                .or_default()
                .push(alert);
        }
        let waits = known.waiting.contains(&channel.name);
        told.retain(|_, told| told.keep(board, channel, known.now));
        let named: BTreeSet<String> = groups.keys().chain(told.keys()).cloned().collect();
        for group in named {
            let alerts = groups.remove(&group).unwrap_or_default();
            let entry = told.entry(group.clone()).or_default();
            if let Some(tell) = entry.due(&alerts, channel, waits, known.now) {
                deliveries.extend(pack(channel, &group, known.now, &tell));
            }
        }
        told.retain(|_, told| told.keep(board, channel, known.now));
        if !told.is_empty() {
            board.log.insert(channel.name.clone(), told);
        }
    }
    deliveries
}

impl Told {
    /// Forgets alerts that are no longer on the board; says whether anything is left to remember.
    fn keep(&mut self, board: &Board, channel: &Channel, now: Timestamp) -> bool {
        self.firing.retain(|labels| board.get(labels).is_some());
        let recent = self
            .at
            .is_some_and(|at| now.duration_since(at) < channel.pace.interval);
        recent || self.since.is_some() || !self.firing.is_empty()
    }

    /// What to tell now of a group of alerts, if anything.
    fn due<'a>(
        &mut self,
        alerts: &[&'a Alert],
        channel: &Channel,
        waits: bool,
        now: Timestamp,
    ) -> Option<Vec<&'a Alert>> {
        let fires = |alert: &&&Alert| alert.phase == Phase::Firing;
        let over =
            |alert: &&&Alert| alert.phase == Phase::Resolved && self.firing.contains(&alert.labels);
        let firing: Vec<&Alert> = alerts.iter().filter(fires).copied().collect();
        let resolved: Vec<&Alert> = alerts.iter().filter(over).copied().collect();
        let fresh = firing
            .iter()
            .any(|alert| !self.firing.contains(&alert.labels));
        let pace = &channel.pace;
        let is_due = if fresh || !resolved.is_empty() {
            let since = *self.since.get_or_insert(now);
            match self.at {
                None => now.duration_since(since) >= pace.wait,
                Some(at) => now.duration_since(at) >= pace.interval,
            }
        } else {
            self.since = None;
            let again = |at| now.duration_since(at) >= pace.repeat;
            !firing.is_empty() && !waits && self.at.is_some_and(again)
        };
        if !is_due {
            return None;
        }
        for alert in &resolved {
            self.firing.remove(&alert.labels);
        }
        self.firing
            .extend(firing.iter().map(|alert| alert.labels.clone()));
        (self.since, self.at) = (None, Some(now));
        Some([firing, resolved].concat())
    }
}

/// Deliveries of so many alerts.
fn pack(channel: &Channel, group: &str, now: Timestamp, alerts: &[&Alert]) -> Vec<Delivery> {
    let parts = alerts.chunks(MAX_DELIVERED).enumerate();
    parts
        .map(|(part, alerts)| Delivery {
            id: id(channel, group, now, part),
            channel: channel.name.clone(),
            group: group.to_owned(),
            at: now,
            alerts: alerts.iter().map(|alert| (*alert).clone()).collect(),
        })
        .collect()
}

/// The same for whoever makes the delivery: a channel is told of a group once at a time.
fn id(channel: &Channel, group: &str, now: Timestamp, part: usize) -> String {
    let identity = format!(
        "{}\n{group}\n{}\n{part}",
        channel.name,
        now.as_millisecond()
    );
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(identity.as_bytes()))
}

impl Delivery {
    /// The delivery without what must no longer be told; none when nothing is left.
    #[must_use]
    pub fn without(mut self, quiet: impl Fn(&Labels) -> bool) -> Option<Self> {
        self.alerts.retain(|alert| !quiet(&alert.labels));
        (!self.alerts.is_empty()).then_some(self)
    }

    /// Whether anything in it fires.
    pub fn fires(&self) -> bool {
        self.alerts.iter().any(|alert| alert.phase == Phase::Firing)
    }
}
