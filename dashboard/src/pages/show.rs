//! Healths and sessions as pages show them.

use fleet_coordinator::health::{Health, Part, Status};
use fleet_coordinator::model::{Session, Tally};
use fleet_worker_sdk::{ExecutionState, Severity};
use jiff::Timestamp;

use super::words::{Count, Moment, cut, number, percent};

/// Characters of a commit hash shown: what version control itself shows.
const COMMIT: usize = 8;
/// Longest ref shown in a table, in characters.
const REF: usize = 60;

/// A health as shown.
pub(crate) struct HealthShown {
    pub(crate) score: String,
    /// The score's part of a ring of 100.
    pub(crate) arc: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) reason: String,
    pub(crate) coverage: String,
    pub(crate) covers_all: bool,
    pub(crate) lost: String,
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
    /// Length of the bar for the points lost, 0-100: the most expensive part's is 100.
    pub(crate) bar: String,
    pub(crate) why: String,
    pub(crate) link: Option<String>,
}

impl From<&Health> for HealthShown {
    fn from(health: &Health) -> Self {
        let most = health.breakdown.iter().map(|part| part.points_lost);
        let most = most.fold(0.0, f64::max);
        let parts = health.breakdown.iter();
        Self {
            score: number(health.score),
            arc: health.score.map(|score| format!("{score:.1}")),
            status: status(health.status),
            reason: reason(health).to_owned(),
            coverage: percent(health.coverage),
            covers_all: health.coverage >= 0.995,
            lost: health
                .score
                .map_or_else(String::new, |score| format!("{:.1}", 100.0 - score)),
            parts: parts.map(|part| PartShown::new(part, most)).collect(),
            open: health.score.is_some_and(|score| score < 99.95),
        }
    }
}

impl PartShown {
    fn new(part: &Part, most: f64) -> Self {
        let share = if most > 0.0 {
            part.points_lost / most
        } else {
            0.0
        };
        Self {
            name: part.part.clone(),
            value: number(part.value),
            weight: percent(part.weight),
            lost: format!("{:.1}", part.points_lost),
            bar: format!("{:.1}", share * 100.0),
            why: part.why.clone(),
            link: part.link.as_deref().and_then(page_of),
        }
    }
}

/// The page that shows what an API path tells; none for a link that leaves the host.
fn page_of(link: &str) -> Option<String> {
    let path = link.strip_prefix("/api/v1/")?;
    if let Some(bot) = path.strip_prefix("health/bots/") {
        Some(format!("/bots/{bot}"))
    } else if let Some(repository) = path.strip_prefix("health/repositories/") {
        Some(format!("/repositories/{repository}"))
    } else if path == "bots" || path == "sessions" || path == "workers" {
        Some(format!("/{path}"))
    } else {
        Some(link.to_owned())
    }
}

/// Why a health is as it is, without the status and score that stand beside it.
pub(crate) fn reason(health: &Health) -> &str {
    let beside = format!("{} at {}: ", status(health.status), number(health.score));
    let reason = health.reason.as_str();
    reason.strip_prefix(beside.as_str()).unwrap_or(reason)
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

/// Findings of a severity: its word, the plural, how many.
pub(crate) struct SeverityShown {
    pub(crate) word: &'static str,
    pub(crate) name: &'static str,
    pub(crate) count: Count,
}

/// Open findings by severity, worst first.
pub(crate) fn severities(tally: &Tally) -> Vec<SeverityShown> {
    let shown = |severity: &Severity| SeverityShown {
        word: severity.as_str(),
        name: match severity {
            Severity::Error => "Errors",
            Severity::Warning => "Warnings",
            Severity::Info => "Infos",
            Severity::Suggestion => "Suggestions",
        },
        count: Count(tally.of(*severity)),
    };
    Severity::ALL.iter().map(shown).collect()
}

/// The sum of tallies.
pub(crate) fn sum<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Tally {
    tallies.fold(Tally::default(), |mut sum, tally| {
        for &severity in Severity::ALL {
            *sum.of_mut(severity) += tally.of(severity);
        }
        sum.suppressed += tally.suppressed;
        sum
    })
}

/// A session as a row.
pub(crate) struct SessionShown {
    pub(crate) id: String,
    pub(crate) repository: String,
    pub(crate) git_ref: String,
    pub(crate) commit: String,
    pub(crate) commit_short: String,
    pub(crate) run: String,
    pub(crate) state: &'static str,
    pub(crate) severities: Vec<SeverityShown>,
    pub(crate) suppressed: Count,
    pub(crate) score: String,
    pub(crate) status: &'static str,
    pub(crate) changed: Moment,
    pub(crate) opened: Moment,
    pub(crate) running: Count,
    pub(crate) failed: Count,
    pub(crate) finished: Count,
    pub(crate) bots: Count,
}

impl SessionShown {
    /// `session` as seen at `now`.
    pub(crate) fn new(session: &Session, now: Timestamp) -> Self {
        let health = session.derived.as_ref().map(|derived| &derived.health);
        let count = |wanted: fn(ExecutionState) -> bool| {
            let states = session.executions.iter().map(|execution| execution.state);
            Count::of(states.filter(|state| wanted(*state)).count())
        };
        Self {
            id: session.id.to_string(),
            repository: session.repository.to_string(),
            git_ref: cut(&session.git_ref, REF),
            commit: session.commit.clone(),
            commit_short: session.commit.chars().take(COMMIT).collect(),
            run: session.run.clone(),
            state: session.state.as_str(),
            severities: severities(&session.tally),
            suppressed: Count(session.tally.suppressed),
            score: number(health.and_then(|health| health.score)),
            status: status(health.map_or(Status::Unknown, |health| health.status)),
            changed: Moment::ago(session.changed, now),
            opened: Moment::ago(session.opened, now),
            running: count(|state| state == ExecutionState::Running),
            failed: count(|state| state == ExecutionState::Failed),
            finished: count(ExecutionState::is_finished),
            bots: Count::of(session.executions.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_never_leaves_the_host() {
        for bad in [
            "//evil.example",
            "javascript:alert(1)",
            "https://evil.example",
            "/\\evil.example",
            "",
        ] {
            assert_eq!(page_of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_part_leads_to_the_page_of_what_it_counts() {
        assert_eq!(
            page_of("/api/v1/health/bots/semgrep").unwrap(),
            "/bots/semgrep"
        );
        assert_eq!(page_of("/api/v1/sessions").unwrap(), "/sessions");
        assert_eq!(page_of("/api/v1/health").unwrap(), "/api/v1/health");
    }

    #[test]
    fn the_dearest_part_has_the_longest_bar() {
        let part = |lost| Part {
            part: "success".to_owned(),
            value: Some(50.0),
            weight: 0.5,
            points_lost: lost,
            why: String::new(),
            link: None,
        };
        let health = Health {
            breakdown: vec![part(10.0), part(5.0), part(0.0)],
            ..Health::unknown("")
        };
        let shown = HealthShown::from(&health);
        let bars: Vec<_> = shown.parts.iter().map(|part| part.bar.as_str()).collect();
        assert_eq!(bars, ["100.0", "50.0", "0.0"]);
    }
}
