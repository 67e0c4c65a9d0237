//! The task behind an execution: fills one batch while another is on its way.
//!
//! A finding that somebody waits for goes at once when nothing is in flight; a flood fills
//! batches while one is. What nobody waits for lingers a little to fill a batch.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::batch::{Load, Lot, Sent, Waiter};
use super::execution::Summary;
use super::outlet::Outlet;
use super::process::Shared;
use super::pulse::Presence;
use super::sending::given_up;
use crate::error::{Error, Result};
use crate::session::{Change, Execution, Ongoing};

/// What an execution's handle says to its task.
pub(super) enum Message {
    Lot(Lot),
    Flush(Waiter),
    End(End),
    HandOver(oneshot::Sender<Result<Ongoing>>),
}

/// How an execution is to end.
pub(super) struct End {
    pub(super) how: How,
    /// Findings taken from the bot, repeats not counted.
    pub(super) accepted: u64,
    pub(super) repeats: u64,
    pub(super) answer: oneshot::Sender<Result<Summary>>,
}

#[derive(Clone)]
pub(super) enum How {
    Complete { partial: bool },
    Fail { reason: String },
}

type Landed = (Box<Outlet>, Result<()>);

enum Station {
    Home(Box<Outlet>),
    Away(BoxFuture<'static, Landed>, Sent),
    /// Only while one of the others is being replaced.
    Nowhere,
}

enum Event {
    Message(Message),
    Landed(Landed),
    Due,
    Recovered,
    Stop,
    Closed,
}

pub(super) struct Pusher {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Message>,
    station: Station,
    load: Load,
    /// What did not fit into the load, which is full then.
    rest: Option<Lot>,
    /// The first refusal that nobody was told of.
    refused: Option<Error>,
    recovered: watch::Receiver<u64>,
    stopping: bool,
    /// Names the session in the beats while the execution runs.
    presence: Option<Presence>,
}

impl Pusher {
    pub(super) fn new(
        shared: Arc<Shared>,
        inbox: mpsc::Receiver<Message>,
        delivery: Outlet,
        presence: Presence,
    ) -> Self {
        let recovered = shared.recovered.subscribe();
        Self {
            shared,
            inbox,
            station: Station::Home(Box::new(delivery)),
            load: Load::default(),
            rest: None,
            refused: None,
            recovered,
            stopping: false,
            presence: Some(presence),
        }
    }

    /// Works until the execution has ended; one that nobody ended is failed.
    pub(super) async fn run(mut self) {
        loop {
            self.fly_if_due();
            match self.event().await {
                Event::Message(Message::Lot(lot)) => self.add(lot),
                Event::Message(Message::Flush(waiter)) => self.flush(waiter),
                Event::Message(Message::End(end)) => {
                    if self.end(end).await {
                        return self.watch_over().await;
                    }
                }
                Event::Message(Message::HandOver(answer)) => {
                    if self.hand_over(answer).await {
                        return;
                    }
                }
                Event::Landed(landed) => self.land(landed),
                Event::Due => {}
                Event::Recovered => self.verify(),
                Event::Stop => {
                    self.stopping = true;
                    self.inbox.close();
                }
                Event::Closed => return self.abandon().await,
            }
        }
    }

