//! Sessions' numbers in memory, and the mismatches that are known.
//!
//! The index stands in for the log: it holds every finding that was accepted and can be read. Whoever
//! holds it for reading sees it and the counters at one moment, since a push holds it for writing from
//! before it counts. Mismatches are not journaled: the next round finds them again.

use async_trait::async_trait;
use fleet_worker_sdk::{Result, SessionId};

use super::MemoryStore;
use super::journal::Entry;
use super::session::Stored;
use super::state::State;
use crate::conserve::{Account, MAX_MISMATCHES, Mismatch, Received, Repair, Sums};
use crate::index::Index;
use crate::model::Tally;
use crate::store::Read;
use crate::store::conserve::Conserve;
use jiff::Timestamp;

impl Stored {
    fn account(&self, index: &Index) -> Account {
        let facts = self.facts();
        let session = facts.session;
        let executions = session.executions.iter().map(|execution| {
            let received = execution.pushed.cast_signed();
            let counted = self.tally(&execution.bot).total().cast_signed();
            Received::of(execution, received, received, counted)
        });
        Account {
            session: session.id.clone(),
            repository: session.repository.clone(),
            version: session.version,
            generation: session.generation,
            indexed: facts.indexed.cast_signed(),
            counted: Sums::of(&facts.counts, session.tally.total()),
            total: session.total.cast_signed(),
            logged: (index.len() as u64).cast_signed(),
            quarantined: session.quarantined.cast_signed(),
            executions: executions.collect(),
        }
    }
}

impl State {
    /// Makes a session what `index` says; with `apply` false only tells what that would change.
    pub(super) fn mend(
        &mut self,
        id: &SessionId,
        index: &Index,
        now: Timestamp,
        apply: bool,
    ) -> Result<Repair> {
        let stored = self.session(id)?;
        let before = stored.account(index);
        let (strangers, added) = stored.strangers(index);
        let held_back = before.held_back(strangers)?;
        let counts = if held_back {
            stored.facts().counts
        } else {
            index.counts()
        };
        let removed = if held_back { 0 } else { strangers };
        let total = (index.len() as u64 + if held_back { strangers } else { 0 }).cast_signed();
        let mut after = Account {
            indexed: total,
            counted: Sums::of(&counts, counts.tally().total()),
            total,
            ..before.clone()
        };
        for execution in &mut after.executions {
            let counted = counts.by_bot.get(&execution.bot).map_or(0, Tally::total);
            execution.counted = counted.cast_signed();
        }
        let repair = Repair {
            applied: apply,
            added,
            removed,
            counters: u64::from(stored.facts().counts != counts),
            duplicates: 0,
            lost: (before.contributed() - total).max(0).cast_unsigned(),
            after,
            before,
        };
        if repair.is_whole() || !apply {
            return Ok(Repair {
                applied: false,
                ..repair
            });
        }
        self.rollup.corrected(total - repair.before.contributed());
        let stored = self.session_mut(id)?;
        stored.mend(index, held_back);
        stored.session.generation += 1;
        self.touch(id, now)?;
        Ok(repair)
    }
}

#[async_trait]
impl Conserve for MemoryStore {
    async fn account(&self, session: &SessionId) -> Result<Account> {
        let findings = self.findings(session).await?;
        let index = findings.read().await;
        let state = self.state();
        Ok(state.session(session)?.account(&index))
    }

    async fn repair_session(&self, session: &SessionId, apply: bool) -> Result<Repair> {
        let findings = self.findings(session).await?;
        let index = findings.read().await;
        let (mut state, at) = self.lock();
        let repair = state.mend(session, &index, at, apply)?;
        if repair.applied {
            self.log(|| Entry::Mended {
                session: session.clone(),
                at,
            });
        }
        Ok(repair)
    }

    async fn mismatches(&self) -> Result<Vec<Mismatch>> {
        Ok(self.state().observed.mismatches.values().cloned().collect())
    }

    async fn note_mismatch(&self, mismatch: &Mismatch) -> Result<bool> {
        let mut state = self.state();
        let known = &mut state.observed.mismatches;
        let session = &mismatch.account.session;
        let is_known = known.contains_key(session);
        if !is_known && known.len() >= MAX_MISMATCHES {
            return Ok(false);
        }
        known.insert(session.clone(), mismatch.clone());
        Ok(!is_known)
    }

    async fn forget_mismatch(&self, session: &SessionId) -> Result<()> {
        self.state().observed.mismatches.remove(session);
        Ok(())
    }
}
