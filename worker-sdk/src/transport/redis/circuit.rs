//! Leaving a store alone that does not answer, and saying since when.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use redis::RedisError;
use tokio::time::Instant;

/// Failures in a row after which the store is left alone for a moment: a single one may be one
/// connection's.
const PATIENCE: u32 = 3;
/// First pause; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause: what a store that has come back waits for its callers at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether a store answers. Shared by all connections to it.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<Option<Outage>>);

#[derive(Clone, Debug)]
struct Outage {
    since: Timestamp,
    failures: u32,
    /// Until when nobody tries; one caller does then, and the others wait for what it finds.
    until: Instant,
    why: String,
}

impl Circuit {
    /// Why not to try now; none when one may. Who is let through during an outage counts as the
    /// one that tries.
    pub(super) fn closed_to(&self) -> Option<String> {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outage = outage.as_mut()?;
        if outage.failures < PATIENCE {
            return None;
        }
        let now = Instant::now();
        if now < outage.until {
            return Some(outage.said());
        }
        outage.until = now + pause(outage.failures);
        None
    }

    /// Whether the store is left alone: who is let through all the same tries for everybody.
    pub(super) fn is_open(&self) -> bool {
        let outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outage
            .as_ref()
            .is_some_and(|outage| outage.failures >= PATIENCE)
    }

    /// Takes note of an error: one that Redis answered with shows that it is there, of another this
    /// is what to tell.
    pub(super) fn heard(&self, error: &RedisError) -> Result<(), String> {
        if error.is_io_error() {
            return Err(self.failed(error.to_string()));
        }
        self.answered();
        Ok(())
    }

    /// A try failed; what to tell.
    pub(super) fn failed(&self, why: String) -> String {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outage = outage.get_or_insert_with(|| Outage {
            since: Timestamp::now(),
            failures: 0,
            until: Instant::now(),
            why: String::new(),
        });
        outage.failures = outage.failures.saturating_add(1);
        outage.until = Instant::now() + pause(outage.failures);
        outage.why = why;
        outage.said()
    }

    /// An answer came, whatever it was.
    pub(super) fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Outage {
    fn said(&self) -> String {
        if self.failures < PATIENCE {
            return self.why.clone();
        }
        let since = self.since.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("unreachable since {since}: {}", self.why)
    }
}

/// Doubled with each failure, then half of it and a random part of the other half: callers of many
/// processes do not come back together.
fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(PATIENCE).min(16);
    let whole = FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + 0.5 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_caller_tries_while_the_others_are_told_since_when() {
        let circuit = Circuit::default();
        for _ in 1..PATIENCE {
            assert_eq!(circuit.failed("refused".to_owned()), "refused");
            assert_eq!(circuit.closed_to(), None, "a few failures stop nobody");
        }
        assert!(
            circuit
                .failed("refused".to_owned())
                .starts_with("unreachable since 20")
        );
        assert!(
            circuit
                .closed_to()
                .is_some_and(|why| why.ends_with(": refused"))
        );
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(circuit.closed_to(), None, "the pause is over");
        assert!(circuit.is_open(), "but nothing has answered");
        assert!(circuit.closed_to().is_some(), "one is trying already");
        circuit.answered();
        assert_eq!(circuit.closed_to(), None);
        assert!(!circuit.is_open());
    }

    #[test]
    fn a_pause_never_grows_beyond_its_bound() {
        for failures in [0, PATIENCE, 20, u32::MAX] {
            let pause = pause(failures);
            assert!(
                pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE,
                "{pause:?}"
            );
        }
    }
}
