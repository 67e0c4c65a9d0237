//! The embedded store: a fleet in this process's memory, gone with it unless it has a folder to be
//! kept in.
//!
//! One small lock holds everything but the indexes; each session's index has its own, so that
//! pushes into different sessions index at the same time. Whoever changes an index takes it
//! first and the small lock second: what the small lock shows as counted is then either in the
//! index or about to be, and nobody reads the index in between.
//!
//! With a folder ([`MemoryStore::durable`]) whatever changes is handed to the [`journal`] under the
//! small lock, in the order in which it was applied; what bots write is acknowledged when it is in
//! the journal's file. What coordinators compute is not waited for: lost, it is computed again.

mod alerts;
mod conserve;
mod dead;
mod execution;
mod feed;
mod image;
pub mod journal;
mod kept;
mod observe;
mod producers;
mod rollup;
mod session;
mod standing;
mod state;
mod workers;

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::push::MAX_BATCH_BYTES;
use fleet_worker_sdk::trace;
use fleet_worker_sdk::{
    Batch, Beat, BeatAnswer, Bot, BotId, Command, Error, Execution, OpenSession, Opened,
    Partitions, ProducerId, Progress, PushAnswer, Repository, Result, SessionId, Transition,
    Version, WorkerId, Write, wire,
};
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast};
use tokio::time::{Instant, timeout, timeout_at};

use self::journal::{Entry, Keeper};
use self::state::State;
use super::compact::{Compact, Compacted};
use super::retain::{Memory, Retain};
use super::{Backlog, Findings, Maintain, Read, SessionCursor, SessionQuery};
use crate::index::Index;
use crate::model::{Derived, FeedEntry, Rollup, Run, Session, SessionFacts, Update, Worker};

/// Hints kept for a listener that is behind: a burst of a second. One further behind hears that
/// it lagged, and looks at everything again.
const UPDATES: usize = 1_024;

/// Where a store takes the time from.
pub type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// A fleet in memory.
pub struct MemoryStore {
    state: Mutex<State>,
    fed: Arc<Notify>,
    updates: broadcast::Sender<Update>,
    clock: Clock,
    /// None where nothing is kept.
    keeper: Option<Keeper>,
}

impl MemoryStore {
    /// An empty fleet of so many partitions, on the system's clock.
    pub fn new(partitions: Partitions) -> Self {
        Self::with_clock(partitions, Box::new(Timestamp::now))
    }

    /// An empty fleet that takes the time from `clock`, cut to milliseconds.
    pub fn with_clock(partitions: Partitions, clock: Clock) -> Self {
        let fed = Arc::new(Notify::new());
        Self {
            state: Mutex::new(State::new(partitions, Arc::clone(&fed))),
            fed,
            updates: broadcast::Sender::new(UPDATES),
            clock,
            keeper: None,
        }
    }

    /// Counts a batch, journals and indexes it.
    fn apply(
        &self,
        index: &mut Index,
        batch: &Batch,
        bodies: &[Vec<u8>],
        record: Option<Vec<u8>>,
    ) -> Result<PushAnswer> {
        let (applied, now) = {
            let (mut state, now) = self.lock();
            let applied = state.push(batch, now)?;
            if !applied.answer.duplicate {
                self.log_encoded(|| Some(journal::timed(record?, now)));
            }
            (applied, now)
        };
        if applied.answer.duplicate {
            return Ok(applied.answer);
        }
        let (unreadable, reason) = add(index, batch, bodies, &applied.answer, now);
        index.set_rules(applied.rules);
        if !unreadable.is_empty() {
            let mut state = self.state();
            state.quarantine(&batch.session, &batch.bot, &unreadable, reason, now);
        }
        Ok(applied.answer)
    }

    /// The state, and the time read under its lock: what is applied later has no earlier time.
    fn lock(&self) -> (MutexGuard<'_, State>, Timestamp) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        let cut = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        (state, cut)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.lock().0
    }

    fn hint(&self, update: Update) {
        // Nobody listening is no error.
        let _ = self.updates.send(update);
    }
}

#[async_trait]
impl Write for MemoryStore {
    async fn register(&self, bot: &Bot) -> Result<()> {
        bot.check()?;
        self.ready()?;
        {
            let mut state = self.state();
            state.bots.insert(bot.id.clone(), bot.clone());
            self.log(|| Entry::Bot { bot: bot.clone() });
        }
        self.written().await?;
        self.hint(Update::Workers);
        Ok(())
    }

