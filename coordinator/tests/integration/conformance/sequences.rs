//! Sequence numbers: what makes a repeated call harmless.

use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::{Change, Error, ExecutionState, Partitions, PushAnswer};

use crate::support::{Hand, assert_whole, bot, findings, open, repository};

async fn a_repeated_push_gets_the_stored_answer(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    hand.push(findings(0..2)).await.unwrap();
    let batch = hand.batch(findings(1..4));
    let answer = hand.send(&batch).await.unwrap();
    let mut other = Hand::new(store, &hand.session, "b");
    other.start().await.unwrap();
    other.push(findings(10..20)).await.unwrap();
    let before = store.facts(&hand.session).await.unwrap();
    let again = hand.send(&batch).await.unwrap();
    let duplicate = true;
    assert_eq!(
        again,
        PushAnswer {
            duplicate,
            ..answer
        }
    );
    assert_eq!((again.new, again.total, &*again.known), (2, 4, &[0][..]));
    assert_eq!(store.facts(&hand.session).await.unwrap(), before);
    assert_whole(store, &hand.session).await;
}

async fn an_older_push_is_a_duplicate_of_now(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let old = hand.batch(findings(0..2));
    hand.send(&old).await.unwrap();
    let latest = hand.push(findings(2..5)).await.unwrap();
    let answer = store.push(&old).await.unwrap();
    let expected = PushAnswer {
        version: latest.version,
        new: 0,
        known: Vec::new(),
        total: 5,
        duplicate: true,
    };
    assert_eq!(answer, expected);
}

async fn a_repeated_push_is_answered_even_when_the_execution_has_ended(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let batch = hand.batch(findings(0..2));
    hand.send(&batch).await.unwrap();
    let mut other = Hand::new(store, &hand.session, "a");
    other.reopen().await.unwrap();
    other.complete(0).await.unwrap();
    assert!(store.push(&batch).await.unwrap().duplicate);
}

async fn a_gap_is_refused_and_says_what_was_seen(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    hand.push(findings(0..1)).await.unwrap();
    let mut batch = hand.batch(findings(1..2));
    batch.sequence += 1;
    let expected = Error::Gap { last: 2 };
    assert_eq!(store.push(&batch).await.unwrap_err(), expected);
    let partial = false;
    let mut complete = hand.transition(Change::Complete { pushed: 1, partial });
    complete.sequence = 99;
    assert_eq!(store.transition(&complete).await.unwrap_err(), expected);
    let stranger = Hand::new(store, &hand.session, "b");
    let mut start = stranger.transition(Change::Skip {
        reason: String::new(),
    });
    start.sequence = 2;
    let expected = Error::Gap { last: 0 };
    assert_eq!(store.transition(&start).await.unwrap_err(), expected);
    hand.complete(1).await.unwrap();
}

async fn the_last_number_taken_can_be_asked_for(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let last = || store.last_sequence(&hand.session, &hand.producer);
    assert_eq!(last().await.unwrap(), 1);
    let batch = hand.batch(findings(0..1));
    store.push(&batch).await.unwrap();
    assert_eq!(last().await.unwrap(), 2);
    hand.sequence = 2;
    let mut other = Hand::new(store, &hand.session, "b");
    let unused = store.last_sequence(&hand.session, &other.producer).await;
    assert_eq!(unused.unwrap(), 0);
    other.skip("no").await.unwrap();
    hand.complete(1).await.unwrap();
    let last = store.last_sequence(&hand.session, &hand.producer).await;
    assert_eq!(last.unwrap(), 3, "each producer counts on its own");
}

async fn a_refusal_uses_no_number(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    hand.start().await.unwrap_err();
    hand.complete(7).await.unwrap_err();
    hand.skip("late").await.unwrap_err();
    hand.push(findings([1, 1])).await.unwrap_err();
    let mut stale = hand.batch(findings(0..1));
    stale.attempt = 9;
    hand.send(&stale).await.unwrap_err();
    let last = store.last_sequence(&hand.session, &hand.producer).await;
    assert_eq!(last.unwrap(), 1);
    hand.push(findings(0..1)).await.unwrap();
}

