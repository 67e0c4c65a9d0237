//! How far the bots of a context are, and which may start.

use std::sync::Arc;

use fleet_worker_sdk::session::MAX_REASON;
use fleet_worker_sdk::{Error, ExecutionState, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::fleet::{Fleet, Handle, Set, stranger};

/// One bot's part in a context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Where it is.
    pub state: ExecutionState,
    /// It ended well but did not look at everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Counts from 1; 0 before the first start.
    #[serde(default)]
    pub attempt: u32,
    /// When this attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Why it failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

impl Run {
    pub(super) const PENDING: Self = Self {
        state: ExecutionState::Pending,
        partial: false,
        attempt: 0,
        started: None,
        ended: None,
        reason: None,
    };
}

/// What a bot that has not begun shows.
static PENDING: Run = Run::PENDING;

/// How far the bots are, with what is asked about all of them kept as it changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// How many there are.
    count: usize,
    /// By place, up to the last bot that has begun: those after it are pending, and most contexts
    /// begin with the first. Shared between snapshots until a run changes.
    begun: Option<Arc<SmallVec<[Run; 1]>>>,
    pending: Set,
    settled: Set,
    failed: Set,
    pub(super) ended: Ended,
}

/// How many executions ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) well: u32,
    pub(super) partly: u32,
    pub(super) failed: u32,
    pub(super) skipped: u32,
}

impl Runs {
    /// So many runs that are pending.
    #[inline]
    pub(super) fn pending(count: usize) -> Self {
        Self {
            count,
            pending: Set::first(count),
            ..Self::default()
        }
    }

    /// Runs as they were.
    pub(super) fn of(runs: Vec<Run>) -> Self {
        let states: Vec<_> = runs.iter().map(|run| (run.state, run.partial)).collect();
        let mut all = Self {
            count: runs.len(),
            begun: Some(Arc::new(runs.into())),
            ..Self::default()
        };
        for (place, state) in states.into_iter().enumerate() {
            all.enter(place, state);
        }
        all
    }

    /// Makes room for a bot that was registered.
    pub(super) fn join(&mut self, handle: Handle) {
        if handle.place() == self.count {
            self.count += 1;
            self.pending.insert(handle.place());
        }
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Run> {
        let place = handle.place();
        (place < self.count).then(|| self.begun().get(place).unwrap_or(&PENDING))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Run> {
        let begun = self.begun().iter();
        begun.chain(std::iter::repeat(&PENDING)).take(self.count)
    }

    fn begun(&self) -> &[Run] {
        self.begun.as_deref().map_or(&[], SmallVec::as_slice)
    }

    /// The run of a bot, to change it: those of snapshots are copied first.
    fn get_mut(&mut self, handle: Handle) -> Result<&mut Run> {
        let place = handle.place();
        if place < self.count {
            let begun = Arc::make_mut(self.begun.get_or_insert_default());
            if place >= begun.len() {
                begun.resize(place + 1, Run::PENDING);
            }
            if let Some(run) = begun.get_mut(place) {
                return Ok(run);
            }
        }
        Err(stranger(handle))
    }

    /// Bots that have not begun and wait for nobody.
    #[inline]
    pub(super) fn ready<'a>(&'a self, fleet: &'a Fleet) -> impl Iterator<Item = Handle> + 'a {
        let pending = self.pending.places();
        pending
            .filter(|place| fleet.may_start(*place, &self.settled))
            .map(Handle::at)
    }

    /// Bots that have not begun, each with one it depends on that failed.
    pub(super) fn blocked<'a>(
        &'a self,
        fleet: &'a Fleet,
    ) -> impl Iterator<Item = (Handle, Handle)> + 'a {
        self.pending.places().flat_map(|place| {
            let needs = fleet.needs(place);
            let failed = self.failed.places();
            let failed = failed.filter(move |on| needs.contains(*on));
            failed.map(move |on| (Handle::at(place), Handle::at(on)))
        })
    }

    /// Starts a bot's run: the first attempt, or with `again` whatever came before.
    pub(super) fn start(&mut self, handle: Handle, now: Timestamp, again: bool) -> Result<()> {
        let place = handle.place();
        let run = self.get_mut(handle)?;
        let before = (run.state, run.partial);
        if before.0 != ExecutionState::Pending && !again {
            let why = format!("the run is {} already; restart it to begin again", before.0);
            return Err(Error::conflict(why));
        }
        run.state = ExecutionState::Running;
        run.attempt += 1;
        run.started = Some(now);
        (run.ended, run.partial, run.reason) = (None, false, None);
        self.leave(place, before);
        Ok(())
    }

    /// Ends a bot's run.
    pub(super) fn end(&mut self, handle: Handle, now: Timestamp, end: End<'_>) -> Result<()> {
        let place = handle.place();
        let run = self.get_mut(handle)?;
        let (state, partial, reason) = end.parts();
        let before = (run.state, run.partial);
        let may = match before.0 {
            ExecutionState::Running => true,
            ExecutionState::Pending => state == ExecutionState::Skipped,
            _ => false,
        };
        if !may {
            let why = format!("the run is {}, so it cannot become {state}", before.0);
            return Err(Error::conflict(why));
        }
        run.state = state;
        run.partial = partial;
        run.ended = Some(now);
        run.reason = reason.map(cut);
        self.leave(place, before);
        self.enter(place, (state, partial));
        Ok(())
    }

    fn leave(&mut self, place: usize, before: (ExecutionState, bool)) {
        self.pending.remove(place);
        self.settled.remove(place);
        self.failed.remove(place);
        if let Some(count) = self.ended.of(before) {
            *count -= 1;
        }
    }

    fn enter(&mut self, place: usize, now: (ExecutionState, bool)) {
        match now.0 {
            ExecutionState::Pending => self.pending.insert(place),
            ExecutionState::Failed => self.failed.insert(place),
            state if state.is_settled() => self.settled.insert(place),
            _ => {}
        }
        if let Some(count) = self.ended.of(now) {
            *count += 1;
        }
    }
}

impl Ended {
    fn of(&mut self, (state, partial): (ExecutionState, bool)) -> Option<&mut u32> {
        match state {
            ExecutionState::Completed if partial => Some(&mut self.partly),
            ExecutionState::Completed => Some(&mut self.well),
            ExecutionState::Failed => Some(&mut self.failed),
            ExecutionState::Skipped => Some(&mut self.skipped),
            ExecutionState::Pending | ExecutionState::Running => None,
        }
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// Well.
    Complete,
    /// Well, without looking at everything.
    Partial,
    /// Badly, and why.
    Failed(&'a str),
    /// It will not run, and why.
    Skipped(&'a str),
}

impl<'a> End<'a> {
    fn parts(self) -> (ExecutionState, bool, Option<&'a str>) {
        match self {
            Self::Complete => (ExecutionState::Completed, false, None),
            Self::Partial => (ExecutionState::Completed, true, None),
            Self::Failed(reason) => (ExecutionState::Failed, false, Some(reason)),
            Self::Skipped(reason) => (ExecutionState::Skipped, false, Some(reason)),
        }
    }
}

/// A reason, cut to what is kept.
fn cut(reason: &str) -> Box<str> {
    let end = reason.floor_char_boundary(MAX_REASON);
    reason.get(..end).unwrap_or_default().into()
}
