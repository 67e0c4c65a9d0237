//! Whether the store holds what the bots' journals say: acknowledged is a subset of applied, applied
//! of sent, each finding is there once, and everything that is counted is what the log holds.

mod baselines;

mod log;

mod stored;

use std::collections::BTreeMap;
use std::fmt;

use fleet_worker_sdk::{Execution, ExecutionState};
use serde::Serialize;

use crate::bot::NEVER;
use crate::journal::{Attempts, History, reach};

pub(crate) use stored::{Reader, Seen, Standing, Stored, StoredFleet};

/// Examples kept of each kind of fault: enough to find its cause by.
const EXAMPLES: usize = 5;

/// Faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    pub(crate) count: u64,
    pub(crate) examples: Vec<String>,
}

impl Faults {
    fn add(&mut self, count: u64, example: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        self.count += count;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }
}

/// What a check came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// Sessions that are there.
    pub(crate) sessions: u64,
    /// Sessions among them whose log was compacted.
    pub(crate) compacted: u64,
    /// Sessions that were complete and are gone.
    pub(crate) removed: u64,
    /// Findings that bots sent, each counted once.
    pub(crate) sent: u64,
    /// Findings among them of which a bot knows that they are stored.
    pub(crate) acknowledged: u64,
    /// Findings in the logs, as they are or were before they were removed.
    pub(crate) applied: u64,
    /// Acknowledged and not there; and acknowledged ends of executions that did not happen.
    pub(crate) lost: Faults,
    /// There, or counted as received, more often than sent.
    pub(crate) twice: Faults,
    /// There and never sent.
    pub(crate) invented: Faults,
    /// Sums that differ from what they sum.
    pub(crate) broken: Faults,
    /// Sessions whose health is missing, of an older version, or another than the log gives.
    pub(crate) unhealthy: Faults,
    /// Refusals of what had to be taken.
    pub(crate) refused: Faults,
}

impl Verdict {
    fn kinds(&self) -> [(&'static str, &Faults); 6] {
        [
            ("lost", &self.lost),
            ("twice", &self.twice),
            ("invented", &self.invented),
            ("broken sums", &self.broken),
            ("wrong health", &self.unhealthy),
            ("refused", &self.refused),
        ]
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.kinds().iter().all(|(_, faults)| faults.count == 0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, acknowledged, applied) = (self.sent, self.acknowledged, self.applied);
        write!(
            f,
            "{} sessions ({} compacted), {} complete ones removed, {sent} sent, {acknowledged} acknowledged, {applied} applied",
            self.sessions, self.compacted, self.removed
        )?;
        for (kind, faults) in self.kinds() {
            write!(f, "; {kind}: {}", faults.count)?;
            for example in &faults.examples {
                write!(f, "\n    {example}")?;
            }
        }
        Ok(())
    }
}

/// Compares what bots wrote down with what the store holds, when nothing moves any more, and with what
/// it was `seen` to hold of sessions that retention has removed since.
pub(crate) fn judge(history: &History, fleet: &StoredFleet, seen: &Seen) -> Verdict {
    let (sent, acknowledged) = history.totals();
    let mut verdict = Verdict {
        sessions: fleet.sessions.len() as u64,
        sent,
        acknowledged,
        ..Verdict::default()
    };
    for (session, bots) in &history.by_session {
        match (fleet.sessions.get(session), seen.get(session)) {
            (Some(stored), _) => verdict.session(session, bots, stored),
            (None, Some(stored)) => {
                verdict.removed += 1;
                verdict.applied += stored.logged();
                verdict.session(session, bots, stored);
                verdict.sums(session, stored);
            }
            (None, None) => verdict.gone(session, bots),
        }
    }
    for (session, stored) in &fleet.sessions {
        verdict.applied += stored.logged();
        verdict.compacted += u64::from(stored.compacted);
        if !history.by_session.contains_key(session) {
            let logged = stored.logged();
            let example = || format!("{logged} findings in {session}, of which nobody knows");
            verdict.invented.add(logged, example);
        }
        verdict.sums(session, stored);
        verdict.health(session, stored);
        if let Some(seen) = seen.get(session) {
            verdict.kept(session, stored, seen);
        }
    }
    let removed = seen
        .iter()
        .filter(|(session, _)| !fleet.sessions.contains_key(*session));
    for fault in baselines::wrong(fleet, removed.map(|(_, stored)| stored)) {
        verdict.broken.add(1, || fault);
    }
    verdict.fleet(fleet);
    for refusal in &history.refusals {
        verdict.refused.add(1, || refusal.clone());
    }
    for (session, why) in &history.gone {
        let removed = seen.contains_key(session) && !fleet.sessions.contains_key(session);
        verdict.refused.add(u64::from(!removed), || why.clone());
    }
    let said = history.said_lost;
    verdict.lost.add(said, || {
        format!("{said} acknowledged batches, by the bots' own word")
    });
    verdict
}

impl Verdict {
    /// The sums over all sessions.
    fn fleet(&mut self, fleet: &StoredFleet) {
        let stored: u64 = fleet.sessions.values().map(|stored| stored.total).sum();
        let numbers = [
            ("findings", fleet.counted, stored),
            ("sessions", fleet.counted_sessions, self.sessions),
        ];
        for (what, is, should) in numbers {
            self.broken.add(u64::from(is != should), || {
                format!("the fleet counts {is} {what}, {should} are there")
            });
        }
    }

