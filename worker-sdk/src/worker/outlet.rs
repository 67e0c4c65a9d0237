//! Where an execution's batches and changes go: to the store, or into the spool and from there on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::batch::Content;
use super::delivery::{Delivery, LastError, Origin, remember};
use super::line::{Asker, Line, Sender, Sent, Waiting};
use super::process::Shared;
use super::retry::unanswered;
use super::sending::{AWAY, Sending};
use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::push::Batch;
use crate::session::{Change, Execution, ExecutionState, Ongoing, Transition};
use crate::spool::parcel::Parcel;
use crate::spool::queue::Spool;

/// How long to wait before a full disk is tried again; room in the spool is heard of at once.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The way to the store.
pub(super) enum Outlet {
    /// Each call waits for the store.
    Direct(Box<Delivery>),
    /// Each call waits for the disk.
    Spooled(Box<Spooled>),
}

/// The way through the spool.
pub(super) struct Spooled {
    shared: Arc<Shared>,
    spool: Arc<Spool>,
    line: Arc<Line>,
    session: SessionId,
    /// Names producer and attempt of what is put in.
    ongoing: Ongoing,
    started: Option<Execution>,
    /// Parcels put in.
    put: u64,
    /// Findings put in.
    findings: u64,
    /// How far the sending was when it was last looked at.
    sent: Sent,
    /// Why the store does not answer.
    last_error: LastError,
    /// Why nothing can be put in.
    full: LastError,
    _open: DropGuard,
}

impl Outlet {
    pub(super) fn new(shared: &Arc<Shared>, session: &SessionId, origin: Origin) -> Self {
        let delivery = Delivery::of(shared, session).opened(origin);
        match &shared.spool {
            None => Self::Direct(Box::new(delivery)),
            Some(spool) => Self::Spooled(Box::new(Spooled::new(shared, spool, session, delivery))),
        }
    }

    pub(super) fn last_error(&self) -> LastError {
        match self {
            Self::Direct(delivery) => delivery.last_error(),
            // Once started, only a spool without room makes a bot wait.
            Self::Spooled(spooled) if spooled.started.is_some() => Arc::clone(&spooled.full),
            Self::Spooled(spooled) => Arc::clone(&spooled.last_error),
        }
    }

    /// Findings acknowledged, repeats not counted; of a store that is away, those in the spool too.
    pub(super) fn pushed(&self) -> u64 {
        match self {
            Self::Direct(delivery) => delivery.pushed,
            Self::Spooled(spooled) if spooled.left() == 0 => spooled.sent.pushed,
            Self::Spooled(spooled) => spooled.findings,
        }
    }

    /// Findings among them that the session did not have, as far as the store said.
    pub(super) fn new_findings(&self) -> u64 {
        match self {
            Self::Direct(delivery) => delivery.new,
            Self::Spooled(spooled) => spooled.sent.new,
        }
    }

    /// Acknowledged parcels that the store lost and that were no longer kept.
    pub(super) fn lost(&self) -> u64 {
        match self {
            Self::Direct(delivery) => delivery.lost,
            Self::Spooled(spooled) => spooled.sent.lost,
        }
    }

    /// Parcels in the spool that the store had not acknowledged when it was last waited for.
    pub(super) fn left(&self) -> u64 {
        match self {
            Self::Direct(_) => 0,
            Self::Spooled(spooled) => spooled.left(),
        }
    }

    /// Waits until the store has all that was put into the spool, or is away; answers what it
    /// refused of it.
    pub(super) async fn drained(&mut self) -> Option<Error> {
        match self {
            Self::Direct(_) => None,
            Self::Spooled(spooled) => spooled.drained().await,
        }
    }

    /// Where another producer's hand would go on.
    pub(super) async fn ongoing(&mut self) -> Result<Ongoing> {
        match self {
            Self::Direct(delivery) => Ok(delivery.ongoing()),
            Self::Spooled(spooled) => spooled.handed_over().await,
        }
    }

