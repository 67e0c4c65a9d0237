//! The state behind the small lock, and every change of it; time comes in as a value.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use fleet_worker_sdk::session::MAX_EXECUTIONS;
use fleet_worker_sdk::{
    Batch, Bot, BotId, Change, Error, Execution, ExecutionState, OpenSession, Opened, Partitions,
    ProducerId, PushAnswer, Repository, Result, Rule, SessionId, Transition, Version,
};
use jiff::Timestamp;
use tokio::sync::Notify;

use super::alerts::Kept;
use super::dead::Dead;
use super::execution::{after, receiving};
use super::feed::Feed;
use super::observe::Observed;
use super::producers::{Answer, Producers, Standing};
use super::rollup::Rollups;
use super::session::Stored;
use super::standing::Last;
use super::workers::Workers;
use crate::model::{Derived, Run, Session};
use crate::store::{MAX_RUNS, SessionCursor, SessionQuery, is_run};

/// Repository, ref, commit, run: what a session is joined by.
pub(super) type OpenKey = (Repository, String, String, String);

/// Repository, bot, ref: whose last complete session the next one is compared with.
type Scope = (Repository, BotId, String);

/// Everything but the indexes.
pub(super) struct State {
    pub(super) partitions: Partitions,
    pub(super) bots: BTreeMap<BotId, Bot>,
    pub(super) workers: Workers,
    pub(super) sessions: HashMap<SessionId, Stored>,
    pub(super) by_key: HashMap<OpenKey, SessionId>,
    pub(super) by_change: BTreeSet<SessionCursor>,
    pub(super) producers: Producers,
    pub(super) runs: HashMap<BotId, VecDeque<Run>>,
    pub(super) baselines: HashMap<Scope, SessionId>,
    pub(super) rollup: Rollups,
    pub(super) feed: Feed,
    pub(super) dead: Dead,
    pub(super) standing: Last,
    pub(super) observed: Observed,
    pub(super) alerts: Kept,
}

/// What a push came to.
pub(super) struct Applied {
    /// The answer to it.
    pub(super) answer: PushAnswer,
    /// Texts of rules that the index has yet to take.
    pub(super) rules: BTreeMap<String, Rule>,
}

impl State {
    /// An empty fleet; its feed wakes those waiting on `fed`.
    pub(super) fn new(partitions: Partitions, fed: Arc<Notify>) -> Self {
        Self {
            partitions,
            bots: BTreeMap::new(),
            workers: Workers::default(),
            sessions: HashMap::new(),
            by_key: HashMap::new(),
            by_change: BTreeSet::new(),
            producers: Producers::default(),
            runs: HashMap::new(),
            baselines: HashMap::new(),
            rollup: Rollups::default(),
            feed: Feed::new(fed),
            dead: Dead::default(),
            standing: Last::default(),
            observed: Observed::default(),
            alerts: Kept::default(),
        }
    }

    /// A session.
    pub(super) fn session(&self, id: &SessionId) -> Result<&Stored> {
        let stored = self.sessions.get(id);
        stored.ok_or_else(|| Error::not_found("session", id))
    }

    pub(super) fn session_mut(&mut self, id: &SessionId) -> Result<&mut Stored> {
        let stored = self.sessions.get_mut(id);
        stored.ok_or_else(|| Error::not_found("session", id))
    }

    /// Records that a session changed.
    pub(super) fn touch(&mut self, id: &SessionId, now: Timestamp) -> Result<Version> {
        let stored = self.session_mut(id)?;
        let before = SessionCursor::from(&stored.session);
        let version = stored.touch(now);
        let after = SessionCursor::from(&stored.session);
        self.by_change.remove(&before);
        self.by_change.insert(after);
        self.feed.add(id, now);
        Ok(version)
    }

    /// Sessions, latest change first.
    pub(super) fn sessions(&self, query: &SessionQuery) -> Vec<Session> {
        let before = query.after.as_ref();
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let latest_first = self.by_change.range((Bound::Unbounded, end)).rev();
        latest_first
            .filter_map(|cursor| self.sessions.get(&cursor.session))
            .map(|stored| &stored.session)
            .filter(|session| {
                let wanted = query.repository.as_ref();
                wanted.is_none_or(|repository| session.repository == *repository)
            })
            .take(query.limit)
            .cloned()
            .collect()
    }

