//! All loops of a coordinator and their periods. Each is a timer around one step; tests call the
//! steps.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fleet_worker_sdk::Result;
use fleet_worker_sdk::retry::Backoff;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Coordinator;

impl Coordinator {
    /// Runs until `shutdown`. A store that is away is waited for, however long that takes.
    pub async fn run(&self, shutdown: CancellationToken) {
        tokio::join!(
            self.feed_loop(&shutdown),
            self.every(self.settings.resync, &shutdown, "resync", || async {
                self.resync().await.map(drop)
            }),
            self.every(self.settings.workers, &shutdown, "workers", || self
                .watch_workers()),
            self.fleet_loop(&shutdown),
            self.every(self.settings.observe, &shutdown, "observation", || async {
                self.observe().await.map(drop)
            }),
            self.every(self.settings.alert, &shutdown, "alerts", || async {
                self.watch_alerts().await.map(drop)
            }),
            self.every(self.settings.deliver, &shutdown, "deliveries", || async {
                self.deliver().await.map(drop)
            }),
            self.own_loop(&shutdown),
            self.every(self.settings.retention, &shutdown, "retention", || async {
                self.retain().await.map(drop)
            }),
            self.every(self.settings.reap, &shutdown, "reaping", || async {
                self.reap().await.map(drop)
            }),
            self.every(
                self.settings.compaction,
                &shutdown,
                "compaction",
                || async { self.compact().await.map(drop) }
            ),
            self.every(
                self.settings.conserve,
                &shutdown,
                "conservation",
                || async { self.conserve().await.map(drop) }
            ),
        );
    }

    /// A read in progress is never cut off, for what it read would be held by nobody: the
    /// shutdown is looked at between reads.
    async fn feed_loop(&self, shutdown: &CancellationToken) {
        let mut backoff = Backoff::new();
        while !shutdown.is_cancelled() {
            let step = self.follow_feed_at_leisure(self.settings.wait).await;
            self.weather("feed", step, &mut backoff, shutdown).await;
        }
    }

    async fn fleet_loop(&self, shutdown: &CancellationToken) {
        let mut backoff = Backoff::new();
        let mut last: Option<Instant> = None;
        while !shutdown.is_cancelled() {
            let due = last.is_none_or(|last| last.elapsed() >= self.settings.fleet_idle);
            if self.dirty.swap(false, Ordering::Relaxed) || due {
                last = Some(Instant::now());
                let step = self.watch_fleet().await;
                self.weather("fleet health", step.map(drop), &mut backoff, shutdown)
                    .await;
            }
            pause(self.settings.fleet, shutdown).await;
        }
    }

    /// Goes on while the store is away, which is what it is for.
    async fn own_loop(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            self.watch_store(Timestamp::now()).await;
            pause(self.settings.deliver, shutdown).await;
        }
    }

    async fn every<F, Fut>(
        &self,
        period: Duration,
        shutdown: &CancellationToken,
        name: &'static str,
        step: F,
    ) where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        let mut backoff = Backoff::new();
        while !shutdown.is_cancelled() {
            let done = step().await;
            self.weather(name, done, &mut backoff, shutdown).await;
            // A tenth more or less, so that coordinators started together do not stay in step.
            let jitter = period.mul_f64(0.9 + 0.2 * fastrand::f64());
            pause(jitter, shutdown).await;
        }
    }

    /// After a failed step, waits. All loops share one store and so one outage, said once.
    async fn weather(
        &self,
        name: &'static str,
        step: Result<()>,
        backoff: &mut Backoff,
        shutdown: &CancellationToken,
    ) {
        match step {
            Ok(()) => {
                *backoff = Backoff::new();
                self.outage.served(name);
            }
            Err(error) => {
                self.counters.failed();
                self.outage.failed(name, &error);
                pause(backoff.next_wait(), shutdown).await;
            }
        }
    }
}

async fn pause(wait: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = sleep(wait) => {}
    }
}
