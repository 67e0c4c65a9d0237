//! Whether a session is compacted cannot be seen in what is read of it, nor in what it takes.

use fleet_coordinator::index::query::{Filter, Page, PageQuery, Sort};
use fleet_coordinator::store::{Compacted, Maintain};
use fleet_worker_sdk::{Again, SessionId};

use crate::support::{Hand, assert_whole, bot, findings, fingerprint};

on_every_store!(
    what_is_read_stays_the_same,
    a_reader_with_a_cursor_goes_on,
    a_reopened_session_counts_each_finding_once,
    a_session_that_moved_on_is_left_alone,
    of_several_at_once_one_compacts,
    a_compacted_session_is_dropped_like_any_other,
    a_retry_from_before_gets_its_stored_answer,
);

/// Findings of a session that is worth it, in several batches of several chunks.
const MANY: u32 = 3_000;

async fn compact(store: &dyn Maintain, session: &SessionId) -> Compacted {
    let version = store.facts(session).await.unwrap().session.version;
    let compacted = store.compact_session(session, version).await.unwrap();
    let in_redis = store.address() != "memory";
    let done = matches!(compacted, Compacted::Done { .. });
    assert_eq!(done, in_redis, "{compacted:?}");
    compacted
}

/// A session of two bots with `MANY` findings, of which two were seen again.
async fn complete(store: &dyn Maintain) -> Hand<'_> {
    let mut hand = Hand::started(store, "scanner").await;
    let half = MANY / 2;
    for from in (0..half).step_by(500) {
        hand.push(findings(from..from + 500)).await.unwrap();
    }
    let mut batch = hand.batch(Vec::new());
    batch.again = [7, 900].map(again).to_vec();
    hand.send(&batch).await.unwrap();
    hand.complete(u64::from(half)).await.unwrap();
    let mut other = Hand::new(store, &hand.session, "linter");
    other.start().await.unwrap();
    for from in (half..MANY).step_by(500) {
        other.push(findings(from..from + 500)).await.unwrap();
    }
    other.complete(u64::from(half)).await.unwrap();
    hand
}

fn again(number: u32) -> Again {
    Again {
        fingerprint: fingerprint(number),
        occurrences: number,
    }
}

fn query(after: Option<&Page>) -> PageQuery {
    PageQuery {
        filter: Filter::default(),
        sort: Sort::Severity,
        after: after.and_then(|page| page.next.clone()),
        limit: 700,
    }
}

async fn page(store: &dyn Maintain, session: &SessionId, after: Option<&Page>) -> Page {
    let findings = store.findings(session).await.unwrap();
    let index = findings.read().await;
    index.query(&query(after)).unwrap()
}

async fn pages(store: &dyn Maintain, session: &SessionId) -> Vec<Page> {
    let mut all = vec![page(store, session, None).await];
    while all.last().is_some_and(|last| last.next.is_some()) {
        let next = page(store, session, all.last()).await;
        all.push(next);
    }
    all
}

async fn what_is_read_stays_the_same(store: &dyn Maintain) {
    let hand = complete(store).await;
    let session = &hand.session;
    let (before, facts) = (
        pages(store, session).await,
        store.facts(session).await.unwrap(),
    );
    assert_eq!(before.len(), 5);
    compact(store, session).await;
    assert_eq!(pages(store, session).await, before);
    let mut now = store.facts(session).await.unwrap();
    if store.address() != "memory" {
        assert_eq!(now.session.generation, facts.session.generation + 1);
    }
    now.session.generation = facts.session.generation;
    assert_eq!(now, facts);
    assert_whole(store, session).await;
    let version = now.session.version;
    let again = store.compact_session(session, version).await.unwrap();
    assert_eq!(again, Compacted::Left, "it is done");
}