    async fn event(&mut self) -> Event {
        let home = matches!(self.station, Station::Home(_));
        let due = self.load.due(&self.shared.settings);
        tokio::select! {
            biased;
            landed = landing(&mut self.station) => Event::Landed(landed),
            message = self.inbox.recv(), if !self.load.is_full(&self.shared.settings) => {
                message.map_or(Event::Closed, Event::Message)
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if home && due.is_some() => Event::Due,
            Ok(()) = self.recovered.changed(), if home => Event::Recovered,
            () = self.shared.stopping.cancelled(), if !self.stopping => Event::Stop,
        }
    }

    fn add(&mut self, lot: Lot) {
        self.rest = self.load.add(lot, &self.shared.settings, Instant::now());
    }

    fn fly_if_due(&mut self) {
        let settings = &self.shared.settings;
        let now = Instant::now();
        let go = self.load.is_full(settings)
            || !self.load.waiters.is_empty()
            || self.load.due(settings).is_some_and(|due| due <= now);
        if go && !self.load.is_empty() {
            self.fly();
        }
    }

    fn fly(&mut self) {
        self.station = match std::mem::replace(&mut self.station, Station::Nowhere) {
            Station::Home(mut delivery) => {
                let (content, sent) = self.load.take();
                let flight = async move {
                    let result = delivery.push(content).await;
                    (delivery, result)
                };
                Station::Away(flight.boxed(), sent)
            }
            away => away,
        };
        if self.load.is_empty()
            && let Some(rest) = self.rest.take()
        {
            self.add(rest);
        }
    }

    /// The store was away: asks whether it came back with all it had acknowledged.
    fn verify(&mut self) {
        self.station = match std::mem::replace(&mut self.station, Station::Nowhere) {
            Station::Home(mut delivery) => {
                let flight = async move {
                    if let Err(error) = delivery.verify().await {
                        // Not lost: the next batch or the end meets the gap.
                        tracing::warn!(%error, "cannot ask the store for the last sequence number");
                    }
                    (delivery, Ok(()))
                };
                Station::Away(flight.boxed(), Sent::default())
            }
            away => away,
        };
    }

    fn land(&mut self, (delivery, result): Landed) {
        let station = std::mem::replace(&mut self.station, Station::Home(delivery));
        let Station::Away(_, sent) = station else {
            return;
        };
        if let Err(error) = &result
            && sent.unwatched
        {
            tracing::error!(%error, bot = %self.shared.bot.id, "the store refused a batch");
            self.refused.get_or_insert_with(|| error.clone());
        }
        sent.waiters.tell(&result, &mut self.refused);
    }

    fn flush(&mut self, waiter: Waiter) {
        match &mut self.station {
            _ if !self.load.is_empty() => self.load.waiters.flushes.push(waiter),
            Station::Away(_, sent) => sent.waiters.flushes.push(waiter),
            _ => {
                let _ = waiter.send(self.refused.take().map_or(Ok(()), Err));
            }
        }
    }

    /// Sends all there is and waits until it has landed; hands out the producer.
    async fn settle(&mut self) -> Option<&mut Outlet> {
        loop {
            if let Station::Away(..) = self.station {
                let landed = landing(&mut self.station).await;
                self.land(landed);
            } else if self.load.is_empty() {
                break;
            } else {
                self.fly();
            }
        }
        match &mut self.station {
            Station::Home(delivery) => Some(delivery),
            _ => None,
        }
    }

    /// Whether somebody else goes on with the execution from here.
    async fn hand_over(&mut self, answer: oneshot::Sender<Result<Ongoing>>) -> bool {
        let handed = match self.refused.take() {
            Some(error) => Err(error),
            None => match self.settle().await {
                Some(delivery) => delivery.ongoing().await,
                None => Err(Error::protocol("the execution has no producer")),
            },
        };
        let gone = handed.is_ok();
        // One whose asker no longer listens is failed, as one that was dropped.
        answer.send(handed).is_ok() && gone
    }

    /// Whether the execution has ended; a refused end leaves it as it was.
    async fn end(&mut self, end: End) -> bool {
        let answer = self.finish(&end).await;
        let ended = answer.is_ok();
        if let Ok(summary) = &answer {
            self.answer_late_ends(summary);
        }
        let _ = end.answer.send(answer);
        ended
    }

    async fn finish(&mut self, end: &End) -> Result<Summary> {
        let refused = self.refused.take();
        let Some(delivery) = self.settle().await else {
            return Err(Error::protocol("the execution has no producer"));
        };
        if end.answer.is_closed() {
            return Err(Error::conflict("nobody waits for the end any more"));
        }
        let refused = delivery.drained().await.or(refused);
        let execution = finish(delivery, end, refused).await?;
        Ok(Summary {
            execution,
            pushed: delivery.pushed(),
            new: delivery.new_findings(),
            repeats: end.repeats,
            lost: delivery.lost(),
            spooled: delivery.left(),
        })
    }

    /// After the end, for as long as batches are kept: a store that comes back without the last of
    /// them, or without the end itself, gets them again. It is asked once more before they are let
    /// go: a master may fail over between two beats, or another than hears the beats.
    async fn watch_over(mut self) {
        self.presence = None;
        let until = Instant::now() + self.shared.settings.keep;
        loop {
            tokio::select! {
                () = sleep_until(until) => return self.last_look().await,
                () = self.shared.stopping.cancelled() => return self.last_look().await,
                Ok(()) = self.recovered.changed() => self.verify(),
            }
            let _ = self.settle().await;
        }
    }

    async fn last_look(mut self) {
        let (stopping, limit) = (self.shared.stopping.clone(), self.shared.settings.deadline);
        let look = async {
            match self.settle().await {
                Some(outlet) => outlet.confirm().await,
                None => Ok(()),
            }
        };
        tokio::select! {
            looked = timeout(limit, look) => if let Ok(Err(error)) = looked {
                tracing::error!(%error, "the end of an execution may be lost: it cannot be sent again");
            },
            () = given_up(&stopping) => {}
        }
    }

    /// Those who asked for the end again after waiting in vain learn that it has come.
    fn answer_late_ends(&mut self, summary: &Summary) {
        self.inbox.close();
        while let Ok(message) = self.inbox.try_recv() {
            if let Message::End(end) = message {
                let _ = end.answer.send(Ok(summary.clone()));
            }
        }
    }

    /// The handle was dropped or the worker stops: what was taken is sent, and the execution
    /// fails. Completing it would close findings nobody looked for; leaving it would keep the
    /// session open for ever.
    async fn abandon(mut self) {
        let reason = if self.stopping {
            "the worker was stopped before the execution ended"
        } else {
            "the bot dropped the execution before it ended"
        };
        let limit = self.shared.settings.drain;
        let change = Change::Fail {
            reason: reason.to_owned(),
        };
        let failed = timeout(limit, async {
            match self.settle().await {
                Some(delivery) => delivery.change(change).await.map(drop),
                None => Ok(()),
            }
        });
        match failed.await {
            Ok(Ok(())) => tracing::warn!(reason, "an execution failed"),
            Ok(Err(error)) => tracing::error!(reason, %error, "an execution could not be failed"),
            Err(_) => tracing::error!(reason, "an execution could not be failed in time"),
        }
    }
}

/// Ends when what is away has landed; never while nothing is.
async fn landing(station: &mut Station) -> Landed {
    match station {
        Station::Away(flight, _) => flight.await,
        _ => std::future::pending().await,
    }
}

async fn finish(delivery: &mut Outlet, end: &End, refused: Option<Error>) -> Result<Execution> {
    let change = match &end.how {
        How::Fail { reason } => Change::Fail {
            reason: reason.clone(),
        },
        How::Complete { partial: true } => Change::Complete {
            pushed: delivery.received().await?,
            partial: true,
        },
        How::Complete { partial: false } => {
            whole(delivery, end.accepted, refused)?;
            Change::Complete {
                pushed: delivery.pushed(),
                partial: false,
            }
        }
    };
    delivery.change(change).await
}

/// A scan is whole only if every finding taken from the bot is in the store.
fn whole(delivery: &Outlet, accepted: u64, refused: Option<Error>) -> Result<()> {
    let advice = "complete it as partial, fail it, or start it over";
    if delivery.lost() > 0 {
        return Err(Error::conflict(format!(
            "the store lost {} acknowledged batches for good; {advice}",
            delivery.lost()
        )));
    }
    let missing = accepted.saturating_sub(delivery.pushed());
    match refused {
        Some(error) => Err(error),
        None if missing > 0 => Err(Error::conflict(format!(
            "the store refused {missing} findings; {advice}"
        ))),
        None => Ok(()),
    }
}
