//! What a process has to say by itself: that it cannot reach the store.
//!
//! Without the store there is no board, no outbox and no one of many: each coordinator that cannot
//! reach it says so, and one that can does not. To an Alertmanager they all say the same.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Coordinator;
use crate::alert::rules::unreachable;
use crate::alert::{Board, Delivery, Known, Labels, Silence, step};
use crate::store::alerts::Outcome;

/// Deliveries that wait in this process: an outage's first and last to each of 16 channels, twice.
const MAX_WAITING: usize = 64;

/// A process's own alerts.
#[derive(Debug, Default)]
pub(in crate::maintain) struct Own {
    board: Board,
    waiting: VecDeque<Waiting>,
    /// Those known last, which hold while the store is away.
    pub(in crate::maintain) silences: Vec<Silence>,
}

#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    attempts: u32,
    due: Instant,
}

impl Own {
    /// What of it fires.
    pub(in crate::maintain) fn firing(&self) -> Vec<Labels> {
        self.board
            .firing()
            .map(|alert| alert.labels.clone())
            .collect()
    }

    fn wait(&mut self, delivery: Delivery, attempts: u32, rest: Duration) {
        if self.waiting.len() >= MAX_WAITING {
            tracing::error!("too many own alerts wait; the oldest is dropped");
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting {
            delivery,
            attempts,
            due: Instant::now() + rest,
        });
    }

    /// The first delivery of each channel, in the order in which they were made, if it is due.
    fn due(&mut self) -> Vec<Waiting> {
        let now = Instant::now();
        let mut seen = Vec::new();
        let (mut due, mut rest) = (Vec::new(), VecDeque::new());
        for waiting in self.waiting.drain(..) {
            let first = !seen.contains(&waiting.delivery.channel);
            seen.push(waiting.delivery.channel.clone());
            if first && waiting.due <= now {
                due.push(waiting);
            } else {
                rest.push_back(waiting);
            }
        }
        self.waiting = rest;
        due
    }
}

impl Coordinator {
    /// Looks whether the store can be reached, and tells the channels where it cannot, or can again;
    /// answers how many deliveries were tried.
    pub async fn watch_store(&self, now: Timestamp) -> usize {
        let mut own = self.own.lock().await;
        let lasts = self.outage.unreachable();
        let settings = &self.settings.alerts;
        let observed = lasts.and_then(|lasts| unreachable(&self.store.address(), lasts, settings));
        let waiting: Vec<String> = own
            .waiting
            .iter()
            .map(|one| one.delivery.channel.clone())
            .collect();
        let known = Known {
            observed: observed.as_slice(),
            silences: &own.silences,
            beside: &[],
            waiting: &waiting,
            now,
        };
        let (board, deliveries) = step(
            &own.board,
            &known,
            settings,
            &self.settings.sender.channels(),
        );
        own.board = board;
        for delivery in deliveries {
            own.wait(delivery, 0, Duration::ZERO);
        }
        let due = own.due();
        // Others ask what fires meanwhile.
        drop(own);
        let tried = due.len();
        for waiting in due {
            let attempts = waiting.attempts + 1;
            let outcome = self.attempt(&waiting.delivery, attempts).await;
            if let Outcome::Again(rest) = outcome {
                self.own
                    .lock()
                    .await
                    .again(waiting.delivery, attempts, rest);
            }
        }
        tried
    }
}

impl Own {
    /// Puts a delivery first in line again: a channel hears everything in order.
    fn again(&mut self, delivery: Delivery, attempts: u32, rest: Duration) {
        self.waiting.push_front(Waiting {
            delivery,
            attempts,
            due: Instant::now() + rest,
        });
    }
}
