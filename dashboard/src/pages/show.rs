//! Values as people read them: scores, times, breakdowns, session rows.

use fleet_coordinator::health::{Health, Part, Status};
use fleet_coordinator::model::{Session, Tally};
use jiff::Timestamp;

/// What stands where nothing is known.
pub(crate) const NOTHING: &str = "–";
/// Characters of a commit hash shown: what version control itself shows.
const COMMIT: usize = 8;

/// A health as shown.
pub(crate) struct HealthShown {
    pub(crate) score: String,
    pub(crate) status: &'static str,
    pub(crate) reason: String,
    pub(crate) coverage: String,
    pub(crate) parts: Vec<PartShown>,
    /// Whether the breakdown is unfolded: where there is something to explain.
    pub(crate) open: bool,
}

/// One part of a breakdown as shown.
pub(crate) struct PartShown {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) weight: String,
    pub(crate) lost: String,
    pub(crate) why: String,
    pub(crate) link: Option<String>,
}

impl From<&Health> for HealthShown {
    fn from(health: &Health) -> Self {
        Self {
            score: number(health.score),
            status: status(health.status),
            reason: health.reason.clone(),
            coverage: percent(health.coverage),
            parts: health.breakdown.iter().map(PartShown::from).collect(),
            open: health.status != Status::Healthy,
        }
    }
}

impl From<&Part> for PartShown {
    fn from(part: &Part) -> Self {
        Self {
            name: part.part.clone(),
            value: number(part.value),
            weight: percent(part.weight),
            lost: format!("{:.1}", part.points_lost),
            why: part.why.clone(),
            link: part.link.clone().filter(|link| is_local(link)),
        }
    }
}

/// Whether a link stays on this host: `//host` and `javascript:` do not.
fn is_local(link: &str) -> bool {
    link.starts_with('/') && !link.starts_with("//") && !link.contains('\\')
}

/// A session as a row.
pub(crate) struct SessionShown {
    pub(crate) id: String,
    pub(crate) repository: String,
    pub(crate) git_ref: String,
    pub(crate) commit: String,
    pub(crate) commit_short: String,
    pub(crate) state: &'static str,
    pub(crate) tally: Tally,
    pub(crate) score: String,
    pub(crate) status: &'static str,
    pub(crate) changed: String,
    pub(crate) ago: String,
}

impl SessionShown {
    /// `session` as seen at `now`.
    pub(crate) fn new(session: &Session, now: Timestamp) -> Self {
        let health = session.derived.as_ref().map(|derived| &derived.health);
        Self {
            id: session.id.to_string(),
            repository: session.repository.to_string(),
            git_ref: session.git_ref.clone(),
            commit: session.commit.clone(),
            commit_short: session.commit.chars().take(COMMIT).collect(),
            state: session.state.as_str(),
            tally: session.tally,
            score: number(health.and_then(|health| health.score)),
            status: status(health.map_or(Status::Unknown, |health| health.status)),
            changed: session.changed.to_string(),
            ago: ago(session.changed, now),
        }
    }
}

/// A score with one decimal, or a dash.
pub(crate) fn number(score: Option<f64>) -> String {
    score.map_or_else(|| NOTHING.to_owned(), |score| format!("{score:.1}"))
}

/// A share of 0-1 in per cent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A status in its word, which is its class in the style sheet too.
pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Healthy => "healthy",
        Status::Degraded => "degraded",
        Status::Unhealthy => "unhealthy",
        Status::Critical => "critical",
        Status::Unknown => "unknown",
    }
}

/// How long before `now` something was. The future, which clocks make, is now.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.as_second() - then.as_second() {
        ..=4 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// A span of seconds in its largest unit.
pub(crate) fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (before, shown) in [
            (-60, "just now"),
            (0, "just now"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7_200, "2 h ago"),
            (259_200, "3 days ago"),
        ] {
            let then = Timestamp::from_second(1_000_000 - before).unwrap();
            assert_eq!(ago(then, now), shown);
        }
    }

    #[test]
    fn an_unknown_score_is_no_number() {
        assert_eq!(number(None), "–");
        assert_eq!(number(Some(83.333)), "83.3");
    }

    #[test]
    fn a_link_never_leaves_the_host() {
        for bad in [
            "//evil.example",
            "javascript:alert(1)",
            "https://evil.example",
            "/\\evil.example",
            "",
        ] {
            assert!(!is_local(bad), "{bad:?}");
        }
        assert!(is_local("/api/v1/health/bots/semgrep"));
    }
}
