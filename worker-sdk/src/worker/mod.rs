//! The process of a bot: registration, heartbeats, sessions, batched findings, an orderly end.
//!
//! A whole bot:
//!
//! ```no_run
//! use fleet_worker_sdk::worker::{Fleet, Worker};
//! use fleet_worker_sdk::{Bot, Error, Finding, OpenSession, Tier};
//!
//! async fn scan(worker: Worker) -> Result<(), Error> {
//!     let session = worker.open(OpenSession::new("acme/shop")?.commit("4f2a9c1")).await?;
//!     let execution = session.start().await?;
//!     execution.push(Finding::new("todo", "a marker was left").at("src/main.rs", 3)).await?;
//!     let summary = execution.complete().await?;
//!     assert_eq!(summary.pushed, 1);
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let fleet = Fleet::connect("http://127.0.0.1:8080").await?;
//!     fleet.run(Bot::new("todo-finder")?.tier(Tier::Engine), scan).await
//! }
//! ```
//!
//! [`Fleet::run`] beats while the bot works, tells it to finish on SIGTERM, SIGINT or an operator's
//! word, sends what is left, and says goodbye. [`Fleet::worker`] is the same in parts.

mod settings;

mod process;

mod host;

mod pulse;

mod beats;

mod session;

mod execution;

mod batch;

mod pusher;

mod outlet;

mod line;

mod sending;

mod resend;

mod delivery;

mod retry;

mod drain;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bot::Bot;
use crate::error::{Error, Result};
use crate::transport;
use crate::write::Write;

pub use execution::{ActiveExecution, MAX_RULE_BYTES, Summary};
pub use process::Worker;
pub use session::Session;
pub use settings::{
    BATCH_BYTES, BATCH_FINDINGS, DEADLINE, DRAIN, KEEP, KEEP_BYTES, LINGER, QUEUE, QUEUE_BYTES,
    Settings,
};

/// A fleet, and how this process behaves in it.
#[derive(Clone)]
pub struct Fleet {
    store: Arc<dyn Write>,
    settings: Settings,
    spool: Option<PathBuf>,
}

/// The variable that names the folder of the spool.
pub const SPOOL_VARIABLE: &str = "FLEET_SPOOL_DIR";

impl Fleet {
    /// The fleet at `address`: `redis://host:6379` or `http://dashboard:8080`, with a spool in
    /// the folder that the variable `FLEET_SPOOL_DIR` names, if it names one.
    ///
    /// # Errors
    /// Those of [`transport::connect`].
    pub async fn connect(address: &str) -> Result<Self> {
        let spool = std::env::var_os(SPOOL_VARIABLE).filter(|folder| !folder.is_empty());
        Ok(Self {
            spool: spool.map(PathBuf::from),
            ..Self::with(transport::connect(address).await?)
        })
    }

    /// The fleet behind `store`.
    pub fn with(store: Arc<dyn Write>) -> Self {
        Self {
            store,
            settings: Settings::default(),
            spool: None,
        }
    }

    /// With other settings than the defaults.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// With a spool in this folder, in a folder of its own for each bot: what executions have to send
    /// is written there first, a push is done when it is on disk, and what the store has not
    /// acknowledged when the process ends, in whatever way, is sent by the next one that is given the
    /// same folder. A full spool makes the bot wait. What the store refuses for good is moved to
    /// `refused` in it, with the reason. Bounded by [`Settings::spool_bytes`].
    ///
    /// A spool is that of one process a bot: [`worker`](Self::worker) refuses a second one.
    #[must_use]
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Some(folder.into());
        self
    }

    /// The store, for calls that have no words here.
    pub fn store(&self) -> &Arc<dyn Write> {
        &self.store
    }

    /// Registers `bot` and becomes a worker of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the bot or the settings are; [`Error::Unavailable`] or
    /// [`Error::Full`] after the deadline; [`Error::Incompatible`] when store and SDK do not fit.
    pub async fn worker(&self, bot: Bot) -> Result<Worker> {
        Worker::start(
            Arc::clone(&self.store),
            bot,
            self.settings,
            self.spool.as_deref(),
        )
        .await
    }

    /// Registers `bot`, runs `work` as its worker until it ends or is told to, and stops.
    ///
    /// # Errors
    /// The work's own; those of [`worker`](Self::worker) and [`Worker::stop`];
    /// [`Error::Conflict`] when the work was ended before it was finished.
    pub async fn run<T, E, F, W>(&self, bot: Bot, work: F) -> Result<T, E>
    where
        F: FnOnce(Worker) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let worker = self.worker(bot).await?;
        let done = worker.until_stopped(work(worker.clone())).await;
        let stopped = worker.stop().await;
        let done = done.unwrap_or_else(|| {
            Err(Error::conflict("the worker was stopped before its work was finished").into())
        })?;
        stopped?;
        Ok(done)
    }
}
