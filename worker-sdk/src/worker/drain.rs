//! Ending in order: signals, the bot's time to finish.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::sleep;

use super::process::Worker;

pub(super) async fn until_stopped<F: Future>(
    worker: &Worker,
    limit: Duration,
    work: F,
) -> Option<F::Output> {
    let mut signals = Signals::install();
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return Some(done),
        name = signals.next() => {
            tracing::info!(signal = name, ?limit, "finishing; a second signal ends at once");
            worker.terminate();
        }
        () = worker.cancelled() => tracing::info!(?limit, "finishing, as told"),
    }
    tokio::select! {
        done = &mut work => Some(done),
        name = signals.next() => {
            tracing::warn!(signal = name, "ending at once");
            None
        }
        () = sleep(limit) => {
            tracing::warn!(?limit, "the bot did not finish in time");
            None
        }
    }
}

/// SIGTERM and SIGINT. Where one cannot be listened to, it keeps what it does by default.
#[cfg(unix)]
struct Signals {
    terminate: Option<tokio::signal::unix::Signal>,
    interrupt: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn install() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind)
                .inspect_err(|error| tracing::warn!(%error, "cannot listen to a signal"))
                .ok()
        };
        Self {
            terminate: listen(SignalKind::terminate()),
            interrupt: listen(SignalKind::interrupt()),
        }
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            () = received(&mut self.terminate) => "SIGTERM",
            () = received(&mut self.interrupt) => "SIGINT",
        }
    }
}

#[cfg(unix)]
async fn received(signal: &mut Option<tokio::signal::unix::Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn install() -> Self {
        Self
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
