//! Series, anomalies and histories: each observation once, the latest kept.

use fleet_coordinator::anomaly::{Anomaly, Kind};
use fleet_coordinator::health::{Health, Status};
use fleet_coordinator::history::{MAX_POINTS, Point, Scope};
use fleet_coordinator::model::Derived;
use fleet_coordinator::series::{BotSeries, Level, Marker};
use fleet_coordinator::store::{MAX_ANOMALIES, Maintain};
use fleet_worker_sdk::SessionId;
use jiff::{SignedDuration, Timestamp};

use crate::support::{Hand, bot, findings, open, repository, stamp};

fn anomaly(number: i64) -> Anomaly {
    Anomaly {
        id: format!("findings:a:{number}"),
        kind: Kind::Findings,
        bot: bot("a"),
        session: None,
        worker: None,
        observed: 146.0,
        expected: 102.0,
        spread: 5.0,
        z: Some(8.8),
        samples: 121,
        level: Level::Error,
        text: "findings 146, expected 102 +- 5 (z = 8.8, 121 samples)".to_owned(),
        at: stamp(number),
        ended: None,
    }
}

/// Time after everything that was done so far.
async fn later(store: &dyn Maintain) -> Timestamp {
    store.now().await.unwrap() + SignedDuration::from_secs(1)
}

async fn a_finished_run_carries_its_severities(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    hand.push(findings(0..10)).await.unwrap();
    hand.complete(10).await.unwrap();
    let tally = store.facts(&hand.session).await.unwrap().session.tally;
    let runs = store.runs(&bot("a")).await.unwrap();
    assert_eq!(runs[0].tally, tally);
    assert_eq!(runs[0].tally.total(), 10);
    assert!(runs[0].tally.error > 0);
}

async fn runs_are_read_from_a_time_on_in_order(store: &dyn Maintain) {
    let mut ended = Vec::new();
    for run in 0..20 {
        let analysis = open(&format!("acme/{}", run % 5)).run(run.to_string());
        let opened = store.open(&analysis).await.unwrap();
        let mut hand = Hand::new(store, &opened.session, "a");
        hand.start().await.unwrap();
        ended.push(hand.complete(0).await.unwrap().ended.unwrap());
    }
    let since = ended[10];
    let read = store.runs_since(&bot("a"), since).await.unwrap();
    let times: Vec<_> = read.iter().map(|run| run.ended).collect();
    assert!(times.is_sorted());
    let expected = ended.iter().filter(|time| **time >= since).count();
    assert_eq!(read.len(), expected);
    let all = store.runs_since(&bot("a"), Timestamp::UNIX_EPOCH).await;
    let mut known = store.runs(&bot("a")).await.unwrap();
    known.sort_by_key(Marker::of);
    assert_eq!(all.unwrap(), known);
    let none = store.runs_since(&bot("b"), Timestamp::UNIX_EPOCH).await;
    assert_eq!(none.unwrap(), []);
}

async fn a_series_is_advanced_from_where_it_is_only(store: &dyn Maintain) {
    assert!(store.series().await.unwrap().is_empty());
    let mut hand = Hand::started(store, "a").await;
    hand.complete(0).await.unwrap();
    let mut series = BotSeries::default();
    let runs = store.runs(&bot("a")).await.unwrap();
    assert_eq!(series.fold(&runs, later(store).await).len(), 1);
    let advance = async |from: Option<&BotSeries>, to: &BotSeries, found: &[Anomaly]| {
        let from = from.and_then(|series| series.last.as_ref());
        store.advance(&bot("a"), from, to, found).await.unwrap()
    };
    assert!(advance(None, &series, &[anomaly(1)]).await);
    assert!(
        !advance(None, &series, &[anomaly(2)]).await,
        "once is enough"
    );
    assert_eq!(store.series().await.unwrap()[&bot("a")], series);
    assert_eq!(store.anomalies().await.unwrap(), [anomaly(1)]);

    hand.reopen().await.unwrap();
    hand.fail("it broke").await.unwrap();
    let mut next = series.clone();
    let runs = store.runs(&bot("a")).await.unwrap();
    assert_eq!(next.fold(&runs, later(store).await).len(), 1);
    assert!(advance(Some(&series), &next, &[anomaly(3)]).await);
    assert!(!advance(Some(&series), &next, &[anomaly(4)]).await);
    assert_eq!(store.series().await.unwrap()[&bot("a")], next);
    assert_eq!(store.anomalies().await.unwrap(), [anomaly(3), anomaly(1)]);
}

async fn an_anomaly_is_stored_once_and_the_latest_are_kept(store: &dyn Maintain) {
    assert_eq!(store.note(&[]).await.unwrap(), 0);
    assert_eq!(store.anomalies().await.unwrap(), []);
    assert_eq!(store.note(&[anomaly(1), anomaly(1)]).await.unwrap(), 1);
    let again = Anomaly {
        at: stamp(9_999),
        ..anomaly(1)
    };
    assert_eq!(store.note(&[again]).await.unwrap(), 0);
    assert_eq!(
        store.anomalies().await.unwrap(),
        [anomaly(1)],
        "as first seen"
    );

    let most = i64::try_from(MAX_ANOMALIES).unwrap();
    let many: Vec<Anomaly> = (2..=most + 10).map(anomaly).collect();
    for some in many.chunks(100) {
        store.note(some).await.unwrap();
    }
    let kept: Vec<Anomaly> = (11..=most + 10).rev().map(anomaly).collect();
    assert_eq!(store.anomalies().await.unwrap(), kept);
    assert_eq!(store.note(&[anomaly(1)]).await.unwrap(), 0, "it is too old");
    assert_eq!(store.anomalies().await.unwrap(), kept);
}