    async fn beat(&self, beat: &Beat) -> Result<BeatAnswer> {
        let heard = {
            let (mut state, now) = self.lock();
            let heard = state.workers.beat(beat, now);
            if heard.moved {
                self.log_encoded(|| state.workers.entry(&beat.worker)?.encode().ok());
            }
            heard
        };
        if heard.moved {
            self.hint(Update::Workers);
        }
        Ok(BeatAnswer {
            command: heard.command,
        })
    }

    async fn open(&self, open: &OpenSession) -> Result<Opened> {
        open.check()?;
        self.ready()?;
        let opened = {
            let (mut state, at) = self.lock();
            let opened = state.open(open, at)?;
            self.log(|| Entry::Open {
                open: open.clone(),
                session: opened.session.clone(),
                at,
            });
            opened
        };
        self.written().await?;
        Ok(opened)
    }

    async fn transition(&self, transition: &Transition) -> Result<Execution> {
        self.ready()?;
        let execution = {
            let (mut state, at) = self.lock();
            let execution = state.transition(transition, at)?;
            self.log(|| Entry::Change {
                transition: transition.clone(),
                at,
            });
            execution
        };
        self.written().await?;
        Ok(execution)
    }

    async fn push(&self, batch: &Batch) -> Result<PushAnswer> {
        batch.check()?;
        let bodies = encode(batch)?;
        self.ready()?;
        let record = match self.keeper {
            Some(_) => Some(journal::encode_push(batch, &bodies)?),
            None => None,
        };
        let findings = self.findings(&batch.session).await?;
        let answer = {
            let mut index = findings.write().await;
            self.apply(&mut index, batch, &bodies, record)?
        };
        self.written().await?;
        Ok(answer)
    }

    async fn last_sequence(&self, session: &SessionId, producer: &ProducerId) -> Result<u64> {
        Ok(self.state().last_sequence(session, producer))
    }

    async fn progress(&self, session: &SessionId) -> Result<Progress> {
        let state = self.state();
        let stored = &state.session(session)?.session;
        Ok(Progress {
            session: session.clone(),
            state: stored.state,
            version: stored.version,
            executions: stored.executions.clone(),
            bots: state.bots.values().cloned().collect(),
        })
    }

    async fn changed(
        &self,
        session: &SessionId,
        known: Version,
        wait: Duration,
    ) -> Result<Version> {
        let mut versions = self.state().session(session)?.versions.subscribe();
        // Both ends of the wait, a change and its time running out, answer what is there then.
        let _ = timeout(wait, versions.wait_for(|version| *version != known)).await;
        Ok(*versions.borrow())
    }
}

/// Each finding as it is stored, in order.
fn encode(batch: &Batch) -> Result<Vec<Vec<u8>>> {
    let bodies = batch.findings.iter().map(wire::encode);
    let bodies = bodies.collect::<Result<Vec<_>>>()?;
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    if bytes > MAX_BATCH_BYTES {
        return Err(Error::TooLarge {
            what: "batch".to_owned(),
            size: bytes as u64,
            limit: MAX_BATCH_BYTES as u64,
        });
    }
    Ok(bodies)
}

/// Indexes what the session did not have; answers what the index could not read, and why.
fn add(
    index: &mut Index,
    batch: &Batch,
    bodies: &[Vec<u8>],
    answer: &PushAnswer,
    now: Timestamp,
) -> (Vec<Vec<u8>>, String) {
    let (mut unreadable, mut reason) = (Vec::new(), String::new());
    for (position, body) in (0..).zip(bodies) {
        if answer.known.binary_search(&position).is_ok() {
            continue;
        }
        if let Err(error) = index.add(&batch.bot, now, body) {
            tracing::error!(session = %batch.session, position, %error, "a finding accepted could not be indexed");
            unreadable.push(body.clone());
            reason = error.to_string();
        }
    }
    for again in &batch.again {
        index.again(again);
    }
    (unreadable, reason)
}

#[async_trait]
impl Read for MemoryStore {
    async fn sessions(&self, query: &SessionQuery) -> Result<Vec<Session>> {
        Ok(self.state().sessions(query))
    }

    async fn session(&self, session: &SessionId) -> Result<Session> {
        Ok(self.state().session(session)?.session.clone())
    }

    async fn facts(&self, session: &SessionId) -> Result<SessionFacts> {
        Ok(self.state().session(session)?.facts())
    }

