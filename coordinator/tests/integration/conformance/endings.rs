//! Executions that fail, are skipped or lost, and the series of those that ran.

use fleet_coordinator::store::{MAX_RUNS, Maintain};
use fleet_worker_sdk::session::MAX_REASON;
use fleet_worker_sdk::{Change, Error, ExecutionState, Transition};

use crate::support::{Hand, bot, findings, open, repository, worker};

async fn failing_keeps_the_reason(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    hand.push(findings(0..2)).await.unwrap();
    let execution = hand.fail("no disk").await.unwrap();
    assert_eq!(execution.state, ExecutionState::Failed);
    assert_eq!(execution.reason.as_deref(), Some("no disk"));
    assert!(execution.ended.is_some());
    assert_eq!(execution.pushed, 2);
    let expected = Error::conflict("the execution of a is failed, not running");
    assert_eq!(hand.fail("again").await.unwrap_err(), expected);
}

async fn a_bot_that_never_started_can_fail(store: &dyn Maintain) {
    let analysis = open("acme/shop").expect([bot("a")]);
    let session = store.open(&analysis).await.unwrap().session;
    let execution = Hand::new(store, &session, "a")
        .fail("no image")
        .await
        .unwrap();
    assert_eq!(execution.state, ExecutionState::Failed);
    assert_eq!((execution.attempt, execution.started), (0, None));
    let absent = Hand::new(store, &session, "b").fail("no image").await;
    assert_eq!(absent.unwrap_err(), Error::not_found("execution", "b"));
}

async fn an_endless_reason_is_cut_between_characters(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let endless = format!("x{}", "é".repeat(MAX_REASON));
    let failed = hand.fail(&endless).await.unwrap().reason.unwrap();
    assert_eq!(
        failed.len(),
        MAX_REASON - 1,
        "a character of two bytes does not fit"
    );
    assert!(endless.starts_with(&failed));
    let mut skipped = Hand::new(store, &hand.session, "b");
    let skipped = skipped.skip(&endless).await.unwrap().reason.unwrap();
    assert_eq!(skipped, failed);
}

async fn only_what_has_not_begun_can_be_skipped(store: &dyn Maintain) {
    let analysis = open("acme/shop").expect([bot("pending")]);
    let session = store.open(&analysis).await.unwrap().session;
    for id in ["pending", "absent"] {
        let mut hand = Hand::new(store, &session, id);
        let execution = hand.skip("nothing to do").await.unwrap();
        assert_eq!(execution.state, ExecutionState::Skipped);
        assert_eq!(execution.reason.as_deref(), Some("nothing to do"));
        assert!(execution.ended.is_some());
        let expected = Error::conflict(format!(
            "the execution of {id} is skipped and cannot be skipped"
        ));
        assert_eq!(hand.skip("again").await.unwrap_err(), expected);
    }
    let mut running = Hand::new(store, &session, "running");
    running.start().await.unwrap();
    let expected = Error::conflict("the execution of running is running and cannot be skipped");
    assert_eq!(running.skip("late").await.unwrap_err(), expected);
}

fn lost(hand: &Hand<'_>, by: &str) -> Transition {
    let worker = worker(by);
    Transition {
        sequence: 0,
        attempt: 0,
        ..hand.transition(Change::Lost { worker })
    }
}

async fn the_execution_of_a_lost_worker_fails(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let mut hand = Hand::new(store, &session, "a");
    hand.start_as(Some("a:h:1:x"), false).await.unwrap();
    let execution = store.transition(&lost(&hand, "a:h:1:x")).await.unwrap();
    assert_eq!(execution.state, ExecutionState::Failed);
    assert_eq!(execution.reason.as_deref(), Some("worker a:h:1:x was lost"));
    assert!(execution.ended.is_some());
    assert_eq!(store.runs(&bot("a")).await.unwrap().len(), 1);
    let again = store.transition(&lost(&hand, "a:h:1:x")).await.unwrap();
    assert_eq!(again, execution, "saying so twice changes nothing");
    assert_eq!(store.runs(&bot("a")).await.unwrap().len(), 1);
}

