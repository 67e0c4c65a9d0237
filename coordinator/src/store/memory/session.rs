//! A stored session: what is listed, its counters, its members and its index.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use fleet_worker_sdk::{
    Batch, BotId, Execution, Finding, Fingerprint, OpenSession, Rule, SessionId, SessionState,
    Version,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{RwLock, watch};

use super::journal::Entry;
use crate::index::Index;
use crate::model::{Counts, MAX_CATEGORIES, MAX_RULES, OTHER, Session, SessionFacts, Tally};
use crate::store::Findings;

/// A session and all that belongs to it.
pub(super) struct Stored {
    pub(super) session: Session,
    counts: Counts,
    /// Categories and rules counted apart, [`OTHER`] not among them unless it came by that name.
    apart: Apart,
    /// Who is in the index: lets a push be counted before it is indexed, under the small lock.
    members: HashSet<Fingerprint>,
    /// Rules whose texts the index has.
    rules: HashSet<String>,
    pub(super) index: Findings,
    pub(super) versions: watch::Sender<Version>,
}

/// How many names are counted apart.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Apart {
    categories: usize,
    rules: usize,
}

impl Stored {
    /// A session just opened, at no version yet.
    pub(super) fn new(id: SessionId, open: &OpenSession, now: Timestamp) -> Self {
        let session = Session {
            id,
            repository: open.repository.clone(),
            git_ref: open.git_ref.clone(),
            commit: open.commit.clone(),
            run: open.run.clone(),
            state: SessionState::Open,
            opened: now,
            changed: now,
            version: Version(0),
            generation: 1,
            total: 0,
            quarantined: 0,
            tally: Tally::default(),
            executions: Vec::new(),
            derived: None,
        };
        Self {
            session,
            counts: Counts::default(),
            apart: Apart::default(),
            members: HashSet::new(),
            rules: HashSet::new(),
            index: Arc::new(RwLock::new(Index::new())),
            versions: watch::Sender::new(Version(0)),
        }
    }

    /// One of a snapshot; its rules and findings follow.
    pub(super) fn restored(session: Session, counts: Counts, apart: Apart) -> Self {
        Self {
            versions: watch::Sender::new(session.version),
            session,
            counts,
            apart,
            members: HashSet::new(),
            rules: HashSet::new(),
            index: Arc::new(RwLock::new(Index::new())),
        }
    }

    /// Findings of it that are in its index.
    pub(super) fn restore_members(&mut self, members: Vec<Fingerprint>) {
        self.members.extend(members);
    }

