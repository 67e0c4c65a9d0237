//! What the processes of a fleet have in common: exit codes, flags, signals.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The configuration cannot be used: `EX_USAGE` of sysexits, so that a supervisor can tell it
/// from a crash that a restart may cure.
pub const BAD_CONFIGURATION: u8 = 64;
/// Something failed at start, or not everything could be finished at the end.
pub const FAILED: u8 = 1;

/// Has the system give this process memory in small pages; called first in `main`.
///
/// In pages of 2 MiB a process at rest holds 12 MB more than it needs, since each thread's part of
/// the heap begins one; pushing 300,000 findings into a fleet in memory costs no more time without
/// them. A system that refuses is left as it is: this saves memory and nothing else.
pub fn use_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// What the command line says; or the exit code, where it asked for help or cannot be read.
///
/// # Errors
/// The exit code, after the answer or the mistake was printed.
pub fn arguments<T: Parser>() -> Result<T, ExitCode> {
    T::try_parse().map_err(|answer| {
        // Help and version are answers, everything else a mistake.
        let mistaken = answer.use_stderr();
        let _ = answer.print();
        ExitCode::from(if mistaken { BAD_CONFIGURATION } else { 0 })
    })
}

/// Says on standard error why `process` ends with `code`.
pub fn complain(process: &str, why: impl Display, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{process}: {why}");
    ExitCode::from(code)
}

/// Prints settings as the file that would give them again.
///
/// # Errors
/// When they cannot be written.
pub fn print_settings(settings: &impl Serialize) -> std::io::Result<()> {
    let text = toml::to_string(settings).map_err(std::io::Error::other)?;
    std::io::stdout().lock().write_all(text.as_bytes())
}

/// What tells a process to stop: SIGTERM and SIGINT.
pub struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Begins to hear them: from here on none meets its default, which would cut a write.
    ///
    /// # Errors
    /// When the system does not let them be heard.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    /// The first signal cancels `shutdown`, the second exits at once.
    pub async fn watch(mut self, shutdown: CancellationToken) {
        let name = self.next().await;
        tracing::info!(signal = name, "draining; a second signal exits now");
        shutdown.cancel();
        let name = self.next().await;
        tracing::warn!(signal = name, "exiting without waiting");
        std::process::exit(i32::from(FAILED));
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}
