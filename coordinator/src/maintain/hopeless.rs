//! Sessions that cannot be computed, and will not be by trying again: what is stored of them is damaged.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet_worker_sdk::SessionId;

/// Why which session cannot be computed, as this process has told: a session that changes a thousand
/// times is told of once.
#[derive(Debug, Default)]
pub(super) struct Hopeless(Mutex<HashMap<SessionId, String>>);

impl Hopeless {
    /// Whether this was not told yet.
    pub(super) fn is_news(&self, session: &SessionId, why: &str) -> bool {
        self.lock().get(session).is_none_or(|told| told != why)
    }

    /// Notes what was told.
    pub(super) fn told(&self, session: SessionId, why: String) {
        self.lock().insert(session, why);
    }

    /// Notes that a session could be computed.
    pub(super) fn mended(&self, session: &SessionId) {
        self.lock().remove(session);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use fleet_worker_sdk::Partition;

    use super::*;

    #[test]
    fn a_reason_is_told_once_until_it_is_mended_or_another() {
        let hopeless = Hopeless::default();
        let session = SessionId::fresh(Partition(0));
        assert!(hopeless.is_news(&session, "no weight"));
        hopeless.told(session.clone(), "no weight".to_owned());
        assert!(!hopeless.is_news(&session, "no weight"));
        assert!(hopeless.is_news(&session, "no date"));
        hopeless.mended(&session);
        assert!(hopeless.is_news(&session, "no weight"));
    }
}
