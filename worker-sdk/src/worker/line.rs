//! What an execution has put into the spool, on its way to the store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::delivery::Answer;
use super::process::Shared;
use super::sending::{Sending, given_up};
use crate::error::{Error, Result};
use crate::session::{Execution, Ongoing};
use crate::spool::queue::{Outcome, Place};

/// Who waits for the answer to a change.
pub(super) struct Asker {
    pub(super) answer: oneshot::Sender<Result<Execution>>,
    /// Cancelled when nobody waits any more.
    pub(super) gone: CancellationToken,
}

/// A parcel in the spool.
pub(super) struct Waiting {
    pub(super) place: Place,
    pub(super) asker: Option<Asker>,
    /// Nobody wants it sent once its asker has gone: a start, or a skip.
    pub(super) revocable: bool,
}

/// How far the sending is.
#[derive(Clone, Default)]
pub(super) struct Sent {
    /// Parcels that the store has acknowledged or refused.
    pub(super) done: u64,
    pub(super) pushed: u64,
    pub(super) new: u64,
    pub(super) lost: u64,
    pub(super) refused: Option<Error>,
    pub(super) ongoing: Option<Ongoing>,
}

/// Between an execution and the task that sends for it. Bounded by the spool: an entry is a place in it.
#[derive(Default)]
pub(super) struct Line {
    queue: Mutex<VecDeque<Waiting>>,
    arrived: Notify,
    pub(super) sent: watch::Sender<Sent>,
    /// The execution puts nothing more in.
    pub(super) closed: CancellationToken,
}

impl Line {
    pub(super) fn push(&self, waiting: Waiting) {
        self.queue().push_back(waiting);
        self.arrived.notify_one();
    }

    fn pop(&self) -> Option<Waiting> {
        self.queue().pop_front()
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what comes along a line.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) line: Arc<Line>,
    pub(super) sending: Sending,
    pub(super) recovered: watch::Receiver<u64>,
}

impl Sender {
    /// Works until the execution has ended and everything is sent, or the worker stops and the
    /// store is away.
    pub(super) async fn run(mut self) {
        while let Some(waiting) = self.next().await {
            if !self.send(waiting).await {
                return;
            }
        }
    }

    /// The next parcel; none when there will be none. Meanwhile a store that was away is asked
    /// whether it still has everything, also for a while after the end.
    async fn next(&mut self) -> Option<Waiting> {
        let mut until = None;
        loop {
            if let Some(waiting) = self.line.pop() {
                return Some(waiting);
            }
            let ended = self.line.closed.is_cancelled();
            if ended && until.is_none() {
                until = Some(Instant::now() + self.shared.settings.keep);
            }
            tokio::select! {
                () = self.line.arrived.notified() => {}
                () = self.line.closed.cancelled(), if !ended => {}
                Ok(()) = self.recovered.changed() => self.verify().await,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if ended => {
                    self.confirm().await;
                    return None;
                }
                () = self.shared.stopping.cancelled(), if ended => {
                    self.confirm().await;
                    return None;
                }
            }
        }
    }

    /// A last look before what was acknowledged is let go.
    async fn confirm(&mut self) {
        let stopping = self.shared.stopping.clone();
        tokio::select! {
            confirmed = self.sending.delivery.confirm() => if let Err(error) = confirmed {
                tracing::error!(%error, "the end of an execution may be lost: it cannot be sent again");
            },
            () = given_up(&stopping) => {}
        }
    }

    async fn verify(&mut self) {
        let stopping = self.shared.stopping.clone();
        tokio::select! {
            verified = self.sending.delivery.verify() => if let Err(error) = verified {
                tracing::warn!(%error, "cannot ask the store for the last sequence number");
            },
            () = given_up(&stopping) => {}
        }
    }

    /// Whether to go on.
    async fn send(&mut self, waiting: Waiting) -> bool {
        let Waiting {
            place,
            asker,
            revocable,
        } = waiting;
        let gone = || asker.as_ref().is_none_or(|asker| asker.gone.is_cancelled());
        let stopping = self.shared.stopping.clone();
        let answer = tokio::select! {
            biased;
            answer = self.sending.parcel(place, || !gone()) => answer,
            () = revoked(asker.as_ref()), if revocable => {
                self.sending.done(place, Outcome::Settled);
                return false;
            }
            () = given_up(&stopping) => return false,
        };
        self.tell(asker, answer);
        true
    }

    fn tell(&self, asker: Option<Asker>, answer: Result<Answer>) {
        let delivery = &self.sending.delivery;
        self.line.sent.send_modify(|sent| {
            sent.done += 1;
            sent.pushed = delivery.pushed;
            sent.new = delivery.new;
            sent.lost = delivery.lost;
            sent.refused.clone_from(&self.sending.refused);
            sent.ongoing = Some(delivery.ongoing());
        });
        let Some(asker) = asker else { return };
        let answer = answer.and_then(|answer| match answer {
            Answer::Changed(execution) => Ok(execution),
            Answer::Pushed(_) => Err(Error::protocol("a transition was answered as a push")),
        });
        // One who no longer waits was told that it is in the spool.
        let _ = asker.answer.send(answer);
    }
}

async fn revoked(asker: Option<&Asker>) {
    match asker {
        Some(asker) => asker.gone.cancelled().await,
        None => std::future::pending().await,
    }
}
