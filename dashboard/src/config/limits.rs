//! Bounds and defaults, each with its reason.

use super::ConfigError;

/// A number with a default and bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The flag, without dashes.
    pub name: &'static str,
    /// What it is unless set.
    pub default: u64,
    /// The least that makes sense.
    pub min: u64,
    /// The most that one process can keep.
    pub max: u64,
}

impl Limit {
    /// The value, or the default.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] outside the bounds.
    pub fn take(&self, value: Option<u64>) -> Result<u64, ConfigError> {
        let value = value.unwrap_or(self.default);
        if (self.min..=self.max).contains(&value) {
            return Ok(value);
        }
        let why = format!("{value} is not between {} and {}", self.min, self.max);
        Err(ConfigError::invalid(self.name, why))
    }
}

const fn limit(name: &'static str, default: u64, min: u64, max: u64) -> Limit {
    Limit {
        name,
        default,
        min,
        max,
    }
}

/// Largest JSON body: 1 MiB, twice the largest batch the SDK sends.
pub const MAX_BODY: Limit = limit("max-body", 1 << 20, 1 << 10, 64 << 20);
/// Largest report: 128 MiB, above the largest SARIF files that scanners write. It is spooled to
/// disk, not held in memory.
pub const MAX_INGEST: Limit = limit("max-ingest", 128 << 20, 1 << 10, 4 << 30);
/// Most HTTP connections: 4,096, at about 20 KiB each 80 MiB when all are in use. More wait in
/// the kernel's queue. WebSocket clients do not count: they have a limit of their own.
pub const MAX_CONNECTIONS: Limit = limit("max-connections", 4_096, 1, 1 << 20);
/// Time for a request's head, and idle between two: 10 s, enough for any honest line, and what
/// keeps slow senders from holding connections for long.
pub const HEADER_TIMEOUT: Limit = limit("header-timeout-ms", 10_000, 10, 600_000);
/// Time between two pieces of a body, either way: 15 s, above a TCP retransmission or two.
pub const BODY_TIMEOUT: Limit = limit("body-timeout-ms", 15_000, 10, 600_000);
/// Most WebSocket clients: 12,000, the 10,000 users one process is measured with and some room.
pub const MAX_CLIENTS: Limit = limit("max-clients", 12_000, 0, 1 << 20);
/// Most WebSocket clients of one address: 256, an office behind one address. Raise it to
/// `max-clients` behind a proxy, where every client has the proxy's address.
pub const MAX_CLIENTS_PER_ADDRESS: Limit = limit("max-clients-per-address", 256, 1, 1 << 20);
/// Longest pause between two frames under load: 100 ms, which people still see as at once, and
/// which bounds the cost of 10,000 clients to ten frames each a second. With few clients the
/// pause is shorter: see the hub.
pub const FRAME_INTERVAL: Limit = limit("frame-interval-ms", 100, 0, 60_000);
/// Time to take a frame: 10 s, longer than any link stalls that will recover.
pub const SEND_TIMEOUT: Limit = limit("send-timeout-ms", 10_000, 10, 600_000);
/// Time between pings: 15 s. A client that reads nothing is gone after two, within 30 s.
pub const PING_INTERVAL: Limit = limit("ping-interval-ms", 15_000, 10, 600_000);
/// Time between two syncs of the journal: 1 s, what a loss of power costs at most; 0 syncs before
/// every acknowledgement, which a disk does some hundred times a second.
pub const DATA_SYNC: Limit = limit("data-sync-ms", 1_000, 0, 600_000);
/// Time to drain: 25 s, below the 30 s after which Kubernetes kills.
pub const DRAIN: Limit = limit("drain-ms", 25_000, 0, 3_600_000);
/// Time for which computed health is served: 5 s, what a hint that was lost costs at most. Hints
/// make readers see changes at once; this is for when one does not arrive.
pub const CACHE_TTL: Limit = limit("cache-ttl-ms", 5_000, 50, 600_000);
/// Sessions whose health is kept: 10,000, at a few kilobytes each tens of megabytes, and more than
/// anybody looks at.
pub const CACHE_SESSIONS: Limit = limit("cache-sessions", 10_000, 1, 1_000_000);
