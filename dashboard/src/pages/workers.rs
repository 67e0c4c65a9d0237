//! `GET /workers?bot=&condition=&page=`: every worker with its life signs, those in trouble first.

use std::cmp::Reverse;
use std::str::FromStr;

use askama::Template;
use fleet_coordinator::health::Settings;
use fleet_coordinator::lifecycle::{Liveness, WorkerTally, is_stuck, liveness};
use fleet_coordinator::model::Worker;
use fleet_worker_sdk::{BotId, Command, Error};
use jiff::Timestamp;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::frame::{Frame, Place};
use super::page;
use super::words::{Count, Moment, cut};
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::{method, raw_query, with};
use crate::context::Context;

/// Workers on a page: about 100 KB.
const WORKERS: usize = 200;
/// Sessions of a worker that are linked; the rest is counted.
const SESSIONS: usize = 3;
/// Longest host, version or id shown, in characters.
const NAME: usize = 120;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("workers")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query| async move { page(list(context, query).await) })
        .boxed()
}

/// What is worth knowing about a worker's life, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    Dead,
    Stuck,
    Stale,
    Alive,
    Stopped,
}

impl Condition {
    const ALL: [Self; 5] = [
        Self::Dead,
        Self::Stuck,
        Self::Stale,
        Self::Alive,
        Self::Stopped,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Stuck => "stuck",
            Self::Stale => "stale",
            Self::Alive => "alive",
            Self::Stopped => "stopped",
        }
    }

    /// What it means, for people.
    fn meaning(self) -> &'static str {
        match self {
            Self::Dead => "not heard of for a minute",
            Self::Stuck => "beats, has sessions, gets nothing done",
            Self::Stale => "missed three beats",
            Self::Alive => "beats",
            Self::Stopped => "ended in order",
        }
    }

    pub(crate) fn of(worker: &Worker, now: Timestamp, settings: &Settings) -> Self {
        match liveness(worker, worker.last_beat, now, settings) {
            Liveness::Dead => Self::Dead,
            Liveness::Stopped => Self::Stopped,
            _ if is_stuck(worker, now, settings) => Self::Stuck,
            Liveness::Stale => Self::Stale,
            Liveness::Alive => Self::Alive,
        }
    }
}

impl FromStr for Condition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|condition| condition.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("condition", format!("it is not one of {known}"))
        })
    }
}

/// A worker as a row.
pub(crate) struct WorkerShown {
    pub(crate) id: String,
    pub(crate) bot: String,
    pub(crate) version: String,
    pub(crate) sdk: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) state: &'static str,
    pub(crate) condition: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) sessions: Vec<String>,
    pub(crate) further: usize,
    pub(crate) beat: Moment,
    pub(crate) progress: Moment,
    pub(crate) started: Moment,
    /// What it was told to do and has not yet done.
    pub(crate) command: Option<&'static str>,
}

impl WorkerShown {
    fn new(worker: &Worker, condition: Condition, now: Timestamp) -> Self {
        let sessions = worker.sessions.iter();
        Self {
            id: worker.id.to_string(),
            bot: worker.bot.to_string(),
            version: cut(&worker.version, NAME),
            sdk: cut(&worker.sdk, NAME),
            host: cut(&worker.host, NAME),
            pid: worker.pid,
            state: worker.state.as_str(),
            condition: condition.as_str(),
            meaning: condition.meaning(),
            sessions: sessions.take(SESSIONS).map(ToString::to_string).collect(),
            further: worker.sessions.len().saturating_sub(SESSIONS),
            beat: Moment::ago(worker.last_beat, now),
            progress: Moment::ago(worker.last_progress, now),
            started: Moment::ago(worker.started, now),
            command: worker.command.map(|command| match command {
                Command::Quiet => "go quiet",
                Command::Terminate => "terminate",
            }),
        }
    }
}

/// Workers as rows, those in trouble first, then by bot.
pub(crate) fn rows<'a>(
    workers: impl IntoIterator<Item = &'a Worker>,
    now: Timestamp,
    settings: &Settings,
) -> Vec<(Condition, WorkerShown)> {
    let mut all: Vec<_> = workers
        .into_iter()
        .map(|worker| (Condition::of(worker, now, settings), worker))
        .collect();
    all.sort_by_key(|(condition, worker)| {
        (
            *condition,
            worker.bot.clone(),
            Reverse(worker.last_beat),
            worker.id.clone(),
        )
    });
    all.into_iter()
        .map(|(condition, worker)| (condition, WorkerShown::new(worker, condition, now)))
        .collect()
}