    pub(super) async fn change(&mut self, change: Change) -> Result<Execution> {
        match self {
            Self::Direct(delivery) => delivery.change(change).await,
            Self::Spooled(spooled) => spooled.change(change).await,
        }
    }

    pub(super) async fn push(&mut self, content: Content) -> Result<()> {
        match self {
            Self::Direct(delivery) => delivery.push(content).await,
            Self::Spooled(spooled) => spooled.push(content).await,
        }
    }

    /// Findings that the store has received in this attempt; with a spool and a store that is away,
    /// those that it will have.
    pub(super) async fn received(&self) -> Result<u64> {
        match self {
            Self::Direct(delivery) => delivery.received().await,
            Self::Spooled(spooled) => Ok(spooled.received().await),
        }
    }

    /// Asks what the store has, and sends again what it lost. A spool's own task does so by itself.
    pub(super) async fn verify(&mut self) -> Result<()> {
        match self {
            Self::Direct(delivery) => delivery.verify().await,
            Self::Spooled(_) => Ok(()),
        }
    }

    /// The same, until the store answers.
    pub(super) async fn confirm(&mut self) -> Result<()> {
        match self {
            Self::Direct(delivery) => delivery.confirm().await,
            Self::Spooled(_) => Ok(()),
        }
    }
}

impl Spooled {
    fn new(
        shared: &Arc<Shared>,
        spool: &Arc<Spool>,
        session: &SessionId,
        delivery: Delivery,
    ) -> Self {
        let line = Arc::new(Line::default());
        let (ongoing, last_error) = (delivery.ongoing(), delivery.last_error());
        let (shared, spool) = (Arc::clone(shared), Arc::clone(spool));
        let sending = Sending::new(
            Arc::clone(&shared),
            Arc::clone(&spool),
            session.clone(),
            delivery,
        );
        let sender = Sender {
            shared: Arc::clone(&shared),
            line: Arc::clone(&line),
            sending,
            recovered: shared.recovered.subscribe(),
        };
        let (cut_off, producer) = (shared.cut_off.clone(), ongoing.producer.clone());
        let forgetting = Arc::clone(&spool);
        shared.senders.spawn(async move {
            tokio::select! {
                () = sender.run() => {}
                () = cut_off.cancelled() => {}
            }
            forgetting.forget(&producer);
        });
        Self {
            _open: line.closed.clone().drop_guard(),
            shared,
            spool,
            line,
            session: session.clone(),
            ongoing,
            started: None,
            put: 0,
            findings: 0,
            sent: Sent::default(),
            last_error,
            full: LastError::default(),
        }
    }

    fn left(&self) -> u64 {
        self.put.saturating_sub(self.sent.done)
    }

    async fn push(&mut self, content: Content) -> Result<()> {
        let count = content.findings.len() as u64;
        let parcel = Parcel::Batch(Batch {
            session: self.session.clone(),
            bot: self.shared.bot.id.clone(),
            attempt: self.ongoing.attempt,
            producer: self.ongoing.producer.clone(),
            sequence: 0,
            findings: content.findings,
            again: content.again,
            rules: content.rules,
        });
        self.put(parcel, None, false).await?;
        self.findings += count;
        Ok(())
    }

