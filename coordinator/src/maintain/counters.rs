//! What a coordinator has done, for its metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// Counts since the process started, and the lag.
#[derive(Debug, Default)]
pub struct Counters {
    entries: AtomicU64,
    recomputed: AtomicU64,
    refused: AtomicU64,
    taken_over: AtomicU64,
    repaired: AtomicU64,
    lost_workers: AtomicU64,
    failures: AtomicU64,
    given_up: AtomicU64,
    dropped: AtomicU64,
    compacted: AtomicU64,
    compacted_bytes: AtomicU64,
    conserved: AtomicU64,
    mismatched: AtomicU64,
    lag_ms: AtomicU64,
    /// When the lag was measured last.
    lag_measured: Mutex<Option<Instant>>,
    delivered: AtomicU64,
    redelivered: AtomicU64,
    undelivered: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Feed entries read.
    pub entries: u64,
    /// Results stored.
    pub recomputed: u64,
    /// Results refused because the session had moved on.
    pub refused: u64,
    /// Feed entries that another coordinator had held.
    pub taken_over: u64,
    /// Sessions that a resync found without a present result.
    pub repaired: u64,
    /// Workers found dead.
    pub lost_workers: u64,
    /// Steps that failed and were tried again.
    pub failures: u64,
    /// Changes taken off the feed though their session could not be computed.
    pub given_up: u64,
    /// Sessions removed by retention.
    pub dropped: u64,
    /// Sessions compacted.
    pub compacted: u64,
    /// Bytes of the store's memory that compaction saved.
    pub compacted_bytes: u64,
    /// Sessions counted to see whether they add up.
    pub conserved: u64,
    /// Sessions that did not when it was last looked: a level, not a count.
    pub mismatched: u64,
    /// Age of the oldest change of the last look at the feed when all of it was computed, in
    /// milliseconds: a level, not a count.
    pub lag_ms: u64,
    /// Deliveries of alerts that arrived.
    pub delivered: u64,
    /// Attempts at deliveries that failed and are made again.
    pub redelivered: u64,
    /// Deliveries that were given up.
    pub undelivered: u64,
}

impl Counters {
    pub(super) fn entries(&self, read: usize, taken_over: usize) {
        self.entries.fetch_add(read as u64, Ordering::Relaxed);
        self.taken_over
            .fetch_add(taken_over as u64, Ordering::Relaxed);
    }

    pub(super) fn recomputed(&self) {
        self.recomputed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, sessions: usize) {
        self.dropped.fetch_add(sessions as u64, Ordering::Relaxed);
    }

    pub(super) fn compacted(&self, bytes: u64) {
        self.compacted.fetch_add(1, Ordering::Relaxed);
        self.compacted_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn conserved(&self) {
        self.conserved.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn mismatched(&self, sessions: u64) {
        self.mismatched.store(sessions, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn repaired(&self) {
        self.repaired.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lost_worker(&self) {
        self.lost_workers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn given_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the lag was not measured within `every`; then it is to be measured now.
    pub(super) fn lag_is_due(&self, every: Duration) -> bool {
        let mut measured = self
            .lag_measured
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = measured.is_none_or(|last| last.elapsed() >= every);
        if due {
            *measured = Some(Instant::now());
        }
        due
    }

    pub(super) fn lag(&self, ms: u64) {
        self.lag_ms.store(ms, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn redelivered(&self) {
        self.redelivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn undelivered(&self) {
        self.undelivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            entries: read(&self.entries),
            recomputed: read(&self.recomputed),
            refused: read(&self.refused),
            taken_over: read(&self.taken_over),
            repaired: read(&self.repaired),
            lost_workers: read(&self.lost_workers),
            failures: read(&self.failures),
            given_up: read(&self.given_up),
            dropped: read(&self.dropped),
            compacted: read(&self.compacted),
            compacted_bytes: read(&self.compacted_bytes),
            delivered: read(&self.delivered),
            redelivered: read(&self.redelivered),
            undelivered: read(&self.undelivered),
            conserved: read(&self.conserved),
            mismatched: read(&self.mismatched),
            lag_ms: read(&self.lag_ms),
        }
    }
}
