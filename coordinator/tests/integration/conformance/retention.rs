//! Sessions are removed whole, and what they counted with them.

use std::time::Duration;

use fleet_coordinator::store::{Maintain, SessionCursor};
use fleet_worker_sdk::{Error, SessionId, Version};

use crate::support::{Hand, bot, findings, open, repository};

on_every_store!(
    a_session_goes_with_all_that_is_its_own,
    a_session_that_moved_on_stays,
    the_longest_unchanged_come_first,
);

async fn opened(store: &dyn Maintain, name: &str) -> SessionId {
    store.open(&open(name)).await.unwrap().session
}

async fn a_session_goes_with_all_that_is_its_own(store: &dyn Maintain) {
    let session = opened(store, "acme/shop").await;
    let mut hand = Hand::new(store, &session, "scanner");
    hand.start().await.unwrap();
    hand.push(findings(0..7)).await.unwrap();
    hand.complete(7).await.unwrap();
    let version = store.facts(&session).await.unwrap().session.version;
    assert!(store.drop_session(&session, version).await.unwrap());
    assert!(
        !store.drop_session(&session, version).await.unwrap(),
        "it is gone"
    );

    let error = store.facts(&session).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(store.findings(&session).await.is_err());
    let rollup = store.rollup().await.unwrap();
    assert_eq!(
        (rollup.sessions, rollup.stored(), rollup.findings),
        (0, 0, 7)
    );
    let baseline = store
        .baseline(&repository("acme/shop"), &bot("scanner"), "")
        .await;
    assert_eq!(baseline.unwrap(), None);
    assert_ne!(
        opened(store, "acme/shop").await,
        session,
        "the next one is new"
    );
    assert_eq!(
        store.runs(&bot("scanner")).await.unwrap().len(),
        1,
        "the bot has run all the same"
    );
}

async fn a_session_that_moved_on_stays(store: &dyn Maintain) {
    let session = opened(store, "acme/shop").await;
    let known = store.facts(&session).await.unwrap().session.version;
    let mut hand = Hand::new(store, &session, "scanner");
    hand.start().await.unwrap();
    hand.push(findings(0..3)).await.unwrap();
    assert!(!store.drop_session(&session, known).await.unwrap());
    assert!(!store.drop_session(&session, Version(1)).await.unwrap());
    assert_eq!(store.facts(&session).await.unwrap().session.total, 3);
}

async fn the_longest_unchanged_come_first(store: &dyn Maintain) {
    let mut ids = Vec::new();
    for name in ["acme/a", "acme/b", "acme/c"] {
        ids.push(opened(store, name).await);
        // The order is by milliseconds.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let all = store.oldest(None, 10).await.unwrap();
    let found: Vec<_> = all.iter().map(|session| session.id.clone()).collect();
    assert_eq!(found, ids);
    let first = SessionCursor {
        changed_ms: all[0].changed.as_millisecond(),
        session: all[0].id.clone(),
    };
    let rest = store.oldest(Some(&first), 1).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].id, ids[1]);
}
