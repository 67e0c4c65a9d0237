//! Whether sessions add up, and making one do so again.

use async_trait::async_trait;
use fleet_worker_sdk::{Result, SessionId};

use super::Read;
use crate::conserve::{Account, Mismatch, Repair};

/// What conservation needs of a store.
#[async_trait]
pub trait Conserve: Read {
    /// A session's numbers at one moment, however much is pushed meanwhile. Its log is counted
    /// without being decoded. Fails with `Unavailable` when the log was rewritten each time it was
    /// read, which a later look will find otherwise.
    async fn account(&self, session: &SessionId) -> Result<Account>;

    /// Makes a session what its log says, or with `apply` false only tells what that would change:
    /// index, counters and total are made anew and put in place at once, if the session has not
    /// changed meanwhile. Its version and generation move on, so that nobody goes on with what was
    /// read before. A session that adds up is left as it is.
    ///
    /// Fails with `Conflict` when the session keeps changing, or when findings of it are quarantined
    /// and it cannot be told which they are.
    async fn repair_session(&self, session: &SessionId, apply: bool) -> Result<Repair>;

    /// The mismatches that are known.
    async fn mismatches(&self) -> Result<Vec<Mismatch>>;

    /// Keeps a mismatch, in place of one of the same session; says whether the session had none. Beyond
    /// [`MAX_MISMATCHES`](crate::conserve::MAX_MISMATCHES) sessions, no more are kept.
    async fn note_mismatch(&self, mismatch: &Mismatch) -> Result<bool>;

    /// Forgets the mismatch of a session that adds up, or is gone.
    async fn forget_mismatch(&self, session: &SessionId) -> Result<()>;
}