async fn losing_a_worker_leaves_what_others_hold(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let mut hand = Hand::new(store, &session, "a");
    hand.start_as(Some("a:h:1:x"), false).await.unwrap();
    hand.start_as(Some("a:h:2:y"), true).await.unwrap();
    let before = store.facts(&session).await.unwrap();
    let execution = store.transition(&lost(&hand, "a:h:1:x")).await.unwrap();
    assert_eq!(execution.state, ExecutionState::Running);
    assert_eq!(store.facts(&session).await.unwrap(), before);
    let absent = Hand::new(store, &session, "b");
    let error = store
        .transition(&lost(&absent, "a:h:1:x"))
        .await
        .unwrap_err();
    assert_eq!(error, Error::not_found("execution", "b"));
}

async fn what_ran_is_in_the_series_of_its_bot(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    hand.push(findings(0..3)).await.unwrap();
    hand.fail("no disk").await.unwrap();
    hand.reopen().await.unwrap();
    hand.push(findings(1..3)).await.unwrap();
    let partial = true;
    let change = Change::Complete { pushed: 2, partial };
    let completed = hand.change(change).await.unwrap();
    let runs = store.runs(&bot("a")).await.unwrap();
    let seen: Vec<_> = runs
        .iter()
        .map(|run| (run.outcome, run.attempt, run.partial, run.findings))
        .collect();
    let expected = [
        (ExecutionState::Failed, 1, false, 3),
        (ExecutionState::Completed, 2, true, 2),
    ];
    assert_eq!(seen, expected);
    assert_eq!(runs[1].session, hand.session);
    assert_eq!(Some(runs[1].ended), completed.ended);
    let took = completed
        .ended
        .unwrap()
        .duration_since(completed.started.unwrap());
    assert_eq!(i128::from(runs[1].duration_ms), took.as_millis());
}

async fn what_was_skipped_did_not_run(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    Hand::new(store, &session, "a").skip("no").await.unwrap();
    assert!(store.runs(&bot("a")).await.unwrap().is_empty());
    assert!(store.runs(&bot("never-seen")).await.unwrap().is_empty());
}

async fn only_the_latest_runs_are_kept(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    for _ in 0..MAX_RUNS + 4 {
        hand.complete(0).await.unwrap();
        hand.reopen().await.unwrap();
    }
    let runs = store.runs(&bot("a")).await.unwrap();
    let attempts: Vec<u32> = runs.iter().map(|run| run.attempt).collect();
    let expected: Vec<u32> = (5..5 + MAX_RUNS as u32).collect();
    assert_eq!(attempts, expected);
}

async fn a_whole_run_becomes_the_baseline_of_its_scope(store: &dyn Maintain) {
    let shop = repository("acme/shop");
    let baseline = async |git_ref| store.baseline(&shop, &bot("a"), git_ref).await.unwrap();
    let run = async |number: &str| {
        let analysis = open("acme/shop").git_ref("main").run(number);
        let session = store.open(&analysis).await.unwrap().session;
        let mut hand = Hand::new(store, &session, "a");
        hand.start().await.unwrap();
        hand
    };
    let mut first = run("1").await;
    assert_eq!(baseline("main").await, None);
    first.complete(0).await.unwrap();
    assert_eq!(baseline("main").await.as_ref(), Some(&first.session));
    let mut failed = run("2").await;
    failed.fail("no disk").await.unwrap();
    let (pushed, partial) = (0, true);
    let change = Change::Complete { pushed, partial };
    run("3").await.change(change).await.unwrap();
    assert_eq!(baseline("main").await.as_ref(), Some(&first.session));
    let mut next = run("4").await;
    next.complete(0).await.unwrap();
    assert_eq!(baseline("main").await.as_ref(), Some(&next.session));
    assert_eq!(baseline("dev").await, None);
    let other = store.baseline(&shop, &bot("b"), "main").await;
    assert_eq!(other.unwrap(), None);
}

on_every_store!(
    a_whole_run_becomes_the_baseline_of_its_scope,
    failing_keeps_the_reason,
    a_bot_that_never_started_can_fail,
    an_endless_reason_is_cut_between_characters,
    only_what_has_not_begun_can_be_skipped,
    the_execution_of_a_lost_worker_fails,
    losing_a_worker_leaves_what_others_hold,
    what_ran_is_in_the_series_of_its_bot,
    what_was_skipped_did_not_run,
    only_the_latest_runs_are_kept,
);
