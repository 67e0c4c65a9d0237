//! What health is made of: sessions with many rules, bots with full series, thousands of workers.

use fleet_coordinator::model::{Counts, Run, SessionFacts, Worker};
use fleet_worker_sdk::{Bot, BotId, Execution, ExecutionState, WeightClass, WorkerId, WorkerState};
use jiff::Timestamp;
use jiff::ToSpan;

use crate::{BOTS, fold, report_head};

/// A complete session of 11 bots that have findings of so many rules.
pub fn facts(rules: usize) -> SessionFacts {
    let mut facts = report_head(&fold(&[])).facts;
    let executions = BOTS.iter().map(|bot| Execution {
        state: ExecutionState::Completed,
        ..Execution::pending(&BotId::new(*bot).unwrap())
    });
    facts.session.executions = executions.collect();
    facts.session.executions.sort_by(|a, b| a.bot.cmp(&b.bot));
    let row = |rule: usize| {
        let class = WeightClass::ALL[rule % WeightClass::ALL.len()];
        ((class, format!("rule-{rule}")), rule as u64 + 1)
    };
    facts.counts = Counts {
        by_rule: (0..rules).map(row).collect(),
        ..Counts::default()
    };
    facts
}

fn bot_id(number: usize) -> BotId {
    BotId::new(format!("bot-{number}")).unwrap()
}

/// So many registered bots.
pub fn fleet_bots(count: usize) -> Vec<Bot> {
    let bots = (0..count).map(|number| Bot::new(bot_id(number).as_str()).unwrap());
    bots.collect()
}

/// So many workers, of so many bots.
pub fn fleet_workers(count: usize, bots: usize) -> Vec<Worker> {
    let worker = |number: usize| Worker {
        id: WorkerId::new(format!("bot-{}:host:{number}:b", number % bots)).unwrap(),
        bot: bot_id(number % bots),
        version: "1.0.0".to_owned(),
        sdk: String::new(),
        host: "host".to_owned(),
        pid: number as u32,
        started: Timestamp::UNIX_EPOCH,
        state: WorkerState::Running,
        sessions: Vec::new(),
        last_beat: Timestamp::UNIX_EPOCH,
        last_progress: Timestamp::UNIX_EPOCH,
        command: None,
    };
    (0..count).map(worker).collect()
}

/// As many runs as are kept of a bot, one in ten failed.
pub fn fleet_runs() -> Vec<Run> {
    let session = report_head(&fold(&[])).facts.session.id;
    let run = |number: usize| Run {
        session: session.clone(),
        attempt: 1,
        outcome: if number.is_multiple_of(10) {
            ExecutionState::Failed
        } else {
            ExecutionState::Completed
        },
        partial: false,
        ended: Timestamp::UNIX_EPOCH + i64::try_from(number).unwrap().seconds(),
        duration_ms: 1_000,
        findings: 100,
        tally: fleet_coordinator::model::Tally::default(),
    };
    (0..fleet_coordinator::store::MAX_RUNS).map(run).collect()
}
