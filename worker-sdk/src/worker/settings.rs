//! What a worker may be told about its own behaviour, with the reason of each default.

use std::time::Duration;

use crate::beat::BEAT_INTERVAL;
use crate::error::{Error, Result};
use crate::finding::MAX_FINDING_BYTES;
use crate::push::{MAX_BATCH_BYTES, MAX_BATCH_FINDINGS};
use crate::spool::{MIN_SPOOL_BYTES, SPOOL_BYTES};

/// Default of [`Settings::batch_findings`]: what a store takes at most. A call costs Redis the same
/// whatever is in it, and a rule's findings are counted once a call: in batches of 1,000 a finding
/// takes three quarters of the time it takes in batches of 256. Only a flood fills them.
pub const BATCH_FINDINGS: usize = MAX_BATCH_FINDINGS;
/// Default of [`Settings::batch_bytes`]: 1,000 findings as most scanners make them, and half of what
/// a store takes, so that the last finding may overshoot it.
pub const BATCH_BYTES: usize = 256 * 1024;
/// Default of [`Settings::linger`]: people do not see it, and a slow bot still fills batches.
pub const LINGER: Duration = Duration::from_millis(20);
/// Default of [`Settings::queue`]: four full batches, enough that a bot never waits for a store
/// that keeps up.
pub const QUEUE: usize = 4_096;
/// Default of [`Settings::queue_bytes`]: what [`QUEUE`] findings of 1 KiB take.
pub const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Default of [`Settings::deadline`]: longer than a failover takes, shorter than a CI job's patience.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// Default of [`Settings::drain`]: Kubernetes kills after 30 s.
pub const DRAIN: Duration = Duration::from_secs(25);
/// Default of [`Settings::keep`]: longer than replication lags behind in a healthy deployment.
pub const KEEP: Duration = Duration::from_secs(10);
/// Default of [`Settings::keep_bytes`]: 32 full batches.
pub const KEEP_BYTES: usize = 8 * 1024 * 1024;

/// How a worker batches, waits and beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most findings in a batch.
    pub batch_findings: usize,
    /// Encoded bytes at which a batch is sent; the last finding may overshoot it.
    pub batch_bytes: usize,
    /// Longest time that a finding nobody waits for stays behind to fill a batch.
    pub linger: Duration,
    /// Most findings an execution holds before it makes the bot wait.
    pub queue: usize,
    /// Most encoded bytes an execution holds, the batch in flight included, before it makes the bot wait.
    pub queue_bytes: usize,
    /// How long a call waits for the store before it gives up.
    pub deadline: Duration,
    /// How long a stopping worker may take to send what is left.
    pub drain: Duration,
    /// How long an acknowledged batch is kept, to be sent again if the store loses it.
    pub keep: Duration,
    /// Most encoded bytes kept so.
    pub keep_bytes: usize,
    /// Most bytes of a spool, if the fleet has one; see [`Fleet::spool`](super::Fleet::spool).
    pub spool_bytes: u64,
    /// Time between two heartbeats.
    pub beat: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_findings: BATCH_FINDINGS,
            batch_bytes: BATCH_BYTES,
            linger: LINGER,
            queue: QUEUE,
            queue_bytes: QUEUE_BYTES,
            deadline: DEADLINE,
            drain: DRAIN,
            keep: KEEP,
            keep_bytes: KEEP_BYTES,
            spool_bytes: SPOOL_BYTES,
            beat: BEAT_INTERVAL,
        }
    }
}

impl Settings {
    /// The room in the queue that so many encoded bytes take: of all of it no less than one of
    /// [`queue`](Self::queue) findings has, so that it bounds their number too.
    pub(super) fn room_of(&self, bytes: usize) -> usize {
        let least = self.queue_bytes / self.queue.max(1);
        bytes.max(least).clamp(1, self.queue_bytes)
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting and its bounds.
    pub fn check(&self) -> Result<()> {
        let most_bytes = MAX_BATCH_BYTES - MAX_FINDING_BYTES;
        let sizes = [
            ("batch_findings", self.batch_findings, MAX_BATCH_FINDINGS),
            ("batch_bytes", self.batch_bytes, most_bytes),
            ("queue", self.queue, 1_000_000),
            ("queue_bytes", self.queue_bytes, 1 << 30),
        ];
        for (what, value, most) in sizes {
            if value == 0 || value > most {
                let why = format!("{value} is not between 1 and {most}");
                return Err(Error::invalid(what, why));
            }
        }
        if self.spool_bytes < MIN_SPOOL_BYTES {
            let why = format!("{} is less than {MIN_SPOOL_BYTES}", self.spool_bytes);
            return Err(Error::invalid("spool_bytes", why));
        }
        if self.beat.is_zero() {
            return Err(Error::invalid("beat", "it is zero"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_what_no_store_takes_does_not() {
        Settings::default().check().unwrap();
        for bad in [
            Settings {
                batch_findings: 1_001,
                ..Settings::default()
            },
            Settings {
                batch_bytes: MAX_BATCH_BYTES,
                ..Settings::default()
            },
            Settings {
                queue: 0,
                ..Settings::default()
            },
            Settings {
                beat: Duration::ZERO,
                ..Settings::default()
            },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
