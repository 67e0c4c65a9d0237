//! What scanners really write.

use super::*;

/// The levels of a report, as (error, warning, note, none).
type Levels = (usize, usize, usize, usize);

/// File, results, bot, and the levels that its results have by the standard.
const REPORTS: &[(&str, u64, &str, Levels)] = &[
    ("semgrep.sarif", 77, "semgrep-oss", (35, 42, 0, 0)),
    (
        "opengrep-before.sarif",
        127,
        "opengrep-oss",
        (17, 65, 45, 0),
    ),
    ("opengrep-after.sarif", 121, "opengrep-oss", (12, 63, 46, 0)),
    ("spotbugs.sarif", 56, "spotbugs", (0, 0, 56, 0)),
    ("gitleaks.sarif", 8, "gitleaks", (0, 8, 0, 0)),
    ("trivy-no-region.sarif", 124, "trivy", (64, 46, 14, 0)),
    (
        "anchore-suppressed.sarif",
        429,
        "anchore-container-vulnerability-report",
        (83, 346, 0, 0),
    ),
    ("gosec.sarif", 228, "gosec", (191, 37, 0, 0)),
    ("clippy.sarif", 16, "clippy", (16, 0, 0, 0)),
    ("eslint-suppressed.sarif", 12, "eslint", (9, 3, 0, 0)),
    ("eclair-non-ascii.sarif", 48, "eclair", (0, 48, 0, 0)),
    ("empty.sarif", 0, "clippy", (0, 0, 0, 0)),
];

async fn import_file(store: &Flaky, name: &str) -> Option<Imported> {
    let source = Source::open(&shared(name)?).unwrap();
    let imported = bring(store, source, &options()).await;
    let imported = imported.unwrap_or_else(|error| panic!("{name}: {error}"));
    obeys_the_law(&imported);
    Some(imported)
}

async fn import_text(name: &str) -> Vec<Identified> {
    let store = Flaky::sound();
    let Some(_) = import_file(&store, name).await else {
        return Vec::new();
    };
    store.snapshot().findings
}

fn levels(findings: &[Identified]) -> Levels {
    let count = |level: Level| {
        let of_level = findings.iter().filter(|f| f.finding.level == level);
        of_level.map(|f| f.finding.occurrence_count as usize).sum()
    };
    (
        count(Level::Error),
        count(Level::Warning),
        count(Level::Note),
        count(Level::None),
    )
}

#[tokio::test]
async fn every_result_is_received_with_the_level_the_standard_gives_it() {
    for (name, results, bot, expected) in REPORTS {
        let store = Flaky::sound();
        let Some(imported) = import_file(&store, name).await else {
            return;
        };
        assert_eq!(imported.summary.received, *results, "{name}");
        assert_eq!(imported.summary.rejected, [], "{name}");
        let bots: Vec<&str> = imported.summary.bots.iter().map(BotId::as_str).collect();
        assert_eq!(bots, [*bot], "{name}");
        let state = store.snapshot();
        assert_eq!(levels(&state.findings), *expected, "{name}");
        let execution = store.execution(bot);
        assert_eq!(execution.state, ExecutionState::Completed, "{name}");
        // SpotBugs says that it missed classes, and that it was not successful.
        assert_eq!(execution.partial, *bot == "spotbugs", "{name}");
        assert_eq!(imported.partial.contains(*bot), execution.partial, "{name}");
        assert_eq!(execution.pushed, state.findings.len() as u64, "{name}");
    }
}

#[tokio::test]
async fn the_same_report_again_adds_nothing() {
    for (name, results, ..) in REPORTS {
        let store = Flaky::sound();
        let Some(first) = import_file(&store, name).await else {
            return;
        };
        let second = import_file(&store, name).await.unwrap().summary;
        assert_eq!(second.new, 0, "{name}");
        assert_eq!(second.unchanged + second.repeats, *results, "{name}");
        assert_eq!(second.repeats, first.summary.repeats, "{name}");
        let order = |imported: &Imported| -> Vec<Fingerprint> {
            imported.seen.values().flatten().map(|(f, _)| *f).collect()
        };
        let again = import_file(&store, name).await.unwrap();
        assert_eq!(order(&first), order(&again), "{name}");
    }
}

#[tokio::test]
async fn most_of_a_scan_is_recognised_in_the_next() {
    let before = import_text("opengrep-before.sarif").await;
    let after = import_text("opengrep-after.sarif").await;
    if before.is_empty() {
        return;
    }
    let known: std::collections::HashSet<_> = before.iter().map(|f| f.fingerprint).collect();
    let same = after.iter().filter(|f| known.contains(&f.fingerprint));
    let share = same.count() * 100 / after.len();
    assert!(
        share >= 70,
        "only {share} % of the second scan is recognised"
    );
}

#[tokio::test]
async fn a_console_log_is_refused_with_what_it_looks_like() {
    let Some(path) = shared("not-json.sarif") else {
        return;
    };
    let store = Flaky::sound();
    let source = Source::open(&path).unwrap();
    let imported = bring(&store, source, &options()).await;
    let error = imported.unwrap_err().to_string();
    assert!(error.contains("plain text"), "{error}");
    assert!(error.contains("line 2"), "{error}");
    assert!(store.snapshot().executions.is_empty(), "nothing is applied");
}

#[tokio::test]
async fn suppressions_are_counted_and_kept() {
    for (name, suppressed) in [
        ("anchore-suppressed.sarif", 429),
        ("eslint-suppressed.sarif", 12),
    ] {
        let store = Flaky::sound();
        let Some(imported) = import_file(&store, name).await else {
            return;
        };
        assert_eq!(imported.summary.suppressed, suppressed, "{name}");
        let findings = store.snapshot().findings;
        assert!(findings.iter().all(|f| f.finding.is_suppressed()), "{name}");
    }
}

#[tokio::test]
async fn what_each_tool_does_its_own_way_is_understood() {
    let spotbugs = import_text("spotbugs.sarif").await;
    if spotbugs.is_empty() {
        return;
    }
    assert_eq!(
        spotbugs[0].finding.message,
        "Hard coded reference to an absolute pathname in Boot.main(String[])."
    );
    assert_eq!(
        spotbugs[0].finding.element.as_deref(),
        Some("Boot.main(String[])")
    );

    let gitleaks = import_text("gitleaks.sarif").await;
    assert!(gitleaks.iter().all(|f| f.finding.rule_id == "unknown"));

    let trivy = import_text("trivy-no-region.sarif").await;
    assert!(trivy.iter().all(|f| f.finding.region().is_none()));
    assert_eq!(
        trivy[0].finding.path(),
        "knqyf263/vuln-image (alpine 3.7.1)"
    );

    let clippy = import_text("clippy.sarif").await;
    assert!(clippy.iter().any(|f| !f.finding.related.is_empty()));

    let semgrep = import_text("semgrep.sarif").await;
    assert_eq!(semgrep[0].finding.path(), "Gruntfile.js");
    assert!(semgrep.iter().all(|f| f.finding.category == "security"));
    assert!(semgrep.iter().all(|f| f.finding.fingerprints.len() == 1));

    let eclair = import_text("eclair-non-ascii.sarif").await;
    assert!(
        eclair[0]
            .finding
            .message
            .starts_with("the ‘STD.bytebits’ behavior")
    );
    assert_eq!(eclair[0].finding.security_severity, Some(6.8));
}