    fn gone(&mut self, session: &str, bots: &BTreeMap<String, Attempts>) {
        for (bot, attempts) in bots {
            let (_, acknowledged) = reach(attempts);
            let example =
                || format!("{acknowledged} findings of {bot} with their session {session}");
            self.lost.add(acknowledged, example);
        }
    }

    fn session(&mut self, session: &str, bots: &BTreeMap<String, Attempts>, stored: &Stored) {
        for (bot, attempts) in bots {
            let logged = stored.times.get(bot).map(Vec::as_slice).unwrap_or_default();
            self.findings(&format!("{bot} in {session}"), reach(attempts), logged);
            let mut executions = stored.executions.iter();
            let execution = executions.find(|execution| execution.bot.as_str() == bot);
            self.execution(&format!("{bot} in {session}"), attempts, execution);
        }
        for (bot, logged) in stored
            .times
            .iter()
            .filter(|(bot, _)| !bots.contains_key(*bot))
        {
            let count = logged.iter().filter(|times| **times > 0).count() as u64;
            let example =
                || format!("{count} findings of {bot} in {session}, which it never began");
            self.invented.add(count, example);
        }
        let strange = stored.strange.first().cloned().unwrap_or_default();
        let example = || format!("{session} holds `{strange}`");
        self.invented.add(stored.strange.len() as u64, example);
    }

    fn findings(&mut self, whose: &str, (sent, acknowledged): (u64, u64), logged: &[u32]) {
        let times = |number: u64| logged.get(number as usize).copied().unwrap_or(0);
        let end = acknowledged.max(logged.len() as u64);
        for number in 0..end {
            match times(number) {
                0 if number < acknowledged => self.lost.add(1, || format!("{number} of {whose}")),
                0 => {}
                _ if number >= sent => self
                    .invented
                    .add(1, || format!("{number} of {whose}: {sent} were sent")),
                1 => {}
                times => self
                    .twice
                    .add(1, || format!("{number} of {whose} is logged {times} times")),
            }
        }
    }

    /// The last attempt as the store has it against what the bot knows of it.
    fn execution(&mut self, whose: &str, attempts: &Attempts, execution: Option<&Execution>) {
        let Some(execution) = execution else {
            let begun = u64::from(!attempts.is_empty());
            return self.lost.add(begun, || format!("the execution of {whose}"));
        };
        let last = attempts.keys().next_back().copied().unwrap_or(0);
        let behind = u64::from(execution.attempt < last);
        self.lost.add(behind, || {
            format!(
                "attempt {last} of {whose}: the last known is {}",
                execution.attempt
            )
        });
        let known = attempts
            .get(&execution.attempt)
            .copied()
            .unwrap_or_default();
        let (received, number) = (execution.pushed, execution.attempt);
        let more = received.saturating_sub(known.sent);
        self.twice.add(more, || {
            format!(
                "attempt {number} of {whose}: {received} received, {} sent",
                known.sent
            )
        });
        let fewer = known.acknowledged.saturating_sub(received);
        self.lost.add(fewer, || {
            format!(
                "attempt {number} of {whose}: {received} received, {} acknowledged",
                known.acknowledged
            )
        });
        let undone = known.completed && execution.state != ExecutionState::Completed;
        self.lost.add(u64::from(undone), || {
            format!(
                "the end of attempt {number} of {whose}: it is {}",
                execution.state
            )
        });
    }

    fn sums(&mut self, session: &str, stored: &Stored) {
        for (what, is) in &stored.sums {
            let total = stored.total;
            let wrong = u64::from(*is != total);
            self.broken.add(wrong, || {
                format!("{session}: {is} {what}, the total is {total}")
            });
        }
        let differ = u64::from(!stored.counts_agree);
        self.broken.add(differ, || {
            format!("{session}: its counts differ from those of its log")
        });
        let differ = u64::from(!stored.members_agree);
        self.broken.add(differ, || {
            format!("{session}: its members are not the findings of its log")
        });
        let strangers = stored
            .executions
            .iter()
            .filter(|execution| execution.bot.as_str() == NEVER && execution.attempt > 0);
        self.invented.add(strangers.count() as u64, || {
            format!("an execution of {NEVER} in {session}")
        });
    }

    /// Compaction takes nothing away: a session that did not change since it was seen is the same.
    fn kept(&mut self, session: &str, stored: &Stored, seen: &Stored) {
        let differs = stored.version == seen.version
            && (stored.total != seen.total || stored.times != seen.times);
        self.broken.add(u64::from(differs), || {
            format!("{session} did not change, and has other findings than when it was complete")
        });
    }

    fn health(&mut self, session: &str, stored: &Stored) {
        let why = match &stored.standing {
            Standing::Agrees => return,
            Standing::Outdated => "it is not of the present version".to_owned(),
            Standing::Differs(how) => how.clone(),
        };
        self.unhealthy
            .add(1, || format!("the health of {session}: {why}"));
    }
}

#[cfg(test)]
mod tests;
