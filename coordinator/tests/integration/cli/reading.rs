//! What is asked for is what is shown, for programs and for people.

use std::io::Read as _;
use std::process::Stdio;

use fleet_coordinator::anomaly::{Anomaly, Kind};
use fleet_coordinator::series::Level;
use fleet_coordinator::store::{OpenOptions, open};
use fleet_worker_sdk::{Beat, Command as Order, WorkerState};
use serde_json::Value;

use super::{Site, fleet_in};
use crate::support::{bot, stamp, worker};

#[tokio::test]
async fn sessions_and_findings_are_listed_for_programs() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 7);
    site.push("acme/till", "trivy", 2);

    let sessions = site.fleet(&["sessions", "--json"]).json();
    let names: Vec<_> = list(&sessions, "sessions")
        .map(|s| &s["repository"])
        .collect();
    assert_eq!(names, ["acme/till", "acme/shop"]);
    let one = site.fleet(&["sessions", "acme/shop", "--json"]).json();
    assert_eq!(one["sessions"][0]["total"], 7);
    let first = site.fleet(&["sessions", "-n", "1", "--json"]).json();
    assert_eq!(list(&first, "sessions").count(), 1);
    assert!(first["next"].is_string());

    let all = site.fleet(&["findings", "shop", "--json"]).json();
    assert_eq!(list(&all, "findings").count(), 7);
    assert_eq!(all["total"], 7);
    let some: &[&str] = &[
        "findings",
        "acme/shop",
        "-s",
        "error",
        "-f",
        "src/0/",
        "-n",
        "2",
        "--json",
    ];
    let some = site.fleet(some).json();
    assert_eq!(some["total"], 4);
    assert_eq!(list(&some, "findings").count(), 2);
    assert!(some["next"].is_string());
    let latest = site.fleet(&["findings", "--json"]).json();
    assert_eq!(
        latest["findings"][0]["bot"], "trivy",
        "the latest of all outside a checkout"
    );
}

#[tokio::test]
async fn a_short_id_means_its_session() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 1);
    let sessions = site.fleet(&["sessions", "--json"]).json();
    let id = sessions["sessions"][0]["id"].as_str().unwrap();
    let cut = format!("{}…", &id[..18]);
    let found = site.fleet(&["findings", &cut, "--json"]).json();
    assert_eq!(found["total"], 1);
}

#[tokio::test]
async fn tables_are_full_text_where_nobody_looks_and_nothing_in_them_acts() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 3);
    let text = site.fleet(&["findings", "acme/shop"]).ok().out;
    assert!(text.starts_with("SEVERITY  WHERE"), "{text}");
    assert!(
        text.contains("error     src/0/0.rs:1  message 0\\u{1b}[31m"),
        "{text}"
    );
    assert!(text.contains("3 findings of session p"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let colours = site
        .fleet(&["findings", "acme/shop", "--color", "always"])
        .ok()
        .out;
    assert!(colours.contains("\u{1b}[31merror\u{1b}[0m"), "{colours:?}");
}

#[tokio::test]
async fn all_findings_are_read_page_after_page() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 450);
    let all = site
        .fleet(&["findings", "--all", "--sort", "path", "--json"])
        .json();
    let mut prints: Vec<_> = list(&all, "findings")
        .map(|f| f["fingerprint"].to_string())
        .collect();
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), 450);
    assert_eq!(all["next"], Value::Null);
    let some = site.fleet(&["findings", "-n", "201", "--json"]).json();
    assert_eq!(list(&some, "findings").count(), 201);
}

#[tokio::test]
async fn health_is_explained_to_the_last_point() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 6);
    let fleet = site.fleet(&["health", "--json"]).json();
    assert!(fleet["bots"]["gosec"]["score"].is_number(), "{fleet}");
    let session = site
        .fleet(&["health", "--session", "shop", "--json"])
        .json();
    let score = session["health"]["score"].as_f64().unwrap();
    let parts = list(&session["health"], "breakdown");
    let lost: f64 = parts
        .map(|part| part["points_lost"].as_f64().unwrap())
        .sum();
    assert!((100.0 - lost - score).abs() < 0.01, "{session}");
    let text = site
        .fleet(&["health", "--session", "shop", "--explain"])
        .ok()
        .out;
    assert!(text.contains(&format!("= {score:.2}")), "{text}");
    let tier = site.fleet(&["health", "--tier", "custom"]).ok().out;
    assert!(tier.contains("bot gosec"), "{tier}");
    site.fleet(&["health", "--bot", "nobody"])
        .refused(1, "there is no bot `nobody`");
    site.fleet(&["health", "--bot", "a", "--tier", "engine"])
        .refused(64, "cannot be used with");
}