async fn a_reader_with_a_cursor_goes_on(store: &dyn Maintain) {
    let hand = complete(store).await;
    let session = &hand.session;
    let expected = pages(store, session).await;
    let held = store.findings(session).await.unwrap();
    compact(store, session).await;
    let second = page(store, session, expected.first()).await;
    assert_eq!(Some(&second), expected.get(1));
    let third = held.read().await.query(&query(Some(&second))).unwrap();
    assert_eq!(Some(&third), expected.get(2), "what was held is read on");
}

async fn a_reopened_session_counts_each_finding_once(store: &dyn Maintain) {
    let mut hand = complete(store).await;
    let session = hand.session.clone();
    compact(store, &session).await;
    hand.reopen().await.unwrap();
    // Every other one is new.
    let mixed = (0..500).map(|n| if n % 2 == 0 { n * 6 } else { MANY + n });
    let answer = hand.push(findings(mixed)).await.unwrap();
    let known: Vec<u32> = (0..500).step_by(2).collect();
    assert_eq!((answer.new, &answer.known), (250, &known));
    assert_eq!(answer.total, u64::from(MANY) + 250);
    assert_whole(store, &session).await;
    let all_again = hand.push(findings(1_000..1_900)).await.unwrap();
    assert_eq!(all_again.new, 0);
    hand.complete(1_400).await.unwrap();
    let before = pages(store, &session).await;
    compact(store, &session).await;
    assert_eq!(pages(store, &session).await, before, "of two generations");
    hand.reopen().await.unwrap();
    let answer = hand.push(findings(MANY..MANY + 500)).await.unwrap();
    assert_eq!(answer.new, 250);
    assert_whole(store, &session).await;
}

async fn a_session_that_moved_on_is_left_alone(store: &dyn Maintain) {
    let mut hand = complete(store).await;
    let version = store.facts(&hand.session).await.unwrap().session.version;
    hand.reopen().await.unwrap();
    let compacted = store.compact_session(&hand.session, version).await.unwrap();
    assert_eq!(compacted, Compacted::Moved);
    let facts = store.facts(&hand.session).await.unwrap();
    assert_eq!(facts.session.generation, 1);
    assert_whole(store, &hand.session).await;
}

async fn of_several_at_once_one_compacts(store: &dyn Maintain) {
    let hand = complete(store).await;
    let session = &hand.session;
    let version = store.facts(session).await.unwrap().session.version;
    let (one, two, three) = tokio::join!(
        store.compact_session(session, version),
        store.compact_session(session, version),
        store.compact_session(session, version),
    );
    let all = [one.unwrap(), two.unwrap(), three.unwrap()];
    let done = all
        .iter()
        .filter(|compacted| matches!(compacted, Compacted::Done { .. }))
        .count();
    let expected = usize::from(store.address() != "memory");
    assert_eq!(done, expected, "{all:?}");
    assert_whole(store, session).await;
}

async fn a_compacted_session_is_dropped_like_any_other(store: &dyn Maintain) {
    let hand = complete(store).await;
    let session = &hand.session;
    compact(store, session).await;
    let version = store.facts(session).await.unwrap().session.version;
    assert!(store.drop_session(session, version).await.unwrap());
    assert!(store.facts(session).await.is_err());
    assert_eq!(store.rollup().await.unwrap().stored(), 0);
}

async fn a_retry_from_before_gets_its_stored_answer(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "scanner").await;
    hand.push(findings(0..100)).await.unwrap();
    let last = hand.batch(findings(50..150));
    let answer = hand.send(&last).await.unwrap();
    assert_eq!(answer.new, 50);
    let mut other = Hand::new(store, &hand.session, "linter");
    other.start().await.unwrap();
    other.complete(0).await.unwrap();
    compact(store, &hand.session).await;
    let retried = hand.send(&last).await.unwrap();
    assert_eq!((retried.total, retried.duplicate), (150, true));
    assert_eq!(hand.push(findings(0..200)).await.unwrap().new, 50);
    assert_whole(store, &hand.session).await;
    let runs = store.runs(&bot("linter")).await.unwrap();
    assert_eq!(runs.len(), 1);
}
