//! The feed of changes: handed out until settled, to one consumer at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use fleet_coordinator::health::Health;
use fleet_coordinator::model::{Derived, FeedEntry, Update};
use fleet_coordinator::store::{Backlog, Maintain};
use fleet_worker_sdk::SessionId;
use fleet_worker_sdk::trace::{self, TraceContext};

use crate::support::{Hand, findings, next_changes, open, within};

fn sessions(entries: &[FeedEntry]) -> BTreeSet<SessionId> {
    entries.iter().map(|entry| entry.session.clone()).collect()
}

async fn nothing_more(store: &dyn Maintain, consumer: &str) {
    let entries = store
        .changes(consumer, Duration::from_millis(1))
        .await
        .unwrap();
    assert_eq!(entries, []);
}

/// Takes and settles until `expected` have all been seen.
async fn settle_all(store: &dyn Maintain, consumer: &str, expected: &BTreeSet<SessionId>) {
    let mut seen = BTreeSet::new();
    while seen != *expected {
        let entries = next_changes(store, consumer).await;
        seen.extend(sessions(&entries));
        assert!(seen.is_subset(expected), "{seen:?}");
        store.settle(&entries).await.unwrap();
    }
}

async fn every_session_that_changed_is_handed_out(store: &dyn Maintain) {
    nothing_more(store, "c1").await;
    let mut opened = BTreeSet::new();
    for n in 0..20 {
        let name = format!("acme/repo-{n}");
        opened.insert(store.open(&open(&name)).await.unwrap().session);
    }
    settle_all(store, "c1", &opened).await;
    nothing_more(store, "c1").await;
}

async fn a_push_and_its_result_keep_its_trace(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    settle_all(store, "c1", &BTreeSet::from([hand.session.clone()])).await;
    let (trace, mut heard) = (TraceContext::fresh(), store.updates());
    let batch = hand.batch(findings(0..2));
    trace::within(Some(trace), hand.send(&batch)).await.unwrap();
    let entries = next_changes(store, "c1").await;
    assert_eq!(entries.first().unwrap().trace, Some(trace));
    let derived = Derived {
        version: store.session(&hand.session).await.unwrap().version,
        health: Health::unknown("a test says so"),
        quality: None,
        band: None,
    };
    let storing = trace::within(Some(trace), store.derive(&hand.session, &derived));
    assert!(storing.await.unwrap());
    let hint = async {
        loop {
            if let Ok(Update::Session {
                trace: Some(told), ..
            }) = heard.recv().await
            {
                return told;
            }
        }
    };
    assert_eq!(within(hint).await, trace);
}

async fn every_kind_of_change_is_handed_out(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let only = BTreeSet::from([session.clone()]);
    settle_all(store, "c1", &only).await;
    let mut hand = Hand::new(store, &session, "a");
    hand.start().await.unwrap();
    settle_all(store, "c1", &only).await;
    let batch = hand.batch(findings(0..2));
    hand.send(&batch).await.unwrap();
    settle_all(store, "c1", &only).await;
    hand.complete(2).await.unwrap();
    settle_all(store, "c1", &only).await;
    store.push(&batch).await.unwrap();
    nothing_more(store, "c1").await;
}

async fn what_one_consumer_holds_the_other_does_not_get(store: &dyn Maintain) {
    let first = store.open(&open("acme/shop")).await.unwrap().session;
    let held = next_changes(store, "c1").await;
    assert_eq!(sessions(&held), BTreeSet::from([first]));
    assert!(held.iter().all(|entry| entry.redelivered == 0));
    nothing_more(store, "c2").await;
    let second = store.open(&open("acme/web")).await.unwrap().session;
    let entries = next_changes(store, "c2").await;
    assert_eq!(sessions(&entries), BTreeSet::from([second]));
}

async fn what_changes_while_it_is_held_is_handed_out_again(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let only = BTreeSet::from([hand.session.clone()]);
    let held = next_changes(store, "c1").await;
    hand.push(findings(0..2)).await.unwrap();
    store.settle(&held).await.unwrap();
    settle_all(store, "c1", &only).await;
    nothing_more(store, "c1").await;
}

async fn settling_twice_or_without_entries_is_harmless(store: &dyn Maintain) {
    store.open(&open("acme/shop")).await.unwrap();
    let held = next_changes(store, "c1").await;
    store.settle(&held).await.unwrap();
    store.settle(&held).await.unwrap();
    store.settle(&[]).await.unwrap();
    nothing_more(store, "c1").await;
}

async fn a_waiting_consumer_is_woken_by_a_change(store: &dyn Maintain) {
    let analysis = open("acme/shop");
    let waiting = next_changes(store, "c1");
    let (entries, opened) = within(async { tokio::join!(waiting, store.open(&analysis)) }).await;
    assert_eq!(
        sessions(&entries),
        BTreeSet::from([opened.unwrap().session])
    );
}

async fn what_waits_is_counted_until_it_is_settled(store: &dyn Maintain) {
    assert_eq!(store.backlog().await.unwrap(), Backlog::default());
    store.open(&open("acme/shop")).await.unwrap();
    store.open(&open("acme/web")).await.unwrap();
    assert_eq!(
        store.backlog().await.unwrap().entries,
        2,
        "before a group reads"
    );
    let mut held = Vec::new();
    while held.len() < 2 {
        held.extend(next_changes(store, "c1").await);
    }
    assert_eq!(store.backlog().await.unwrap().entries, 2, "handed out");
    store.open(&open("acme/api")).await.unwrap();
    let waiting = store.backlog().await.unwrap();
    assert_eq!(waiting.entries, 3);
    assert!(waiting.oldest < Duration::from_hours(1), "{waiting:?}");
    store.settle(&held).await.unwrap();
    assert_eq!(store.backlog().await.unwrap().entries, 1);
    let held = next_changes(store, "c1").await;
    store.settle(&held).await.unwrap();
    assert_eq!(store.backlog().await.unwrap(), Backlog::default());
}

on_every_store!(
    what_waits_is_counted_until_it_is_settled,
    every_session_that_changed_is_handed_out,
    every_kind_of_change_is_handed_out,
    a_push_and_its_result_keep_its_trace,
    what_one_consumer_holds_the_other_does_not_get,
    what_changes_while_it_is_held_is_handed_out_again,
    settling_twice_or_without_entries_is_harmless,
    a_waiting_consumer_is_woken_by_a_change,
);
