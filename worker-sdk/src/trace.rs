//! Which trace a push belongs to, so that it can be followed until people see it.
//!
//! A push names its trace as W3C Trace Context has it (`traceparent`): over HTTP in that header, in
//! Redis beside the change it announces. The coordinator that recomputes the session and the
//! dashboard that shows it go on with it, in their spans and in each line they log.
//!
//! A bot that runs in a traced pipeline is part of its trace: the environment's `TRACEPARENT`, as CI
//! systems set it, is the parent of all that its process pushes.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tracing::{Instrument as _, Span, field};

use crate::error::{Error, Result};
use crate::push::{Batch, PushAnswer};
use crate::write::Write;

/// The HTTP header, and in capitals the environment variable.
pub const HEADER: &str = "traceparent";

/// A place in a trace.
///
/// ```
/// use fleet_worker_sdk::trace::TraceContext;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context: TraceContext = text.parse()?;
/// assert_eq!(context.to_string(), text);
/// assert_eq!(context.child().trace_id(), context.trace_id());
/// # Ok::<(), fleet_worker_sdk::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
}

impl TraceContext {
    /// A place with these ids, both not 0; bit 0 of `flags` says that the trace is recorded.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an id is 0.
    pub fn new(trace: u128, span: u64, flags: u8) -> Result<Self> {
        if trace == 0 || span == 0 {
            return Err(Error::invalid(HEADER, "an id is 0"));
        }
        Ok(Self { trace, span, flags })
    }

    /// The beginning of a trace.
    pub fn fresh() -> Self {
        Self {
            trace: fastrand::u128(1..),
            span: fastrand::u64(1..),
            flags: 1,
        }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span: fastrand::u64(1..),
            ..self
        }
    }

    /// The trace's id, 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The ids as numbers: of the trace, of the span, and the flags.
    pub fn parts(self) -> (u128, u64, u8) {
        (self.trace, self.span, self.flags)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace, self.span, self.flags
        )
    }
}

impl FromStr for TraceContext {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid(HEADER, "it is not as W3C Trace Context has it");
        let mut parts = text.trim().split('-');
        let mut hex = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            part.bytes().all(lower).then_some(part)
        };
        let (version, trace, span, flags) = (hex(2), hex(32), hex(16), hex(2));
        // Later versions may add parts; this one has four.
        let more = parts.next().is_some();
        if version.is_none_or(|version| version == "ff" || (version == "00" && more)) {
            return Err(wrong());
        }
        let trace = trace.and_then(|hex| u128::from_str_radix(hex, 16).ok());
        let span = span.and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let flags = flags.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (trace, span, flags) {
            (Some(trace), Some(span), Some(flags)) => Self::new(trace, span, flags),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for TraceContext {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> Self {
        context.to_string()
    }
}

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// Where the work of this task belongs, if anybody said.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok().flatten()
}

/// Does `work` as part of a trace.
pub async fn within<F: Future>(context: Option<TraceContext>, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

/// Tells the place of the span entered now, in a process that records spans.
pub type Source = fn() -> Option<TraceContext>;

static SOURCE: OnceLock<Source> = OnceLock::new();

/// Asks `source` before anything else where work belongs: for a process that records its spans,
/// whose ids must then be those that are passed on. Set once; later calls change nothing.
pub fn set_source(source: Source) {
    let _ = SOURCE.set(source);
}

/// The place of the span entered now: as its recorder has it, else another span of the trace that
/// the task or the process belongs to, else the beginning of one.
pub fn here() -> TraceContext {
    let recorded = SOURCE.get().and_then(|source| source());
    recorded.unwrap_or_else(|| {
        let parent = current().or_else(of_process);
        parent.map_or_else(TraceContext::fresh, TraceContext::child)
    })
}

/// The trace that the process was started in.
pub fn of_process() -> Option<TraceContext> {
    static PARENT: OnceLock<Option<TraceContext>> = OnceLock::new();
    *PARENT.get_or_init(|| {
        let text = std::env::var(HEADER.to_uppercase()).ok()?;
        text.parse().ok()
    })
}

/// Pushes a batch as a span of its own.
pub(crate) async fn push(store: &dyn Write, batch: &Batch) -> Result<PushAnswer> {
    let span = tracing::info_span!("push", session = %batch.session, bot = %batch.bot,
        sequence = batch.sequence, findings = batch.findings.len(), trace_id = field::Empty);
    let pushing = async {
        let place = here();
        Span::current().record("trace_id", field::display(place.trace_id()));
        within(Some(place), store.push(batch)).await
    };
    pushing.instrument(span).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_traceparent_is_refused() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(good.parse::<TraceContext>().is_ok());
        let later = format!("cc{}-more", good.strip_prefix("00").unwrap());
        assert!(later.parse::<TraceContext>().is_ok());
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &good.replace("00f067aa0ba902b7", "0000000000000000"),
            &format!("{good}-more"),
            &format!("ff{}", good.strip_prefix("00").unwrap()),
            &good.replace('-', ""),
        ] {
            assert!(bad.parse::<TraceContext>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn work_within_a_trace_goes_on_with_it() {
        assert_eq!(current(), None);
        let outer = TraceContext::fresh();
        let inner = within(Some(outer), async { (current(), here()) }).await;
        assert_eq!(inner.0, Some(outer));
        assert_eq!(inner.1.trace_id(), outer.trace_id());
        assert_ne!(inner.1, outer);
        assert_eq!(current(), None);
    }
}
