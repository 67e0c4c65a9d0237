//! Workers: as they last reported, and the commands they have not obeyed.

use std::collections::BTreeMap;

use fleet_worker_sdk::{Beat, Command, Error, Result, WorkerId, WorkerState};
use jiff::{SignedDuration, Timestamp};

use super::journal::Entry;
use crate::model::Worker;

/// A worker not heard of for a day is forgotten.
const KEEP: SignedDuration = SignedDuration::from_hours(24);

/// The workers of the last day.
#[derive(Default)]
pub(super) struct Workers {
    known: BTreeMap<WorkerId, Known>,
}

struct Known {
    worker: Worker,
    progress: u64,
}

/// What a beat came to.
pub(super) struct Heard {
    /// The command the worker has yet to obey.
    pub(super) command: Option<Command>,
    /// It is new, or its state is.
    pub(super) moved: bool,
}

impl Workers {
    /// Takes a beat.
    pub(super) fn beat(&mut self, beat: &Beat, now: Timestamp) -> Heard {
        if !self.known.contains_key(&beat.worker) || self.is_gone(&beat.worker, now) {
            self.known.retain(|_, known| is_kept(&known.worker, now));
        }
        let before = self.known.get(&beat.worker);
        let was = before.map(|known| known.worker.state);
        let state = was.map_or(beat.state, |was| was.max(beat.state));
        let last_progress = before
            .filter(|known| known.progress == beat.progress)
            .map_or(now, |known| known.worker.last_progress);
        let command = before
            .and_then(|known| known.worker.command)
            .filter(|command| !obeys(state, *command));
        let sessions = beat.sessions.iter().take(Beat::MAX_SESSIONS);
        let worker = Worker {
            id: beat.worker.clone(),
            bot: beat.bot.clone(),
            version: beat.version.clone(),
            sdk: beat.sdk.clone(),
            host: beat.host.clone(),
            pid: beat.pid,
            started: beat.started,
            state,
            sessions: sessions.cloned().collect(),
            last_beat: now,
            last_progress,
            command,
        };
        let progress = beat.progress;
        self.known
            .insert(beat.worker.clone(), Known { worker, progress });
        Heard {
            command,
            moved: was != Some(state),
        }
    }

    /// The record of one.
    pub(super) fn entry(&self, worker: &WorkerId) -> Option<Entry> {
        let Known { worker, progress } = self.known.get(worker)?;
        Some(Entry::Worker {
            worker: worker.clone(),
            progress: *progress,
        })
    }

    /// A record for each.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.known.keys().filter_map(|worker| self.entry(worker))
    }

    /// Takes one back, as it was last heard.
    pub(super) fn restore(&mut self, worker: Worker, progress: u64) {
        self.known
            .insert(worker.id.clone(), Known { worker, progress });
    }

    /// Those heard of within a day, by id.
    pub(super) fn heard(&self, now: Timestamp) -> Vec<Worker> {
        let workers = self.known.values().map(|known| &known.worker);
        workers.filter(|w| is_kept(w, now)).cloned().collect()
    }

    /// Leaves a command for a worker's next beat.
    pub(super) fn command(
        &mut self,
        worker: &WorkerId,
        command: Command,
        now: Timestamp,
    ) -> Result<()> {
        let known = self.known.get_mut(worker);
        let known = known.filter(|known| is_kept(&known.worker, now));
        let known = known.ok_or_else(|| Error::not_found("worker", worker))?;
        known.worker.command = Some(command);
        Ok(())
    }

    /// Forgets a worker.
    pub(super) fn forget(&mut self, worker: &WorkerId) {
        self.known.remove(worker);
    }

    fn is_gone(&self, worker: &WorkerId, now: Timestamp) -> bool {
        let known = self.known.get(worker);
        known.is_some_and(|known| !is_kept(&known.worker, now))
    }
}

fn is_kept(worker: &Worker, now: Timestamp) -> bool {
    now.duration_since(worker.last_beat) < KEEP
}

/// Whether a worker in `state` has done what `command` asks.
fn obeys(state: WorkerState, command: Command) -> bool {
    match command {
        Command::Quiet => state >= WorkerState::Quiet,
        Command::Terminate => state >= WorkerState::Terminating,
    }
}
