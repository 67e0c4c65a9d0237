//! A running execution: where a bot's findings go in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::Permit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::batch::{Lot, Waiter, What};
use super::delivery::LastError;
use super::process::Shared;
use super::pusher::{End, How, Message};
use super::retry::unanswered;
use crate::error::{Error, Result};
use crate::finding::{Finding, Fingerprint, MAX_FINDING_BYTES};
use crate::identity::{Fingerprinter, Observed};
use crate::push::{Identified, Rule};
use crate::session::{Execution, MAX_REASON, Ongoing};
use crate::wire;

/// What a repeat counts in a batch, in bytes: a fingerprint and a number.
const AGAIN_BYTES: usize = 32;
/// Findings that [`ActiveExecution::push_all`] hands over at once at most: what a handing over costs is
/// nothing then, and a batch of usual size still takes several.
const LOT: usize = 64;
/// Share of an execution's queue that they fill at most, so that filling and sending overlap.
const LOT_SHARE: usize = 8;
/// Longest texts of one rule, in bytes: a description, a link and tags.
pub const MAX_RULE_BYTES: usize = 16 * 1024;

/// What became of an execution.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// The execution as it ended.
    pub execution: Execution,
    /// Findings acknowledged by the store, repeats not counted.
    pub pushed: u64,
    /// Findings among them that the session did not have, as far as the store said.
    pub new: u64,
    /// Findings that repeated one of the same scan.
    pub repeats: u64,
    /// Acknowledged batches that the store lost and nobody could send again; 0 in a sound store.
    pub lost: u64,
    /// Batches and changes that are in the spool on disk because the store is away: the next start
    /// with the same spool sends them, and the execution is as it will be then. 0 without a spool.
    pub spooled: u64,
}

/// A bot's running part in a session.
///
/// Findings may be pushed from several tasks at once. Dropped without [`complete`](Self::complete)
/// or [`fail`](Self::fail), it is failed: only a bot that says so has looked at everything.
pub struct ActiveExecution {
    shared: Arc<Shared>,
    started: Execution,
    to: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
    seen: Mutex<Fingerprinter>,
    accepted: AtomicU64,
    repeats: AtomicU64,
    last_error: LastError,
}

impl ActiveExecution {
    pub(super) fn new(
        shared: Arc<Shared>,
        started: Execution,
        to: mpsc::Sender<Message>,
        seen: Fingerprinter,
        last_error: LastError,
    ) -> Self {
        let room = Arc::new(Semaphore::new(shared.settings.queue_bytes));
        Self {
            shared,
            started,
            to,
            room,
            seen: Mutex::new(seen),
            accepted: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            last_error,
        }
    }

    /// The execution as it was started.
    pub fn started(&self) -> &Execution {
        &self.started
    }

    /// Pushes a finding; when this returns, the store has acknowledged it.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::TooLarge`] when no store takes the finding: nothing was sent,
    /// the execution goes on. [`Error::Unavailable`] or [`Error::Full`] when it was not acknowledged
    /// within the deadline: it is still being sent and need not be pushed again. Anything else is
    /// the store's refusal of its batch.
    pub async fn push(&self, finding: Finding) -> Result<()> {
        let (waiter, told) = oneshot::channel();
        self.accept(finding, Some(waiter)).await?;
        self.told(told).await
    }

