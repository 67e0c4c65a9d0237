//! Metrics made for one scrape.

use fleet_coordinator::alert::Severity;
use fleet_coordinator::store::alerts::Alerts;
use jiff::Timestamp;
use prometheus::core::{AtomicU64, Collector, GenericCounter};
use prometheus::{Gauge, GaugeVec, Opts, Registry};

/// Metrics made for one scrape.
pub(super) struct Page(pub(super) Registry);

impl Page {
    pub(super) fn add(&self, metric: impl Collector + 'static) -> prometheus::Result<()> {
        self.0.register(Box::new(metric))
    }

    pub(super) fn gauge(&self, name: &str, help: &str, value: f64) -> prometheus::Result<()> {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        self.add(gauge)
    }

    pub(super) fn alerts(&self, alerts: &Alerts, now: Timestamp) -> prometheus::Result<()> {
        let firing = |severity: Severity| {
            let all = alerts.board.firing();
            all.filter(|alert| alert.labels.severity == severity)
                .count() as f64
        };
        let severities = Severity::ALL.iter();
        self.gauges(
            "fleet_alerts_firing",
            "Alerts that fire, by severity.",
            "severity",
            severities.map(|severity| (severity.as_str(), firing(*severity))),
        )?;
        self.gauge(
            "fleet_alerts_waiting_deliveries",
            "Notices of alerts on their way to a channel.",
            alerts.waiting.len() as f64,
        )?;
        self.gauge(
            "fleet_alerts_undelivered",
            "Notices of alerts that no channel took.",
            alerts.undelivered as f64,
        )?;
        let silences = alerts.silences.iter();
        self.gauge(
            "fleet_silences",
            "Silences in force.",
            silences.filter(|silence| silence.is_active(now)).count() as f64,
        )
    }

    pub(super) fn counter(&self, name: &str, help: &str, value: u64) -> prometheus::Result<()> {
        let counter = GenericCounter::<AtomicU64>::new(name, help)?;
        counter.inc_by(value);
        self.add(counter)
    }

    pub(super) fn gauges<'a>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> prometheus::Result<()> {
        let gauges = GaugeVec::new(Opts::new(name, help), &[label])?;
        for (word, value) in values {
            gauges.with_label_values(&[word]).set(value);
        }
        self.add(gauges)
    }
}
