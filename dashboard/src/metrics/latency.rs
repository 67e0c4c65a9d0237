//! How long things take between here and the store: a round trip, and a change until it is shown.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fleet_coordinator::store::Read;
use fleet_worker_sdk::{Result, Version};
use jiff::Timestamp;
use prometheus::Histogram;

use super::Adder;

/// Bounds of a round trip, in seconds: one on the same machine takes 0.05 ms, one within a data
/// centre 0.5 ms; the store's own timeout is seconds.
const ROUND_TRIPS: [f64; 9] = [
    0.000_05, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0,
];
/// Bounds of the time until a change is shown, in seconds: a few milliseconds when all is well,
/// 5 s when only the resync finds it.
const SHOWN: [f64; 10] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0];

/// Measures of time.
#[derive(Debug)]
pub(crate) struct Latency {
    round_trips: Histogram,
    shown: Histogram,
    /// What the store's clock said when this process last asked.
    clock: Mutex<Option<(Instant, Timestamp)>>,
}

impl Latency {
    pub(super) fn new(add: &Adder<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            round_trips: add.histogram(
                "fleet_store_round_trip_seconds",
                "Time the store took to tell its time, asked with each scrape.",
                &ROUND_TRIPS,
            )?,
            shown: add.histogram(
                "fleet_visible_seconds",
                "Time from a session's change to its frame for WebSocket clients.",
                &SHOWN,
            )?,
            clock: Mutex::default(),
        })
    }

    /// Asks the store for its time, and measures how long that takes.
    pub(super) async fn ask(&self, store: &dyn Read) -> Result<Timestamp> {
        let began = Instant::now();
        let now = store.now().await?;
        let took = began.elapsed();
        self.round_trips.observe(took.as_secs_f64());
        // It read its clock about half-way.
        let read = (began + took / 2, now);
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        Ok(now)
    }

    /// Notes that the change that made `version` is in a frame now. A version is the microsecond of
    /// its change by the store's clock; before that was asked for, nothing can be said.
    pub(crate) fn shown(&self, version: Version) {
        let clock = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, then)) = clock {
            let age = age(version, then, at.elapsed());
            self.shown.observe(age.as_secs_f64());
        }
    }
}

/// The age of `version`, `since` after the store's clock said `then`; not below zero, for a version is
/// at least one more than the last, whatever the clock does.
fn age(version: Version, then: Timestamp, since: Duration) -> Duration {
    let now = u64::try_from(then.as_microsecond())
        .unwrap_or_default()
        .saturating_add(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
    Duration::from_micros(now.saturating_sub(version.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changes_age_is_by_the_stores_clock_and_never_negative() {
        let then = Timestamp::from_microsecond(5_000_000).unwrap();
        let since = Duration::from_millis(250);
        assert_eq!(
            age(Version(5_000_000), then, since),
            Duration::from_millis(250)
        );
        assert_eq!(
            age(Version(4_000_000), then, since),
            Duration::from_millis(1_250)
        );
        assert_eq!(age(Version(9_000_000), then, since), Duration::ZERO);
    }
}