/// Every line `a x b + c x d = e` of a text, worked out: what stands on its left, and `e`.
fn sums(text: &str) -> Vec<(f64, f64)> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let sum = |line: &str| {
        let (terms, result) = line.split_once(" = ")?;
        let product = |term: &str| term.split(" x ").map(number).product::<Option<f64>>();
        let terms: Option<f64> = terms.split(" + ").map(product).sum();
        Some((terms?, number(result)?))
    };
    text.lines().filter_map(|line| sum(line.trim())).collect()
}

#[tokio::test]
async fn every_score_can_be_worked_out_by_hand_from_what_is_printed() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 6);
    site.push("acme/till", "trivy", 40);
    let text = site.fleet(&["health", "--explain"]).ok().out;
    let sums = sums(&text);
    // The fleet, one tier, two bots.
    assert_eq!(sums.len(), 4, "{text}");
    for (by_hand, printed) in sums {
        assert!((by_hand - printed).abs() < 0.02, "{by_hand}: {text}");
    }
    let bot = site.fleet(&["health", "--bot", "gosec", "--explain"]).ok();
    assert!(bot.out.contains("(0.5, 0.2, 0.15, 0.15)"), "{}", bot.out);
    let json = site.fleet(&["health", "--bot", "gosec", "--explain", "--json"]);
    let arithmetic = json.json()["explanation"]["arithmetic"].clone();
    assert!(
        bot.out.contains(arithmetic.as_str().unwrap()),
        "{}",
        bot.out
    );
}

#[tokio::test]
async fn a_repositorys_health_is_that_of_its_latest_scan() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 6);
    let asked = ["health", "--repository", "acme/shop"];
    site.fleet(&asked).refused(1, "acme/shop");
    let coordinator = site.coordinator();
    coordinator.resync().await.unwrap();
    let health = site.fleet(&[&asked[..], &["--json"]].concat()).json();
    let session = site.fleet(&["sessions", "--json"]).json()["sessions"][0]["id"].clone();
    assert_eq!(health["session"], session);
    let text = site.fleet(&[&asked[..], &["--explain"]].concat()).ok().out;
    let score = health["score"].as_f64().unwrap();
    assert!(text.contains("100 x 50 / (50 + "), "{text}");
    assert!(text.contains(&format!("= {score:.1}")), "{text}");
    site.fleet(&["health", "-r", "acme/shop", "--bot", "gosec"])
        .refused(64, "cannot be used with");
}

#[tokio::test]
async fn anomalies_are_listed_latest_first_with_what_lasts_and_what_is_over() {
    let site = Site::new().await;
    let none = site.fleet(&["anomalies"]).ok().out;
    assert_eq!(none, "nothing unusual was found\n");
    let store = open(&site.server.url(), &OpenOptions::default()).unwrap();
    let stuck = Anomaly {
        id: "stuck:gosec:h:1:a:0".to_owned(),
        kind: Kind::Stuck,
        bot: bot("gosec"),
        session: None,
        worker: None,
        observed: 700.0,
        expected: 600.0,
        spread: 0.0,
        z: None,
        samples: 0,
        level: Level::Error,
        text: "no progress\u{1b}[31m for 12 min".to_owned(),
        at: stamp(30),
        ended: None,
    };
    let over = Anomaly {
        id: "silent:trivy:a:1".to_owned(),
        kind: Kind::Silent,
        bot: bot("trivy"),
        at: stamp(20),
        ended: Some(stamp(40)),
        ..stuck.clone()
    };
    let run = Anomaly {
        id: "findings:gosec:a:1".to_owned(),
        kind: Kind::Findings,
        level: Level::Warning,
        at: stamp(10),
        ..stuck.clone()
    };
    store.note(&[stuck, over, run]).await.unwrap();
    let text = site.fleet(&["anomalies"]).ok().out;
    let row = |n: usize| text.lines().nth(n).unwrap();
    assert!(row(0).starts_with("SINCE"), "{text}");
    assert!(row(1).contains("gosec  stuck     error    lasts"), "{text}");
    assert!(row(2).contains("trivy  silent    error    over"), "{text}");
    assert!(row(3).contains("gosec  findings  warning"), "{text}");
    assert!(
        text.contains("\\u{1b}[31m") && !text.contains('\u{1b}'),
        "{text:?}"
    );
    let some = site.fleet(&["anomalies", "-b", "trivy", "--json"]).json();
    assert_eq!(list(&some, "anomalies").count(), 1);
    assert_eq!(some["anomalies"][0]["ended"], stamp(40).to_string());
}

