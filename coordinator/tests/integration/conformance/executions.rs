//! Executions: expecting, starting, taking over, completing.

use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::{Change, Error, ExecutionState, SessionState};

use crate::support::{Hand, bot, findings, open, worker};

async fn a_first_start_is_attempt_one(store: &dyn Maintain) {
    let analysis = open("acme/shop").expect([bot("expected")]);
    let session = store.open(&analysis).await.unwrap().session;
    for id in ["expected", "uninvited"] {
        let mut hand = Hand::new(store, &session, id);
        let execution = hand.start_as(Some("w:h:1:a"), false).await.unwrap();
        assert_eq!(execution.state, ExecutionState::Running);
        assert_eq!((execution.attempt, execution.pushed), (1, 0));
        assert_eq!(execution.worker, Some(worker("w:h:1:a")));
        assert!(execution.started.is_some() && execution.ended.is_none());
        let progress = store.progress(&session).await.unwrap();
        assert_eq!(progress.execution(&bot(id)), Some(&execution));
    }
}

async fn expecting_adds_a_pending_execution_once(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let hand = Hand::new(store, &session, "a");
    let mut expect = hand.transition(Change::Expect);
    expect.sequence = 0;
    let execution = store.transition(&expect).await.unwrap();
    assert_eq!(execution.state, ExecutionState::Pending);
    assert_eq!(execution.attempt, 0);
    let before = store.facts(&session).await.unwrap();
    assert_eq!(store.transition(&expect).await.unwrap(), execution);
    assert_eq!(store.facts(&session).await.unwrap(), before);
}

async fn expecting_what_runs_leaves_it_running(store: &dyn Maintain) {
    let hand = Hand::started(store, "a").await;
    let mut expect = hand.transition(Change::Expect);
    expect.sequence = 0;
    let execution = store.transition(&expect).await.unwrap();
    assert_eq!(execution.state, ExecutionState::Running);
}

async fn starting_what_runs_is_refused_and_says_by_whom(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let mut first = Hand::new(store, &session, "a");
    first.start_as(Some("a:h:1:x"), false).await.unwrap();
    let mut second = Hand::new(store, &session, "a");
    let error = second.start_as(Some("a:h:2:y"), false).await.unwrap_err();
    let why = "the execution of a is running by a:h:1:x (attempt 1); start it with reopen to take it over";
    assert_eq!(error, Error::conflict(why));
    first.complete(0).await.unwrap();
    let error = second.start().await.unwrap_err();
    assert!(
        error.to_string().contains("is completed by a:h:1:x"),
        "{error}"
    );
}

async fn reopening_takes_over_as_the_next_attempt(store: &dyn Maintain) {
    let mut first = Hand::started(store, "a").await;
    first.push(findings(0..3)).await.unwrap();
    let mut second = Hand::new(store, &first.session, "a");
    let execution = second.start_as(Some("a:h:2:y"), true).await.unwrap();
    assert_eq!(execution.state, ExecutionState::Running);
    assert_eq!((execution.attempt, execution.pushed), (2, 0));
    assert_eq!(execution.worker, Some(worker("a:h:2:y")));
    let facts = store.facts(&first.session).await.unwrap();
    assert_eq!(
        facts.session.total, 3,
        "what the first attempt pushed stays"
    );
}

async fn whatever_is_finished_can_be_reopened(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let mut completed = Hand::new(store, &session, "completed");
    completed.start().await.unwrap();
    completed.complete(0).await.unwrap();
    let mut failed = Hand::new(store, &session, "failed");
    failed.start().await.unwrap();
    failed.fail("no disk").await.unwrap();
    let mut skipped = Hand::new(store, &session, "skipped");
    skipped.skip("not needed").await.unwrap();
    for (hand, attempt) in [(&mut completed, 2), (&mut failed, 2), (&mut skipped, 1)] {
        let refused = hand.start().await.unwrap_err();
        assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
        let execution = hand.reopen().await.unwrap();
        assert_eq!(execution.attempt, attempt, "{}", hand.bot);
        assert_eq!((execution.ended, execution.reason), (None, None));
        hand.complete(0).await.unwrap();
    }
    let state = store.progress(&session).await.unwrap().state;
    assert_eq!(state, SessionState::Complete);
}

async fn completing_states_what_was_received(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    hand.push(findings(0..3)).await.unwrap();
    hand.push(findings(2..4)).await.unwrap();
    for stated in [0, 4, 6] {
        let error = hand.complete(stated).await.unwrap_err();
        let why = format!("{stated} findings were stated for a, 5 were received");
        assert_eq!(error, Error::conflict(why));
    }
    let partial = true;
    let change = Change::Complete { pushed: 5, partial };
    let execution = hand.change(change).await.unwrap();
    assert_eq!(execution.state, ExecutionState::Completed);
    assert!(execution.partial && execution.ended.is_some());
    assert_eq!((execution.attempt, execution.pushed), (1, 5));
}

async fn completing_what_does_not_run_is_refused(store: &dyn Maintain) {
    let analysis = open("acme/shop").expect([bot("pending")]);
    let session = store.open(&analysis).await.unwrap().session;
    let mut absent = Hand::new(store, &session, "absent");
    let expected = Error::not_found("execution", "absent");
    assert_eq!(absent.complete(0).await.unwrap_err(), expected);
    let mut pending = Hand::new(store, &session, "pending");
    let expected = Error::conflict("the execution of pending is pending, not running");
    assert_eq!(pending.complete(0).await.unwrap_err(), expected);
    let mut done = Hand::new(store, &session, "done");
    done.start().await.unwrap();
    done.complete(0).await.unwrap();
    let expected = Error::conflict("the execution of done is completed, not running");
    assert_eq!(done.complete(0).await.unwrap_err(), expected);
}

async fn an_attempt_that_was_taken_over_cannot_end_the_execution(store: &dyn Maintain) {
    let mut first = Hand::started(store, "a").await;
    let mut second = Hand::new(store, &first.session, "a");
    second.reopen().await.unwrap();
    let expected = Error::conflict("attempt 1 of a was taken over by attempt 2");
    assert_eq!(first.complete(0).await.unwrap_err(), expected);
    assert_eq!(first.fail("late").await.unwrap_err(), expected);
    second.complete(0).await.unwrap();
}

on_every_store!(
    a_first_start_is_attempt_one,
    expecting_adds_a_pending_execution_once,
    expecting_what_runs_leaves_it_running,
    starting_what_runs_is_refused_and_says_by_whom,
    reopening_takes_over_as_the_next_attempt,
    whatever_is_finished_can_be_reopened,
    completing_states_what_was_received,
    completing_what_does_not_run_is_refused,
    an_attempt_that_was_taken_over_cannot_end_the_execution,
);
