//! How far the bots of a context are, and which may start.

use std::sync::{Arc, LazyLock};

use fleet_worker_sdk::session::MAX_REASON;
use fleet_worker_sdk::{Error, ExecutionState, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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

/// How far the bots are, with what is asked about all of them kept as it changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// Shared between snapshots until a run changes.
    all: Arc<Vec<Run>>,
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

/// Made once for all contexts.
static CLASSIC: LazyLock<Runs> = LazyLock::new(|| Runs::pending(Fleet::classic().len()));

impl Runs {
    /// One pending run for each of the classic bots.
    #[inline]
    pub(super) fn classic() -> Self {
        CLASSIC.clone()
    }

    fn pending(count: usize) -> Self {
        Self {
            all: Arc::new(vec![Run::PENDING; count]),
            pending: Set::first(count),
            ..Self::default()
        }
    }

    /// Runs as they were.
    pub(super) fn of(runs: Vec<Run>) -> Self {
        let states: Vec<_> = runs.iter().map(|run| (run.state, run.partial)).collect();
        let mut all = Self {
            all: Arc::new(runs),
            ..Self::default()
        };
        for (place, state) in states.into_iter().enumerate() {
            all.enter(place, state);
        }
        all
    }

    /// Makes room for a bot that was registered.
    pub(super) fn join(&mut self, handle: Handle) {
        if handle.place() == self.all.len() {
            Arc::make_mut(&mut self.all).push(Run::PENDING);
            self.pending.insert(handle.place());
        }
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Run> {
        self.all.get(handle.place())
    }

    pub(super) fn all(&self) -> &[Run] {
        &self.all
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
        let runs = Arc::make_mut(&mut self.all);
        let run = runs.get_mut(place).ok_or_else(|| stranger(handle))?;
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
        let runs = Arc::make_mut(&mut self.all);
        let run = runs.get_mut(place).ok_or_else(|| stranger(handle))?;
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
