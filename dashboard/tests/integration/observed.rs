//! What was observed over time: anomalies, histories of scores, trends of runs.

use fleet_coordinator::anomaly::{Anomaly, Kind};
use fleet_coordinator::health::Status;
use fleet_coordinator::history::{Point, Scope};
use fleet_coordinator::series::Level;
use fleet_worker_sdk::{Bot, Change};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Site, varied};

/// Versions of a bot that run side by side.
pub(crate) fn unusual(bot: &str) -> Anomaly {
    Anomaly {
        id: format!("version_skew:{bot}:1"),
        kind: Kind::VersionSkew,
        bot: bot.parse().unwrap(),
        session: None,
        worker: None,
        observed: 2.0,
        expected: 1.0,
        spread: 0.0,
        z: None,
        samples: 0,
        level: Level::Error,
        text: "2 versions at once".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        ended: None,
    }
}

async fn trends(site: &Site, scope: &str) -> Value {
    let path = format!("/api/v1/trends?scope={scope}");
    site.get(&path).await.ok().json()
}

#[tokio::test]
async fn trends_are_made_of_runs_and_of_nothing_where_there_are_none() {
    let site = Site::new();
    let empty = trends(&site, "fleet").await;
    assert_eq!(
        empty,
        json!({
            "scope": "fleet", "runs": 0, "failed": 0, "success_rate": null, "since": null,
            "duration_s": null, "findings": null,
        })
    );
    for bot in ["scan", "lint"] {
        let bot = Bot::new(bot).unwrap();
        site.post("/api/v1/bots", &bot).await.ok();
    }
    site.session("scan", varied(12)).await;
    let till = site.open("acme/till").await;
    let mut hand = site.start(&till, "lint").await;
    let failed = hand.next(Change::Fail {
        reason: "it broke".to_owned(),
    });
    site.post("/api/v1/transitions", &failed).await.ok();

    let fleet = site.get("/api/v1/trends").await.ok().json();
    assert_eq!((&fleet["runs"], &fleet["failed"]), (&2.into(), &1.into()));
    assert_eq!(fleet["success_rate"], 0.5);
    assert_eq!(fleet["findings"]["median"], 12.0);
    let scan = trends(&site, "bot:scan").await;
    assert_eq!(
        (&scan["runs"], &scan["success_rate"]),
        (&1.into(), &json!(1.0))
    );
    assert_eq!(
        scan["findings"]["change"],
        Value::Null,
        "one run is no trend"
    );
    let lint = trends(&site, "bot:lint").await;
    assert_eq!(
        (&lint["success_rate"], &lint["duration_s"]),
        (&json!(0.0), &Value::Null)
    );
    let shop = trends(&site, "repository:acme/shop").await;
    assert_eq!(shop["scope"], "repository:acme/shop");
    assert_eq!(
        (&shop["runs"], &shop["findings"]["p95"]),
        (&1.into(), &json!(12.0))
    );
    assert_eq!(trends(&site, "repository:acme/none").await["runs"], 0);

    assert_eq!(
        site.get("/api/v1/trends?scope=bot:nobody").await.status,
        404
    );
    assert_eq!(site.get("/api/v1/trends?scope=all").await.status, 400);
    assert_eq!(site.get("/api/v1/trends?limit=3").await.status, 400);
}

#[tokio::test]
async fn anomalies_are_those_of_the_bot_asked_for() {
    let site = Site::new();
    site.store
        .note(&[unusual("a"), unusual("b")])
        .await
        .unwrap();
    let all = site.get("/api/v1/anomalies").await.ok().json();
    assert_eq!(all["anomalies"].as_array().unwrap().len(), 2);
    let of_b = site.get("/api/v1/anomalies?bot=b").await.ok().json();
    assert_eq!(of_b["anomalies"].as_array().unwrap().len(), 1);
    assert_eq!(of_b["anomalies"][0]["kind"], "version_skew");
    assert_eq!(of_b["anomalies"][0].get("ended"), None, "it lasts");
}

#[tokio::test]
async fn a_history_is_its_latest_points_oldest_first() {
    let site = Site::new();
    for minute in 0..5 {
        let point = Point {
            at: Timestamp::from_second(minute * 60).unwrap(),
            score: Some(90.0 - minute as f64),
            status: Status::Healthy,
        };
        let scope = Scope::Bot("scan".parse().unwrap());
        site.store.record(&scope, &point, None).await.unwrap();
    }
    let path = "/api/v1/health/history?scope=bot:scan&limit=2";
    let history = site.get(path).await.ok().json();
    let points = history["points"].as_array().unwrap().iter();
    let scores: Vec<_> = points
        .map(|point| point["score"].as_f64().unwrap())
        .collect();
    assert_eq!(scores, [87.0, 86.0]);
    assert_eq!(history["scope"], "bot:scan");
}