#[derive(Template)]
#[template(path = "workers.html")]
struct WorkersPage {
    frame: Frame,
    tally: Vec<(&'static str, &'static str, Count)>,
    workers: Vec<WorkerShown>,
    total: Count,
    all: Count,
    bots: Vec<(String, bool)>,
    conditions: Vec<(&'static str, bool)>,
    filtered: bool,
    page: usize,
    pages: usize,
    query: String,
}

async fn list(context: Context, query: String) -> Result<WorkersPage, Problem> {
    let query = Query::parse(&query, &["bot", "condition", "page"])?;
    let bot: Option<BotId> = query.read("bot")?;
    let condition: Option<Condition> = query.read("condition")?;
    let asked: usize = query.read("page")?.unwrap_or(1);
    let now = context.store.now().await?;
    let settings = context.view.health_settings();
    let workers = context.store.workers().await?;
    let mut bots: Vec<&BotId> = workers.iter().map(|worker| &worker.bot).collect();
    bots.extend(&bot);
    bots.sort_unstable();
    bots.dedup();
    let of_bot = workers
        .iter()
        .filter(|worker| bot.as_ref().is_none_or(|bot| worker.bot == *bot));
    let mut rows = rows(of_bot, now, settings);
    rows.retain(|(is, _)| condition.is_none_or(|wanted| *is == wanted));
    let pages = rows.len().div_ceil(WORKERS).max(1);
    let page = asked.clamp(1, pages);
    let total = Count::of(rows.len());
    let shown = rows.into_iter().skip((page - 1) * WORKERS).take(WORKERS);
    Ok(WorkersPage {
        frame: Frame::new(Place::Workers, true)
            .hearing("workers")
            .beating(),
        tally: tally(&WorkerTally::of(&workers, now, settings)),
        workers: shown.map(|(_, worker)| worker).collect(),
        total,
        all: Count::of(workers.len()),
        bots: bots
            .into_iter()
            .map(|id| (id.to_string(), bot.as_ref() == Some(id)))
            .collect(),
        conditions: Condition::ALL
            .map(|one| (one.as_str(), condition == Some(one)))
            .into(),
        filtered: bot.is_some() || condition.is_some(),
        page,
        pages,
        query: query.without(&["page"]),
    })
}

/// Workers by what they are: word, meaning, count. Stuck ones are also alive or stale.
fn tally(workers: &WorkerTally) -> Vec<(&'static str, &'static str, Count)> {
    let count = |condition| match condition {
        Condition::Dead => workers.dead,
        Condition::Stuck => workers.stuck,
        Condition::Stale => workers.stale,
        Condition::Alive => workers.alive,
        Condition::Stopped => workers.stopped,
    };
    Condition::ALL
        .map(|one| (one.as_str(), one.meaning(), Count(count(one))))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet_worker_sdk::WorkerState;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn worker(id: &str, beat: i64, progress: i64) -> Worker {
        Worker {
            id: id.parse().unwrap(),
            bot: "scan".parse().unwrap(),
            version: String::new(),
            sdk: String::new(),
            host: String::new(),
            pid: 1,
            started: at(0),
            state: WorkerState::Running,
            sessions: vec!["p1-01a20714-b637-7054-9cfa-b65a4c1fd8f8".parse().unwrap()],
            last_beat: at(beat),
            last_progress: at(progress),
            command: None,
        }
    }

    #[test]
    fn those_in_trouble_come_first() {
        let now = at(1_000);
        let workers = [
            worker("scan:h:1:alive", 1_000, 1_000),
            worker("scan:h:1:dead", 0, 0),
            worker("scan:h:1:stuck", 1_000, 0),
            worker("scan:h:1:stale", 980, 980),
        ];
        let rows = rows(&workers, now, &Settings::default());
        let order: Vec<_> = rows
            .iter()
            .map(|(is, row)| (*is, row.id.as_str()))
            .collect();
        assert_eq!(
            order,
            [
                (Condition::Dead, "scan:h:1:dead"),
                (Condition::Stuck, "scan:h:1:stuck"),
                (Condition::Stale, "scan:h:1:stale"),
                (Condition::Alive, "scan:h:1:alive"),
            ]
        );
    }

    #[test]
    fn an_unknown_condition_is_refused_with_the_known_ones() {
        let error = "ill".parse::<Condition>().unwrap_err().to_string();
        assert!(
            error.contains("dead, stuck, stale, alive, stopped"),
            "{error}"
        );
        for condition in Condition::ALL {
            assert_eq!(condition.as_str().parse(), Ok(condition));
        }
    }
}
