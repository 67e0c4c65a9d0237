//! What a run measured, for people and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::say;
use crate::used::Used;

/// What one run measured.
#[derive(Serialize)]
pub(crate) struct Outcome {
    pub(crate) findings: u64,
    pub(crate) workers: usize,
    pub(crate) sessions: usize,
    /// Findings a second until the last was acknowledged.
    pub(crate) acknowledged_per_second: f64,
    /// Findings a second until the health of every session was of its last finding.
    pub(crate) visible_per_second: f64,
    /// From a push to its acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<Latency>,
    /// From a push to a WebSocket frame with the health of after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) visible: Option<Latency>,
    /// From a request for the fleet's health to its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read: Option<Latency>,
    pub(crate) used: BTreeMap<String, Used>,
    /// Encoded bytes of a finding, on average.
    pub(crate) body_bytes: f64,
}

/// A spread of times, in microseconds.
#[derive(Serialize)]
pub(crate) struct Latency {
    count: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    /// Percentiles and their times, for a chart.
    curve: Vec<(f64, u64)>,
}

/// Percentiles of a chart: as many at the rare end as in the middle.
const CURVE: [f64; 10] = [50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95, 99.99];

/// A histogram of microseconds up to a minute.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap()
}

/// Notes a time.
pub(crate) fn note(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record((time.as_micros() as u64).max(1));
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
            curve: CURVE
                .map(|share| (share, histogram.value_at_percentile(share)))
                .to_vec(),
        })
    }

    fn line(&self) -> String {
        let ms = |us: u64| us as f64 / 1_000.0;
        format!(
            "p50 {:.2} ms, p90 {:.2}, p99 {:.2}, p99.9 {:.2}, max {:.2} ({} samples)",
            ms(self.p50_us),
            ms(self.p90_us),
            ms(self.p99_us),
            ms(self.p999_us),
            ms(self.max_us),
            self.count
        )
    }
}

impl Outcome {
    pub(crate) fn show(&self) {
        let (workers, sessions) = (self.workers, self.sessions);
        say(&format!(
            "{} findings of {:.0} bytes by {workers} workers into {sessions} sessions",
            self.findings, self.body_bytes
        ));
        say(&format!(
            "acknowledged {:.0} findings/s, health of all of them {:.0} findings/s",
            self.acknowledged_per_second, self.visible_per_second
        ));
        for (what, latency) in [
            ("acknowledged", &self.acknowledged),
            ("visible on a WebSocket", &self.visible),
            ("health read over HTTP", &self.read),
        ] {
            if let Some(latency) = latency {
                say(&format!("{what}: {}", latency.line()));
            }
        }
        for (name, used) in &self.used {
            let each = |amount: f64| amount / self.findings as f64;
            say(&format!(
                "{name}: {:.2} s of processor, {:.2} us a finding; memory {:+.1} MiB to {:.1}, {:.0} bytes a finding",
                used.cpu_seconds,
                each(used.cpu_seconds * 1e6),
                used.grown_bytes as f64 / 1_048_576.0,
                used.bytes as f64 / 1_048_576.0,
                each(used.grown_bytes as f64),
            ));
        }
    }
}