    async fn findings(&self, session: &SessionId) -> Result<Findings> {
        Ok(Arc::clone(&self.state().session(session)?.index))
    }

    async fn bots(&self) -> Result<Vec<Bot>> {
        Ok(self.state().bots.values().cloned().collect())
    }

    async fn workers(&self) -> Result<Vec<Worker>> {
        let (state, now) = self.lock();
        Ok(state.workers.heard(now))
    }

    async fn runs(&self, bot: &BotId) -> Result<Vec<Run>> {
        Ok(self.state().runs(bot))
    }

    async fn baseline(
        &self,
        repository: &Repository,
        bot: &BotId,
        git_ref: &str,
    ) -> Result<Option<SessionId>> {
        let scope = (repository.clone(), bot.clone(), git_ref.to_owned());
        Ok(self.state().baseline(&scope))
    }

    async fn rollup(&self) -> Result<Rollup> {
        Ok(self.state().rollup.sums())
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.lock().1)
    }

    fn updates(&self) -> broadcast::Receiver<Update> {
        self.updates.subscribe()
    }

    async fn check(&self) -> Result<()> {
        self.ready()
    }

    fn address(&self) -> String {
        "memory".to_owned()
    }
}

#[async_trait]
impl Retain for MemoryStore {
    async fn oldest(&self, after: Option<&SessionCursor>, limit: usize) -> Result<Vec<Session>> {
        Ok(self.state().oldest(after, limit))
    }

    async fn drop_session(&self, session: &SessionId, version: Version) -> Result<bool> {
        let dropped = {
            let mut state = self.state();
            let dropped = state.drop_session(session, version);
            if dropped {
                self.log(|| Entry::Drop {
                    session: session.clone(),
                    version,
                });
            }
            dropped
        };
        if dropped {
            self.hint(Update::Session {
                session: session.clone(),
                version,
                trace: trace::current(),
            });
        }
        Ok(dropped)
    }

    async fn memory(&self) -> Result<Option<Memory>> {
        Ok(None)
    }
}

#[async_trait]
impl Compact for MemoryStore {
    /// Changes nothing: what is in memory is the index that every reader asks, and a finding that is
    /// compressed cannot be searched. Its journal is rewritten as a whole.
    async fn compact_session(&self, session: &SessionId, version: Version) -> Result<Compacted> {
        let moved = self.state().session(session)?.session.version != version;
        Ok(if moved {
            Compacted::Moved
        } else {
            Compacted::Left
        })
    }
}

#[async_trait]
impl Maintain for MemoryStore {
    async fn changes(&self, consumer: &str, wait: Duration) -> Result<Vec<FeedEntry>> {
        let deadline = Instant::now() + wait;
        loop {
            // Listening begins before looking: what comes in between is not missed.
            let mut fed = pin!(self.fed.notified());
            fed.as_mut().enable();
            let entries = {
                let (mut state, now) = self.lock();
                state.feed.take(consumer, now)
            };
            if !entries.is_empty() || timeout_at(deadline, fed).await.is_err() {
                return Ok(entries);
            }
        }
    }

    async fn settle(&self, entries: &[FeedEntry]) -> Result<()> {
        self.state().feed.settle(entries);
        Ok(())
    }

    async fn backlog(&self) -> Result<Backlog> {
        let (state, now) = self.lock();
        Ok(state.feed.backlog(now))
    }

    async fn derive(&self, session: &SessionId, derived: &Derived) -> Result<bool> {
        let stored = {
            let mut state = self.state();
            let stored = state.derive(session, derived)?;
            if stored {
                self.log(|| Entry::Derived {
                    session: session.clone(),
                    derived: Box::new(derived.clone()),
                });
            }
            stored
        };
        if stored {
            self.hint(Update::Session {
                session: session.clone(),
                version: derived.version,
                trace: trace::current(),
            });
        }
        Ok(stored)
    }

    async fn command(&self, worker: &WorkerId, command: Command) -> Result<()> {
        {
            let (mut state, now) = self.lock();
            state.workers.command(worker, command, now)?;
        }
        self.hint(Update::Workers);
        Ok(())
    }

    async fn forget(&self, worker: &WorkerId) -> Result<()> {
        {
            let mut state = self.state();
            state.workers.forget(worker);
            self.log(|| Entry::Forgotten {
                worker: worker.clone(),
            });
        }
        self.hint(Update::Workers);
        Ok(())
    }

    async fn announce(&self, update: Update) -> Result<()> {
        self.hint(update);
        Ok(())
    }
}
