//! Pages of what a fleet consists of: a finding, bots, workers, lists of sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet_coordinator::health::Status;
use fleet_coordinator::history::Point;
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_worker_sdk::{Beat, Bot, Change, Finding, Rule, SessionId, Tier, WorkerId, WorkerState};
use jiff::Timestamp;

use crate::pages::{HOSTILE, assert_inert};
use crate::support::{Answer, Site, varied};

/// A session with one finding whose rule says `rule`, and the finding's fingerprint.
async fn with_rule(site: &Site, finding: Finding, rule: Rule) -> (SessionId, String) {
    let session = site.open("acme/shop").await;
    let mut hand = site.start(&session, "scan").await;
    let mut batch = hand.batch(vec![finding.clone()]);
    let fingerprint = batch.findings[0].fingerprint.to_string();
    batch.rules = BTreeMap::from([(finding.rule_id, rule)]);
    site.post("/api/v1/push", &batch).await.ok();
    (session, fingerprint)
}

fn rule(help: &str) -> Rule {
    Rule {
        name: "A rule".to_owned(),
        short_description: "What it looks for".to_owned(),
        help_uri: help.to_owned(),
        tags: vec!["CWE-79".to_owned()],
        ..Rule::default()
    }
}

async fn beat(site: &Site, worker: &str, bot: &str) -> Answer {
    let beat = Beat {
        worker: WorkerId::new(worker).unwrap(),
        bot: bot.parse().unwrap(),
        version: "1.2".to_owned(),
        sdk: "0.9.1".to_owned(),
        host: HOSTILE.chars().take(40).collect(),
        pid: 7,
        started: Timestamp::UNIX_EPOCH,
        state: WorkerState::Running,
        sessions: Vec::new(),
        progress: 1,
    };
    site.post("/api/v1/beat", &beat).await
}

#[tokio::test]
async fn a_finding_is_told_whole_where_the_address_names_it() {
    let site = Site::new();
    let finding = Finding::new("no-eval", "eval of user input")
        .at("src/a.js", 3)
        .snippet("eval(x)")
        .confidence(0.5);
    let (session, fingerprint) =
        with_rule(&site, finding, rule("https://rules.example/no-eval")).await;
    let path = format!("/sessions/{session}?finding={fingerprint}");
    let page = site.get(&path);
    let text = page.await.ok().text;
    for part in [
        "What it looks for",
        "href=\"https://rules.example/no-eval\"",
        "CWE-79",
        "eval(x)",
        "src/a.js:3",
        "50 %",
        &fingerprint,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(text.contains("aria-current=\"true\">no-eval</a>"), "{text}");
    let without = site.get(&format!("/sessions/{session}")).await.ok().text;
    assert!(
        !without.contains("What it looks for"),
        "only where asked for"
    );
}

#[tokio::test]
async fn a_rule_leads_nowhere_but_to_the_web() {
    for help in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "//evil.example",
        "\" onmouseover=\"alert(1)",
    ] {
        let site = Site::new();
        let mut rule = rule(help);
        rule.name = HOSTILE.to_owned();
        rule.tags = vec![HOSTILE.to_owned()];
        let (session, fingerprint) = with_rule(&site, Finding::new("r", HOSTILE), rule).await;
        let path = format!("/sessions/{session}?finding={fingerprint}");
        let page = site.get(&path);
        let text = page.await.ok().text;
        assert!(!text.contains("rel=\"external"), "{help} is a link: {text}");
        assert_inert(&text);
    }
}

