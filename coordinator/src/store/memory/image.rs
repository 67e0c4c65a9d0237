//! The state taken apart into records, and put together again.

use std::collections::VecDeque;

use fleet_worker_sdk::{Error, Fingerprint, Partition, Result, SessionId};
use jiff::Timestamp;

use super::journal::{Entry, Image};
use super::session::Stored;
use super::state::{OpenKey, State};
use crate::store::SessionCursor;

impl State {
    /// Everything, as it is now. Takes as long as copying all but the findings does.
    pub(super) fn image(&self) -> Image {
        let mut entries = vec![Entry::Fleet {
            partitions: self.partitions.count(),
        }];
        let bots = self.bots.values().cloned();
        entries.extend(bots.map(|bot| Entry::Bot { bot }));
        entries.extend(self.producers.entries());
        entries.extend(self.runs.iter().map(|(bot, runs)| Entry::Runs {
            bot: bot.clone(),
            runs: runs.iter().cloned().collect(),
        }));
        let baselines = self.baselines.iter();
        entries.extend(
            baselines.map(|((repository, bot, git_ref), session)| Entry::Baseline {
                repository: repository.clone(),
                bot: bot.clone(),
                git_ref: git_ref.clone(),
                session: session.clone(),
            }),
        );
        entries.extend(self.rollup.entries());
        entries.extend(self.standing.entry());
        entries.extend(self.observed.entries());
        entries.extend(self.alerts.entries());
        entries.extend(self.workers.entries());
        let sessions = self
            .sessions
            .values()
            .map(|stored| (stored.entry(), stored.index.clone()));
        Image {
            entries,
            sessions: sessions.collect(),
        }
    }

    /// Takes a record of a snapshot, or of what is observed.
    pub(super) fn restore(&mut self, entry: Entry) -> Result<()> {
        match entry {
            Entry::Session {
                session,
                counts,
                apart,
            } => self.restore_session(Stored::restored(*session, counts, apart)),
            Entry::Producer {
                partition,
                producer,
                last,
            } => self
                .producers
                .restore((Partition(partition), producer), *last),
            Entry::Runs { bot, runs } => drop(self.runs.insert(bot, VecDeque::from(runs))),
            Entry::Baseline {
                repository,
                bot,
                git_ref,
                session,
            } => drop(self.baselines.insert((repository, bot, git_ref), session)),
            Entry::Sums { sums } => self.rollup.restore_sums(sums),
            Entry::Speaker { repository, latest } => self.rollup.restore(repository, latest),
            Entry::Alerts { kept } => self.alerts.restore(*kept),
            Entry::Audited { one } => self.alerts.restore_audit(one),
            entry => self.observed.restore(entry)?,
        }
        Ok(())
    }

    fn restore_session(&mut self, stored: Stored) {
        let session = &stored.session;
        let key: OpenKey = (
            session.repository.clone(),
            session.git_ref.clone(),
            session.commit.clone(),
            session.run.clone(),
        );
        self.by_key.insert(key, session.id.clone());
        self.by_change.insert(SessionCursor::from(session));
        self.sessions.insert(session.id.clone(), stored);
    }

    /// Findings of a restored session that are in its index.
    pub(super) fn restore_members(
        &mut self,
        session: &SessionId,
        members: Vec<Fingerprint>,
    ) -> Result<()> {
        self.session_mut(session)?.restore_members(members);
        Ok(())
    }

    /// Rules of a restored session that are in its index.
    pub(super) fn restore_rules<'a>(
        &mut self,
        session: &SessionId,
        rules: impl Iterator<Item = &'a String>,
    ) -> Result<()> {
        self.session_mut(session)?.restore_rules(rules);
        Ok(())
    }

    /// Sessions whose health is not that of their version.
    pub(super) fn stale(&self) -> Vec<SessionId> {
        let derived = |stored: &Stored| stored.session.derived.as_ref().map(|d| d.version);
        let stored = self.sessions.values();
        stored
            .filter(|stored| derived(stored) != Some(stored.session.version))
            .map(|stored| stored.session.id.clone())
            .collect()
    }

    /// Has the feed hold these, and nothing else.
    pub(super) fn feed_again(&mut self, sessions: &[SessionId], now: Timestamp) {
        self.feed.clear();
        for session in sessions {
            self.feed.add(session, now);
        }
    }
}

/// A record that restores nothing here.
pub(super) fn misplaced(entry: &Entry) -> Error {
    Error::invalid("journal", format!("nothing takes {entry:?}"))
}
