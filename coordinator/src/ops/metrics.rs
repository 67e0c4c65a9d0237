//! Metrics of a coordinator, in Prometheus' text format; documented in docs/metrics.md.

use prometheus::core::{AtomicU64, GenericCounter, GenericCounterVec};
use prometheus::process_collector::ProcessCollector;
use prometheus::{Gauge, IntGauge, Opts, Registry, TextEncoder};

use crate::maintain::Totals;

/// Content type of the text format.
pub const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a coordinator has done, with its version and what its process uses.
///
/// # Errors
/// What the registry says of a name; names are constant, so it is a fault of this software.
pub fn of_coordinator(totals: &Totals) -> prometheus::Result<String> {
    let registry = Registry::new();
    process(&registry)?;
    add(&registry, totals)?;
    written(&registry)
}

/// What a coordinator has done.
///
/// # Errors
/// As [`of_coordinator`].
pub fn of_totals(totals: &Totals) -> prometheus::Result<String> {
    let registry = Registry::new();
    add(&registry, totals)?;
    written(&registry)
}

/// Adds the version, and what the process uses.
///
/// # Errors
/// As [`of_coordinator`].
pub fn process(registry: &Registry) -> prometheus::Result<()> {
    let version = Opts::new("fleet_build_info", "1, of this version.")
        .const_label("version", env!("CARGO_PKG_VERSION"));
    let build = IntGauge::with_opts(version)?;
    build.set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::for_self()))
}

fn written(registry: &Registry) -> prometheus::Result<String> {
    let mut text = String::new();
    TextEncoder::new().encode_utf8(&registry.gather(), &mut text)?;
    Ok(text)
}

fn add(registry: &Registry, totals: &Totals) -> prometheus::Result<()> {
    for (name, help, value) in counters(totals) {
        let counter = GenericCounter::<AtomicU64>::new(name, help)?;
        counter.inc_by(value);
        registry.register(Box::new(counter))?;
    }
    add_deliveries(registry, totals)?;
    let lag = Gauge::new(
        "fleet_coordinator_lag_seconds",
        "Age of the oldest change of the last look at the feed, when its result was stored.",
    )?;
    lag.set(totals.lag_ms as f64 / 1_000.0);
    registry.register(Box::new(lag))
}

/// Name, help and value of what is counted.
fn counters(totals: &Totals) -> [(&'static str, &'static str, u64); 12] {
    [
        (
            "fleet_coordinator_entries_total",
            "Feed entries read.",
            totals.entries,
        ),
        (
            "fleet_coordinator_recomputed_total",
            "Results stored.",
            totals.recomputed,
        ),
        (
            "fleet_coordinator_refused_total",
            "Results refused because the session had moved on.",
            totals.refused,
        ),
        (
            "fleet_coordinator_taken_over_total",
            "Feed entries that another coordinator had held.",
            totals.taken_over,
        ),
        (
            "fleet_coordinator_repaired_total",
            "Sessions that a resync found without a present result.",
            totals.repaired,
        ),
        (
            "fleet_coordinator_lost_workers_total",
            "Workers found dead.",
            totals.lost_workers,
        ),
        (
            "fleet_coordinator_failures_total",
            "Steps that failed and were tried again.",
            totals.failures,
        ),
        (
            "fleet_coordinator_given_up_total",
            "Changes taken off the feed though their session could not be computed.",
            totals.given_up,
        ),
        (
            "fleet_coordinator_dropped_sessions_total",
            "Sessions removed by retention.",
            totals.dropped,
        ),
        (
            "fleet_compacted_sessions_total",
            "Sessions compacted.",
            totals.compacted,
        ),
        (
            "fleet_compacted_saved_bytes_total",
            "Memory of the store that compaction saved.",
            totals.compacted_bytes,
        ),
        (
            "fleet_conservation_checked_sessions_total",
            "Sessions counted to see whether they add up.",
            totals.conserved,
        ),
    ]
}

fn add_deliveries(registry: &Registry, totals: &Totals) -> prometheus::Result<()> {
    let deliveries = GenericCounterVec::<AtomicU64>::new(
        Opts::new(
            "fleet_alert_deliveries_total",
            "Attempts to tell a channel of alerts, by what came of them.",
        ),
        &["result"],
    )?;
    for (result, count) in [
        ("delivered", totals.delivered),
        ("retried", totals.redelivered),
        ("given_up", totals.undelivered),
    ] {
        deliveries.with_label_values(&[result]).inc_by(count);
    }
    registry.register(Box::new(deliveries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_written_in_base_units() {
        let totals = Totals {
            entries: 7,
            dropped: 2,
            compacted_bytes: 9,
            lag_ms: 1_500,
            ..Totals::default()
        };
        let text = of_coordinator(&totals).unwrap();
        for line in [
            "fleet_coordinator_entries_total 7",
            "fleet_coordinator_dropped_sessions_total 2",
            "fleet_compacted_saved_bytes_total 9",
            "fleet_coordinator_lag_seconds 1.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
        assert!(!of_totals(&totals).unwrap().contains("process_"), "{text}");
    }
}
