//! Bots write, people read: the happy paths, every filter, and pages that lose nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_worker_sdk::{Beat, Bot, Change, Tier, Version, WorkerId, WorkerState};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Site, varied};

/// A test that waits this long has met a deadlock.
const PATIENCE: Duration = Duration::from_secs(10);

fn list<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    answer[name]
        .as_array()
        .unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[tokio::test]
async fn a_bot_reads_over_http_what_it_wrote() {
    let site = Site::new();
    let bot = Bot::new("scan").unwrap().tier(Tier::Verifier);
    assert_eq!(site.post("/api/v1/bots", &bot).await.status, 204);
    assert_eq!(
        list(&site.get("/api/v1/bots").await.ok().json(), "bots")[0]["id"],
        "scan"
    );

    let session = site.session("scan", varied(12)).await;
    let again = site.open("acme/shop").await;
    assert_eq!(
        again, session,
        "the same repository, ref, commit and run is the same session"
    );

    let facts = site
        .get(&format!("/api/v1/sessions/{session}"))
        .await
        .ok()
        .json();
    assert_eq!(facts["session"]["total"], 12);
    assert_eq!(facts["indexed"], 12);
    let progress = site
        .get(&format!("/api/v1/sessions/{session}/progress"))
        .await
        .ok()
        .json();
    assert_eq!(progress["state"], "complete");
    assert_eq!(progress["executions"][0]["pushed"], 12);
    let health = site
        .get(&format!("/api/v1/sessions/{session}/health"))
        .await
        .ok()
        .json();
    assert!(health["health"]["score"].is_number(), "{health}");
    assert_eq!(facts["health"], health["health"]);
}

#[tokio::test]
async fn a_change_is_told_at_once_and_a_wait_ends() {
    let site = Site::new();
    let session = site.session("scan", varied(1)).await;
    let path = format!("/api/v1/sessions/{session}/changed");
    let now = site
        .get(&format!("{path}?known=0&wait_ms=25000"))
        .await
        .ok()
        .json();
    let version: Version = serde_json::from_value(now["version"].clone()).unwrap();
    let same = site
        .get(&format!("{path}?known={}&wait_ms=1", version.0))
        .await
        .ok()
        .json();
    assert_eq!(same, now);
}

#[tokio::test]
async fn a_producer_learns_its_last_sequence() {
    let site = Site::new();
    let session = site.open("acme/shop").await;
    let mut hand = site.start(&session, "scan").await;
    site.finish(&mut hand, varied(3)).await;
    let path = format!("/api/v1/sessions/{session}/producers/{}", hand.producer);
    assert_eq!(site.get(&path).await.ok().json(), json!({"last": 3}));
}

#[tokio::test]
async fn a_command_reaches_the_worker_with_its_next_beat() {
    let site = Site::new();
    let beat = Beat {
        worker: WorkerId::new("scan:host:1:0a").unwrap(),
        bot: "scan".parse().unwrap(),
        version: String::new(),
        sdk: String::new(),
        host: "host".to_owned(),
        pid: 1,
        started: Timestamp::now(),
        state: WorkerState::Running,
        sessions: Vec::new(),
        progress: 0,
    };
    let answer = site.post("/api/v1/beat", &beat).await.ok().json();
    assert_eq!(answer["command"], Value::Null);
    let path = "/api/v1/workers/scan%3Ahost%3A1%3A0a/command";
    let ordered = site.post(path, &json!({"command": "quiet"})).await;
    assert_eq!(ordered.status, 204, "{}", ordered.text);
    let answer = site.post("/api/v1/beat", &beat).await.ok().json();
    assert_eq!(answer["command"], "quiet");
    let workers = site.get("/api/v1/workers").await.ok().json();
    let worker = &list(&workers, "workers")[0];
    assert_eq!(worker["id"], "scan:host:1:0a");
    assert_eq!(worker["liveness"], "alive");
}

#[tokio::test]
async fn completing_twice_is_a_conflict_and_repeating_a_request_is_none() {
    let site = Site::new();
    let session = site.open("acme/shop").await;
    let mut hand = site.start(&session, "scan").await;
    let complete = Change::Complete {
        pushed: 0,
        partial: false,
    };
    let first = hand.next(complete.clone());
    let answered = site.post("/api/v1/transitions", &first).await.ok().json();
    let repeated = site.post("/api/v1/transitions", &first).await.ok().json();
    assert_eq!(answered, repeated);
    let twice = site.post("/api/v1/transitions", &hand.next(complete)).await;
    assert_eq!(twice.status, 409);
    assert_eq!(twice.json()["code"], "conflict");
}

