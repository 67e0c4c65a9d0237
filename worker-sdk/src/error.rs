//! The one error of this crate, and what each kind asks of the caller.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `Result` with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and whether asking again can help.
///
/// The same error crosses HTTP as `application/problem+json`, so that a bot sees one set of
/// errors whichever store it talks to.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Error {
    /// The caller's input is wrong; sending it again will not help.
    #[error("invalid {what}: {why}")]
    Invalid {
        /// Which input.
        what: String,
        /// What is wrong with it and what is allowed.
        why: String,
    },
    /// The thing named does not exist (any more).
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// Kind of thing: session, bot, worker.
        what: String,
        /// The name that was looked up.
        id: String,
    },
    /// The request contradicts the stored state, such as completing an execution twice.
    #[error("conflict: {why}")]
    Conflict {
        /// What state stands in the way, and what to do.
        why: String,
    },
    /// A producer skipped a sequence number; the store has seen up to `last`.
    #[error("sequence gap: the store has seen up to {last}; resend what follows")]
    Gap {
        /// The last sequence number that was applied.
        last: u64,
    },
    /// The input exceeds a limit.
    #[error("{what} is {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Which input.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The most that is taken, in bytes.
        limit: u64,
    },
    /// The store refuses writes for now (full, or too many at once); wait and retry.
    #[error("the store takes no writes for now: {why}")]
    Full {
        /// The store's reason.
        why: String,
    },
    /// The store cannot be reached or did not answer in time; whether the call took effect is unknown.
    #[error("{store} is unreachable: {why}")]
    Unavailable {
        /// The store's address, without secrets.
        store: String,
        /// What the connection said.
        why: String,
    },
    /// Store and client do not fit: version, partitions, rights, or no fleet there yet.
    #[error("incompatible store: {why}")]
    Incompatible {
        /// What differs and what to do.
        why: String,
    },
    /// The store answered something that makes no sense; a fault of this software.
    #[error("unexpected answer from the store: {why}")]
    Protocol {
        /// What was expected and what came.
        why: String,
    },
}

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            what: what.into(),
            why: why.into(),
        }
    }

    /// An [`Error::NotFound`].
    pub fn not_found(what: impl Into<String>, id: impl ToString) -> Self {
        Self::NotFound {
            what: what.into(),
            id: id.to_string(),
        }
    }

    /// An [`Error::Conflict`].
    pub fn conflict(why: impl Into<String>) -> Self {
        Self::Conflict { why: why.into() }
    }

    /// An [`Error::Protocol`].
    pub fn protocol(why: impl std::fmt::Display) -> Self {
        Self::Protocol {
            why: why.to_string(),
        }
    }

    /// Whether the same call may succeed later. Every write can be retried safely:
    /// sequences and identities make the second attempt a no-op.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unavailable { .. })
    }

    /// How long to wait before the first retry, before jitter.
    pub const RETRY_BASE: Duration = Duration::from_millis(50);
    /// The longest wait between two retries. It is what a caller may sleep past the end of a
    /// failover, which takes two or three seconds: of a group of bots the last one sleeps almost all
    /// of it. More would spare a lost store nothing, which a process asks about once a second at most
    /// anyway, however many callers it has.
    pub const RETRY_CAP: Duration = Duration::from_secs(1);
}
