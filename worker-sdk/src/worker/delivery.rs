//! One producer: what it sends is applied once and in order, whatever is lost on the way.
//!
//! Every batch and every transition has the producer's next sequence number. An error that may
//! pass is answered by sending the same again, for as long as it takes: whoever waits decides how
//! long he waits. A gap means that the store lost what it had acknowledged; the batches kept for
//! that case are sent again. What is no longer kept is lost: that is counted, said aloud, and
//! the producer starts anew.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::batch::Content;
use super::process::Shared;
use super::pulse::Pulse;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::ids::{BotId, ProducerId, SessionId};
use crate::push::{Batch, PushAnswer};
use crate::retry::Backoff;
use crate::session::{Change, Execution, Ongoing, OpenSession, Transition};
use crate::spool::parcel::Parcel;
use crate::trace;
use crate::write::Write;

/// Longest a single call may take, whatever the transport's own timeouts are: beyond a long poll.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// How often one parcel may meet a gap before that becomes the caller's problem: a store that
/// loses its tail faster than it is filled up is no store.
const MAX_REPAIRS: u32 = 16;
/// What a transition counts in the bytes kept.
const TRANSITION_BYTES: usize = 256;

/// Why the last call did not work, for whoever stops waiting.
pub(super) type LastError = Arc<Mutex<Option<Error>>>;

