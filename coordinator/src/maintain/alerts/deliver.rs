//! What was raised is carried to its channels: by one coordinator at a time, in order, again until it
//! arrives or is given up.

use std::time::Duration;

use fleet_worker_sdk::Result;
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::Coordinator;
use crate::alert::silence::is_silenced;
use crate::alert::{Delivery, Silence};
use crate::channel::Sent;
use crate::store::alerts::{Claimed, Outcome};

/// How long a coordinator has a delivery to itself: six times what an attempt takes at the most.
const LEASE: Duration = Duration::from_mins(1);

/// How often a delivery is tried, and how long it rests in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts before it is given up.
    pub attempts: u32,
    /// Most of the first rest; doubled with each attempt.
    pub base: Duration,
    /// Most of any rest.
    pub cap: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            // With these rests 20 minutes on average: a channel's restart is over by then, and what
            // is told later is no news.
            attempts: 14,
            base: Duration::from_secs(1),
            cap: Duration::from_mins(5),
        }
    }
}

impl Retries {
    /// The most that a delivery rests after its n-th attempt.
    fn most(&self, attempts: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        self.base.saturating_mul(doubled).min(self.cap)
    }

    /// What follows from an attempt, the n-th. A rest is anything up to the most ("full jitter"), so
    /// that what failed together is not tried again together.
    pub(super) fn after(&self, attempts: u32, sent: Sent) -> Outcome {
        match sent {
            Sent::Arrived => Outcome::Done,
            Sent::Refused(why) => Outcome::Dead(why),
            Sent::Later { why, .. } if attempts >= self.attempts => {
                Outcome::Dead(format!("{attempts} attempts failed; the last: {why}"))
            }
            Sent::Later { pause, .. } => {
                let rest = self.most(attempts).mul_f64(fastrand::f64());
                Outcome::Again(rest.max(pause.unwrap_or_default()))
            }
        }
    }
}

impl Coordinator {
    /// Carries what waits, one delivery a channel; answers how many were tried.
    ///
    /// # Errors
    /// As the store's. A channel that is away is none.
    pub async fn deliver(&self) -> Result<usize> {
        let channels = self.settings.sender.channels();
        if channels.is_empty() {
            return Ok(0);
        }
        let names: Vec<String> = channels.into_iter().map(|channel| channel.name).collect();
        let claimed = self.store.claim(&self.consumer, &names, LEASE).await?;
        if claimed.is_empty() {
            return Ok(0);
        }
        let silences = self.store.alerts().await?.silences;
        let now = self.store.now().await?;
        let each = claimed
            .iter()
            .map(|one| self.deliver_one(one, &silences, now));
        try_join_all(each).await?;
        Ok(claimed.len())
    }

    /// A silence that came after the delivery was raised still holds.
    async fn deliver_one(
        &self,
        claimed: &Claimed,
        silences: &[Silence],
        now: Timestamp,
    ) -> Result<()> {
        let quiet = |labels: &_| is_silenced(silences, labels, now);
        let outcome = match claimed.delivery.clone().without(quiet) {
            None => Outcome::Done,
            Some(delivery) => self.attempt(&delivery, claimed.attempts).await,
        };
        self.store
            .settle_delivery(&self.consumer, claimed, &outcome)
            .await?;
        Ok(())
    }

    /// Tries a delivery, the n-th time; counts and logs what came of it.
    pub(super) async fn attempt(&self, delivery: &Delivery, attempts: u32) -> Outcome {
        let (channel, id) = (&delivery.channel, &delivery.id);
        let sent = self.settings.sender.send(delivery, Timestamp::now()).await;
        let why = match &sent {
            Sent::Arrived => String::new(),
            Sent::Later { why, .. } | Sent::Refused(why) => why.clone(),
        };
        let outcome = self.settings.retries.after(attempts, sent);
        match &outcome {
            Outcome::Done => {
                tracing::info!(%channel, %id, alerts = delivery.alerts.len(), "alerts were delivered");
                self.counters.delivered();
            }
            Outcome::Again(rest) => {
                let rest_ms = rest.as_millis() as u64;
                tracing::warn!(%channel, %id, attempts, rest_ms, why, "alerts were not delivered; they will be tried again");
                self.counters.redelivered();
            }
            Outcome::Dead(_) => {
                tracing::error!(%channel, %id, attempts, why, "alerts were not delivered and are given up");
                self.counters.undelivered();
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(pause: Option<Duration>) -> Sent {
        Sent::Later {
            why: "down".to_owned(),
            pause,
        }
    }

    #[test]
    fn rests_grow_to_the_cap_and_attempts_end() {
        let retries = Retries::default();
        for attempts in 1..retries.attempts {
            let Outcome::Again(rest) = retries.after(attempts, later(None)) else {
                panic!("attempt {attempts} is not the last");
            };
            assert!(rest <= retries.most(attempts));
        }
        assert_eq!(retries.most(1), retries.base);
        assert_eq!(retries.most(40), retries.cap);
        let last = retries.after(retries.attempts, later(None));
        assert!(matches!(last, Outcome::Dead(why) if why.contains("14 attempts failed")));
        let minute = Duration::from_mins(1);
        assert!(
            matches!(retries.after(1, later(Some(minute))), Outcome::Again(rest) if rest >= minute)
        );
        assert_eq!(
            retries.after(1, Sent::Refused("no".to_owned())),
            Outcome::Dead("no".to_owned())
        );
    }
}
