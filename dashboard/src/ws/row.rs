//! What a client sees of the fleet: enough to draw a page, fetched in full from the API.

use std::collections::BTreeMap;

use fleet_coordinator::health::{Health, Settings, Status};
use fleet_coordinator::lifecycle::{Liveness, WorkerTally, is_stuck, liveness};
use fleet_coordinator::model::{Session, Tally, Worker};
use fleet_coordinator::view::FleetHealth;
use fleet_worker_sdk::session::{ExecutionState, SessionState};
use fleet_worker_sdk::{
    BotId, Command, Repository, SessionId, Tier, Version, WorkerId, WorkerState,
};
use jiff::Timestamp;
use serde::Serialize;

/// Workers listed in a frame, by id. The rest are counted: nobody reads a list of thousands.
pub const MAX_WORKERS: usize = 100;
/// Bots listed in a frame, by id: a roster is a few dozen.
pub const MAX_BOTS: usize = 100;

/// A health without its breakdown.
#[derive(Debug, Serialize)]
struct HealthRow<'a> {
    score: Option<f64>,
    status: Status,
    reason: &'a str,
    /// Of a session: computed from it as it is now; else a newer one is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<bool>,
}

impl<'a> From<&'a Health> for HealthRow<'a> {
    fn from(health: &'a Health) -> Self {
        Self {
            score: health.score,
            status: health.status,
            reason: &health.reason,
            current: None,
        }
    }
}

/// The fleet, its tiers and bots, without breakdowns.
#[derive(Debug, Serialize)]
pub struct FleetRow<'a> {
    health: HealthRow<'a>,
    tiers: BTreeMap<Tier, HealthRow<'a>>,
    bots: BTreeMap<&'a BotId, HealthRow<'a>>,
    sessions: u64,
    repositories: u64,
    findings: u64,
}

impl<'a> From<&'a FleetHealth> for FleetRow<'a> {
    fn from(fleet: &'a FleetHealth) -> Self {
        let tiers = fleet.tiers.iter();
        let bots = fleet.bots.iter().take(MAX_BOTS);
        Self {
            health: (&fleet.health).into(),
            tiers: tiers.map(|(tier, health)| (*tier, health.into())).collect(),
            bots: bots.map(|(bot, health)| (bot, health.into())).collect(),
            sessions: fleet.rollup.sessions,
            repositories: fleet.rollup.repositories,
            findings: fleet.rollup.findings,
        }
    }
}

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

impl<'a> From<&'a Session> for SessionRow<'a> {
    fn from(session: &'a Session) -> Self {
        let count = |wanted: fn(ExecutionState) -> bool| {
            let states = session.executions.iter().map(|execution| execution.state);
            states.filter(|state| wanted(*state)).count()
        };
        let executions = Executions {
            total: session.executions.len(),
            finished: count(ExecutionState::is_finished),
            failed: count(|state| state == ExecutionState::Failed),
        };
        let health = session.derived.as_ref().map(|derived| HealthRow {
            current: Some(derived.version == session.version),
            ..(&derived.health).into()
        });
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
            executions,
            health,
        }
    }
}

/// Workers, counted and the first of them listed by id.
#[derive(Debug, Serialize)]
pub struct WorkersRow<'a> {
    total: usize,
    tally: WorkerTally,
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
    liveness: Liveness,
    stuck: bool,
    sessions: usize,
    command: Option<Command>,
}

impl<'a> WorkersRow<'a> {
    /// Workers as they are at `now`.
    pub fn new(workers: &'a [Worker], now: Timestamp, settings: &Settings) -> Self {
        let listed = workers.iter().take(MAX_WORKERS).map(|worker| WorkerRow {
            id: &worker.id,
            bot: &worker.bot,
            version: &worker.version,
            host: &worker.host,
            state: worker.state,
            liveness: liveness(worker, worker.last_beat, now, settings),
            stuck: is_stuck(worker, now, settings),
            sessions: worker.sessions.len(),
            command: worker.command,
        });
        Self {
            total: workers.len(),
            tally: WorkerTally::of(workers, now, settings),
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