#[tokio::test]
async fn a_report_goes_to_a_file_whole_or_not_at_all() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 5);
    let markdown = site.fleet(&["report", "acme/shop", "-s", "error"]).ok().out;
    assert!(markdown.contains("3 of 3 findings."), "{markdown}");
    let path = site.folder.path().join("shop.html");
    site.fleet(&["report", "acme/shop", "-o", path.to_str().unwrap()])
        .ok();
    let html = std::fs::read_to_string(&path).unwrap();
    assert!(
        html.starts_with("<!doctype html>") && html.ends_with("</html>\n"),
        "{html}"
    );
    site.fleet(&["report", "nope", "-o", path.to_str().unwrap()])
        .refused(1, "nope");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), html);
    let json = site
        .fleet(&["report", "--format", "json", "-n", "2"])
        .json();
    assert_eq!(list(&json, "findings").count(), 2);
}

#[tokio::test]
async fn a_worker_is_told_by_a_part_of_its_id() {
    let site = Site::new().await;
    let store = open(&site.server.url(), &OpenOptions::default()).unwrap();
    let beat = Beat {
        worker: worker("gosec:build-7:1:x"),
        bot: bot("gosec"),
        version: "1".to_owned(),
        sdk: "0.9.1".to_owned(),
        host: "build-7".to_owned(),
        pid: 1,
        started: stamp(0),
        state: WorkerState::Running,
        sessions: Vec::new(),
        progress: 0,
    };
    store.beat(&beat).await.unwrap();
    let listed = site.fleet(&["workers", "--json"]).json();
    assert_eq!(listed["workers"][0]["liveness"], "alive");
    assert_eq!(listed["workers"][0]["sdk"], "0.9.1");
    let table = site.fleet(&["workers"]).ok().out;
    assert!(table.lines().next().unwrap().ends_with("SDK"), "{table}");
    assert!(table.contains("0.9.1"), "{table}");
    let told = site.fleet(&["workers", "quiet", "build-7"]).ok().out;
    assert!(
        told.contains("gosec:build-7:1:x is told to quiet"),
        "{told}"
    );
    assert_eq!(store.beat(&beat).await.unwrap().command, Some(Order::Quiet));
    site.fleet(&["workers", "terminate", "build-8"])
        .refused(1, "there is no worker `build-8`");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 1_000);
    for form in [
        &["findings", "--all"][..],
        &["findings", "--all", "--json"],
        &["report"],
    ] {
        let mut command = site.command();
        command
            .args(form)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 16]).unwrap();
        drop(out);
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(
            (ended.status.code(), said.as_str()),
            (Some(0), ""),
            "{form:?}"
        );
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = fleet_in(folder.path()).args(arguments).output().unwrap();
        super::Ran::from(output)
    };
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completions", shell]).ok().out;
        for command in ["push", "findings", "watch", "workers"] {
            assert!(script.contains(command), "{shell} knows no {command}");
        }
    }
    let man = run(&["man"]).ok().out;
    assert!(
        man.contains(".TH fleet 1") && man.contains("fleet\\-findings(1)"),
        "{man}"
    );
    let findings = run(&["man", "findings"]).ok().out;
    assert!(
        findings.contains(".TH fleet-findings 1") && findings.contains("severity"),
        "{findings}"
    );
    run(&["man", "nope"]).refused(64, "command `nope`");
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[name].as_array().unwrap().iter()
}
