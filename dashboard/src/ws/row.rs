//! What a client sees of sessions and workers: enough to draw a list, fetched in full from the API.

use fleet_coordinator::health::{Health, Status};
use fleet_coordinator::model::{Session, Tally, Worker};
use fleet_worker_sdk::session::{ExecutionState, SessionState};
use fleet_worker_sdk::{BotId, Command, Repository, SessionId, Version, WorkerId, WorkerState};
use jiff::Timestamp;
use serde::Serialize;

/// Workers listed in a frame. The rest are counted: nobody reads a list of thousands, and the API pages.
pub const MAX_WORKERS: usize = 100;

/// A session in a list.
#[derive(Debug, Serialize)]
pub struct SessionRow<'a> {
    id: &'a SessionId,
    repository: &'a Repository,
    #[serde(rename = "ref")]
    git_ref: &'a str,
    commit: &'a str,
    run: &'a str,
    state: SessionState,
    opened: Timestamp,
    changed: Timestamp,
    version: Version,
    total: u64,
    tally: Tally,
    executions: Executions,
    health: Option<HealthRow<'a>>,
}

/// How far a session is.
#[derive(Debug, Serialize)]
struct Executions {
    total: usize,
    finished: usize,
    failed: usize,
}

/// A health without its breakdown.
#[derive(Debug, Serialize)]
struct HealthRow<'a> {
    score: Option<f64>,
    status: Status,
    reason: &'a str,
    /// Computed from the session as it is now; else a newer one is on its way.
    current: bool,
}

impl<'a> HealthRow<'a> {
    fn new(health: &'a Health, current: bool) -> Self {
        Self {
            score: health.score,
            status: health.status,
            reason: &health.reason,
            current,
        }
    }
}

impl<'a> From<&'a Session> for SessionRow<'a> {
    fn from(session: &'a Session) -> Self {
        let count = |wanted: fn(ExecutionState) -> bool| {
            let states = session.executions.iter().map(|execution| execution.state);
            states.filter(|state| wanted(*state)).count()
        };
        Self {
            id: &session.id,
            repository: &session.repository,
            git_ref: &session.git_ref,
            commit: &session.commit,
            run: &session.run,
            state: session.state,
            opened: session.opened,
            changed: session.changed,
            version: session.version,
            total: session.total,
            tally: session.tally,
            executions: Executions {
                total: session.executions.len(),
                finished: count(ExecutionState::is_finished),
                failed: count(|state| state == ExecutionState::Failed),
            },
            health: session
                .derived
                .as_ref()
                .map(|derived| HealthRow::new(&derived.health, derived.version == session.version)),
        }
    }
}

/// Workers, counted and the first of them listed by id.
#[derive(Debug, Serialize)]
pub struct WorkersRow<'a> {
    total: usize,
    listed: Vec<WorkerRow<'a>>,
}

/// A worker in a list. The time of its last beat is left out: it would make every beat a change.
#[derive(Debug, Serialize)]
struct WorkerRow<'a> {
    id: &'a WorkerId,
    bot: &'a BotId,
    version: &'a str,
    host: &'a str,
    state: WorkerState,
    sessions: usize,
    command: Option<Command>,
}

impl<'a> From<&'a [Worker]> for WorkersRow<'a> {
    fn from(workers: &'a [Worker]) -> Self {
        let listed = workers.iter().take(MAX_WORKERS).map(|worker| WorkerRow {
            id: &worker.id,
            bot: &worker.bot,
            version: &worker.version,
            host: &worker.host,
            state: worker.state,
            sessions: worker.sessions.len(),
            command: worker.command,
        });
        Self {
            total: workers.len(),
            listed: listed.collect(),
        }
    }
}

/// Whether the store answers, and if not, why.
#[derive(Debug, Serialize)]
pub struct StoreRow<'a> {
    pub(crate) reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<&'a str>,
}