    /// Sessions from the longest unchanged on.
    pub(super) fn oldest(&self, after: Option<&SessionCursor>, limit: usize) -> Vec<Session> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_change
            .range((from, Bound::Unbounded))
            .filter_map(|cursor| self.sessions.get(&cursor.session))
            .map(|stored| stored.session.clone())
            .take(limit)
            .collect()
    }

    /// Removes a session with everything that is its own, if it is still at `version`.
    pub(super) fn drop_session(&mut self, id: &SessionId, version: Version) -> bool {
        let there = self.sessions.get(id);
        if there.is_none_or(|stored| stored.session.version != version) {
            return false;
        }
        let Some(Stored { session, .. }) = self.sessions.remove(id) else {
            return false;
        };
        self.by_change.remove(&SessionCursor::from(&session));
        self.rollup.dropped(&session);
        for execution in &session.executions {
            let bot = execution.bot.clone();
            let scope = (session.repository.clone(), bot, session.git_ref.clone());
            if self.baselines.get(&scope) == Some(id) {
                self.baselines.remove(&scope);
            }
        }
        let Session {
            repository,
            git_ref,
            commit,
            run,
            ..
        } = session;
        let key = (repository, git_ref, commit, run);
        if self.by_key.get(&key) == Some(id) {
            self.by_key.remove(&key);
        }
        true
    }

    /// Joins or creates a session.
    pub(super) fn open(&mut self, open: &OpenSession, now: Timestamp) -> Result<Opened> {
        let fresh = open.id_in(self.partitions.of(&open.repository))?;
        self.open_as(open, fresh, now)
    }

    /// Joins a session, or creates it under the id `fresh`.
    pub(super) fn open_as(
        &mut self,
        open: &OpenSession,
        fresh: SessionId,
        now: Timestamp,
    ) -> Result<Opened> {
        let key = (
            open.repository.clone(),
            open.git_ref.clone(),
            open.commit.clone(),
            open.run.clone(),
        );
        let existing = match &open.again {
            None => self.by_key.get(&key).cloned(),
            Some(_) => self.sessions.contains_key(&fresh).then(|| fresh.clone()),
        };
        let created = existing.is_none();
        let session = match existing {
            Some(session) => session,
            None => self.create(key, open, fresh, now)?,
        };
        self.expect(&session, &open.expect, now)?;
        Ok(Opened { session, created })
    }

    fn create(
        &mut self,
        key: OpenKey,
        open: &OpenSession,
        id: SessionId,
        now: Timestamp,
    ) -> Result<SessionId> {
        let stored = Stored::new(id.clone(), open, now);
        self.sessions.insert(id.clone(), stored);
        self.by_key.entry(key).or_insert_with(|| id.clone());
        self.rollup.opened();
        self.touch(&id, now)?;
        Ok(id)
    }

    /// Adds executions as pending where they are missing, all of them or none.
    fn expect(&mut self, session: &SessionId, bots: &[BotId], now: Timestamp) -> Result<()> {
        let stored = self.session_mut(session)?;
        let missing: BTreeSet<&BotId> = bots
            .iter()
            .filter(|bot| stored.execution(bot).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        if stored.session.executions.len() + missing.len() > MAX_EXECUTIONS {
            return Err(Error::invalid(
                "expect",
                format!("a session has at most {MAX_EXECUTIONS} executions"),
            ));
        }
        for bot in missing {
            stored.put(Execution::pending(bot));
        }
        self.touch(session, now)?;
        Ok(())
    }

    /// Changes an execution.
    pub(super) fn transition(
        &mut self,
        transition: &Transition,
        now: Timestamp,
    ) -> Result<Execution> {
        let (session, bot) = (&transition.session, &transition.bot);
        let absent = || Error::not_found("execution", bot);
        if transition.change == Change::Expect {
            self.expect(session, std::slice::from_ref(bot), now)?;
            return self
                .session(session)?
                .execution(bot)
                .cloned()
                .ok_or_else(absent);
        }
        let sequence = transition.sequence;
        if sequence == 0 && !matches!(transition.change, Change::Lost { .. }) {
            return Err(Error::invalid(
                "sequence",
                "it is 0, which only expect and lost may be",
            ));
        }
        let stored = self.session(session)?;
        let current = stored.execution(bot);
        let producer = (session.partition(), transition.producer.clone());
        if sequence > 0 {
            match self.producers.standing(&producer, sequence)? {
                Standing::Again(Answer::Execution(answer)) => return Ok(*answer),
                Standing::Again(Answer::Push(_)) | Standing::Old => {
                    return current.cloned().ok_or_else(absent);
                }
                Standing::Next => {}
            }
        }
        let Some(next) = after(current, transition, now)? else {
            return current.cloned().ok_or_else(absent);
        };
        if current.is_none() && stored.session.executions.len() >= MAX_EXECUTIONS {
            return Err(Error::invalid(
                "execution",
                format!("a session has at most {MAX_EXECUTIONS}"),
            ));
        }
        self.put(session, next.clone(), now)?;
        if sequence > 0 {
            let answer = Answer::Execution(Box::new(next.clone()));
            self.producers.remember(producer, sequence, answer, now);
        }
        Ok(next)
    }

    fn put(&mut self, session: &SessionId, execution: Execution, now: Timestamp) -> Result<()> {
        if is_run(execution.state) {
            self.finished(session, &execution, now);
        }
        if execution.state == ExecutionState::Completed && !execution.partial {
            let stored = &self.session(session)?.session;
            let scope = (
                stored.repository.clone(),
                execution.bot.clone(),
                stored.git_ref.clone(),
            );
            self.baselines.insert(scope, session.clone());
        }
        self.session_mut(session)?.put(execution);
        self.touch(session, now)?;
        Ok(())
    }

    /// Adds an execution that ran to its bot's series.
    fn finished(&mut self, session: &SessionId, execution: &Execution, now: Timestamp) {
        let took = now.duration_since(execution.started.unwrap_or(now));
        let tally = self
            .sessions
            .get(session)
            .map(|stored| stored.tally(&execution.bot));
        let run = Run {
            session: session.clone(),
            attempt: execution.attempt,
            outcome: execution.state,
            partial: execution.partial,
            ended: now,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(0),
            findings: execution.pushed,
            tally: tally.unwrap_or_default(),
        };
        let runs = self.runs.entry(execution.bot.clone()).or_default();
        runs.push_back(run);
        if runs.len() > MAX_RUNS {
            runs.pop_front();
        }
    }

    /// The last session of a scope with a complete execution.
    pub(super) fn baseline(&self, scope: &Scope) -> Option<SessionId> {
        self.baselines.get(scope).cloned()
    }

    /// Finished executions of a bot, oldest first.
    pub(super) fn runs(&self, bot: &BotId) -> Vec<Run> {
        let runs = self.runs.get(bot);
        runs.into_iter().flatten().cloned().collect()
    }

    /// Counts a batch; its findings are yet to be indexed.
    pub(super) fn push(&mut self, batch: &Batch, now: Timestamp) -> Result<Applied> {
        let session = &batch.session;
        let stored = self.session(session)?;
        let producer = (session.partition(), batch.producer.clone());
        let before = match self.producers.standing(&producer, batch.sequence)? {
            Standing::Again(Answer::Push(answer)) => Some(answer),
            Standing::Again(Answer::Execution(_)) | Standing::Old => Some(PushAnswer {
                version: stored.session.version,
                total: stored.session.total,
                ..PushAnswer::default()
            }),
            Standing::Next => None,
        };
        if let Some(answer) = before {
            let duplicate = true;
            let answer = PushAnswer {
                duplicate,
                ..answer
            };
            let rules = BTreeMap::new();
            return Ok(Applied { answer, rules });
        }
        let stored = self.session_mut(session)?;
        let execution = receiving(stored.execution_mut(&batch.bot), &batch.bot, batch.attempt)?;
        execution.pushed += batch.findings.len() as u64;
        let known = stored.take(batch);
        let rules = stored.take_rules(&batch.rules);
        let total = stored.session.total;
        let new = batch.findings.len() - known.len();
        self.rollup.accepted(new as u64);
        let answer = PushAnswer {
            version: self.touch(session, now)?,
            new: new as u32,
            known,
            total,
            duplicate: false,
        };
        let stored = Answer::Push(answer.clone());
        self.producers
            .remember(producer, batch.sequence, stored, now);
        Ok(Applied { answer, rules })
    }

    /// Counts findings as quarantined: acknowledged, and not in the index.
    pub(super) fn hold_back(&mut self, session: &SessionId, findings: u64) {
        if let Some(stored) = self.sessions.get_mut(session) {
            stored.session.quarantined += findings;
        }
    }

    /// Counts findings as quarantined no more, which changes the session.
    pub(super) fn release(
        &mut self,
        session: &SessionId,
        findings: u64,
        now: Timestamp,
    ) -> Result<()> {
        let stored = self.session_mut(session)?;
        let left = stored.session.quarantined.saturating_sub(findings);
        stored.session.quarantined = left;
        self.touch(session, now).map(drop)
    }

    /// How many partitions there are.
    pub(super) fn partitions(&self) -> u16 {
        self.partitions.count()
    }

    /// The last sequence number applied of a producer in the session's partition.
    pub(super) fn last_sequence(&self, session: &SessionId, producer: &ProducerId) -> u64 {
        let key = (session.partition(), producer.clone());
        self.producers.last(&key)
    }

    /// Stores what was computed from a session, if it is still the one stored.
    pub(super) fn derive(&mut self, session: &SessionId, derived: &Derived) -> Result<bool> {
        let stored = self.sessions.get_mut(session);
        let stored = stored.ok_or_else(|| Error::not_found("session", session))?;
        if stored.session.version != derived.version {
            return Ok(false);
        }
        stored.session.derived = Some(derived.clone());
        if let Some(quality) = derived.quality {
            self.rollup.quality(&stored.session, quality, derived.band);
        }
        Ok(true)
    }
}