#[tokio::test]
async fn a_finding_that_is_not_there_is_said_to_be_so() {
    let site = Site::new();
    let session = site.session("scan", varied(3)).await;
    let path = format!("/sessions/{session}?finding={}", "ab".repeat(16));
    let page = site.get(&path);
    assert!(page.await.ok().text.contains("No such finding"));
    let bad = site.get(&format!("/sessions/{session}?finding=x")).await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn another_scan_of_the_ref_says_whether_it_has_the_finding() {
    let site = Site::new();
    let older = site.session("scan", varied(3)).await;
    let open = fleet_worker_sdk::OpenSession::new("acme/shop")
        .unwrap()
        .run("2");
    let opened = site.post("/api/v1/sessions", &open).await.ok().json();
    let newer: SessionId = opened["session"].as_str().unwrap().parse().unwrap();
    let mut hand = site.start(&newer, "scan").await;
    let batch = hand.batch(varied(3));
    let fingerprint = batch.findings[1].fingerprint;
    site.post("/api/v1/push", &batch).await.ok();
    let path = format!("/sessions/{newer}?finding={fingerprint}");
    let page = site.get(&path);
    let text = page.await.ok().text;
    let link = format!("/sessions/{older}?suppression=all&amp;finding={fingerprint}");
    assert!(text.contains(&link) && text.contains("there too"), "{text}");
}

#[tokio::test]
async fn a_session_shows_who_waits_for_whom_by_tier() {
    let site = Site::new();
    let bots = [
        Bot::new("scan").unwrap().tier(Tier::Engine),
        Bot::new("check")
            .unwrap()
            .tier(Tier::Verifier)
            .depends_on(["scan"])
            .unwrap(),
    ];
    for bot in &bots {
        site.post("/api/v1/bots", bot).await.ok();
    }
    let session = site.open("acme/shop").await;
    let mut check = site.start(&session, "scan").await;
    check.bot = "check".parse().unwrap();
    check.attempt = 0;
    let mut expect = check.next(Change::Expect);
    expect.sequence = 0;
    site.post("/api/v1/transitions", &expect).await.ok();
    let text = site.get(&format!("/sessions/{session}")).await.ok().text;
    assert!(
        text.contains("after scan") && text.contains("waits for scan"),
        "{text}"
    );
    let (engine, verifier) = (
        text.find(">engine ").unwrap(),
        text.find(">verifier ").unwrap(),
    );
    assert!(engine < verifier, "tiers in execution order");
    assert!(text.contains("0 of 2 bots finished"));
}

#[tokio::test]
async fn sessions_of_a_state_are_listed_a_page_at_a_time() {
    let site = Site::new();
    for n in 0..3 {
        let session = site.open(&format!("acme/open-{n}")).await;
        site.start(&session, "scan").await;
    }
    site.session("scan", varied(1)).await;
    let first = site.get("/sessions?state=open&limit=2").await.ok().text;
    assert_eq!(first.matches("href=\"/sessions/p").count(), 2);
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    assert!(next.contains("state=open"), "{next}");
    let second = site.get(&next).await.ok().text;
    assert_eq!(second.matches("href=\"/sessions/p").count(), 1);
    assert!(!second.contains("rel=\"next\"") && !second.contains("acme/shop"));
    let none = site
        .get("/?state=complete&repository=acme/open-1")
        .await
        .ok()
        .text;
    assert!(none.contains("No session passes this filter"));
}

#[tokio::test]
async fn a_bot_is_shown_with_its_runs_and_workers() {
    let site = Site::new();
    let session = site.session("scan", varied(3)).await;
    let bot = Bot::new("scan")
        .unwrap()
        .tier(Tier::Engine)
        .version(HOSTILE);
    site.post("/api/v1/bots", &bot).await.ok();
    beat(&site, "scan:h:7:b", "scan").await.ok();
    let text = site.get("/bots/scan").await.ok().text;
    assert!(text.contains("Last 1 run: 0 failed"), "{text}");
    assert!(text.contains(&format!("href=\"/sessions/{session}\"")));
    assert!(text.contains("is-alive"), "its worker: {text}");
    assert!(text.contains("aria-current=\"true\">Bots"));
    assert_inert(&text);
    assert_inert(&site.get("/bots").await.ok().text);
    assert_eq!(site.get("/bots/nobody").await.status, 404);
}

#[tokio::test]
async fn workers_are_filtered_by_bot_and_condition() {
    let site = Site::new();
    for (worker, bot) in [("scan:h:7:b", "scan"), ("lint:h:8:b", "lint")] {
        beat(&site, worker, bot).await.ok();
    }
    let rows = |text: &str| text.matches("<tr data-key=").count();
    let all = site.get("/workers").await.ok().text;
    assert_eq!(rows(&all), 2);
    assert_inert(&all);
    assert_eq!(rows(&site.get("/workers?bot=lint").await.ok().text), 1);
    assert_eq!(
        rows(&site.get("/workers?condition=dead").await.ok().text),
        0
    );
    assert_eq!(site.get("/workers?condition=ill").await.status, 400);
}

#[tokio::test]
async fn a_filter_in_force_can_be_taken_away_by_itself() {
    let site = Site::new();
    let session = site.session("scan", varied(40)).await;
    let path = format!("/sessions/{session}?severity=error&bot=scan&limit=25");
    let page = site.get(&path);
    let text = page.await.ok().text;
    let without = format!("href=\"/sessions/{session}?severity=error&#38;limit=25\"");
    assert!(text.contains(&without), "{text}");
    assert!(text.contains("<option selected>25</option>"));
}

/// Leaves points of a score, a minute apart; of a repository those of its latest session.
async fn leave(site: &Site, scope: &str, of: Option<&SessionId>, scores: &[f64]) {
    let first = Timestamp::now();
    for (minute, score) in (1..).zip(scores) {
        let point = Point {
            at: first + Duration::from_mins(minute),
            score: Some(*score),
            status: Status::Degraded,
        };
        let scope = scope.parse().unwrap();
        site.store.record(&scope, &point, of).await.unwrap();
    }
}

#[tokio::test]
async fn a_score_is_drawn_as_a_line_once_it_has_a_history() {
    let site = Site::new();
    let bot = Bot::new("scan").unwrap();
    site.post("/api/v1/bots", &bot).await.ok();
    site.session("scan", varied(3)).await;
    for path in ["/", "/bots", "/bots/scan"] {
        let text = site.get(path).await.ok().text;
        assert!(!text.contains("class=\"spark"), "{path}: {text}");
    }
    leave(&site, "fleet", None, &[90.0, 70.0, 80.0]).await;
    leave(&site, "bot:scan", None, &[60.0, 65.0]).await;
    for (path, points) in [("/", 3), ("/bots", 2), ("/bots/scan", 2)] {
        let text = site.get(path).await.ok().text;
        assert!(text.contains("class=\"spark degraded\""), "{path}: {text}");
        let said = format!("{points} points\"");
        assert!(text.contains(&said), "{path} has a text for it: {text}");
        assert_inert(&text);
    }
}

#[tokio::test]
async fn a_bots_page_has_the_trends_of_its_runs() {
    let site = Site::new();
    let bot = Bot::new("scan").unwrap();
    site.post("/api/v1/bots", &bot).await.ok();
    let without = site.get("/bots/scan").await.ok().text;
    assert!(!without.contains("Ended well"), "{without}");
    site.session("scan", varied(12)).await;
    let text = site.get("/bots/scan").await.ok().text;
    for part in [
        "<dt>Ended well</dt><dd>100 %</dd>",
        "<dt>Runs</dt><dd>1</dd>",
        "<dt>Findings, median</dt><dd>12</dd>",
        "<dt>Took, 95 % within</dt>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_repositorys_page_has_its_quality_trends_and_sessions() {
    let site = Site::new();
    let session = site.session("scan", varied(12)).await;
    let open = site.get("/repositories/acme/shop").await.ok().text;
    assert!(open.contains("no scan of it has ended yet"), "{open}");
    let settings = CoordinatorSettings::default();
    let coordinator = Coordinator::new(site.store.clone(), settings);
    coordinator.resync().await.unwrap();
    let text = site.get("/repositories/acme/shop").await.ok().text;
    for part in [
        "<h1>acme/shop</h1>",
        "Where the ",
        "<dt>Findings, median</dt><dd>12</dd>",
        &format!("href=\"/sessions/{session}\""),
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        !text.contains("class=\"spark"),
        "one point is no line: {text}"
    );
    leave(
        &site,
        "repository:acme/shop",
        Some(&session),
        &[40.0, 55.0, 70.0],
    )
    .await;
    let drawn = site.get("/repositories/acme/shop").await.ok().text;
    assert!(drawn.contains("<polyline points="), "{drawn}");
    assert_inert(&drawn);
    let of_session = site.get(&format!("/sessions/{session}")).await.ok().text;
    assert!(of_session.contains("href=\"/repositories/acme/shop\""));
    assert_eq!(site.get("/repositories/acme/none").await.status, 404);
    assert_eq!(site.get("/repositories/acme/shop?x=1").await.status, 400);
}
