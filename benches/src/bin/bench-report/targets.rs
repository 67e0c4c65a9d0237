//! What each benchmark is held against.
//!
//! Times on one machine say little about another, so most targets are ratios to a benchmark of the
//! same run: the reference, the same work on fewer findings, or Redis by itself.

use std::collections::BTreeMap;

use crate::measured::{Measured, Throughput};

/// A target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The work, in words.
    pub(crate) work: &'static str,
    /// The benchmark of it.
    pub(crate) ours: &'static str,
    pub(crate) goal: Goal,
}

/// What is asked of a benchmark.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most so much of the time of another.
    Ratio(&'static str, f64),
    /// At most so many nanoseconds.
    Time(f64),
    /// At least so many bytes a second.
    Bytes(f64),
}

/// A target and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) target: Target,
    /// Nanoseconds.
    pub(crate) time: f64,
    /// Nanoseconds of what it is compared with.
    pub(crate) other: Option<f64>,
    /// The ratio, nanoseconds or bytes a second that the goal bounds.
    pub(crate) value: f64,
    pub(crate) met: bool,
}

impl Held {
    /// How much of the goal was used: at most 1 when it is met.
    pub(crate) fn used(&self) -> f64 {
        match self.target.goal {
            Goal::Ratio(_, most) | Goal::Time(most) => self.value / most,
            Goal::Bytes(least) => least / self.value,
        }
    }
}

/// Independent of the number of findings: what noise leaves.
const SAME: f64 = 1.3;
const MS: f64 = 1e6;

const fn row(work: &'static str, ours: &'static str, goal: Goal) -> Target {
    Target { work, ours, goal }
}

/// Each with the reference of the same name.
macro_rules! ratio {
    ($work:literal, $group:literal, $name:literal, $most:expr) => {
        row(
            $work,
            concat!($group, "/", $name),
            Goal::Ratio(concat!($group, "/reference/", $name), $most),
        )
    };
}

/// In the order of the reports.
pub(crate) const TARGETS: &[Target] = &[
    ratio!(
        "a new context",
        "context_creation",
        "context_new",
        1.0 / 4.0
    ),
    ratio!(
        "eleven bots registered",
        "bot_registration",
        "register_all",
        1.0 / 8.0
    ),
    ratio!(
        "one finding, with its context",
        "findings",
        "add_single_finding",
        1.0 / 4.0
    ),
    ratio!(
        "1,000 findings added",
        "findings",
        "add_bulk/1000",
        1.0 / 8.0
    ),
    ratio!(
        "100,000 findings added",
        "findings",
        "add_bulk/100000",
        1.0 / 8.0
    ),
    ratio!(
        "a bot's findings walked, 1,000 in all",
        "finding_queries",
        "query_by_bot/1000",
        1.0 / 3.0
    ),
    ratio!(
        "a bot's findings walked, 100,000 in all",
        "finding_queries",
        "query_by_bot/100000",
        1.0 / 5.0
    ),
    ratio!(
        "a category's findings, 1,000 in all",
        "finding_queries",
        "query_by_category/1000",
        1.0 / 8.0
    ),
    ratio!(
        "a bot started and completed",
        "bot_execution",
        "start_complete_cycle",
        1.0 / 4.0
    ),
    ratio!(
        "the bots that may start",
        "bot_execution",
        "ready_bots_calculation",
        1.0 / 8.0
    ),
    ratio!(
        "score and status, 50 findings",
        "health",
        "full_health_check/50",
        1.0 / 10.0
    ),
    row(
        "with breakdown and alerts, 50 findings",
        "health/health_with_breakdown_and_alerts/50",
        Goal::Ratio("health/reference/full_health_check/50", 1.0),
    ),
    row(
        "score and status, 100,000 findings against 50",
        "health/full_health_check/100000",
        Goal::Ratio("health/full_health_check/50", SAME),
    ),
    ratio!(
        "a Markdown report, 100 findings",
        "reporting",
        "generate_markdown/100",
        1.0 / 10.0
    ),
    ratio!(
        "a JSON report, 100 findings",
        "reporting",
        "generate_json/100",
        1.0 / 4.0
    ),
    ratio!(
        "an HTML report, 100 findings",
        "reporting",
        "generate_html/100",
        1.0 / 10.0
    ),
    row(
        "a Markdown report, 100,000 findings against 100",
        "reporting/generate_markdown/100000",
        Goal::Ratio("reporting/generate_markdown/100", SAME),
    ),
    row(
        "every finding listed in Markdown",
        "reporting/generate_markdown_with_findings/100000",
        Goal::Bytes(200e6),
    ),
    ratio!(
        "a document written, 100 findings",
        "serialization",
        "serialize_context/100",
        1.0 / 3.0
    ),
    ratio!(
        "a document read, 100 findings",
        "serialization",
        "deserialize_context/100",
        2.0 / 3.0
    ),
    row(
        "one finding pushed and acknowledged by Redis",
        "push/single",
        Goal::Ratio("push/raw_xadd", 1.5),
    ),
    row(
        "100,000 findings opened cold",
        "open/cold/100000",
        Goal::Time(150.0 * MS),
    ),
    row(
        "a filtered page of 100 from 100,000",
        "open/filtered_page/100000",
        Goal::Time(MS),
    ),
    row(
        "a SARIF report of 1,768 results applied",
        "import/sarif/1768",
        Goal::Time(60.0 * MS),
    ),
];

