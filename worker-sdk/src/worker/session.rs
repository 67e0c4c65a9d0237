//! A session that a worker takes part in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::delivery::Origin;
use super::execution::{ActiveExecution, cut};
use super::outlet::Outlet;
use super::process::Shared;
use super::pusher::Pusher;
use crate::retry::Backoff;

use super::retry::within;
use crate::error::{Error, Result};
use crate::identity::Fingerprinter;
use crate::ids::{BotId, Repository, SessionId};
use crate::session::{Change, Execution, OpenSession, Opened, Progress};

/// Longest wait for a change in one call: transports hold no request open for longer.
const LONGEST_POLL: Duration = Duration::from_secs(25);

/// One analysis of one repository, as this worker's bot sees it.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    id: SessionId,
    repository: Repository,
    created: bool,
    origin: Origin,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, open: OpenSession, opened: Opened) -> Self {
        let Opened { session, created } = opened;
        Self {
            shared,
            id: session.clone(),
            repository: open.repository.clone(),
            created,
            origin: Origin::new(open, session),
        }
    }

    /// Its id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Whether this worker's call created it; otherwise it was joined.
    pub fn created(&self) -> bool {
        self.created
    }

    /// Starts the bot's execution in it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the bot's execution is running elsewhere or has ended:
    /// [`start_over`](Self::start_over) takes it over. [`Error::Unavailable`] or [`Error::Full`]
    /// after the deadline.
    pub async fn start(&self) -> Result<ActiveExecution> {
        self.begin(false).await
    }

    /// Starts the bot's execution anew, though it runs elsewhere or has ended; what the former
    /// attempt still pushes is refused.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Full`] after the deadline.
    pub async fn start_over(&self) -> Result<ActiveExecution> {
        self.begin(true).await
    }

    async fn begin(&self, reopen: bool) -> Result<ActiveExecution> {
        let shared = &self.shared;
        if shared.stopping.is_cancelled() {
            return Err(Error::conflict("the worker is stopping"));
        }
        let change = Change::Start {
            worker: Some(shared.id.clone()),
            reopen,
        };
        let presence = shared.pulse.enter(&self.id);
        let mut delivery = self.outlet().await?;
        let started = self.change(&mut delivery, change).await?;
        let (to, inbox) = mpsc::channel(shared.settings.queue);
        let seen = Fingerprinter::new(&self.repository, shared.bot.id.as_str());
        let last_error = delivery.last_error();
        let pusher = Pusher::new(Arc::clone(shared), inbox, delivery, presence);
        let cut_off = shared.cut_off.clone();
        shared.tasks.spawn(async move {
            tokio::select! {
                () = pusher.run() => {}
                () = cut_off.cancelled() => tracing::error!("an execution was cut off: what it had not sent is lost"),
            }
        });
        let shared = Arc::clone(shared);
        Ok(ActiveExecution::new(shared, started, to, seen, last_error))
    }

    /// Says that the bot will not run in this session, and why; those who depend on it go on.
    ///
    /// # Errors
    /// [`Error::Conflict`] when its execution runs or has ended; [`Error::Unavailable`] or
    /// [`Error::Full`] after the deadline.
    pub async fn skip(&self, reason: impl Into<String>) -> Result<Execution> {
        let reason = cut(reason.into());
        let mut delivery = self.outlet().await?;
        self.change(&mut delivery, Change::Skip { reason }).await
    }

    /// The way to the store, once what an earlier process left for this session is there: its
    /// attempt is the one before.
    async fn outlet(&self) -> Result<Outlet> {
        let mut resending = self.shared.resending.subscribe();
        let limit = self.shared.settings.deadline;
        let sent = resending.wait_for(|sessions| !sessions.contains(&self.id));
        match tokio::time::timeout(limit, sent).await {
            Ok(_) => Ok(Outlet::new(&self.shared, &self.id, self.origin.clone())),
            Err(_) => Err(super::retry::unanswered(limit)),
        }
    }

    async fn change(&self, delivery: &mut Outlet, change: Change) -> Result<Execution> {
        let limit = self.shared.settings.deadline;
        let last_error = delivery.last_error();
        match tokio::time::timeout(limit, delivery.change(change)).await {
            Ok(answer) => answer,
            Err(_) => Err(super::delivery::recall(&last_error)
                .unwrap_or_else(|| super::retry::unanswered(limit))),
        }
    }

    /// Its executions and the registered bots.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the session is gone; [`Error::Unavailable`] after the deadline.
    pub async fn progress(&self) -> Result<Progress> {
        let store = &self.shared.store;
        within(self.shared.settings.deadline, || store.progress(&self.id)).await
    }

    /// Bots whose execution is pending and may start now.
    ///
    /// # Errors
    /// Those of [`progress`](Self::progress).
    pub async fn ready_bots(&self) -> Result<Vec<BotId>> {
        Ok(self.progress().await?.ready_bots())
    }

    /// Whether every verifier that takes part has completed or was skipped: the finishers' gate.
    ///
    /// # Errors
    /// Those of [`progress`](Self::progress).
    pub async fn verifiers_complete(&self) -> Result<bool> {
        Ok(self.progress().await?.verifiers_complete())
    }

    /// Waits until nothing that `bot` depends on is outstanding. False when that did not come
    /// within `limit`, or the worker is being stopped.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the session is gone. A store that cannot be reached is waited for.
    pub async fn wait_ready(&self, bot: &BotId, limit: Duration) -> Result<bool> {
        self.wait(limit, |progress| progress.may_start(bot)).await
    }

    /// Waits until the verifiers are done, as [`wait_ready`](Self::wait_ready) does.
    ///
    /// # Errors
    /// Those of [`wait_ready`](Self::wait_ready).
    pub async fn wait_verifiers(&self, limit: Duration) -> Result<bool> {
        self.wait(limit, Progress::verifiers_complete).await
    }

    async fn wait(&self, limit: Duration, come: impl Fn(&Progress) -> bool) -> Result<bool> {
        tokio::select! {
            come = self.watch(Instant::now() + limit, come) => come,
            () = tokio::time::sleep(limit) => Ok(false),
            () = self.shared.cancelled.cancelled() => Ok(false),
        }
    }

    /// Level-triggered: the version only says that it is worth looking again.
    async fn watch(&self, deadline: Instant, come: impl Fn(&Progress) -> bool) -> Result<bool> {
        let store = &self.shared.store;
        let mut backoff = Backoff::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let round = async {
                let progress = store.progress(&self.id).await?;
                if come(&progress) {
                    return Ok(true);
                }
                let wait = left.min(LONGEST_POLL);
                store.changed(&self.id, progress.version, wait).await?;
                Ok(false)
            };
            match round.await {
                Ok(true) => return Ok(true),
                Ok(false) => backoff = Backoff::new(),
                Err(Error::Full { .. } | Error::Unavailable { .. }) => backoff.wait().await,
                Err(error) => return Err(error),
            }
        }
    }
}