    /// Hands over a finding to be sent soon; waits only while the buffer is full. Whether the store
    /// took it shows at [`flush`](Self::flush) or [`complete`](Self::complete).
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::TooLarge`] when no store takes the finding;
    /// [`Error::Unavailable`] or [`Error::Full`] when the buffer stayed full for the whole deadline.
    /// In each case it was not taken.
    pub async fn queue(&self, finding: Finding) -> Result<()> {
        self.accept(finding, None).await
    }

    /// Pushes findings in full batches; when this returns, the store has acknowledged all.
    ///
    /// # Errors
    /// Those of [`queue`](Self::queue) and [`flush`](Self::flush); what came before the error was sent.
    pub async fn push_all(&self, findings: impl IntoIterator<Item = Finding>) -> Result<()> {
        let mut lot = Vec::new();
        let mut room = 0;
        for finding in findings {
            let bytes = match finding.check().and_then(|()| size(&finding)) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.put_all(lot, room).await?;
                    return Err(error);
                }
            };
            let settings = &self.shared.settings;
            room += settings.room_of(bytes);
            lot.push((finding, bytes));
            if lot.len() >= LOT || room >= settings.queue_bytes / LOT_SHARE {
                self.put_all(std::mem::take(&mut lot), room).await?;
                room = 0;
            }
        }
        self.put_all(lot, room).await?;
        self.flush().await
    }

    /// Waits until everything handed over so far is acknowledged.
    ///
    /// # Errors
    /// The first refusal since the last flush, or [`Error::Unavailable`] or [`Error::Full`] after the deadline.
    pub async fn flush(&self) -> Result<()> {
        let (waiter, told) = oneshot::channel();
        self.tell(Message::Flush(waiter)).await?;
        self.told(told).await
    }

    /// Describes a rule, for those who read the findings; sent with the next batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::TooLarge`] when its id or texts are over their bounds.
    pub async fn describe(&self, rule_id: impl Into<String>, rule: Rule) -> Result<()> {
        let id = rule_id.into();
        Finding::new(id.as_str(), "").check()?;
        let tags: usize = rule.tags.iter().map(String::len).sum();
        let texts = rule.name.len() + rule.short_description.len() + rule.help_uri.len();
        let bytes = id.len() + tags + texts;
        if bytes > MAX_RULE_BYTES {
            return Err(Error::TooLarge {
                what: format!("rule `{id}`"),
                size: bytes as u64,
                limit: MAX_RULE_BYTES as u64,
            });
        }
        let rule = What::Rule(id, Box::new(rule));
        let room = self.shared.settings.room_of(bytes);
        self.put(room, None, |_| vec![(rule, bytes)]).await
    }

    /// Ends it well: everything was looked at, so that what was not found is gone.
    ///
    /// # Errors
    /// The refusal of any finding that was handed over; [`Error::Conflict`] when the store does not have all
    /// of them. The execution then still runs, to be completed as partial or failed.
    pub async fn complete(&self) -> Result<Summary> {
        self.end(How::Complete { partial: false }).await
    }

    /// Ends it well, though not everything was looked at: it closes nothing.
    ///
    /// # Errors
    /// Those of [`flush`](Self::flush), refusals of findings excepted.
    pub async fn complete_partial(&self) -> Result<Summary> {
        self.end(How::Complete { partial: true }).await
    }

    /// Ends it badly; what was pushed stays.
    ///
    /// # Errors
    /// Those of [`complete_partial`](Self::complete_partial).
    pub async fn fail(&self, reason: impl Into<String>) -> Result<Summary> {
        let reason = cut(reason.into());
        self.end(How::Fail { reason }).await
    }

    /// Sends what was handed over, and lets go of the execution without ending it: whoever is
    /// given the answer goes on with it, and has to end it. An import does both.
    ///
    /// # Errors
    /// Those of [`flush`](Self::flush); the execution then is failed when this is dropped.
    pub async fn hand_over(self) -> Result<Ongoing> {
        let (answer, told) = oneshot::channel();
        self.tell(Message::HandOver(answer)).await?;
        self.told(told).await
    }

    async fn accept(&self, finding: Finding, waiter: Option<Waiter>) -> Result<()> {
        finding.check()?;
        let bytes = size(&finding)?;
        let room = self.shared.settings.room_of(bytes);
        self.put(room, waiter, |seen| {
            vec![self.observe(seen, finding, bytes)]
        })
        .await
    }

    async fn put_all(&self, findings: Vec<(Finding, usize)>, room: usize) -> Result<()> {
        if findings.is_empty() {
            return Ok(());
        }
        self.put(room, None, |seen| {
            let observe = |(finding, bytes)| self.observe(seen, finding, bytes);
            findings.into_iter().map(observe).collect()
        })
        .await
    }

    fn observe(&self, seen: &mut Fingerprinter, finding: Finding, bytes: usize) -> (What, usize) {
        match seen.observe(finding) {
            Observed::New(identified) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                (What::Finding(Box::new(identified)), bytes)
            }
            Observed::Again(again) => {
                self.repeats.fetch_add(1, Ordering::Relaxed);
                (What::Again(again), AGAIN_BYTES)
            }
        }
    }

    /// Waits for room, then observes and hands over in one step: a caller that stops waiting
    /// leaves nothing behind that was seen and not sent, and a repeat never overtakes its finding.
    async fn put(
        &self,
        room: usize,
        waiter: Option<Waiter>,
        observe: impl FnOnce(&mut Fingerprinter) -> Vec<(What, usize)>,
    ) -> Result<()> {
        let wanted = room.clamp(1, self.shared.settings.queue_bytes) as u32;
        let (room, place) = match self.reserve_at_once(wanted) {
            Some(reserved) => reserved,
            None => self.reserve(wanted).await?,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        place.send(Message::Lot(Lot::new(observe(&mut seen), room, waiter)));
        Ok(())
    }

    /// Room and a place in the queue where both are free: no timer is set, which would cost as much
    /// as the rest of it.
    fn reserve_at_once(&self, wanted: u32) -> Option<(OwnedSemaphorePermit, Permit<'_, Message>)> {
        let room = Arc::clone(&self.room).try_acquire_many_owned(wanted).ok()?;
        Some((room, self.to.try_reserve().ok()?))
    }

    async fn reserve(&self, wanted: u32) -> Result<(OwnedSemaphorePermit, Permit<'_, Message>)> {
        let reserve = async {
            let room = Arc::clone(&self.room).acquire_many_owned(wanted).await;
            let place = self.to.reserve().await;
            Ok((room.map_err(|_| ended())?, place.map_err(|_| ended())?))
        };
        let reserved = timeout(self.shared.settings.deadline, reserve).await;
        reserved.unwrap_or_else(|_| Err(self.late()))
    }

    async fn end(&self, how: How) -> Result<Summary> {
        let (answer, told) = oneshot::channel();
        let end = End {
            how,
            accepted: self.accepted.load(Ordering::Relaxed),
            repeats: self.repeats.load(Ordering::Relaxed),
            answer,
        };
        self.tell(Message::End(end)).await?;
        self.told(told).await
    }

    async fn tell(&self, message: Message) -> Result<()> {
        match timeout(self.shared.settings.deadline, self.to.send(message)).await {
            Ok(sent) => sent.map_err(|_| ended()),
            Err(_) => Err(self.late()),
        }
    }

    async fn told<T>(&self, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        match timeout(self.shared.settings.deadline, answer).await {
            Ok(told) => told.unwrap_or_else(|_| Err(ended())),
            Err(_) => Err(self.late()),
        }
    }

    /// The deadline has passed: what the store last said, if it said anything.
    fn late(&self) -> Error {
        let last = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let unknown = || unanswered(self.shared.settings.deadline);
        last.clone().unwrap_or_else(unknown)
    }
}

/// The finding's encoded size, to about a tenth: exactly only where that decides, for a batch
/// encodes its findings when it goes.
fn size(finding: &Finding) -> Result<usize> {
    let about = wire::about(finding);
    if about <= MAX_FINDING_BYTES / 2 {
        return Ok(about);
    }
    let identified = Identified {
        fingerprint: Fingerprint([0; 16]),
        finding: finding.clone(),
    };
    Ok(wire::encode(&identified)?.len())
}

fn ended() -> Error {
    Error::conflict(
        "the execution has ended, or its worker was stopped; start it over to push more",
    )
}

/// At most [`MAX_REASON`] bytes of it.
pub(super) fn cut(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    reason
}
