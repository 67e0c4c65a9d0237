//! Rules of life and death: what is inferred about workers from what they last said.

use fleet_worker_sdk::{WorkerId, WorkerState};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::health::Settings;
use crate::model::{Session, Worker};
use fleet_worker_sdk::ExecutionState;

/// Whether a worker lives, as far as its heartbeats tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It beats.
    Alive,
    /// It missed three beats.
    Stale,
    /// It was not heard of for a minute.
    Dead,
    /// It said that it ended.
    Stopped,
}

impl Liveness {
    /// The word in every format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Stale => "stale",
            Self::Dead => "dead",
            Self::Stopped => "stopped",
        }
    }
}

/// A worker that stopped in order is listed for this long.
const KEEP_STOPPED: SignedDuration = SignedDuration::from_hours(1);
/// A worker that died is listed for this long.
const KEEP_DEAD: SignedDuration = SignedDuration::from_hours(24);

/// What `worker` is at `now`. Silence counts only since the store takes writes again
/// (`heard_since`): before that, no beat could be heard.
pub fn liveness(
    worker: &Worker,
    heard_since: Timestamp,
    now: Timestamp,
    settings: &Settings,
) -> Liveness {
    if worker.state == WorkerState::Stopped {
        return Liveness::Stopped;
    }
    let silence = now.duration_since(worker.last_beat.max(heard_since));
    if silence >= settings.dead_after {
        Liveness::Dead
    } else if silence >= settings.stale_after {
        Liveness::Stale
    } else {
        Liveness::Alive
    }
}

/// Whether nobody will finish what `worker` holds: it is dead, or it ended in order and what it sent
/// last has had as long to arrive as a dead worker is waited for.
pub fn has_left(worker: &Worker, is: Liveness, now: Timestamp, settings: &Settings) -> bool {
    match is {
        Liveness::Alive | Liveness::Stale => false,
        Liveness::Dead => true,
        Liveness::Stopped => now.duration_since(worker.last_beat) >= settings.dead_after,
    }
}

/// Whether `worker` beats, has sessions, and gets nothing done.
pub fn is_stuck(worker: &Worker, now: Timestamp, settings: &Settings) -> bool {
    let beats = now.duration_since(worker.last_beat) < settings.dead_after;
    let works = matches!(worker.state, WorkerState::Running | WorkerState::Quiet);
    let idle = now.duration_since(worker.last_progress) >= settings.stuck_after;
    beats && works && idle && !worker.sessions.is_empty()
}

/// Whether nobody needs to be shown `worker` any more.
pub fn is_forgotten(worker: &Worker, now: Timestamp) -> bool {
    let keep = if worker.state == WorkerState::Stopped {
        KEEP_STOPPED
    } else {
        KEEP_DEAD
    };
    now.duration_since(worker.last_beat) >= keep
}

/// The executions of `session` that `worker` still holds.
pub fn held_by<'a>(
    session: &'a Session,
    worker: &'a WorkerId,
) -> impl Iterator<Item = &'a fleet_worker_sdk::BotId> {
    let running = session
        .executions
        .iter()
        .filter(|e| e.state == ExecutionState::Running);
    running
        .filter(move |e| e.worker.as_ref() == Some(worker))
        .map(|e| &e.bot)
}

/// Workers by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerTally {
    /// Those that beat.
    pub alive: u64,
    /// Those that missed three beats.
    pub stale: u64,
    /// Those not heard of for a minute.
    pub dead: u64,
    /// Those that ended in order.
    pub stopped: u64,
    /// Those, alive or stale, that get nothing done.
    pub stuck: u64,
}

impl WorkerTally {
    /// Counts workers at `now`.
    pub fn of(workers: &[Worker], now: Timestamp, settings: &Settings) -> Self {
        let mut tally = Self::default();
        for worker in workers {
            match liveness(worker, worker.last_beat, now, settings) {
                Liveness::Alive => tally.alive += 1,
                Liveness::Stale => tally.stale += 1,
                Liveness::Dead => tally.dead += 1,
                Liveness::Stopped => tally.stopped += 1,
            }
            tally.stuck += u64::from(is_stuck(worker, now, settings));
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn worker(state: WorkerState) -> Worker {
        Worker {
            id: "hypatia:h:1:b".parse().unwrap(),
            bot: "hypatia".parse().unwrap(),
            version: String::new(),
            sdk: String::new(),
            host: String::new(),
            pid: 1,
            started: at(0),
            state,
            sessions: vec!["p1-01a20714-b637-7054-9cfa-b65a4c1fd8f8".parse().unwrap()],
            last_beat: at(0),
            last_progress: at(0),
            command: None,
        }
    }

    #[track_caller]
    fn assert_is(second: i64, heard_since: i64, expected: Liveness) {
        let settings = Settings::default();
        let is = liveness(
            &worker(WorkerState::Running),
            at(heard_since),
            at(second),
            &settings,
        );
        assert_eq!(is, expected, "{second} s after the last beat");
    }

    #[test]
    fn silence_makes_stale_then_dead() {
        assert_is(14, 0, Liveness::Alive);
        assert_is(15, 0, Liveness::Stale);
        assert_is(60, 0, Liveness::Dead);
    }

    #[test]
    fn nobody_dies_while_the_store_takes_no_writes() {
        assert_is(500, 490, Liveness::Alive);
        assert_is(560, 490, Liveness::Dead);
    }

    #[test]
    fn a_worker_that_ended_in_order_is_not_dead() {
        let settings = Settings::default();
        let ended = worker(WorkerState::Stopped);
        assert_eq!(
            liveness(&ended, at(0), at(9_999), &settings),
            Liveness::Stopped
        );
        assert!(!is_forgotten(&ended, at(3_599)) && is_forgotten(&ended, at(3_600)));
    }

    #[test]
    fn a_worker_that_ended_in_order_leaves_after_its_last_words_arrived() {
        let settings = Settings::default();
        let ended = worker(WorkerState::Stopped);
        let left = |second| has_left(&ended, Liveness::Stopped, at(second), &settings);
        assert!(!left(59) && left(60));
        let stale = worker(WorkerState::Running);
        assert!(!has_left(&stale, Liveness::Stale, at(59), &settings));
        assert!(has_left(&stale, Liveness::Dead, at(60), &settings));
    }

    #[test]
    fn a_worker_that_beats_without_progress_is_stuck() {
        let settings = Settings::default();
        let mut busy = worker(WorkerState::Running);
        busy.last_beat = at(600);
        assert!(!is_stuck(&busy, at(599), &settings));
        assert!(is_stuck(&busy, at(600), &settings));
        busy.sessions.clear();
        assert!(!is_stuck(&busy, at(600), &settings), "it has nothing to do");
    }
}