async fn a_repeated_change_gets_the_stored_answer(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let mut hand = Hand::new(store, &session, "a");
    let worker = None;
    let reopen = false;
    let start = hand.transition(Change::Start { worker, reopen });
    let started = store.transition(&start).await.unwrap();
    assert_eq!(store.transition(&start).await.unwrap(), started);
    (hand.attempt, hand.sequence) = (1, 1);
    hand.push(findings(0..2)).await.unwrap();
    let partial = false;
    let complete = hand.transition(Change::Complete { pushed: 2, partial });
    let completed = store.transition(&complete).await.unwrap();
    let mut other = Hand::new(store, &session, "a");
    other.reopen().await.unwrap();
    let before = store.facts(&session).await.unwrap();
    assert_eq!(store.transition(&complete).await.unwrap(), completed);
    assert_eq!(store.facts(&session).await.unwrap(), before);
    let runs = store.runs(&bot("a")).await.unwrap();
    assert_eq!(runs.len(), 1, "the run is in the series once");
}

async fn an_older_change_answers_the_execution_of_now(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let mut hand = Hand::new(store, &session, "a");
    let worker = None;
    let reopen = false;
    let start = hand.transition(Change::Start { worker, reopen });
    hand.start().await.unwrap();
    hand.push(findings(0..2)).await.unwrap();
    let completed = hand.complete(2).await.unwrap();
    assert_eq!(store.transition(&start).await.unwrap(), completed);
    let mut elsewhere = start;
    elsewhere.bot = bot("absent");
    let error = store.transition(&elsewhere).await.unwrap_err();
    assert_eq!(error, Error::not_found("execution", "absent"));
}

async fn sessions_of_a_partition_share_a_producers_numbers(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let next = store
        .open(&open("acme/shop").run("2"))
        .await
        .unwrap()
        .session;
    hand.session = next;
    hand.start().await.unwrap();
    assert_eq!(hand.sequence, 2);
}

async fn partitions_number_on_their_own(store: &dyn Maintain) {
    let hand = Hand::started(store, "a").await;
    let home = hand.session.partition();
    let names = (0..).map(|n| format!("acme/other-{n}"));
    let away = |name: &String| Partitions::DEFAULT.of(&repository(name)) != home;
    let name = names.into_iter().find(away).unwrap();
    let session = store.open(&open(&name)).await.unwrap().session;
    let mut elsewhere = Hand::new(store, &session, "a");
    elsewhere.producer = hand.producer.clone();
    let last = store.last_sequence(&session, &hand.producer).await;
    assert_eq!(last.unwrap(), 0);
    elsewhere.start().await.unwrap();
}

async fn only_expect_and_lost_go_without_a_number(store: &dyn Maintain) {
    let hand = Hand::started(store, "a").await;
    let reason = String::new;
    let changes = [
        Change::Start {
            worker: None,
            reopen: true,
        },
        Change::Complete {
            pushed: 0,
            partial: false,
        },
        Change::Fail { reason: reason() },
        Change::Skip { reason: reason() },
    ];
    for change in changes {
        let mut transition = hand.transition(change);
        transition.sequence = 0;
        let error = store.transition(&transition).await.unwrap_err();
        let why = "it is 0, which only expect and lost may be";
        assert_eq!(error, Error::invalid("sequence", why));
    }
    let mut batch = hand.batch(findings(0..1));
    batch.sequence = 0;
    let error = store.push(&batch).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { what, .. } if what == "sequence"));
    let progress = store.progress(&hand.session).await.unwrap();
    assert_eq!(progress.executions[0].state, ExecutionState::Running);
}

on_every_store!(
    a_repeated_push_gets_the_stored_answer,
    an_older_push_is_a_duplicate_of_now,
    a_repeated_push_is_answered_even_when_the_execution_has_ended,
    a_gap_is_refused_and_says_what_was_seen,
    the_last_number_taken_can_be_asked_for,
    a_refusal_uses_no_number,
    a_repeated_change_gets_the_stored_answer,
    an_older_change_answers_the_execution_of_now,
    sessions_of_a_partition_share_a_producers_numbers,
    partitions_number_on_their_own,
    only_expect_and_lost_go_without_a_number,
);
