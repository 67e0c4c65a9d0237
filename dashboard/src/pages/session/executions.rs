//! A session's executions by tier: who is done, who works, who waits for whom.

use fleet_coordinator::model::Session;
use fleet_worker_sdk::{Bot, BotId, Execution, ExecutionState, Progress, Tier};
use jiff::Timestamp;

use super::super::words::{Count, Moment, cut, duration};

/// Longest reason shown, in characters: the store keeps up to 2 KiB.
const REASON: usize = 500;

/// The executions of a tier.
pub(super) struct TierLane {
    pub(super) tier: Tier,
    pub(super) executions: Vec<ExecutionShown>,
    pub(super) finished: Count,
    pub(super) total: Count,
}

/// An execution as shown.
pub(super) struct ExecutionShown {
    pub(super) bot: String,
    /// Whether the bot has a page: one that is not registered has none.
    pub(super) known: bool,
    pub(super) state: &'static str,
    pub(super) partial: bool,
    pub(super) attempt: u32,
    pub(super) pushed: Count,
    /// How long it has been running.
    pub(super) running: Option<Moment>,
    pub(super) took: Option<String>,
    pub(super) worker: Option<String>,
    pub(super) after: Vec<String>,
    pub(super) note: String,
}

/// The executions of `session`, by tier in execution order.
pub(super) fn lanes(session: &Session, bots: &[Bot], now: Timestamp) -> Vec<TierLane> {
    let progress = Progress {
        session: session.id.clone(),
        state: session.state,
        version: session.version,
        executions: session.executions.clone(),
        bots: bots.to_vec(),
    };
    let lane = |tier: &Tier| {
        let members = session.executions.iter();
        let members = members.filter(|execution| tier_of(&execution.bot, bots) == *tier);
        let executions: Vec<_> = members
            .map(|execution| ExecutionShown::new(execution, &progress, now))
            .collect();
        let finished = session.executions.iter();
        let finished = finished
            .filter(|execution| tier_of(&execution.bot, bots) == *tier)
            .filter(|execution| execution.state.is_finished());
        TierLane {
            tier: *tier,
            finished: Count::of(finished.count()),
            total: Count::of(executions.len()),
            executions,
        }
    };
    let all = Tier::ALL.iter().map(lane);
    all.filter(|lane| !lane.executions.is_empty()).collect()
}

fn tier_of(bot: &BotId, bots: &[Bot]) -> Tier {
    let registered = bots.iter().find(|registered| registered.id == *bot);
    registered.map_or(Tier::Custom, |registered| registered.tier)
}

impl ExecutionShown {
    fn new(execution: &Execution, progress: &Progress, now: Timestamp) -> Self {
        let took = match (execution.started, execution.ended) {
            (Some(from), Some(to)) => {
                let ms = (to.as_millisecond() - from.as_millisecond()).max(0);
                Some(duration(ms.unsigned_abs()))
            }
            _ => None,
        };
        let is_running = execution.state == ExecutionState::Running;
        let bot = progress.bots.iter().find(|bot| bot.id == execution.bot);
        let after = bot.map(|bot| bot.depends_on.as_slice()).unwrap_or_default();
        Self {
            bot: execution.bot.to_string(),
            known: bot.is_some(),
            state: execution.state.as_str(),
            partial: execution.partial,
            attempt: execution.attempt,
            pushed: Count(execution.pushed),
            running: execution
                .started
                .filter(|_| is_running)
                .map(|at| Moment::since(at, now)),
            took,
            worker: execution.worker.as_ref().map(ToString::to_string),
            after: after.iter().map(ToString::to_string).collect(),
            note: note(execution, progress),
        }
    }
}

/// Why an execution ended as it did, or what it waits for.
fn note(execution: &Execution, progress: &Progress) -> String {
    if let Some(reason) = &execution.reason {
        return cut(reason, REASON);
    }
    if execution.state != ExecutionState::Pending {
        return String::new();
    }
    if progress.may_start(&execution.bot) {
        return "ready to start".to_owned();
    }
    let bot = progress.bots.iter().find(|bot| bot.id == execution.bot);
    let dependencies = bot.map(|bot| bot.depends_on.as_slice()).unwrap_or_default();
    let open = |id: &&BotId| {
        progress
            .execution(id)
            .is_some_and(|e| !e.state.is_settled())
    };
    let mut awaited: Vec<&str> = dependencies
        .iter()
        .filter(open)
        .map(BotId::as_str)
        .collect();
    let gated = bot.is_some_and(|bot| bot.tier == Tier::Finisher);
    if gated && !progress.verifiers_complete() {
        awaited.push("the verifiers");
    }
    format!("waits for {}", awaited.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet_worker_sdk::{Partition, SessionId, SessionState, Version};

    fn bot(id: &str, tier: Tier, after: &[&str]) -> Bot {
        let bot = Bot::new(id).unwrap().tier(tier);
        bot.depends_on(after.iter().copied()).unwrap()
    }

    fn progress(states: &[(&str, ExecutionState)], bots: Vec<Bot>) -> Progress {
        let executions = states.iter().map(|(bot, state)| Execution {
            state: *state,
            ..Execution::pending(&bot.parse().unwrap())
        });
        Progress {
            session: SessionId::fresh(Partition(0)),
            state: SessionState::Open,
            version: Version(1),
            executions: executions.collect(),
            bots,
        }
    }

    #[track_caller]
    fn assert_note(progress: &Progress, bot: &str, expected: &str) {
        let execution = progress.execution(&bot.parse().unwrap()).unwrap();
        assert_eq!(note(execution, progress), expected, "{bot}");
    }

    #[test]
    fn a_pending_execution_says_what_it_waits_for() {
        use ExecutionState::{Completed, Pending, Running};
        let bots = vec![
            bot("scan", Tier::Engine, &[]),
            bot("lint", Tier::Engine, &[]),
            bot("check", Tier::Verifier, &["scan", "lint", "absent"]),
            bot("sum", Tier::Finisher, &[]),
        ];
        let states = [
            ("scan", Running),
            ("lint", Completed),
            ("check", Pending),
            ("sum", Pending),
            ("other", Pending),
        ];
        let progress = progress(&states, bots);
        assert_note(&progress, "check", "waits for scan");
        assert_note(&progress, "sum", "waits for the verifiers");
        assert_note(&progress, "other", "ready to start");
        assert_note(&progress, "scan", "");
    }
}
