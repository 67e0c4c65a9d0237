//! Where a fleet lives: what is read, what is maintained, and the two stores that do it.

pub mod observe;

pub mod alerts;
pub mod compact;
pub mod conserve;
pub mod memory;
pub mod operate;
pub mod redis;
pub mod retain;
pub mod standing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::keys::DEFAULT_NAMESPACE;
use fleet_worker_sdk::session::ExecutionState;
use fleet_worker_sdk::{
    Bot, BotId, Command, Partitions, Repository, Result, SessionId, WorkerId, Write,
};
use jiff::Timestamp;
use tokio::sync::{RwLock, broadcast};

use crate::index::Index;
use crate::model::{Derived, FeedEntry, Rollup, Run, Session, SessionFacts, Update, Worker};

pub use alerts::Alerting;
pub use compact::{Compact, Compacted};
pub use conserve::Conserve;
pub use observe::{MAX_ANOMALIES, Observe};
pub use operate::Operate;
pub use standing::{Basis, Kept, Speaker, Standing};

/// Runs kept of a bot, over all partitions about 16 times as many in Redis: only the latest are read.
pub const MAX_RUNS: usize = 256;

/// Which sessions to list, latest change first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionQuery {
    /// Only of this repository.
    pub repository: Option<Repository>,
    /// Only those that changed before this one: the last of the page before.
    pub after: Option<SessionCursor>,
    /// At most this many.
    pub limit: usize,
}

/// A place in the list of sessions: time of the last change in milliseconds, then id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionCursor {
    /// Milliseconds since 1970 of the last change.
    pub changed_ms: i64,
    /// The session.
    pub session: SessionId,
}

impl From<&Session> for SessionCursor {
    /// The place of `session`, as it was when it was read.
    fn from(session: &Session) -> Self {
        Self {
            changed_ms: session.changed.as_millisecond(),
            session: session.id.clone(),
        }
    }
}

/// A session's findings, folded. Shared: read under the lock, never clone the index.
pub type Findings = Arc<RwLock<Index>>;

/// What the dashboard and the coordinator read.
#[async_trait]
pub trait Read: Write {
    /// Sessions, latest change first, ties by id descending.
    async fn sessions(&self, query: &SessionQuery) -> Result<Vec<Session>>;
    /// A session as it stands.
    async fn session(&self, session: &SessionId) -> Result<Session>;
    /// A session with its counters, at one moment.
    async fn facts(&self, session: &SessionId) -> Result<SessionFacts>;
    /// A session's findings, up to date with every push acknowledged before the call.
    async fn findings(&self, session: &SessionId) -> Result<Findings>;
    /// Registered bots, by id.
    async fn bots(&self) -> Result<Vec<Bot>>;
    /// Workers heard of within a day, by id.
    async fn workers(&self) -> Result<Vec<Worker>>;
    /// Finished executions of a bot, oldest first, at most [`MAX_RUNS`].
    async fn runs(&self, bot: &BotId) -> Result<Vec<Run>>;
    /// The last complete session of a scope: what the next scan is compared with.
    async fn baseline(
        &self,
        repository: &Repository,
        bot: &BotId,
        git_ref: &str,
    ) -> Result<Option<SessionId>>;
    /// Sums over the fleet.
    async fn rollup(&self) -> Result<Rollup>;
    /// The store's clock, which every stored time is measured by.
    async fn now(&self) -> Result<Timestamp>;
    /// Hints of changes, from now on.
    fn updates(&self) -> broadcast::Receiver<Update>;
    /// Whether the store takes writes now, on every server of it; the error says why not. Asked often,
    /// it writes once a second at most.
    async fn check(&self) -> Result<()>;
    /// The store's address for people, without secrets: `memory`, `redis://host:6379`.
    fn address(&self) -> String;
}

/// What a coordinator does with it.
#[async_trait]
pub trait Maintain:
    retain::Retain + compact::Compact + Standing + Observe + Operate + Alerting + Conserve
{
    /// Changes to look at: those of dead coordinators first, then new ones; waits up to `wait`.
    async fn changes(&self, consumer: &str, wait: Duration) -> Result<Vec<FeedEntry>>;
    /// Takes entries off the feed.
    async fn settle(&self, entries: &[FeedEntry]) -> Result<()>;
    /// What is on the feed: handed out and not settled, or not handed out yet.
    async fn backlog(&self) -> Result<Backlog>;
    /// Stores a computed result, unless the session has moved on; says whether it was stored.
    /// Announces [`Update::Session`], and keeps the rollup.
    async fn derive(&self, session: &SessionId, derived: &Derived) -> Result<bool>;
    /// Gives a worker a command, delivered with its next beat.
    async fn command(&self, worker: &WorkerId, command: Command) -> Result<()>;
    /// Forgets a worker that is dead or stopped.
    async fn forget(&self, worker: &WorkerId) -> Result<()>;
    /// Announces a change that no session carries.
    async fn announce(&self, update: Update) -> Result<()>;
}

/// Changes that wait for a coordinator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Entries on the feed that are not settled.
    pub entries: u64,
    /// Age of the oldest of them; zero when there is none.
    pub oldest: Duration,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Partitions of a fleet that is created by this; an existing one keeps its own.
    pub partitions: Partitions,
    /// Namespace of the fleet's keys.
    pub namespace: String,
    /// Memory for folded sessions, in bytes.
    pub fold_bytes: u64,
    /// Whether it creates the fleet and loads functions where they are missing, as coordinators and
    /// dashboards do; who only looks what is there does not.
    pub keeps: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            partitions: Partitions::DEFAULT,
            namespace: DEFAULT_NAMESPACE.to_owned(),
            fold_bytes: DEFAULT_FOLD_BYTES,
            keeps: true,
        }
    }
}

/// 512 MiB: about a million findings folded, and half of a pod of 1 GiB.
pub const DEFAULT_FOLD_BYTES: u64 = 512 * 1024 * 1024;

/// Opens the store at `address`: `memory`, or a form of [`Address`](fleet_worker_sdk::transport::redis::Address). Redis need not be there yet.
///
/// # Errors
/// `Error::Invalid` when the address cannot be read or names an unknown kind of store.
pub fn open(address: &str, options: &OpenOptions) -> Result<SharedStore> {
    match address.split_once("://") {
        None if address == "memory" => Ok(Arc::new(memory::MemoryStore::new(options.partitions))),
        _ => Ok(redis::RedisStore::open(address, options)?),
    }
}

/// A store of either kind.
pub type SharedStore = Arc<dyn Maintain>;

/// Whether an outcome belongs into the bot's series: skipped executions did not run.
pub fn is_run(outcome: ExecutionState) -> bool {
    matches!(outcome, ExecutionState::Completed | ExecutionState::Failed)
}