    /// Rules of it whose texts its index has.
    pub(super) fn restore_rules<'a>(&mut self, rules: impl Iterator<Item = &'a String>) {
        self.rules.extend(rules.cloned());
    }

    /// The record of it, without rules and findings.
    pub(super) fn entry(&self) -> Entry {
        Entry::Session {
            session: Box::new(self.session.clone()),
            counts: self.counts.clone(),
            apart: self.apart,
        }
    }

    /// Moves on to the next version: microseconds, so that no version is given twice even by a
    /// store that was restarted.
    pub(super) fn touch(&mut self, now: Timestamp) -> Version {
        let micros = u64::try_from(now.as_microsecond()).unwrap_or(0);
        let version = Version(micros.max(self.session.version.0 + 1));
        self.session.version = version;
        self.session.changed = now;
        self.session.state = SessionState::of(&self.session.executions);
        self.versions.send_replace(version);
        version
    }

    /// What the session has of `bot`, by severity.
    pub(super) fn tally(&self, bot: &BotId) -> Tally {
        self.counts.by_bot.get(bot).copied().unwrap_or_default()
    }

    /// The execution of `bot`.
    pub(super) fn execution(&self, bot: &BotId) -> Option<&Execution> {
        let at = self.place(bot).ok()?;
        self.session.executions.get(at)
    }

    /// The execution of `bot`, to change.
    pub(super) fn execution_mut(&mut self, bot: &BotId) -> Option<&mut Execution> {
        let at = self.place(bot).ok()?;
        self.session.executions.get_mut(at)
    }

    /// Adds or replaces an execution.
    pub(super) fn put(&mut self, execution: Execution) {
        match self.place(&execution.bot) {
            Ok(at) => {
                if let Some(there) = self.session.executions.get_mut(at) {
                    *there = execution;
                }
            }
            Err(at) => self.session.executions.insert(at, execution),
        }
    }

    fn place(&self, bot: &BotId) -> Result<usize, usize> {
        let executions = &self.session.executions;
        executions.binary_search_by(|execution| execution.bot.cmp(bot))
    }

    /// Counts what is new of a batch; answers with the positions of what was there.
    pub(super) fn take(&mut self, batch: &Batch) -> Vec<u32> {
        let mut known = Vec::new();
        for (position, identified) in (0..).zip(&batch.findings) {
            if self.members.insert(identified.fingerprint) {
                self.count(&batch.bot, &identified.finding);
            } else {
                known.push(position);
            }
        }
        self.session.total += (batch.findings.len() - known.len()) as u64;
        known
    }

    fn count(&mut self, bot: &BotId, finding: &Finding) {
        let by_bot = self.counts.by_bot.entry(bot.clone()).or_default();
        if finding.is_suppressed() {
            by_bot.suppressed += 1;
            self.session.tally.suppressed += 1;
            return;
        }
        let severity = finding.severity();
        *by_bot.of_mut(severity) += 1;
        *self.session.tally.of_mut(severity) += 1;
        let category = (finding.category.clone(), OTHER.to_owned());
        count_bounded(
            &mut self.counts.by_category,
            category,
            &mut self.apart.categories,
            MAX_CATEGORIES,
        );
        let class = finding.weight_class();
        let rule = ((class, finding.rule_id.clone()), (class, OTHER.to_owned()));
        count_bounded(
            &mut self.counts.by_rule,
            rule,
            &mut self.apart.rules,
            MAX_RULES,
        );
    }

    /// Texts of rules that the index has yet to take: the first of each, up to the limit.
    pub(super) fn take_rules(&mut self, rules: &BTreeMap<String, Rule>) -> BTreeMap<String, Rule> {
        let mut fresh = BTreeMap::new();
        for (rule, texts) in rules {
            if self.rules.len() < MAX_RULES && self.rules.insert(rule.clone()) {
                fresh.insert(rule.clone(), texts.clone());
            }
        }
        fresh
    }

    /// Makes it what `index` holds, but for the counters where those stay as they are; `held_back`
    /// findings are counted and not in the index.
    pub(super) fn mend(&mut self, index: &Index, counters_stay: bool) {
        if !counters_stay {
            self.members = index.fingerprints(None).collect();
            self.counts = index.counts();
            self.session.tally = index.tally();
            // Those over a limit are counted together, beside as many as it allows.
            self.apart = Apart {
                categories: self.counts.by_category.len().min(MAX_CATEGORIES),
                rules: self.counts.by_rule.len().min(MAX_RULES),
            };
        }
        self.members.extend(index.fingerprints(None));
        self.session.total = self.members.len() as u64;
    }

    /// Members that are not in `index`, and findings of it that are no members.
    pub(super) fn strangers(&self, index: &Index) -> (u64, u64) {
        let strangers = self.members.iter().filter(|member| !index.contains(member));
        let missing = index
            .fingerprints(None)
            .filter(|f| !self.members.contains(f));
        (strangers.count() as u64, missing.count() as u64)
    }

    /// The session with its counters.
    pub(super) fn facts(&self) -> SessionFacts {
        SessionFacts {
            session: self.session.clone(),
            counts: self.counts.clone(),
            indexed: self.members.len() as u64,
        }
    }
}

/// Counts `name`, or `other` when it would be one name too many.
fn count_bounded<K: Ord>(
    counts: &mut BTreeMap<K, u64>,
    (name, other): (K, K),
    apart: &mut usize,
    limit: usize,
) {
    if let Some(count) = counts.get_mut(&name) {
        *count += 1;
    } else if *apart < limit {
        *apart += 1;
        counts.insert(name, 1);
    } else {
        *counts.entry(other).or_default() += 1;
    }
}