/// What a filter promises of each finding it lets pass.
type Holds = fn(&Value) -> bool;

#[tokio::test]
async fn every_filter_lets_pass_what_it_names_and_nothing_else() {
    let site = Site::new();
    let session = site.session("scan", varied(120)).await;
    let mut other = site.start(&session, "other").await;
    site.finish(&mut other, varied(10)).await;
    let cases: [(&str, usize, Holds); 10] = [
        ("suppression=all", 130, |_| true),
        ("", 117, |f| f["suppressed"] == false),
        ("suppression=suppressed", 13, |f| f["suppressed"] == true),
        ("suppression=all&bot=other", 10, |f| f["bot"] == "other"),
        ("suppression=all&bot=other&bot=scan", 130, |_| true),
        ("suppression=all&severity=error&severity=info", 65, |f| {
            f["severity"] == "error" || f["severity"] == "info"
        }),
        ("suppression=all&category=style", 43, |f| {
            f["category"] == "style"
        }),
        ("suppression=all&rule=rule-3", 26, |f| {
            f["rule_id"] == "rule-3"
        }),
        ("suppression=all&file=src%2Fb%2F", 65, |f| {
            f["locations"][0]["uri"]
                .as_str()
                .unwrap()
                .starts_with("src/b/")
        }),
        ("suppression=all&text=NUMBER+7&bot=scan", 11, |f| {
            f["message"].as_str().unwrap().contains("number 7")
        }),
    ];
    for (query, count, holds) in cases {
        let path = format!("/api/v1/sessions/{session}/findings?limit=500&{query}");
        let page = site.get(&path).await.ok().json();
        assert_eq!(page["total"], count, "{query}");
        assert_eq!(list(&page, "findings").len(), count, "{query}");
        assert!(list(&page, "findings").iter().all(holds), "{query}");
    }
}

#[tokio::test]
async fn a_tier_without_bots_matches_nothing_rather_than_everything() {
    let site = Site::new();
    let bot = Bot::new("scan").unwrap().tier(Tier::Verifier);
    site.post("/api/v1/bots", &bot).await.ok();
    let session = site.session("scan", varied(9)).await;
    let path = format!("/api/v1/sessions/{session}/findings?suppression=all");
    for (more, count) in [
        ("", 9),
        ("&tier=verifier", 9),
        ("&tier=engine", 0),
        ("&tier=engine&tier=verifier", 9),
        ("&tier=verifier&bot=other", 0),
    ] {
        let page = site.get(&format!("{path}{more}")).await.ok().json();
        assert_eq!(page["total"], count, "{more}");
    }
}

#[tokio::test]
async fn pages_together_hold_each_finding_once_in_every_order() {
    let site = Site::new();
    let session = site.session("scan", varied(45)).await;
    for sort in ["severity", "path", "rule", "newest"] {
        let path =
            format!("/api/v1/sessions/{session}/findings?suppression=all&limit=7&sort={sort}");
        let mut seen = BTreeSet::new();
        let mut page = site.get(&path).await.ok().json();
        loop {
            for finding in list(&page, "findings") {
                let print = finding["fingerprint"].as_str().unwrap().to_owned();
                assert!(seen.insert(print), "{sort}: {finding} twice");
            }
            let Some(next) = page["next"].as_str() else {
                break;
            };
            page = site.get(&format!("{path}&cursor={next}")).await.ok().json();
        }
        assert_eq!(seen.len(), 45, "{sort}");
    }
}