    /// Puts the change away and waits for its answer: a start or a skip for as long as the caller
    /// does, an end while the store answers at all. After that it is answered as it will be.
    async fn change(&mut self, change: Change) -> Result<Execution> {
        let (asker, answer) = oneshot::channel();
        let gone = CancellationToken::new();
        let _waiting = gone.clone().drop_guard();
        let asker = Asker {
            answer: asker,
            gone,
        };
        let revocable = matches!(change, Change::Start { .. } | Change::Skip { .. });
        let parcel = Parcel::Change(Transition {
            session: self.session.clone(),
            bot: self.shared.bot.id.clone(),
            attempt: if revocable { 0 } else { self.ongoing.attempt },
            producer: self.ongoing.producer.clone(),
            sequence: 0,
            change: change.clone(),
        });
        self.put(parcel, Some(asker), revocable).await?;
        let cut = |_| {
            Err(Error::conflict(
                "the worker was stopped before the store answered",
            ))
        };
        if revocable {
            let execution = answer.await.unwrap_or_else(cut)?;
            self.ongoing.attempt = execution.attempt;
            self.started = Some(execution.clone());
            self.look();
            return Ok(execution);
        }
        let told = timeout(AWAY, answer).await;
        self.look();
        match told {
            Ok(told) => told.unwrap_or_else(cut),
            Err(_) => self.as_it_will_be(change),
        }
    }

    fn as_it_will_be(&self, change: Change) -> Result<Execution> {
        tracing::warn!(session = %self.session, parcels = self.left(), spool = %self.spool.folder().display(),
            "the store is away: the end of an execution stays in the spool, and is sent at the next start");
        let started = self.started.clone();
        let mut execution = started.ok_or_else(|| unanswered(AWAY))?;
        execution.pushed = self.findings;
        match change {
            Change::Fail { reason } => {
                execution.state = ExecutionState::Failed;
                execution.reason = Some(reason);
            }
            Change::Complete { partial, .. } => {
                execution.state = ExecutionState::Completed;
                execution.partial = partial;
            }
            _ => {}
        }
        Ok(execution)
    }

    /// Puts a parcel away; waits while there is no room.
    async fn put(
        &mut self,
        mut parcel: Parcel,
        asker: Option<Asker>,
        revocable: bool,
    ) -> Result<()> {
        let place = loop {
            // Listening begins before looking: room that comes in between is not missed.
            let spool = Arc::clone(&self.spool);
            let mut room = pin!(spool.room());
            room.as_mut().enable();
            let writing = Arc::clone(&self.spool);
            // A disk may take its time; the heartbeats may not.
            let written = tokio::task::spawn_blocking(move || (writing.put(&parcel), parcel));
            let (written, back) = written.await.map_err(Error::protocol)?;
            match written {
                Ok(place) => break place,
                Err(error) if error.is_retryable() => remember(&self.full, Some(error)),
                Err(error) => return Err(error),
            }
            parcel = back;
            tokio::select! {
                () = room => {}
                () = sleep(TRY_AGAIN) => {}
            }
        };
        remember(&self.full, None);
        self.put += 1;
        self.line.push(Waiting {
            place,
            asker,
            revocable,
        });
        Ok(())
    }

    fn look(&mut self) {
        self.sent = self.line.sent.borrow().clone();
    }

    async fn drained(&mut self) -> Option<Error> {
        let mut sent = self.line.sent.subscribe();
        let until = Instant::now() + self.shared.settings.deadline / 2;
        loop {
            self.sent = sent.borrow_and_update().clone();
            if self.left() == 0 {
                return self.sent.refused.clone();
            }
            tokio::select! {
                _ = sent.changed() => {}
                () = sleep(AWAY) => return self.sent.refused.clone(),
                () = sleep_until(until) => return self.sent.refused.clone(),
            }
        }
    }

    async fn handed_over(&mut self) -> Result<Ongoing> {
        let refused = self.drained().await;
        match (&self.sent.ongoing, refused) {
            (_, Some(error)) => Err(error),
            (Some(ongoing), None) if self.left() == 0 => Ok(ongoing.clone()),
            _ => Err(unanswered(AWAY)),
        }
    }

    async fn received(&self) -> u64 {
        if self.left() > 0 {
            return self.findings;
        }
        let asked = timeout(AWAY, self.shared.store.progress(&self.session)).await;
        let progress = asked.ok().and_then(Result::ok);
        let execution = progress.and_then(|p| p.execution(&self.shared.bot.id).cloned());
        execution.map_or(self.findings, |execution| execution.pushed)
    }
}