async fn an_anomaly_that_is_kept_can_be_amended(store: &dyn Maintain) {
    let kept = [anomaly(1), anomaly(2), anomaly(3)];
    store.note(&kept).await.unwrap();
    let over = Anomaly {
        ended: Some(stamp(70)),
        ..anomaly(2)
    };
    let amend = async |changed: &[Anomaly]| store.amend(changed).await.unwrap();
    assert_eq!(amend(&[]).await, 0);
    assert_eq!(amend(&[over.clone(), anomaly(9)]).await, 1, "9 is not kept");
    assert_eq!(
        amend(std::slice::from_ref(&over)).await,
        0,
        "another said the same"
    );
    assert_eq!(
        store.anomalies().await.unwrap(),
        [anomaly(3), over, anomaly(1)]
    );
    let again = Anomaly {
        at: stamp(80),
        ..anomaly(2)
    };
    assert_eq!(amend(std::slice::from_ref(&again)).await, 1);
    assert_eq!(
        store.anomalies().await.unwrap(),
        [again, anomaly(3), anomaly(1)],
        "it has moved to when it began again"
    );
}

fn point(second: i64, score: f64) -> Point {
    Point {
        at: stamp(second),
        score: Some(score),
        status: Status::Healthy,
    }
}

async fn a_history_takes_a_point_a_minute_and_one_an_hour(store: &dyn Maintain) {
    let fleet = Scope::Fleet;
    let record = async |point: &Point| store.record(&fleet, point, None).await.unwrap();
    assert_eq!(store.history(&fleet, 10).await.unwrap(), []);
    assert!(record(&point(0, 90.0)).await);
    assert!(
        !record(&point(20, 90.0)).await,
        "another coordinator says the same"
    );
    assert!(record(&point(30, 91.5)).await);
    assert!(!record(&point(10, 12.0)).await, "it is late");
    assert!(record(&point(60, 88.0)).await);
    let unknown = Point {
        score: None,
        status: Status::Unknown,
        ..point(120, 0.0)
    };
    assert!(record(&unknown).await);
    let worse = Point {
        status: Status::Critical,
        ..point(180, 88.0)
    };
    assert!(record(&worse).await);
    let again = |second| Point {
        at: stamp(second),
        ..worse.clone()
    };
    assert!(!record(&again(3_779)).await);
    assert!(record(&again(3_780)).await);
    let all = [
        point(30, 91.5),
        point(60, 88.0),
        unknown,
        worse.clone(),
        again(3_780),
    ];
    assert_eq!(store.history(&fleet, 10).await.unwrap(), all);
    assert_eq!(store.history(&fleet, 2).await.unwrap(), all[3..]);
    assert_eq!(store.history(&fleet, 0).await.unwrap(), []);
    assert_eq!(store.history(&Scope::Bot(bot("a")), 10).await.unwrap(), []);
}

async fn a_history_is_bounded(store: &dyn Maintain) {
    let scope = Scope::Bot(bot("a"));
    let most = i64::try_from(MAX_POINTS).unwrap();
    for number in 0..most + 5 {
        let point = point(number * 60, (number % 100) as f64);
        assert!(store.record(&scope, &point, None).await.unwrap());
    }
    let kept = store.history(&scope, 10_000).await.unwrap();
    assert_eq!(kept.len(), MAX_POINTS);
    assert_eq!(kept[0].at, stamp(5 * 60));
}

async fn a_repositorys_history_is_written_for_its_speaker_only(store: &dyn Maintain) {
    let scope = Scope::Repository(repository("acme/shop"));
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let record = async |second, of: Option<&SessionId>| {
        let point = point(second, 70.0);
        store.record(&scope, &point, of).await.unwrap()
    };
    assert!(!record(0, Some(&session)).await, "nobody speaks for it yet");
    assert!(!record(0, None).await);
    let version = store.facts(&session).await.unwrap().session.version;
    let derived = Derived {
        version,
        health: Health::unknown("a test says so"),
        quality: Some(70.0),
        band: None,
    };
    assert!(store.derive(&session, &derived).await.unwrap());
    let stranger = store.open(&open("acme/web")).await.unwrap().session;
    assert!(!record(60, Some(&stranger)).await);
    assert!(record(120, Some(&session)).await);
    assert_eq!(store.history(&scope, 10).await.unwrap(), [point(120, 70.0)]);
}

on_every_store!(
    a_finished_run_carries_its_severities,
    runs_are_read_from_a_time_on_in_order,
    a_series_is_advanced_from_where_it_is_only,
    an_anomaly_is_stored_once_and_the_latest_are_kept,
    an_anomaly_that_is_kept_can_be_amended,
    a_history_takes_a_point_a_minute_and_one_an_hour,
    a_history_is_bounded,
    a_repositorys_history_is_written_for_its_speaker_only,
);
