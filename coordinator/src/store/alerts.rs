//! Alerts: the board, silences, and what is on its way to a channel.

use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::{Error, Result, Version};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Read;
use crate::alert::{Board, Delivery, Silence};

/// Deliveries that wait: an hour of changes of every group of a large fleet, 15 MB at the most.
/// Beyond, they go to the dead letters at once.
pub const MAX_OUTBOX: usize = 256;
/// Deliveries given up that are kept; beyond, the oldest go.
pub const MAX_UNDELIVERED: usize = 256;
/// Silences kept, those that ended within the last day included. A fleet that needs more has
/// settings to change.
pub const MAX_SILENCES: usize = 256;
/// Entries of the audit that are kept.
pub const MAX_AUDIT: usize = 10_000;
/// How long a silence is listed after its end.
pub const KEEP_SILENCE: SignedDuration = SignedDuration::from_hours(24);
/// A delivery that has waited for so long is given up: nobody has its channel any more.
pub const MAX_WAIT: SignedDuration = SignedDuration::from_hours(24);

/// All that a step of the alerts is made from, read at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts {
    /// Changes with the board and with the silences; none before the first.
    pub version: Option<Version>,
    /// The alerts, and who was told of them.
    pub board: Board,
    /// The silences kept, ended ones too.
    pub silences: Vec<Silence>,
    /// The channel of each delivery that waits.
    pub waiting: Vec<String>,
    /// Deliveries given up.
    pub undelivered: u64,
}

/// A delivery that its claimer has to itself for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// Where the store keeps it, to settle it.
    pub receipt: String,
    /// How often it was claimed, this time included.
    pub attempts: u32,
    /// It.
    pub delivery: Delivery,
}

/// What became of a claimed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived, or nothing of it needs to be told any more.
    Done,
    /// It is to be tried again, not sooner than after so long.
    Again(Duration),
    /// It is given up, for this reason.
    Dead(String),
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undelivered {
    /// Its id among these.
    pub id: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub why: String,
    /// It.
    pub delivery: Delivery,
}

/// Somebody did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// When (the store's clock).
    pub at: Timestamp,
    /// Who, as they said.
    pub author: String,
    /// What: `silence`, `unsilence`, `requeue`, `discard`.
    pub action: String,
    /// To what, as JSON or an id.
    pub subject: String,
}

/// What is read and written of alerts.
#[async_trait]
pub trait Alerting: Read {
    /// What is stored of them.
    async fn alerts(&self) -> Result<Alerts>;

    /// Stores the board that was made `from` a version, with what is to be delivered because of it,
    /// all or nothing; says whether it did. False: another coordinator was faster, or a silence came.
    async fn raise(
        &self,
        from: Option<Version>,
        board: &Board,
        deliveries: &[Delivery],
    ) -> Result<bool>;

    /// Takes the first delivery that waits for each of `channels`, unless another has it, or it rests
    /// between two attempts. A claimer that has not settled it after `lease` loses it to the next.
    /// So a channel hears everything in order.
    async fn claim(
        &self,
        claimer: &str,
        channels: &[String],
        lease: Duration,
    ) -> Result<Vec<Claimed>>;

    /// Says what became of a delivery; false when it was no longer the claimer's.
    async fn settle_delivery(
        &self,
        claimer: &str,
        claimed: &Claimed,
        outcome: &Outcome,
    ) -> Result<bool>;

    /// Deliveries given up, oldest first.
    async fn undelivered(&self) -> Result<Vec<Undelivered>>;

    /// Puts a delivery that was given up last in line again.
    ///
    /// # Errors
    /// `Error::NotFound`; `Error::Full` when too many wait.
    async fn requeue_delivery(&self, id: &str, author: &str) -> Result<()>;

    /// Forgets a delivery that was given up.
    ///
    /// # Errors
    /// `Error::NotFound`.
    async fn discard_delivery(&self, id: &str, author: &str) -> Result<()>;

    /// Stores a silence; from when it is stored nothing that it silences is raised.
    ///
    /// # Errors
    /// `Error::Full` with [`MAX_SILENCES`] of them.
    async fn silence(&self, silence: &Silence) -> Result<()>;

    /// Ends a silence, in the name of `author`.
    ///
    /// # Errors
    /// `Error::NotFound` where there is none in force.
    async fn unsilence(&self, id: &str, author: &str) -> Result<()>;

    /// Who did what, latest first.
    async fn audit(&self, limit: usize) -> Result<Vec<Audit>>;
}

/// The refusal of one silence too many.
pub(super) fn too_many_silences() -> Error {
    Error::Full {
        why: format!("{MAX_SILENCES} silences are kept already; end some, or silence by `*`"),
    }
}

/// The refusal of one delivery too many.
pub(super) fn outbox_full() -> Error {
    Error::Full {
        why: format!("{MAX_OUTBOX} deliveries of alerts wait already"),
    }
}

/// The refusal to end a silence that is not in force.
pub(super) fn no_silence(id: &str) -> Error {
    Error::not_found("silence in force", shown(id))
}

/// The refusal of a delivery that is not among those given up.
pub(super) fn no_delivery(id: &str) -> Error {
    Error::not_found("delivery given up", shown(id))
}

/// So much of an id as an error repeats.
fn shown(id: &str) -> String {
    id.chars().take(64).collect()
}
