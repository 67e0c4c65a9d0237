//! Listing sessions, bots and sums.

use fleet_coordinator::model::Session;
use fleet_coordinator::store::{Maintain, SessionCursor, SessionQuery};
use fleet_worker_sdk::{Bot, Error, SessionId, Tier};

use crate::support::{Hand, bot, finding, open, repository};

async fn some_sessions(store: &dyn Maintain) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for n in 0..7 {
        let name = ["acme/shop", "acme/web"][n % 2];
        let analysis = open(name).run(n.to_string());
        ids.push(store.open(&analysis).await.unwrap().session);
    }
    ids
}

fn cursor(session: &Session) -> SessionCursor {
    SessionCursor {
        changed_ms: session.changed.as_millisecond(),
        session: session.id.clone(),
    }
}

async fn sessions_are_listed_latest_change_first(store: &dyn Maintain) {
    let ids = some_sessions(store).await;
    let mut hand = Hand::new(store, &ids[2], "a");
    hand.start().await.unwrap();
    hand.push(vec![finding(1)]).await.unwrap();
    let limit = 100;
    let query = SessionQuery {
        limit,
        ..SessionQuery::default()
    };
    let listed = store.sessions(&query).await.unwrap();
    assert_eq!(listed.len(), ids.len());
    assert!(listed.is_sorted_by(|a, b| cursor(a) > cursor(b)));
    for session in &listed {
        let facts = store.facts(&session.id).await.unwrap();
        assert_eq!(
            *session, facts.session,
            "a list shows what the session shows"
        );
    }
}

async fn sessions_are_listed_page_by_page_without_gap_or_repeat(store: &dyn Maintain) {
    let mut ids = some_sessions(store).await;
    let mut query = SessionQuery {
        limit: 3,
        ..SessionQuery::default()
    };
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = store.sessions(&query).await.unwrap();
        sizes.push(page.len());
        seen.extend(page.iter().map(|session| session.id.clone()));
        let Some(last) = page.last() else { break };
        query.after = Some(cursor(last));
    }
    assert_eq!(sizes, [3, 3, 1, 0]);
    seen.sort();
    ids.sort();
    assert_eq!(seen, ids);
}

async fn sessions_of_one_repository_are_listed_alone(store: &dyn Maintain) {
    let ids = some_sessions(store).await;
    let of = |name: &str, limit| SessionQuery {
        repository: Some(repository(name)),
        after: None,
        limit,
    };
    let listed = store.sessions(&of("acme/web", 100)).await.unwrap();
    let mut seen: Vec<_> = listed.into_iter().map(|session| session.id).collect();
    seen.sort();
    let mut expected = vec![ids[1].clone(), ids[3].clone(), ids[5].clone()];
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(store.sessions(&of("acme/web", 2)).await.unwrap().len(), 2);
    assert!(
        store
            .sessions(&of("acme/none", 9))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.sessions(&of("acme/web", 0)).await.unwrap().is_empty());
}

async fn bots_are_registered_once_and_updated(store: &dyn Maintain) {
    let second = Bot::new("b").unwrap().tier(Tier::Engine);
    let first = Bot::new("a").unwrap().tier(Tier::Verifier).version("1");
    store.register(&second).await.unwrap();
    store.register(&first).await.unwrap();
    let first = first.version("2").depends_on(["b"]).unwrap();
    store.register(&first).await.unwrap();
    let expected = vec![first, second];
    assert_eq!(store.bots().await.unwrap(), expected);
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    assert_eq!(store.progress(&session).await.unwrap().bots, expected);
}

async fn a_bot_that_depends_on_itself_is_refused(store: &dyn Maintain) {
    let looped = Bot::new("a").unwrap().depends_on(["a"]).unwrap();
    let error = store.register(&looped).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert!(store.bots().await.unwrap().is_empty());
}

async fn sums_count_sessions_and_findings_once(store: &dyn Maintain) {
    assert_eq!(
        store.rollup().await.unwrap(),
        fleet_coordinator::model::Rollup::default()
    );
    let ids = some_sessions(store).await;
    store
        .open(&open("acme/shop").run("0").expect([bot("z")]))
        .await
        .unwrap();
    for id in &ids[..2] {
        let mut hand = Hand::new(store, id, "a");
        hand.start().await.unwrap();
        hand.push(vec![finding(1), finding(2)]).await.unwrap();
        hand.push(vec![finding(2), finding(3)]).await.unwrap();
    }
    let rollup = store.rollup().await.unwrap();
    assert_eq!((rollup.sessions, rollup.findings), (7, 6));
    assert_eq!((rollup.repositories, rollup.quality_milli), (0, 0));
}

async fn a_store_that_works_says_so_and_where_it_is(store: &dyn Maintain) {
    store.check().await.unwrap();
    let address = store.address();
    assert!(!address.is_empty() && !address.contains('@'), "{address}");
}

on_every_store!(
    sessions_are_listed_latest_change_first,
    sessions_are_listed_page_by_page_without_gap_or_repeat,
    sessions_of_one_repository_are_listed_alone,
    bots_are_registered_once_and_updated,
    a_bot_that_depends_on_itself_is_refused,
    sums_count_sessions_and_findings_once,
    a_store_that_works_says_so_and_where_it_is,
);
