//! What a change makes of an execution: the rules, without a store around them.

use fleet_worker_sdk::session::MAX_REASON;
use fleet_worker_sdk::{
    BotId, Change, Error, Execution, ExecutionState, Result, Transition, WorkerId,
};
use jiff::Timestamp;

/// The execution after `transition`, or none when it changes nothing.
pub(super) fn after(
    current: Option<&Execution>,
    transition: &Transition,
    now: Timestamp,
) -> Result<Option<Execution>> {
    let absent = || Error::not_found("execution", &transition.bot);
    let attempt = transition.attempt;
    match &transition.change {
        Change::Expect => Ok(current
            .is_none()
            .then(|| Execution::pending(&transition.bot))),
        Change::Start { worker, reopen } => {
            let from = current
                .cloned()
                .unwrap_or_else(|| Execution::pending(&transition.bot));
            start(from, worker.as_ref(), *reopen, now).map(Some)
        }
        Change::Complete { pushed, partial } => {
            let from = current.ok_or_else(absent)?.clone();
            complete(from, attempt, *pushed, *partial, now).map(Some)
        }
        Change::Fail { reason } => {
            let from = current.ok_or_else(absent)?.clone();
            fail(from, attempt, reason, now).map(Some)
        }
        Change::Skip { reason } => {
            let from = current
                .cloned()
                .unwrap_or_else(|| Execution::pending(&transition.bot));
            skip(from, reason, now).map(Some)
        }
        Change::Lost { worker } => {
            let from = current.ok_or_else(absent)?;
            Ok(lost(from, worker, now))
        }
    }
}

/// The execution a batch of `bot` goes to.
pub(super) fn receiving<'a>(
    current: Option<&'a mut Execution>,
    bot: &BotId,
    attempt: u32,
) -> Result<&'a mut Execution> {
    let execution = current.ok_or_else(|| {
        Error::conflict(format!(
            "{bot} has no execution in this session; start it first"
        ))
    })?;
    if execution.state != ExecutionState::Running {
        return Err(Error::conflict(format!(
            "the execution of {bot} is {}; reopen it to push more",
            execution.state
        )));
    }
    same_attempt(execution, attempt)?;
    Ok(execution)
}

fn same_attempt(execution: &Execution, attempt: u32) -> Result<()> {
    if execution.attempt == attempt {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "attempt {attempt} of {} was taken over by attempt {}",
        execution.bot, execution.attempt
    )))
}

fn must_run(execution: &Execution, attempt: u32) -> Result<()> {
    if execution.state != ExecutionState::Running {
        return Err(Error::conflict(format!(
            "the execution of {} is {}, not running",
            execution.bot, execution.state
        )));
    }
    same_attempt(execution, attempt)
}

fn start(
    from: Execution,
    worker: Option<&WorkerId>,
    reopen: bool,
    now: Timestamp,
) -> Result<Execution> {
    if from.state != ExecutionState::Pending && !reopen {
        let holder = from.worker.as_ref().map(|worker| format!(" by {worker}"));
        return Err(Error::conflict(format!(
            "the execution of {} is {}{} (attempt {}); start it with reopen to take it over",
            from.bot,
            from.state,
            holder.unwrap_or_default(),
            from.attempt
        )));
    }
    Ok(Execution {
        state: ExecutionState::Running,
        attempt: from.attempt.saturating_add(1),
        worker: worker.cloned(),
        started: Some(now),
        ..Execution::pending(&from.bot)
    })
}

fn complete(
    from: Execution,
    attempt: u32,
    pushed: u64,
    partial: bool,
    now: Timestamp,
) -> Result<Execution> {
    must_run(&from, attempt)?;
    if from.pushed != pushed {
        return Err(Error::conflict(format!(
            "{pushed} findings were stated for {}, {} were received",
            from.bot, from.pushed
        )));
    }
    Ok(Execution {
        state: ExecutionState::Completed,
        ended: Some(now),
        partial,
        ..from
    })
}

fn fail(from: Execution, attempt: u32, reason: &str, now: Timestamp) -> Result<Execution> {
    // An execution that never began can fail too, when its bot cannot even be started.
    if from.state != ExecutionState::Pending {
        must_run(&from, attempt)?;
    }
    Ok(Execution {
        state: ExecutionState::Failed,
        ended: Some(now),
        reason: Some(cut(reason)),
        ..from
    })
}

fn skip(from: Execution, reason: &str, now: Timestamp) -> Result<Execution> {
    if from.state != ExecutionState::Pending {
        return Err(Error::conflict(format!(
            "the execution of {} is {} and cannot be skipped",
            from.bot, from.state
        )));
    }
    Ok(Execution {
        state: ExecutionState::Skipped,
        ended: Some(now),
        reason: Some(cut(reason)),
        ..from
    })
}

fn lost(from: &Execution, worker: &WorkerId, now: Timestamp) -> Option<Execution> {
    let holds = from.state == ExecutionState::Running && from.worker.as_ref() == Some(worker);
    holds.then(|| Execution {
        state: ExecutionState::Failed,
        ended: Some(now),
        reason: Some(format!("worker {worker} was lost")),
        ..from.clone()
    })
}

/// At most [`MAX_REASON`] bytes of `reason`, whole characters.
fn cut(reason: &str) -> String {
    let end = reason.floor_char_boundary(MAX_REASON);
    reason.get(..end).unwrap_or_default().to_owned()
}