/// Every target of which there is a measurement.
pub(crate) fn held(measured: &BTreeMap<String, Measured>) -> Vec<Held> {
    TARGETS
        .iter()
        .filter_map(|target| hold(*target, measured))
        .collect()
}

fn hold(target: Target, measured: &BTreeMap<String, Measured>) -> Option<Held> {
    let ours = measured.get(target.ours)?;
    let (value, other, met) = match target.goal {
        Goal::Ratio(name, most) => {
            let other = measured.get(name)?.time;
            let ratio = ours.time / other;
            (ratio, Some(other), ratio <= most)
        }
        Goal::Time(most) => (ours.time, None, ours.time <= most),
        Goal::Bytes(least) => {
            let bytes = match ours.throughput? {
                Throughput::Bytes(bytes) | Throughput::BytesDecimal(bytes) => bytes,
                Throughput::Elements(_) => return None,
            };
            let speed = bytes as f64 / ours.time * 1e9;
            (speed, None, speed >= least)
        }
    };
    Some(Held {
        target,
        time: ours.time,
        other,
        value,
        met,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(time: f64, throughput: Option<Throughput>) -> Measured {
        Measured {
            time,
            between: (time, time),
            throughput,
            before: None,
        }
    }

    #[test]
    fn a_target_is_met_by_ratio_time_or_speed_and_left_out_without_a_measurement() {
        let mut all = BTreeMap::new();
        assert!(held(&all).is_empty());
        all.insert("push/single".to_owned(), measured(160.0, None));
        assert!(held(&all).is_empty(), "what it is compared with is missing");
        all.insert("push/raw_xadd".to_owned(), measured(100.0, None));
        let listed = "reporting/generate_markdown_with_findings/100000";
        let bytes = Throughput::Bytes(300_000_000);
        all.insert(listed.to_owned(), measured(1e9, Some(bytes)));
        all.insert("open/cold/100000".to_owned(), measured(149.0 * MS, None));
        let held = held(&all);
        let found = |ours: &str| held.iter().find(|held| held.target.ours == ours).unwrap();
        assert!(
            !found("push/single").met && (found("push/single").used() - 1.6 / 1.5).abs() < 1e-9
        );
        assert!(found(listed).met && found("open/cold/100000").met);
        assert_eq!(held.len(), 3);
    }
}