#[tokio::test]
async fn one_finding_is_found_by_its_fingerprint() {
    let site = Site::new();
    let session = site.session("scan", varied(2)).await;
    let path = format!("/api/v1/sessions/{session}/findings");
    let page = site
        .get(&format!("{path}?suppression=all"))
        .await
        .ok()
        .json();
    let first = &list(&page, "findings")[0];
    let print = first["fingerprint"].as_str().unwrap();
    assert_eq!(
        site.get(&format!("{path}/{print}")).await.ok().json(),
        *first
    );
    assert_eq!(
        site.get(&format!("{path}/{}", "0f".repeat(16)))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn pages_of_sessions_hold_each_session_once() {
    let site = Site::new();
    for n in 0..7 {
        site.open(&format!("acme/shop{n}")).await;
    }
    let mut seen = BTreeSet::new();
    let mut path = "/api/v1/sessions?limit=3".to_owned();
    loop {
        let page = site.get(&path).await.ok().json();
        for session in list(&page, "sessions") {
            assert!(seen.insert(session["id"].as_str().unwrap().to_owned()));
        }
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/sessions?limit=3&cursor={next}");
    }
    assert_eq!(seen.len(), 7);
    let one = site
        .get("/api/v1/sessions?repository=acme%2Fshop3")
        .await
        .ok()
        .json();
    assert_eq!(list(&one, "sessions").len(), 1);
}

#[tokio::test]
async fn a_report_has_every_finding_of_its_filter_in_each_format() {
    let site = Site::new();
    let session = site.session("scan", varied(999)).await;
    let path = format!("/api/v1/sessions/{session}/report?suppression=all");
    for (format, kind) in [
        ("markdown", "text/markdown; charset=utf-8"),
        ("json", "application/json"),
        ("html", "text/html; charset=utf-8"),
    ] {
        let report = site.get(&format!("{path}&format={format}")).await.ok();
        assert_eq!(report.header("content-type"), kind);
        assert!(
            report
                .header("content-disposition")
                .contains("acme-shop-findings.")
        );
        for n in 0..999 {
            assert!(
                report.text.contains(&format!("number {n}")),
                "{format}: {n}"
            );
        }
    }
    let errors = site
        .get(&format!("{path}&format=json&severity=error"))
        .await
        .ok()
        .json();
    assert!(
        list(&errors, "findings")
            .iter()
            .all(|f| f["severity"] == "error")
    );
}

#[tokio::test]
async fn a_report_goes_on_where_the_limited_one_ended() {
    let site = Site::new();
    let session = site.session("scan", varied(30)).await;
    let path = format!("/api/v1/sessions/{session}/report?format=json&suppression=all&limit=20");
    let first = site.get(&path).await.ok().json();
    assert_eq!(list(&first, "findings").len(), 20);
    let next = first["next"].as_str().unwrap();
    let second = site.get(&format!("{path}&cursor={next}")).await.ok().json();
    assert_eq!(list(&second, "findings").len(), 10);
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn a_reader_who_stops_amid_a_report_holds_back_no_push() {
    let site = Site::new();
    let session = site.open("acme/shop").await;
    let mut hand = site.start(&session, "scan").await;
    let batch = hand.batch(varied(900));
    site.post("/api/v1/push", &batch).await.ok();
    let path = format!("/api/v1/sessions/{session}/report?format=json&suppression=all");
    let unread = warp::test::request()
        .path(&path)
        .filter(&site.routes)
        .await
        .unwrap();
    let batch = hand.batch(varied(1));
    let pushed = tokio::time::timeout(PATIENCE, site.post("/api/v1/push", &batch)).await;
    pushed.expect("the report must not hold the index").ok();
    drop(unread);
}

#[tokio::test]
async fn the_overview_names_what_is_served_and_only_that() {
    let site = Site::new();
    let session = site.session("scan", varied(1)).await;
    let overview = site.get("/api/v1").await.ok().json();
    for row in list(&overview, "endpoints") {
        let (method, path) = row["endpoint"].as_str().unwrap().split_once(' ').unwrap();
        let path = path.replace("sessions/{id}", &format!("sessions/{session}"));
        let path = path
            .replace("{fingerprint}", &"0".repeat(32))
            .replace('{', "x")
            .replace('}', "");
        let request = warp::test::request().method(method).path(&path);
        let answer = site.send(request).await;
        assert_ne!(answer.status, 405, "{row}");
        assert!(
            !answer.text.contains("GET /api/v1 lists"),
            "{row}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_head_request_is_a_get_without_the_body() {
    let site = Site::new();
    let head = warp::test::request().method("HEAD").path("/api/v1/bots");
    assert_eq!(site.send(head).await.status, 200);
}

#[tokio::test]
async fn health_is_told_of_the_fleet_its_tiers_and_its_bots() {
    let site = Site::new();
    for (bot, tier) in [("scan", Tier::Verifier), ("idle", Tier::Engine)] {
        let bot = Bot::new(bot).unwrap().tier(tier);
        site.post("/api/v1/bots", &bot).await.ok();
    }
    site.session("scan", varied(3)).await;
    let fleet = site.get("/api/v1/health").await.ok().json();
    let tier = site.get("/api/v1/health/tiers/verifier").await.ok().json();
    let bot = site.get("/api/v1/health/bots/scan").await.ok().json();
    assert_eq!(fleet["tiers"]["verifier"]["score"], tier["score"]);
    assert_eq!(fleet["bots"]["scan"]["score"], bot["score"]);
    assert_eq!(tier["bots"]["scan"]["score"], bot["score"]);
    assert!(bot["score"].is_number(), "{bot}");
    let idle = site.get("/api/v1/health/bots/idle").await.ok().json();
    assert_eq!(idle["status"], "unknown", "no run, no score");
    for (path, status) in [
        ("tiers/finisher", 404),
        ("tiers/top", 400),
        ("bots/nobody", 404),
        ("bots/a%7Bb", 400),
    ] {
        let answer = site.get(&format!("/api/v1/health/{path}")).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
    let page = site.get("/").await.ok().text;
    for part in ["/bots/scan", "/bots/idle"] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[tokio::test]
async fn each_health_explains_itself_when_asked() {
    let site = Site::new();
    let bot = Bot::new("scan").unwrap().tier(Tier::Verifier);
    site.post("/api/v1/bots", &bot).await.ok();
    let session = site.session("scan", varied(3)).await;
    let coordinator = Coordinator::new(site.store.clone(), CoordinatorSettings::default());
    assert!(coordinator.recompute(&session).await.unwrap());

    let explained = async |path: &str| {
        let plain = site.get(&format!("/api/v1/{path}")).await.ok().json();
        assert!(plain.get("explanation").is_none(), "{path}: {plain}");
        let asked = site.get(&format!("/api/v1/{path}?explain=1")).await;
        asked.ok().json()["explanation"].take()
    };
    let fleet = explained("health").await;
    let sum = fleet["fleet"]["arithmetic"].as_str().unwrap();
    assert!(sum.starts_with("100 x 0.5 + "), "{sum}");
    assert_eq!(fleet["tiers"]["verifier"]["arithmetic"], "100 x 1 = 100");
    assert_eq!(fleet["bots"]["scan"]["parts"][0]["part"], "success");
    let tier = explained("health/tiers/verifier").await;
    assert_eq!(tier, fleet["tiers"]["verifier"]);
    assert_eq!(explained("health/bots/scan").await, fleet["bots"]["scan"]);
    let of_session = explained(&format!("sessions/{session}/health")).await;
    let quality = &of_session["quality"];
    assert!(quality["formula"].as_str().unwrap().contains("log2 n"));
    assert_eq!(explained("health/repositories/acme/shop").await, *quality);

    let refused = site.get("/api/v1/health?explain=maybe").await;
    assert_eq!(refused.status, 400, "{}", refused.text);
}

#[tokio::test]
async fn a_repositorys_health_is_that_of_the_session_that_speaks_for_it() {
    let site = Site::new();
    let session = site.session("scan", varied(3)).await;
    let path = "/api/v1/health/repositories/acme/shop";
    let unknown = site.get(path).await;
    assert_eq!(
        unknown.status, 404,
        "nothing is derived yet: {}",
        unknown.text
    );
    let coordinator = Coordinator::new(site.store.clone(), CoordinatorSettings::default());
    assert!(coordinator.recompute(&session).await.unwrap());
    let health = site.get(path).await.ok().json();
    assert_eq!(health["session"], session.as_str());
    let of_session = site
        .get(&format!("/api/v1/sessions/{session}/health"))
        .await;
    assert_eq!(health["score"], of_session.ok().json()["quality"]["score"]);
    let escaped = site.get("/api/v1/health/repositories/acme%2Fshop").await;
    assert_eq!(escaped.ok().json(), health);
    for (name, status) in [("acme/none", 404), ("", 400), ("a%20b", 400)] {
        let answer = site
            .get(&format!("/api/v1/health/repositories/{name}"))
            .await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
}
