//! What a worker's heartbeat says, kept by everything that works.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::beat::{Beat, WorkerState};
use crate::ids::SessionId;

/// State, sessions and progress of a worker.
pub(super) struct Pulse {
    state: watch::Sender<WorkerState>,
    progress: AtomicU64,
    sessions: Mutex<BTreeMap<SessionId, u32>>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            state: watch::Sender::new(WorkerState::Starting),
            progress: AtomicU64::new(0),
            sessions: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> WorkerState {
        *self.state.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<WorkerState> {
        self.state.subscribe()
    }

    /// Moves on to `next`; never back.
    pub(super) fn advance(&self, next: WorkerState) {
        self.state.send_if_modified(|state| {
            let forward = next > *state;
            if forward {
                *state = next;
            }
            forward
        });
    }

    /// Something got done.
    pub(super) fn progress(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn done(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// The sessions worked on, as many as one beat names.
    pub(super) fn sessions(&self) -> Vec<SessionId> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.keys().take(Beat::MAX_SESSIONS).cloned().collect()
    }

    /// Names `session` in the beats until the answer is dropped.
    pub(super) fn enter(self: &Arc<Self>, session: &SessionId) -> Presence {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        *sessions.entry(session.clone()).or_insert(0) += 1;
        Presence {
            pulse: Arc::clone(self),
            session: session.clone(),
        }
    }
}

/// An execution that is going on.
pub(super) struct Presence {
    pulse: Arc<Pulse>,
    session: SessionId,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let sessions = &self.pulse.sessions;
        let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sessions.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
                sessions.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::Partition;

    proptest! {
        #[test]
        fn a_state_never_goes_backwards(steps in prop::collection::vec(0..5_usize, 0..20)) {
            let pulse = Pulse::new();
            let mut highest = WorkerState::Starting;
            for step in steps {
                let next = WorkerState::ALL[step];
                pulse.advance(next);
                highest = highest.max(next);
                prop_assert_eq!(pulse.state(), highest);
            }
        }
    }

    #[test]
    fn a_session_is_named_while_any_execution_is_in_it() {
        let pulse = Arc::new(Pulse::new());
        let session = SessionId::fresh(Partition(1));
        let first = pulse.enter(&session);
        let second = pulse.enter(&session);
        drop(first);
        assert_eq!(pulse.sessions(), [session]);
        drop(second);
        assert!(pulse.sessions().is_empty());
    }
}
