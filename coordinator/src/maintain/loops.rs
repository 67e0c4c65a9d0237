//! All loops of a coordinator and their periods. Each is a timer around one step; tests call the
//! steps.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fleet_worker_sdk::Result;
use fleet_worker_sdk::retry::Backoff;
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
        );
    }

    /// A read in progress is never cut off, for what it read would be held by nobody: the
    /// shutdown is looked at between reads.
    async fn feed_loop(&self, shutdown: &CancellationToken) {
        let mut outage = Outage::new("feed");
        while !shutdown.is_cancelled() {
            let step = self.follow_feed(self.settings.wait).await;
            self.weather(step.map(drop), &mut outage, shutdown).await;
        }
    }

    async fn fleet_loop(&self, shutdown: &CancellationToken) {
        let mut outage = Outage::new("fleet health");
        let mut last: Option<Instant> = None;
        while !shutdown.is_cancelled() {
            let due = last.is_none_or(|last| last.elapsed() >= self.settings.fleet_idle);
            if self.dirty.swap(false, Ordering::Relaxed) || due {
                last = Some(Instant::now());
                let step = self.watch_fleet().await;
                self.weather(step.map(drop), &mut outage, shutdown).await;
            }
            pause(self.settings.fleet, shutdown).await;
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
        let mut outage = Outage::new(name);
        while !shutdown.is_cancelled() {
            let done = step().await;
            self.weather(done, &mut outage, shutdown).await;
            // A tenth more or less, so that coordinators started together do not stay in step.
            let jitter = period.mul_f64(0.9 + 0.2 * fastrand::f64());
            pause(jitter, shutdown).await;
        }
    }

    /// After a failed step, waits; says once that it fails, and once that it does no longer.
    async fn weather(&self, step: Result<()>, outage: &mut Outage, shutdown: &CancellationToken) {
        match step {
            Ok(()) => outage.is_over(),
            Err(error) => {
                self.counters.failed();
                outage.began(&error);
                pause(outage.backoff.next_wait(), shutdown).await;
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

/// Since when a loop has been failing.
struct Outage {
    name: &'static str,
    since: Option<Instant>,
    backoff: Backoff,
}

impl Outage {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            since: None,
            backoff: Backoff::new(),
        }
    }

    fn began(&mut self, error: &fleet_worker_sdk::Error) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(step = self.name, %error, "a step of the coordinator fails; it is tried until it works");
        }
    }

    fn is_over(&mut self) {
        if let Some(since) = self.since.take() {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(
                step = self.name,
                seconds,
                "a step of the coordinator works again"
            );
            self.backoff = Backoff::new();
        }
    }
}