pub(super) fn recall(cell: &LastError) -> Option<Error> {
    cell.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

pub(super) fn remember(cell: &LastError, error: Option<Error>) {
    *cell.lock().unwrap_or_else(PoisonError::into_inner) = error;
}

/// What the store answers to a parcel.
pub(super) enum Answer {
    Pushed(PushAnswer),
    Changed(Execution),
}

/// How a session was opened, and when, so that it can be opened again should the store lose it with
/// what is kept.
#[derive(Clone)]
pub(super) struct Origin {
    open: OpenSession,
    since: Instant,
}

impl Origin {
    /// Of a session just opened.
    pub(super) fn new(open: OpenSession, session: SessionId) -> Self {
        Self {
            open: OpenSession {
                again: Some(session),
                ..open
            },
            since: Instant::now(),
        }
    }
}

struct Kept {
    since: Instant,
    bytes: usize,
    parcel: Parcel,
}

/// A producer of one execution.
pub(super) struct Delivery {
    store: Arc<dyn Write>,
    session: SessionId,
    bot: BotId,
    attempt: u32,
    producer: ProducerId,
    /// The last number used.
    sequence: u64,
    /// While it is no older than what is kept.
    origin: Option<Origin>,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    keep: Duration,
    keep_bytes: usize,
    pulse: Arc<Pulse>,
    last_error: LastError,
    /// Findings acknowledged, repeats not counted.
    pub(super) pushed: u64,
    /// Findings among them that the session did not have, as far as the store said.
    pub(super) new: u64,
    /// Acknowledged parcels that the store lost and that were no longer kept.
    pub(super) lost: u64,
}

impl Delivery {
    fn new(
        store: Arc<dyn Write>,
        session: SessionId,
        bot: BotId,
        settings: &Settings,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self {
            store,
            session,
            bot,
            attempt: 0,
            producer: ProducerId::fresh(),
            sequence: 0,
            origin: None,
            kept: VecDeque::new(),
            kept_bytes: 0,
            keep: settings.keep,
            keep_bytes: settings.keep_bytes,
            pulse,
            last_error: LastError::default(),
            pushed: 0,
            new: 0,
            lost: 0,
        }
    }

    /// One in `session` of a worker's bot.
    pub(super) fn of(shared: &Shared, session: &SessionId) -> Self {
        Self::new(
            Arc::clone(&shared.store),
            session.clone(),
            shared.bot.id.clone(),
            &shared.settings,
            Arc::clone(&shared.pulse),
        )
    }

    /// One that can open its session again.
    pub(super) fn opened(self, origin: Origin) -> Self {
        Self {
            origin: Some(origin),
            ..self
        }
    }

    /// One that goes on where another of the same name stopped, after its number `sequence`.
    pub(super) fn resumed(self, producer: ProducerId, sequence: u64, attempt: u32) -> Self {
        Self {
            attempt,
            producer,
            sequence,
            ..self
        }
    }

    /// The attempt that it sends for.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Sends a parcel, whatever number and attempt it names, as the next of this producer's;
    /// `bytes` is about its size.
    pub(super) async fn send(&mut self, mut parcel: Parcel, bytes: usize) -> Result<Answer> {
        parcel.renumber(&self.producer, self.sequence + 1);
        parcel.set_attempt(self.attempt);
        let count = parcel.findings() as u64;
        let answer = self.deliver(parcel, bytes).await?;
        self.pushed += count;
        match &answer {
            Answer::Pushed(answer) => self.new += u64::from(answer.new),
            Answer::Changed(execution) => self.attempt = execution.attempt,
        }
        Ok(answer)
    }

    /// Where another producer's hand would go on.
    pub(super) fn ongoing(&self) -> Ongoing {
        Ongoing {
            attempt: self.attempt,
            producer: self.producer.clone(),
            sequence: self.sequence,
        }
    }

    pub(super) fn last_error(&self) -> LastError {
        Arc::clone(&self.last_error)
    }

    /// Changes the execution; the answer to a start sets the attempt that everything after names.
    pub(super) async fn change(&mut self, change: Change) -> Result<Execution> {
        let parcel = Parcel::Change(Transition {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: 0,
            producer: self.producer.clone(),
            sequence: 0,
            change,
        });
        match self.send(parcel, TRANSITION_BYTES).await? {
            Answer::Changed(execution) => Ok(execution),
            Answer::Pushed(_) => Err(Error::protocol("a transition was answered as a push")),
        }
    }

    /// Pushes a batch.
    pub(super) async fn push(&mut self, content: Content) -> Result<()> {
        let parcel = Parcel::Batch(Batch {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: 0,
            producer: self.producer.clone(),
            sequence: 0,
            findings: content.findings,
            again: content.again,
            rules: content.rules,
        });
        self.send(parcel, content.bytes).await.map(drop)
    }

    /// Findings that the store has received in this attempt, by its own count.
    pub(super) async fn received(&self) -> Result<u64> {
        Ok(self.execution().await?.map_or(0, |e| e.pushed))
    }

    /// The execution as the store has it.
    pub(super) async fn execution(&self) -> Result<Option<Execution>> {
        let mut backoff = Backoff::new();
        loop {
            match self.store.progress(&self.session).await {
                Ok(progress) => return Ok(progress.execution(&self.bot).cloned()),
                Err(error) if error.is_retryable() => backoff.wait().await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks what the store has of this producer, and sends again what it lost.
    pub(super) async fn verify(&mut self) -> Result<()> {
        let last = self
            .store
            .last_sequence(&self.session, &self.producer)
            .await?;
        if last < self.sequence {
            self.repair(last).await?;
        }
        Ok(())
    }

    /// [Verifies](Self::verify) until the store answers.
    pub(super) async fn confirm(&mut self) -> Result<()> {
        let mut backoff = Backoff::new();
        loop {
            match self.verify().await {
                Err(error) if error.is_retryable() => backoff.wait().await,
                verified => return verified,
            }
        }
    }

    async fn deliver(&mut self, mut parcel: Parcel, bytes: usize) -> Result<Answer> {
        for _ in 0..=MAX_REPAIRS {
            match self.call(&parcel).await {
                Err(Error::Gap { last }) if last < self.sequence => {
                    self.repair(last).await?;
                    parcel.renumber(&self.producer, self.sequence + 1);
                }
                // A refusal uses no number: the next parcel has this one's.
                Err(error) => return Err(error),
                Ok(answer) => {
                    self.sequence += 1;
                    self.keep(parcel, bytes);
                    self.pulse.progress();
                    return Ok(answer);
                }
            }
        }
        Err(Error::protocol(
            "the store keeps losing what it has acknowledged",
        ))
    }

    /// One parcel, sent until the answer is final.
    async fn call(&self, parcel: &Parcel) -> Result<Answer> {
        let mut backoff = Backoff::new();
        loop {
            let answer = match timeout(CALL_TIMEOUT, self.once(parcel)).await {
                Ok(answer) => answer,
                Err(_) => Err(super::retry::unanswered(CALL_TIMEOUT)),
            };
            match answer {
                Err(error) if error.is_retryable() => {
                    remember(&self.last_error, Some(error));
                    backoff.wait().await;
                }
                done => {
                    remember(&self.last_error, None);
                    return done;
                }
            }
        }
    }

    /// A session that a failover took back is opened again; what was sent to it meets the gap then.
    async fn once(&self, parcel: &Parcel) -> Result<Answer> {
        let answer = self.put(parcel).await;
        let gone = matches!(&answer, Err(Error::NotFound { what, .. }) if what == "session");
        let Some(origin) = self.origin.as_ref().filter(|_| gone) else {
            return answer;
        };
        tracing::warn!(session = %self.session, bot = %self.bot, "the store lost the session; opening it again");
        self.store.open(&origin.open).await?;
        self.put(parcel).await
    }

    async fn put(&self, parcel: &Parcel) -> Result<Answer> {
        match parcel {
            Parcel::Batch(batch) => trace::push(&*self.store, batch).await.map(Answer::Pushed),
            Parcel::Change(transition) => {
                self.store.transition(transition).await.map(Answer::Changed)
            }
        }
    }

    /// Sends again what follows `last`. Where that is no longer kept whole, the rest of it goes
    /// out under a new producer: a gap that nobody can fill must not stop the findings to come.
    async fn repair(&mut self, last: u64) -> Result<()> {
        let mut after = self.kept.iter().map(|kept| kept.parcel.sequence());
        let first = after.find(|sequence| *sequence > last);
        let missing = first.unwrap_or(self.sequence + 1) - (last + 1);
        tracing::warn!(session = %self.session, bot = %self.bot, last, sequence = self.sequence,
            "the store lost acknowledged batches; sending them again");
        if missing > 0 {
            self.lost += missing;
            tracing::error!(session = %self.session, bot = %self.bot, batches = missing,
                "acknowledged batches are lost: the store no longer has them, and they are no longer kept");
            self.start_anew(last);
        }
        let last = if missing > 0 { 0 } else { last };
        for kept in self
            .kept
            .iter()
            .filter(|kept| kept.parcel.sequence() > last)
        {
            match self.call(&kept.parcel).await {
                // Lost once more: the parcel that follows meets the gap and comes back here.
                Err(Error::Gap { .. }) => break,
                answer => drop(answer?),
            }
        }
        Ok(())
    }

    /// A new producer, whose first parcels are those kept after `last` of the old one.
    fn start_anew(&mut self, last: u64) {
        self.kept.retain(|kept| kept.parcel.sequence() > last);
        self.kept_bytes = self.kept.iter().map(|kept| kept.bytes).sum();
        self.producer = ProducerId::fresh();
        self.sequence = 0;
        for kept in &mut self.kept {
            self.sequence += 1;
            kept.parcel.renumber(&self.producer, self.sequence);
        }
    }

    fn keep(&mut self, parcel: Parcel, bytes: usize) {
        let since = Instant::now();
        let keep = self.keep;
        self.origin.take_if(|origin| since - origin.since > keep);
        self.kept_bytes += bytes;
        self.kept.push_back(Kept {
            since,
            bytes,
            parcel,
        });
        while let Some(oldest) = self.kept.front()
            && (self.kept_bytes > self.keep_bytes || since - oldest.since > self.keep)
        {
            self.kept_bytes -= oldest.bytes;
            self.kept.pop_front();
        }
    }
}
