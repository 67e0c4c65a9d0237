//! The model: everything in lists, looked through from end to end, and the fleet's own ways to judge
//! an execution and a session.

use fleet_worker_sdk::session::SessionState;
use fleet_worker_sdk::{
    Bot, BotId, Execution, ExecutionState, Progress, SessionId, Severity, Version, WeightClass,
};
use jiff::Timestamp;

use super::{Draft, End, Marks};
use crate::model::{Counts, Tally};

/// One finding, with its own copies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) bot: usize,
    pub(super) rule: String,
    pub(super) severity: Severity,
    pub(super) category: String,
    pub(super) message: String,
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) element: String,
    pub(super) security_severity: Option<f32>,
    pub(super) confidence: Option<f32>,
    pub(super) marks: Marks,
    pub(super) came: Timestamp,
}

impl Kept {
    pub(super) fn draft(&self) -> Draft<'_> {
        Draft {
            rule: &self.rule,
            severity: self.severity,
            category: &self.category,
            message: &self.message,
            file: &self.file,
            line: self.line,
            element: &self.element,
            security_severity: self.security_severity,
            confidence: self.confidence,
            marks: self.marks,
        }
    }

    pub(super) fn class(&self) -> WeightClass {
        WeightClass::of(self.severity, self.security_severity)
    }

    pub(super) fn open(&self) -> bool {
        !self.marks.suppressed
    }
}

/// What a context should be.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) bots: Vec<Bot>,
    pub(super) executions: Vec<Execution>,
    pub(super) findings: Vec<Kept>,
}

impl Model {
    pub(super) fn register(&mut self, bot: Bot) {
        if let Some(known) = self.bots.iter_mut().find(|known| known.id == bot.id) {
            *known = bot;
        } else {
            self.executions.push(Execution::pending(&bot.id));
            self.bots.push(bot);
        }
    }

    /// Whether it was taken.
    pub(super) fn start(&mut self, bot: usize, now: Timestamp, again: bool) -> bool {
        let execution = &mut self.executions[bot];
        if execution.state != ExecutionState::Pending && !again {
            return false;
        }
        *execution = Execution {
            state: ExecutionState::Running,
            attempt: execution.attempt + 1,
            started: Some(now),
            ..Execution::pending(&execution.bot)
        };
        true
    }

    /// Whether it was taken.
    pub(super) fn end(&mut self, bot: usize, end: End<'_>, now: Timestamp) -> bool {
        let execution = &mut self.executions[bot];
        let skipped = matches!(end, End::Skipped(_));
        let runs = execution.state == ExecutionState::Running;
        let pends = skipped && execution.state == ExecutionState::Pending;
        if !(runs || pends) {
            return false;
        }
        let (state, reason) = match end {
            End::Complete | End::Partial => (ExecutionState::Completed, None),
            End::Failed(reason) => (ExecutionState::Failed, Some(reason.to_owned())),
            End::Skipped(reason) => (ExecutionState::Skipped, Some(reason.to_owned())),
        };
        (execution.state, execution.reason) = (state, reason);
        execution.partial = matches!(end, End::Partial);
        execution.ended = Some(now);
        true
    }

    pub(super) fn ready(&self) -> Vec<BotId> {
        let progress = Progress {
            session: "p3-0190a3c4-0000-7000-8000-000000000001"
                .parse::<SessionId>()
                .unwrap(),
            state: SessionState::Open,
            version: Version(1),
            executions: self.executions.clone(),
            bots: self.bots.clone(),
        };
        progress.ready_bots()
    }

    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for finding in &self.findings {
            if finding.open() {
                *tally.of_mut(finding.severity) += 1;
            } else {
                tally.suppressed += 1;
            }
        }
        tally
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for finding in self.findings.iter().filter(|finding| finding.open()) {
            let rule = (finding.class(), finding.rule.clone());
            *counts.by_rule.entry(rule).or_default() += 1;
            let category = finding.category.clone();
            *counts.by_category.entry(category).or_default() += 1;
        }
        counts
    }

    /// Positions of the findings that are so.
    pub(super) fn that(&self, is: impl Fn(&Kept) -> bool) -> Vec<usize> {
        let all = self.findings.iter().enumerate();
        all.filter(|(_, kept)| is(kept)).map(|(at, _)| at).collect()
    }

    /// Positions, worst first.
    pub(super) fn sorted(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.findings.len()).collect();
        all.sort_by_key(|at| self.findings[*at].class());
        all
    }
}
