//! Waiting before asking again.

use std::time::Duration;

use crate::error::Error;

/// Waits between retries: a random part of a time that doubles from [`Error::RETRY_BASE`] up to
/// [`Error::RETRY_CAP`] (full jitter), so that clients cut off together do not come back together.
#[derive(Debug)]
pub struct Backoff {
    most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Backoff {
    /// The shortest waits.
    pub fn new() -> Self {
        Self {
            most: Error::RETRY_BASE,
        }
    }

    /// The next wait: at least 1 ms, so that no run of small numbers becomes a busy loop.
    pub fn next_wait(&mut self) -> Duration {
        let most = self.most.as_micros() as u64;
        self.most = (self.most * 2).min(Error::RETRY_CAP);
        Duration::from_micros(fastrand::u64(1_000..=most))
    }

    /// Waits that long.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_never_past_it() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..1_000).map(|_| backoff.next_wait()).collect();
        assert!(waits[0] <= Error::RETRY_BASE);
        assert!(waits.iter().all(|wait| *wait <= Error::RETRY_CAP));
        assert!(waits.iter().any(|wait| *wait > Error::RETRY_CAP / 2));
    }
}
