//! Alerts, silences and deliveries, as they are asked for.

use fleet_worker_sdk::Result;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::alert::inhibit::inhibits;
use crate::alert::{Alert, Board, Labels, Matcher, Phase, Silence};
use crate::store::alerts::{Alerting, Alerts, Audit, Undelivered};

/// Alerts, most urgent first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertList {
    /// The alerts: pending, firing, and those resolved within the hour.
    pub alerts: Vec<AlertSeen>,
    /// Deliveries that are on their way.
    pub waiting: u64,
    /// Deliveries that were given up.
    pub undelivered: u64,
    /// When it was looked (the store's clock).
    pub now: Timestamp,
}

/// An alert with what keeps it quiet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertSeen {
    /// It.
    #[serde(flatten)]
    pub alert: Alert,
    /// Silences in force that match it, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silenced_by: Vec<String>,
    /// An alert that fires and explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inhibited_by: Option<Labels>,
}

impl AlertSeen {
    /// Whether it fires and somebody is told.
    pub fn is_loud(&self) -> bool {
        self.alert.phase == Phase::Firing
            && self.silenced_by.is_empty()
            && self.inhibited_by.is_none()
    }
}

impl AlertList {
    /// What `store` has.
    ///
    /// # Errors
    /// As the store's.
    pub async fn read<S: Alerting + ?Sized>(store: &S) -> Result<Self> {
        let stored = store.alerts().await?;
        Ok(Self::of(&stored, store.now().await?))
    }

    /// What `stored` is at `now`.
    pub fn of(stored: &Alerts, now: Timestamp) -> Self {
        let seen = stored.board.alerts().map(|alert| AlertSeen {
            alert: alert.clone(),
            silenced_by: silencing(&stored.silences, &alert.labels, now),
            inhibited_by: cause(&stored.board, &alert.labels),
        });
        Self {
            alerts: seen.collect(),
            waiting: stored.waiting.len() as u64,
            undelivered: stored.undelivered,
            now,
        }
    }

    /// Those that fire.
    pub fn firing(&self) -> impl Iterator<Item = &AlertSeen> {
        let all = self.alerts.iter();
        all.filter(|seen| seen.alert.phase == Phase::Firing)
    }
}

fn silencing(silences: &[Silence], labels: &Labels, now: Timestamp) -> Vec<String> {
    let all = silences.iter();
    all.filter(|silence| silence.silences(labels, now))
        .map(|silence| silence.id.clone())
        .collect()
}

fn cause(board: &Board, labels: &Labels) -> Option<Labels> {
    let mut firing = board.firing().map(|alert| &alert.labels);
    firing.find(|cause| inhibits(cause, labels)).cloned()
}

/// The silences of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silences {
    /// Those in force, and those that ended within the day.
    pub silences: Vec<Silence>,
    /// When it was looked (the store's clock).
    pub now: Timestamp,
}

impl Silences {
    /// What `store` has, those that last longest first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn read<S: Alerting + ?Sized>(store: &S) -> Result<Self> {
        let mut silences = store.alerts().await?.silences;
        silences.sort_by(|a, b| (b.ends_at, &a.id).cmp(&(a.ends_at, &b.id)));
        Ok(Self {
            silences,
            now: store.now().await?,
        })
    }
}

/// A silence that somebody asks for, from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSilence {
    /// What it silences: `bot=scan*`, `alertname!=backlog`; all must match.
    pub matchers: Vec<String>,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// For how many seconds.
    pub seconds: u32,
}

impl NewSilence {
    /// Checks it and stores it.
    ///
    /// # Errors
    /// `Error::Invalid` naming what is wrong; as the store's.
    pub async fn store<S: Alerting + ?Sized>(&self, store: &S) -> Result<Silence> {
        let matchers = self.matchers.iter().map(|text| Matcher::parse(text));
        let lasts = SignedDuration::from_secs(i64::from(self.seconds));
        let silence = Silence::new(
            matchers.collect::<Result<_>>()?,
            &self.author,
            &self.comment,
            store.now().await?,
            lasts,
        )?;
        store.silence(&silence).await?;
        Ok(silence)
    }
}

/// Deliveries that were given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GivenUp {
    /// They, oldest first.
    pub undelivered: Vec<Undelivered>,
}

/// Who did what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditTrail {
    /// Latest first.
    pub audit: Vec<Audit>,
}
