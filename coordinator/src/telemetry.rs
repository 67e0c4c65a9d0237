//! Spans: what a process does for a push, in the push's own trace, sent to a collector if there is one.
//!
//! Nothing is set up here but what OpenTelemetry itself has names for: a process exports its spans by
//! OTLP over HTTP where `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`) names a collector, in
//! the `OTEL_EXPORTER_OTLP_PROTOCOL` it asks for. Without one, spans still give their trace's id to
//! each log line within them.

use std::future::Future;

use fleet_worker_sdk::trace::{self, TraceContext};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{Instrument as _, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Where the standard says that a collector is named.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// Sends the process's spans until it is dropped, and what is left then.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// The exporter of the process `name`, if the environment names a collector. Not within a
    /// runtime: it has threads and connections of its own.
    ///
    /// # Errors
    /// What is wrong with the endpoint, in words.
    pub fn from_environment(name: &str) -> Result<Option<Self>, String> {
        let named = |variable: &&str| std::env::var(variable).is_ok_and(|value| !value.is_empty());
        if !ENDPOINTS.iter().any(named) {
            return Ok(None);
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .build();
        let exporter = exporter.map_err(|error| format!("spans cannot be exported: {error}"))?;
        let resource = Resource::builder()
            .with_service_name(name.to_owned())
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        trace::set_source(recorded);
        Ok(Some(Self(provider)))
    }

    /// What records spans for it.
    pub fn tracer(&self) -> SdkTracer {
        self.0.tracer("fleet")
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Does `work` in `span`, as part of the trace of `parent`. A span that has a field `trace_id` gets it.
pub async fn within<F: Future>(span: Span, parent: Option<TraceContext>, work: F) -> F::Output {
    if let Some(parent) = parent {
        span.record("trace_id", field::display(parent.trace_id()));
        // Fails where nothing records spans, and then has nothing to do.
        let _ =
            span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote(parent)));
    }
    let working = async {
        let place = recorded();
        if let (None, Some(begun)) = (parent, place) {
            Span::current().record("trace_id", field::display(begun.trace_id()));
        }
        trace::within(parent.map(|parent| place.unwrap_or(parent)), work).await
    };
    working.instrument(span).await
}

fn remote(place: TraceContext) -> SpanContext {
    let (trace, span, flags) = place.parts();
    SpanContext::new(
        TraceId::from(trace),
        SpanId::from(span),
        TraceFlags::new(flags),
        true,
        TraceState::default(),
    )
}

/// The place of the span entered now, as it is recorded.
fn recorded() -> Option<TraceContext> {
    let context = Span::current().context();
    let context = context.span().span_context().clone();
    let trace = u128::from_be_bytes(context.trace_id().to_bytes());
    let span = u64::from_be_bytes(context.span_id().to_bytes());
    TraceContext::new(trace, span, context.trace_flags().to_u8()).ok()
}
