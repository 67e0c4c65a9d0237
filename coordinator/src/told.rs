//! What has been told of already: that a session is damaged is news once, however often it is met.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is wrong with which session, as this process has told.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<HashMap<String, String>>);

impl Told {
    /// Whether this was not told yet.
    pub(crate) fn is_news(&self, session: &str, why: &str) -> bool {
        self.lock().get(session).is_none_or(|told| told != why)
    }

    /// Notes what was told.
    pub(crate) fn told(&self, session: &str, why: &str) {
        self.lock().insert(session.to_owned(), why.to_owned());
    }

    /// Notes that nothing is wrong with a session.
    pub(crate) fn mended(&self, session: &str) {
        self.lock().remove(session);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_until_it_is_mended_or_another() {
        let told = Told::default();
        assert!(told.is_news("p0-1", "no weight"));
        told.told("p0-1", "no weight");
        assert!(!told.is_news("p0-1", "no weight"));
        assert!(told.is_news("p0-1", "no date"));
        assert!(told.is_news("p0-2", "no weight"));
        told.mended("p0-1");
        assert!(told.is_news("p0-1", "no weight"));
    }
}
