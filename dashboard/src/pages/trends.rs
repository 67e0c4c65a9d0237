//! How runs went, in numbers: success rate, durations and findings.

use fleet_coordinator::trend::{Spread, Trends};
use jiff::Timestamp;

use super::words::{Count, Moment, duration, percent};

/// Trends as shown.
pub(crate) struct TrendsShown {
    pub(crate) runs: Count,
    pub(crate) failed: Count,
    pub(crate) success: String,
    pub(crate) since: Moment,
    pub(crate) duration: Option<SpreadShown>,
    pub(crate) findings: Option<SpreadShown>,
}

/// Where values lie, as shown.
pub(crate) struct SpreadShown {
    pub(crate) median: String,
    pub(crate) p95: String,
    /// Whether they move; none where that is not known.
    pub(crate) change: Option<String>,
}

impl TrendsShown {
    /// Trends as seen at `now`; none without runs.
    pub(crate) fn of(trends: &Trends, now: Timestamp) -> Option<Self> {
        let took = |seconds: f64| duration((seconds * 1_000.0).round() as u64);
        let count = |value: f64| Count(value.round() as u64).to_string();
        Some(Self {
            runs: Count(trends.runs),
            failed: Count(trends.failed),
            success: percent(trends.success_rate?),
            since: Moment::ago(trends.since?, now),
            duration: trends
                .duration_s
                .map(|spread| SpreadShown::of(spread, took)),
            findings: trends.findings.map(|spread| SpreadShown::of(spread, count)),
        })
    }
}

impl SpreadShown {
    fn of(spread: Spread, shown: impl Fn(f64) -> String) -> Self {
        Self {
            median: shown(spread.median),
            p95: shown(spread.p95),
            change: spread.change.map(change),
        }
    }
}

/// A change of less than a twentieth is none: two halves of the same differ by that.
fn change(share: f64) -> String {
    let most = percent(share.abs());
    if share.abs() < 0.05 {
        "steady".to_owned()
    } else if share > 0.0 {
        format!("{most} more than before")
    } else {
        format!("{most} less than before")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_said_in_words() {
        assert_eq!(change(0.5), "50 % more than before");
        assert_eq!(change(-0.25), "25 % less than before");
        assert_eq!(change(0.049), "steady");
    }

    #[test]
    fn without_runs_there_is_nothing_to_show() {
        assert!(TrendsShown::of(&Trends::default(), Timestamp::UNIX_EPOCH).is_none());
        let spread = Spread {
            median: 61.4,
            p95: 125.0,
            latest: 60.0,
            change: None,
        };
        let trends = Trends {
            runs: 8,
            failed: 2,
            success_rate: Some(0.75),
            since: Some(Timestamp::UNIX_EPOCH),
            duration_s: Some(spread),
            findings: Some(spread),
        };
        let shown = TrendsShown::of(&trends, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(shown.success, "75 %");
        assert_eq!(shown.findings.unwrap().median, "61");
        assert_eq!(shown.duration.unwrap().median, duration(61_400));
    }
}
