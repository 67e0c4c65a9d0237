//! How a process logs: to standard error, as text or JSON, filtered by directives.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::telemetry::Exporter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The format's word in every configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Starts logging for the rest of the process, and recording spans if they are exported; another
/// start changes nothing.
pub fn start(filter: EnvFilter, format: LogFormat, spans: Option<&Exporter>) {
    let log = tracing_subscriber::fmt::layer()
        // Colours are for terminals; in a file they are noise.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let log = match format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().boxed(),
    };
    let spans = spans.map(|spans| tracing_opentelemetry::layer().with_tracer(spans.tracer()));
    // Only a second start fails, and the first one's lines are as good.
    let _ = tracing_subscriber::registry()
        .with(spans)
        .with(log)
        .with(filter)
        .try_init();
}
