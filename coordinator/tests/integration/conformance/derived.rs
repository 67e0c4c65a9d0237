//! Results computed from a session: stored only while it is the one they were computed from.

use std::time::Duration;

use fleet_coordinator::health::{Health, Status};
use fleet_coordinator::model::{Derived, Update};
use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::{Error, Partition, SessionId, Version};

use crate::support::{Hand, findings, open, within};

fn derived(version: Version, quality: Option<f64>) -> Derived {
    Derived {
        version,
        health: Health {
            score: quality,
            status: Status::Degraded,
            band: Status::Degraded,
            reason: "a test says so".to_owned(),
            coverage: 0.5,
            breakdown: Vec::new(),
        },
        quality,
        band: quality.map(|_| Status::Degraded),
    }
}

/// Derives at the session's version of now.
async fn derive(store: &dyn Maintain, session: &SessionId, quality: Option<f64>) {
    let version = store.facts(session).await.unwrap().session.version;
    let stored = store.derive(session, &derived(version, quality)).await;
    assert!(stored.unwrap());
}

async fn a_result_is_stored_with_the_version_it_was_computed_from(store: &dyn Maintain) {
    let hand = Hand::started(store, "a").await;
    let before = store.facts(&hand.session).await.unwrap().session;
    assert_eq!(before.derived, None);
    derive(store, &hand.session, Some(71.25)).await;
    let after = store.facts(&hand.session).await.unwrap().session;
    assert_eq!(after.derived, Some(derived(before.version, Some(71.25))));
    assert_eq!(after.version, before.version, "a result is no change");
    assert_eq!(after.changed, before.changed);
}

async fn a_result_of_an_older_version_is_refused(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let old = store.facts(&hand.session).await.unwrap().session.version;
    hand.push(findings(0..2)).await.unwrap();
    let late = derived(old, Some(50.0));
    assert!(!store.derive(&hand.session, &late).await.unwrap());
    let session = store.facts(&hand.session).await.unwrap().session;
    assert_eq!(session.derived, None);
    assert_eq!(store.rollup().await.unwrap().repositories, 0);
    let ghost = SessionId::fresh(Partition(3));
    let error = store.derive(&ghost, &late).await.unwrap_err();
    assert_eq!(error, Error::not_found("session", &ghost));
}

async fn a_result_outlives_the_next_change_of_the_session(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    derive(store, &hand.session, Some(50.0)).await;
    hand.push(findings(0..2)).await.unwrap();
    let session = store.facts(&hand.session).await.unwrap().session;
    let derived = session
        .derived
        .expect("the last health is better than none");
    assert_ne!(derived.version, session.version);
}

async fn a_repositorys_quality_is_that_of_its_latest_session(store: &dyn Maintain) {
    let old = store
        .open(&open("acme/shop").run("1"))
        .await
        .unwrap()
        .session;
    let new = later(store, &old).await;
    let other = store.open(&open("acme/web")).await.unwrap().session;
    let sums = async || {
        let rollup = store.rollup().await.unwrap();
        (rollup.repositories, rollup.quality_milli)
    };
    derive(store, &old, Some(40.0)).await;
    assert_eq!(sums().await, (1, 40_000));
    derive(store, &old, Some(50.0)).await;
    assert_eq!(sums().await, (1, 50_000));
    derive(store, &new, None).await;
    assert_eq!(sums().await, (1, 50_000), "unknown replaces nothing");
    derive(store, &new, Some(80.123_6)).await;
    assert_eq!(sums().await, (1, 80_124));
    derive(store, &old, Some(10.0)).await;
    assert_eq!(
        sums().await,
        (1, 80_124),
        "an older session does not speak any more"
    );
    derive(store, &other, Some(20.0)).await;
    assert_eq!(sums().await, (2, 100_124));
}

/// A session of the same repository, opened in a later millisecond.
async fn later(store: &dyn Maintain, old: &SessionId) -> SessionId {
    let before = store.facts(old).await.unwrap().session.opened;
    for run in 2.. {
        let analysis = open("acme/shop").run(run.to_string());
        let session = store.open(&analysis).await.unwrap().session;
        if store.facts(&session).await.unwrap().session.opened > before {
            return session;
        }
    }
    unreachable!("runs do not end")
}

async fn a_result_is_heard_of(store: &dyn Maintain) {
    let hand = Hand::started(store, "a").await;
    let session = hand.session.clone();
    let version = store.facts(&session).await.unwrap().session.version;
    let mut heard = store.updates();
    let expected = Update::Session {
        session,
        version,
        trace: None,
    };
    let listening = async {
        loop {
            derive(store, &hand.session, None).await;
            let next = tokio::time::timeout(Duration::from_millis(100), heard.recv());
            if let Ok(Ok(update)) = next.await
                && update == expected
            {
                return;
            }
        }
    };
    within(listening).await;
}

on_every_store!(
    a_result_is_stored_with_the_version_it_was_computed_from,
    a_result_of_an_older_version_is_refused,
    a_result_outlives_the_next_change_of_the_session,
    a_repositorys_quality_is_that_of_its_latest_session,
    a_result_is_heard_of,
);
