//! A worker: one running process of a bot, from its registration to its last beat.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

use super::pulse::Pulse;
use super::retry::within;
use super::session::Session;
use super::settings::Settings;
use super::{beats, drain, host, resend};
use crate::beat::{Command, WorkerState};
use crate::bot::Bot;
use crate::error::{Error, Result};
use crate::ids::{SessionId, WorkerId};
use crate::session::OpenSession;
use crate::spool::queue::Spool;
use crate::write::Write;

/// What every part of a worker needs.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Write>,
    pub(super) bot: Bot,
    pub(super) id: WorkerId,
    pub(super) host: String,
    pub(super) started: Timestamp,
    pub(super) settings: Settings,
    pub(super) pulse: Arc<Pulse>,
    pub(super) commands: watch::Sender<Option<Command>>,
    /// Counts how often the store came back after beats had failed.
    pub(super) recovered: watch::Sender<u64>,
    /// Tasks of executions.
    pub(super) tasks: TaskTracker,
    /// Where what is to be sent is put first, if anywhere.
    pub(super) spool: Option<Arc<Spool>>,
    /// Sessions that an earlier process left parcels for.
    pub(super) resending: watch::Sender<BTreeSet<SessionId>>,
    /// Tasks that send what is in the spool.
    pub(super) senders: TaskTracker,
    /// The bot is to finish: a signal or an operator said so.
    pub(super) cancelled: CancellationToken,
    /// Executions are to end now.
    pub(super) stopping: CancellationToken,
    /// Executions have had their time.
    pub(super) cut_off: CancellationToken,
    /// Every handle of the worker is gone.
    pub(super) dropped: CancellationToken,
}

impl Shared {
    pub(super) fn terminate(&self) {
        self.pulse.advance(WorkerState::Terminating);
        self.cancelled.cancel();
    }
}

/// A running process of a bot. Cheap to clone; beats stop when the last clone is dropped.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
    beats: Arc<tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>>,
    _alive: Arc<DropGuard>,
}

impl Worker {
    /// Takes the spool, registers the bot, then beats.
    pub(super) async fn start(
        store: Arc<dyn Write>,
        bot: Bot,
        settings: Settings,
        spool: Option<&Path>,
    ) -> Result<Self> {
        settings.check()?;
        bot.check()?;
        let opened = spool.map(|folder| Spool::open(folder, &bot.id, settings.spool_bytes));
        let (spool, left) = opened.transpose()?.unzip();
        let left = left.unwrap_or_default();
        let host = host::name();
        let shared = Arc::new(Shared {
            id: host::worker_id(&bot.id, &host)?,
            host,
            bot,
            started: Timestamp::now(),
            settings,
            pulse: Arc::new(Pulse::new()),
            commands: watch::Sender::new(None),
            recovered: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            spool,
            resending: watch::Sender::new(resend::sessions(&left)),
            senders: TaskTracker::new(),
            cancelled: CancellationToken::new(),
            stopping: CancellationToken::new(),
            cut_off: CancellationToken::new(),
            dropped: CancellationToken::new(),
            store,
        });
        let alive = shared.dropped.clone().drop_guard();
        let beats = tokio::spawn(beats::run(Arc::clone(&shared)));
        within(settings.deadline, || shared.store.register(&shared.bot)).await?;
        shared.pulse.advance(WorkerState::Running);
        if let Some(spool) = &shared.spool {
            let of = || (Arc::clone(&shared), Arc::clone(spool));
            let ((resending, left_in), (syncing, written)) = (of(), of());
            shared.senders.spawn(resend::run(resending, left_in, left));
            tokio::spawn(resend::sync(syncing, written));
        }
        Ok(Self {
            shared,
            beats: Arc::new(tokio::sync::Mutex::new(Some(beats))),
            _alive: Arc::new(alive),
        })
    }

    /// Its id, `bot:host:pid:boot-id`.
    pub fn id(&self) -> &WorkerId {
        &self.shared.id
    }

    /// What it is a worker of.
    pub fn bot(&self) -> &Bot {
        &self.shared.bot
    }

    /// Where it is in its life.
    pub fn state(&self) -> WorkerState {
        self.shared.pulse.state()
    }

    /// Whether it is to take nothing new.
    pub fn is_quiet(&self) -> bool {
        self.state() >= WorkerState::Quiet
    }

    /// Whether the bot is to finish.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.is_cancelled()
    }

    /// Ends when the bot is to finish: on a signal, or on an operator's terminate.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.shared.cancelled.cancelled()
    }

    /// The last command of an operator, none until there is one.
    pub fn commands(&self) -> watch::Receiver<Option<Command>> {
        self.shared.commands.subscribe()
    }

    /// Says that something got done: the beats tell it to those who look for what is stuck.
    /// Findings and changes of executions say so by themselves.
    pub fn progress(&self) {
        self.shared.pulse.progress();
    }

    /// Takes nothing new from here on.
    pub fn quiet(&self) {
        self.shared.pulse.advance(WorkerState::Quiet);
    }

    /// Asks the bot to finish, as a signal would.
    pub fn terminate(&self) {
        self.shared.terminate();
    }

    /// Joins or creates the session of a repository, ref, commit and run.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the worker is to take nothing new, [`Error::Invalid`] when the
    /// request is, [`Error::Unavailable`] or [`Error::Full`] after the deadline.
    pub async fn open(&self, open: OpenSession) -> Result<Session> {
        let shared = &self.shared;
        if self.is_quiet() {
            let why = format!("the worker is {}: it takes nothing new", self.state());
            return Err(Error::conflict(why));
        }
        open.check()?;
        let opened = within(shared.settings.deadline, || shared.store.open(&open)).await?;
        shared.pulse.progress();
        let shared = Arc::clone(shared);
        Ok(Session::new(shared, open, opened))
    }

    /// Runs `work` until it ends. SIGTERM, SIGINT or an operator's terminate ask it to finish
    /// ([`cancelled`](Self::cancelled)); it then has the drain time, and is dropped after it, or at
    /// once on a second signal. None when it was dropped.
    pub async fn until_stopped<F: Future>(&self, work: F) -> Option<F::Output> {
        drain::until_stopped(self, self.shared.settings.drain, work).await
    }

    /// Ends every execution that still runs (as failed, after what it took was sent), reports the
    /// worker as stopped and ends its beats. Stopping twice is no error.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when executions could not send what they had within the drain time:
    /// that part is lost.
    pub async fn stop(&self) -> Result<()> {
        let shared = &self.shared;
        shared.terminate();
        shared.stopping.cancel();
        shared.tasks.close();
        let limit = shared.settings.drain;
        let until = Instant::now() + limit;
        let drained = timeout_at(until, shared.tasks.wait()).await;
        shared.senders.close();
        // What these have not sent is in the spool.
        let sent = timeout_at(until, shared.senders.wait()).await;
        if drained.is_err() || sent.is_err() {
            shared.cut_off.cancel();
            shared.tasks.wait().await;
            shared.senders.wait().await;
        }
        if let Some(spool) = &shared.spool {
            let parcels = spool.open_parcels();
            if parcels > 0 {
                tracing::warn!(parcels, spool = %spool.folder().display(), "the store is away; the next start sends what is in the spool");
            }
        }
        shared.pulse.advance(WorkerState::Stopped);
        if let Some(beats) = self.beats.lock().await.take() {
            // The last beat has a timeout of its own; a panic in it would have been reported.
            let _ = beats.await;
        }
        drained.map_err(|_| super::retry::unanswered(limit))
    }
}
