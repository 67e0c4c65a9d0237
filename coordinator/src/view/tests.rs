#![allow(clippy::float_cmp, reason = "these scores are exact")]

use fleet_worker_sdk::{Bot, Change, Error, OpenSession, Partitions, ProducerId, Transition};
use fleet_worker_sdk::{Tier, Version};

use super::*;
use crate::store::memory::MemoryStore;

async fn fleet_with_a_session() -> (SharedStore, SessionId) {
    let store: SharedStore = Arc::new(MemoryStore::new(Partitions::DEFAULT));
    store.register(&Bot::new("hypatia").unwrap()).await.unwrap();
    let opened = store
        .open(&OpenSession::new("acme/shop").unwrap())
        .await
        .unwrap();
    let producer = ProducerId::fresh();
    let transition = |sequence, attempt, change| Transition {
        session: opened.session.clone(),
        bot: "hypatia".parse().unwrap(),
        attempt,
        producer: producer.clone(),
        sequence,
        change,
    };
    let start = Change::Start {
        worker: None,
        reopen: false,
    };
    store.transition(&transition(1, 0, start)).await.unwrap();
    let complete = Change::Complete {
        pushed: 0,
        partial: false,
    };
    store.transition(&transition(2, 1, complete)).await.unwrap();
    (store, opened.session)
}

#[tokio::test]
async fn a_thousand_readers_of_a_missing_entry_cost_one_computation() {
    let (store, session) = fleet_with_a_session().await;
    let view = View::new(store, ViewSettings::default());
    let readers = (0..1_000).map(|_| async { view.session(&session).await.unwrap().health.score });
    let scores = futures_util::future::join_all(readers).await;
    assert!(scores.iter().all(|score| *score == Some(100.0)));
    assert_eq!(view.cache_stats().loads, 1);
    assert_eq!(view.cache_stats().requests, 1_000);
}

#[tokio::test]
async fn an_update_makes_the_next_reader_compute_anew() {
    let (store, session) = fleet_with_a_session().await;
    let view = View::new(Arc::clone(&store), ViewSettings::default());
    view.session(&session).await.unwrap();
    view.inner
        .hear(Update::Session {
            session: session.clone(),
            version: Version(1),
            trace: None,
        })
        .await;
    view.session(&session).await.unwrap();
    assert_eq!(view.cache_stats().loads, 2);
}

#[tokio::test]
async fn the_fleet_is_the_mean_of_bots_and_quality() {
    let (store, session) = fleet_with_a_session().await;
    let facts = store.facts(&session).await.unwrap();
    let settings = Settings::default();
    let before = fleet_health(&*store, &settings).await.unwrap();
    assert_eq!(
        before.health.coverage, 0.5,
        "no quality has been derived yet"
    );
    let health = session_health(&facts, &settings);
    let derived = crate::model::Derived {
        version: facts.session.version,
        quality: health.quality.score,
        band: None,
        health: health.health,
    };
    assert!(store.derive(&session, &derived).await.unwrap());
    let after = fleet_health(&*store, &settings).await.unwrap();
    assert_eq!(
        (after.health.score, after.health.coverage),
        (Some(100.0), 1.0)
    );
    assert_eq!(after.bots.len(), 1);
    assert!(after.tiers.contains_key(&Tier::Custom));
}

#[tokio::test]
async fn an_unknown_session_is_not_served_stale() {
    let (store, _) = fleet_with_a_session().await;
    let view = View::new(store, ViewSettings::default());
    let ghost = SessionId::fresh(fleet_worker_sdk::Partition(1));
    assert!(matches!(
        view.session(&ghost).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn a_hint_of_the_version_that_is_known_costs_nothing() {
    let (store, session) = fleet_with_a_session().await;
    let view = View::new(store, ViewSettings::default());
    let known = view.session(&session).await.unwrap();
    let version = known.version;
    let hint = Update::Session {
        session: session.clone(),
        version,
        trace: None,
    };
    view.inner.hear(hint).await;
    view.session(&session).await.unwrap();
    assert_eq!(view.cache_stats().loads, 1);
    assert_eq!(view.cache_stats().hits, 1);
}

#[tokio::test]
async fn views_of_one_store_both_see_a_change() {
    let (store, session) = fleet_with_a_session().await;
    let views = [0, 1].map(|_| View::new(Arc::clone(&store), ViewSettings::default()));
    for view in &views {
        assert_eq!(
            view.session(&session).await.unwrap().executions.score,
            Some(100.0)
        );
    }
    let transition = Transition {
        session: session.clone(),
        bot: "other".parse().unwrap(),
        attempt: 0,
        producer: ProducerId::fresh(),
        sequence: 1,
        change: Change::Skip {
            reason: "nothing to do".to_owned(),
        },
    };
    store.transition(&transition).await.unwrap();
    let coordinator = crate::maintain::Coordinator::new(
        Arc::clone(&store),
        crate::maintain::CoordinatorSettings::default(),
    );
    assert!(coordinator.recompute(&session).await.unwrap());
    let version = store.facts(&session).await.unwrap().session.version;
    for view in &views {
        // Well within the time to live: only the hint makes it look.
        while view.session(&session).await.unwrap().version != version {
            tokio::task::yield_now().await;
        }
        assert_eq!(view.cache_stats().loads, 2);
    }
}

#[tokio::test]
async fn every_computation_is_told_with_its_scope() {
    let (store, session) = fleet_with_a_session().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let settings = ViewSettings {
        on_load: OnLoad::new(move |scope, _| telling.lock().unwrap().push(scope)),
        ..ViewSettings::default()
    };
    let view = View::new(store, settings);
    view.session(&session).await.unwrap();
    view.fleet().await.unwrap();
    view.fleet().await.unwrap();
    assert_eq!(*told.lock().unwrap(), [Scope::Session, Scope::Fleet]);
}
