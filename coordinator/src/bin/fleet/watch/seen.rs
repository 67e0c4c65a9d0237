//! What was seen of a fleet, and what is different from what was seen before. Pure.

use std::collections::{BTreeMap, BTreeSet};

use fleet_coordinator::answer::WorkerView;
use fleet_coordinator::health::Status;
use fleet_coordinator::model::Session;
use fleet_coordinator::view::FleetHealth;
use fleet_worker_sdk::{Repository, Result, SessionId, SessionState, WorkerId};
use jiff::Timestamp;
use serde::Serialize;

use crate::look::score;
use crate::output::plain;
use crate::sessions::{bots, findings};
use crate::workers::liveness;

/// Sessions looked at: those that changed last, more than a screen of them.
pub(super) const SESSIONS: usize = 50;

/// The fleet at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Seen {
    pub(super) fleet: FleetHealth,
    /// Latest change first.
    pub(super) sessions: Vec<Session>,
    pub(super) workers: Vec<WorkerView>,
}

/// What is known, and whether it still is so.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// What was seen last, if anything was.
    pub(super) seen: Option<Seen>,
    /// Since when nothing is seen any more, and why.
    pub(super) away: Option<(Timestamp, String)>,
    /// Findings of each session listed, when it was first seen.
    pub(super) began: BTreeMap<SessionId, u64>,
}

impl Sight {
    /// What is known after another look at `now`.
    pub(super) fn after(before: Option<Self>, look: Result<Seen>, now: Timestamp) -> Self {
        let first = before.is_none();
        let mut sight = before.unwrap_or_default();
        match look {
            Ok(seen) => {
                sight.away = seen.fleet.stale.then(|| {
                    (
                        seen.fleet.computed_at,
                        "the dashboard's store is away".to_owned(),
                    )
                });
                let totals = seen.sessions.iter().map(|session| {
                    let unseen = if first { session.total } else { 0 };
                    let began = sight.began.get(&session.id).copied();
                    (session.id.clone(), began.unwrap_or(unseen))
                });
                sight.began = totals.collect();
                sight.seen = Some(seen);
            }
            Err(error) => {
                let since = sight.away.map_or(now, |(since, _)| since);
                sight.away = Some((since, plain(&error.to_string())));
            }
        }
        sight
    }

    /// Findings that came to a session since the first look.
    pub(super) fn new_findings(&self, session: &Session) -> u64 {
        let began = self.began.get(&session.id).copied();
        session.total.saturating_sub(began.unwrap_or(session.total))
    }
}

/// Something that became different.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(super) enum Change {
    /// The fleet's score or status.
    Fleet {
        score: Option<f64>,
        status: Status,
        reason: String,
    },
    /// A session: new, or other findings, executions or health.
    Session {
        session: SessionId,
        repository: Repository,
        state: SessionState,
        total: u64,
        new: u64,
        text: String,
    },
    /// A worker: new, or of another state.
    Worker { worker: WorkerId, is: String },
    /// A worker that is listed no more.
    Gone { worker: WorkerId },
    /// The store went away, or came back where there is no reason.
    Store { away: Option<String> },
}

impl Change {
    /// For people, without an end of line.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Fleet { reason, .. } => format!("fleet    {}", plain(reason)),
            Self::Session {
                session,
                repository,
                text,
                new,
                ..
            } => {
                let new = if *new > 0 {
                    format!(" (+{new})")
                } else {
                    String::new()
                };
                format!("session  {repository} {text}{new} {session}")
            }
            Self::Worker { worker, is } => format!("worker   {worker} {is}"),
            Self::Gone { worker } => format!("worker   {worker} is listed no more"),
            Self::Store { away: Some(why) } => format!("store    away: {why}"),
            Self::Store { away: None } => "store    is back".to_owned(),
        }
    }
}

/// What is different in `after`; all of it where there is nothing before.
pub(super) fn changes(before: Option<&Sight>, after: &Sight) -> Vec<Change> {
    let mut all = Vec::new();
    let why = |sight: &Sight| sight.away.as_ref().map(|(_, why)| why.clone());
    let (was, is) = (before.and_then(why), why(after));
    if was.is_some() != is.is_some() {
        all.push(Change::Store { away: is });
    }
    if let Some(seen) = &after.seen {
        let before = before.and_then(|sight| sight.seen.as_ref());
        all.extend(fleet(before, seen));
        all.extend(sessions(before, seen));
        all.extend(workers(before, seen));
    }
    all
}

fn fleet(before: Option<&Seen>, after: &Seen) -> Option<Change> {
    let health = &after.fleet.health;
    let was = before.map(|seen| &seen.fleet.health);
    // Heartbeats move it by fractions all the time; what is not shown is no change.
    let same = was.is_some_and(|was| was.status == health.status && score(was) == score(health));
    (!same).then(|| Change::Fleet {
        score: health.score,
        status: health.status,
        reason: health.reason.clone(),
    })
}

/// Oldest change first, as they happened.
fn sessions(before: Option<&Seen>, after: &Seen) -> Vec<Change> {
    let listed = before
        .map(|seen| seen.sessions.as_slice())
        .unwrap_or_default();
    let old: BTreeMap<&SessionId, &Session> = listed.iter().map(|s| (&s.id, s)).collect();
    let oldest = listed.last().map(|session| session.changed);
    let changed = after.sessions.iter().rev().filter_map(|session| {
        let was = old.get(&session.id).copied();
        let text = describe(session);
        // One that came up from below the list is told when it changed since.
        let same = match was {
            Some(was) => describe(was) == text && was.total == session.total,
            None => oldest.is_some_and(|oldest| session.changed < oldest),
        };
        (!same).then(|| Change::Session {
            session: session.id.clone(),
            repository: session.repository.clone(),
            state: session.state,
            total: session.total,
            new: match (was, before) {
                (Some(was), _) => session.total.saturating_sub(was.total),
                (None, Some(_)) if session.opened >= session.changed => session.total,
                (None, _) => 0,
            },
            text,
        })
    });
    changed.collect()
}

fn describe(session: &Session) -> String {
    let health = session.derived.as_ref().map(|derived| {
        let health = &derived.health;
        format!("{} {}", score(health), health.status)
    });
    format!(
        "{}, bots {}, findings {}, health {}",
        session.state,
        bots(session),
        findings(session.total, &session.tally),
        health.unwrap_or_else(|| "not known yet".to_owned())
    )
}

fn workers(before: Option<&Seen>, after: &Seen) -> Vec<Change> {
    let listed = before
        .map(|seen| seen.workers.as_slice())
        .unwrap_or_default();
    let old: BTreeMap<&WorkerId, String> = listed.iter().map(|w| (&w.worker.id, is(w))).collect();
    let now: BTreeSet<&WorkerId> = after.workers.iter().map(|seen| &seen.worker.id).collect();
    let changed = after.workers.iter().filter_map(|seen| {
        let is = is(seen);
        (old.get(&seen.worker.id) != Some(&is)).then(|| Change::Worker {
            worker: seen.worker.id.clone(),
            is,
        })
    });
    let gone = old.keys().filter(|id| !now.contains(*id));
    let gone = gone.map(|id| Change::Gone {
        worker: (*id).clone(),
    });
    changed.chain(gone).collect()
}

fn is(seen: &WorkerView) -> String {
    let told = seen
        .worker
        .command
        .map(|command| format!(", told to {command}"));
    format!(
        "{}, {}{}",
        seen.worker.state,
        liveness(seen),
        told.unwrap_or_default()
    )
}

#[cfg(test)]
pub(super) mod tests;
