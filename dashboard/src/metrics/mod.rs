//! Metrics in Prometheus' text format: `GET /metrics`.
//!
//! What happened in this process is counted here ([`http`] names its routes, [`pushes`] counts what
//! bots bring, [`latency`] what a store takes and people wait); what the store
//! knows is asked when scraped ([`scrape`]). Labels come from closed sets, never from ids, paths
//! or messages, so the number of series is bounded: about 500, and up to 400
//! for workers by bot.

pub(crate) mod http;

pub(crate) mod pushes;

pub(crate) mod latency;

mod page;

mod told;

pub(crate) mod scrape;

use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::ops;
use fleet_coordinator::view::Scope;
use prometheus::core::{AtomicU64, GenericCounter, GenericCounterVec};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, Opts, Registry, TextEncoder};
use warp::filters::BoxedFilter;
use warp::http::HeaderValue;
use warp::http::Method;
use warp::http::header::CONTENT_TYPE;
use warp::reply::Response;
use warp::{Filter, path};

use crate::api::{method, secure};
use crate::context::Context;
use http::Observed;
use latency::Latency;
use pushes::Pushes;

type Counter = GenericCounter<AtomicU64>;
type Counters = GenericCounterVec<AtomicU64>;

/// Bounds of the request durations, in seconds: answers from cache take 0.1 ms, a cold session
/// of 100,000 findings 150 ms, an upload seconds.
const DURATIONS: [f64; 10] = [0.0005, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Counters of this process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Counters,
    durations: HistogramVec,
    checks: HistogramVec,
    connections: IntGauge,
    accept_failures: Counter,
    clients: IntGauge,
    clients_refused: Counter,
    clients_left: Counters,
    frames: Counters,
    frames_skipped: Counter,
    access_refused: Counters,
    reports: HistogramVec,
    pushes: Pushes,
    latency: Latency,
}

/// Something that is counted while it lasts.
#[derive(Debug)]
pub(crate) struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All at zero, in a registry of their own.
    ///
    /// # Errors
    /// What the registry says of a name; names are constant, so it is a fault of this software.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let add = Adder(&registry);
        let inner = Inner {
            requests: add.counters(
                "fleet_http_requests_total",
                "HTTP requests answered.",
                &["route", "method", "status"],
            )?,
            durations: add.durations(
                "fleet_http_request_duration_seconds",
                "Time from a request's head to its answer's.",
                "route",
            )?,
            checks: add.durations(
                "fleet_health_check_duration_seconds",
                "Time to read and compute health, whether it failed or not.",
                "scope",
            )?,
            connections: add.gauge("fleet_http_connections", "HTTP connections open.")?,
            accept_failures: add.counter(
                "fleet_http_accept_failures_total",
                "Times that no connection could be accepted.",
            )?,
            clients: add.gauge("fleet_ws_clients", "WebSocket clients connected.")?,
            clients_refused: add.counter(
                "fleet_ws_clients_refused_total",
                "WebSocket clients refused at the door.",
            )?,
            clients_left: add.counters(
                "fleet_ws_clients_left_total",
                "WebSocket clients gone, by why.",
                &["reason"],
            )?,
            frames: add.counters(
                "fleet_ws_frames_total",
                "Frames sent to WebSocket clients.",
                &["kind"],
            )?,
            frames_skipped: add.counter(
                "fleet_ws_frames_skipped_total",
                "Frames that slow clients missed and got merged into a later one.",
            )?,
            access_refused: add.counters(
                "fleet_access_refused_total",
                "Requests refused for want of a right, by why.",
                &["reason"],
            )?,
            reports: add.durations(
                "fleet_report_duration_seconds",
                "Time from a report's request to its last byte taken.",
                "format",
            )?,
            pushes: Pushes::new(&add)?,
            latency: Latency::new(&add)?,
            registry: registry.clone(),
        };
        ops::metrics::process(&registry)?;
        Ok(Self(Arc::new(inner)))
    }

    /// Where other parts of the process register theirs; names begin with `fleet_`.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(crate) fn pushes(&self) -> &Pushes {
        &self.0.pushes
    }

    pub(crate) fn latency(&self) -> &Latency {
        &self.0.latency
    }

    pub(crate) fn request(&self, method: &Method, path: &str) -> Observed {
        Observed::new(self.clone(), method, path)
    }

    /// A computation of health, as the view tells it.
    pub(crate) fn checked(&self, scope: Scope, took: Duration) {
        let checks = self.0.checks.with_label_values(&[scope.as_str()]);
        checks.observe(took.as_secs_f64());
    }

    pub(crate) fn connection(&self) -> Counted {
        Counted::new(&self.0.connections)
    }

    pub(crate) fn accept_failed(&self) {
        self.0.accept_failures.inc();
    }

    pub(crate) fn client_came(&self) -> Counted {
        Counted::new(&self.0.clients)
    }

    pub(crate) fn client_refused(&self) {
        self.0.clients_refused.inc();
    }

    pub(crate) fn client_left(&self, reason: &'static str) {
        self.0.clients_left.with_label_values(&[reason]).inc();
    }

    pub(crate) fn access_refused(&self, reason: &'static str) {
        self.0.access_refused.with_label_values(&[reason]).inc();
    }

    /// A report that was written to its end.
    pub(crate) fn reported(&self, format: &'static str, took: Duration) {
        let reports = self.0.reports.with_label_values(&[format]);
        reports.observe(took.as_secs_f64());
    }

    pub(crate) fn frame(&self, kind: &'static str, skipped: u64) {
        self.0.frames.with_label_values(&[kind]).inc();
        self.0.frames_skipped.inc_by(skipped);
    }

    /// The counters of this process as text.
    pub fn text(&self) -> String {
        encode(&self.0.registry)
    }
}

/// Makes metrics and registers them.
struct Adder<'a>(&'a Registry);

impl Adder<'_> {
    fn register<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: C,
    ) -> prometheus::Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<Counter> {
        self.register(Counter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Counters> {
        self.register(Counters::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.register(IntGauge::new(name, help)?)
    }

    fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> prometheus::Result<Histogram> {
        let opts = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.register(Histogram::with_opts(opts)?)
    }

    fn durations(&self, name: &str, help: &str, label: &str) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(DURATIONS.to_vec());
        self.register(HistogramVec::new(opts, &[label])?)
    }
}

fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&registry.gather(), &mut text) {
        tracing::error!(%error, "metrics cannot be written");
    }
    text
}

/// `GET /metrics`.
pub fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let scraper = scrape::Scraper::new(context);
    path!("metrics")
        .and(method("GET"))
        .then(move || {
            let scraper = scraper.clone();
            async move { respond(scraper.text().await) }
        })
        .boxed()
}

fn respond(text: String) -> Response {
    let mut response = Response::new(text.into());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    secure::api(response)
}
