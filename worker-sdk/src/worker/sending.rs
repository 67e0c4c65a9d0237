//! From a spool to the store: one producer's parcels, each until its answer is final.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::delivery::{Answer, Delivery};
use super::process::Shared;
use crate::error::{Error, Result};
use crate::ids::{ProducerId, SessionId};
use crate::session::{Change, Execution, ExecutionState};
use crate::spool::parcel::Parcel;
use crate::spool::queue::{Outcome, Place, Spool};

/// How long a store that acknowledges nothing is waited for before what is left stays in the spool:
/// longer than a failover takes, shorter than anybody's patience with a bot that has finished.
pub(super) const AWAY: Duration = Duration::from_secs(5);

/// A producer, and the spool that its parcels come from.
pub(super) struct Sending {
    shared: Arc<Shared>,
    spool: Arc<Spool>,
    session: SessionId,
    /// As the spool's records name it, whatever it calls itself after a loss.
    producer: ProducerId,
    pub(super) delivery: Delivery,
    /// The first refusal that no caller was told of.
    pub(super) refused: Option<Error>,
    /// Another attempt goes on with what a former one had.
    adopted: bool,
}

impl Sending {
    pub(super) fn new(
        shared: Arc<Shared>,
        spool: Arc<Spool>,
        session: SessionId,
        delivery: Delivery,
    ) -> Self {
        let producer = delivery.ongoing().producer;
        Self {
            shared,
            spool,
            session,
            producer,
            delivery,
            refused: None,
            adopted: false,
        }
    }

    /// Sends the parcel at `place`; what the store refuses for good is moved aside, unless somebody
    /// is `told` of it. Given up before it is answered, it stays in the spool.
    pub(super) async fn parcel(&mut self, place: Place, told: impl Fn() -> bool) -> Result<Answer> {
        match self.attempt(place).await {
            Ok(answer) => {
                self.done(place, Outcome::Settled);
                Ok(answer)
            }
            Err(error) => {
                if told() {
                    self.done(place, Outcome::Refused);
                } else {
                    self.refuse(place, &error);
                }
                Err(error)
            }
        }
    }

    /// Lets go of a parcel.
    pub(super) fn done(&self, place: Place, outcome: Outcome) {
        if let Err(error) = self.spool.done(place, &self.producer, outcome) {
            tracing::warn!(%error, "a mark in the spool cannot be written; the store will be asked at the next start");
        }
    }

    fn refuse(&mut self, place: Place, error: &Error) {
        let aside = self
            .spool
            .read(place)
            .and_then(|(parcel, _)| self.spool.refuse(place, &parcel, error));
        match aside {
            Ok(path) => {
                tracing::error!(session = %self.session, path = %path.display(), %error,
                    "the store refuses what a spool held; it was moved aside");
            }
            Err(lost) => tracing::error!(session = %self.session, %error, %lost,
                "the store refuses what a spool held, and it cannot be moved aside"),
        }
        self.refused.get_or_insert_with(|| error.clone());
    }

    async fn attempt(&mut self, place: Place) -> Result<Answer> {
        let answer = self.send(place).await;
        let Err(Error::Conflict { .. }) = &answer else {
            return answer;
        };
        if self.adopt().await? {
            return self.send(place).await;
        }
        answer
    }

    async fn send(&mut self, place: Place) -> Result<Answer> {
        let (mut parcel, bytes) = self.spool.read(place)?;
        self.amend(&mut parcel).await?;
        self.delivery.send(parcel, bytes).await
    }

    /// A scan of which something was refused, or lost, was not whole, and the store has counted
    /// less than was found.
    async fn amend(&self, parcel: &mut Parcel) -> Result<()> {
        let lacking = self.refused.is_some() || self.delivery.lost > 0;
        if let Parcel::Change(transition) = parcel
            && let Change::Complete { pushed, partial } = &mut transition.change
            && (lacking || self.adopted)
        {
            *pushed = self.delivery.received().await?;
            *partial |= lacking;
        }
        Ok(())
    }

    /// Whether a conflict was overcome: an attempt of ours that was failed because its worker was
    /// missed, and that nobody has taken over, goes on as the next one.
    async fn adopt(&mut self) -> Result<bool> {
        let attempt = self.delivery.attempt();
        let is_ours = |e: &Execution| e.attempt == attempt && e.state == ExecutionState::Failed;
        let execution = self.delivery.execution().await?;
        if attempt == 0 || self.adopted || !execution.as_ref().is_some_and(is_ours) {
            return Ok(false);
        }
        let mut fresh = Delivery::of(&self.shared, &self.session);
        let worker = Some(self.shared.id.clone());
        let start = Change::Start {
            worker,
            reopen: true,
        };
        fresh.change(start).await?;
        tracing::warn!(session = %self.session, attempt = fresh.attempt(),
            "an execution was given up for lost; its findings go on in a new attempt");
        fresh.pushed = self.delivery.pushed;
        fresh.new = self.delivery.new;
        fresh.lost = self.delivery.lost;
        self.delivery = fresh;
        self.adopted = true;
        Ok(true)
    }
}

/// Ends when the worker is stopping and has waited long enough for the store.
pub(super) async fn given_up(stopping: &CancellationToken) {
    stopping.cancelled().await;
    tokio::time::sleep(AWAY).await;
}
