//! Opening and joining sessions, and waiting for one to change.

use std::time::Duration;

use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::session::MAX_EXECUTIONS;
use fleet_worker_sdk::{
    Error, ExecutionState, OpenSession, Partition, Partitions, ProducerId, SessionId, SessionState,
    Version,
};

use crate::support::{Hand, bot, finding, open, repository, within};

async fn opening_the_same_analysis_again_joins_it(store: &dyn Maintain) {
    let analysis = open("acme/shop").git_ref("main").commit("c0ffee").run("7");
    let first = store.open(&analysis).await.unwrap();
    let second = store.open(&analysis).await.unwrap();
    assert!(first.created && !second.created);
    assert_eq!(first.session, second.session);
    let session = store.facts(&first.session).await.unwrap().session;
    assert_eq!(session.repository, analysis.repository);
    let told = (&*session.git_ref, &*session.commit, &*session.run);
    assert_eq!(told, ("main", "c0ffee", "7"));
    assert_eq!(session.state, SessionState::Open);
    assert_eq!((session.total, session.quarantined), (0, 0));
}

async fn a_session_that_was_lost_is_opened_again_under_its_id(store: &dyn Maintain) {
    let analysis = open("acme/shop");
    let partition = Partitions::DEFAULT.of(&analysis.repository);
    let lost = SessionId::fresh(partition);
    let anew = store.open(&analysis).await.unwrap();
    let again = OpenSession {
        again: Some(lost.clone()),
        ..analysis.clone()
    };
    let opened = store.open(&again).await.unwrap();
    assert!(opened.created && opened.session == lost);
    assert!(!store.open(&again).await.unwrap().created);
    assert_eq!(store.facts(&lost).await.unwrap().session.id, lost);
    let joined = store.open(&analysis).await.unwrap();
    assert_eq!(
        joined.session, anew.session,
        "who opened it anew stays there"
    );
    let elsewhere = OpenSession {
        again: Some(SessionId::fresh(Partition((partition.0 + 1) % 16))),
        ..analysis
    };
    let error = store.open(&elsewhere).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}

async fn another_repository_ref_commit_or_run_is_another_session(store: &dyn Maintain) {
    let analyses = [
        open("acme/shop"),
        open("acme/shop2"),
        open("acme/shop").git_ref("main"),
        open("acme/shop").commit("main"),
        open("acme/shop").run("main"),
        open("acme/shop").git_ref("a").commit("b c"),
        open("acme/shop").git_ref("a b").commit("c"),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for analysis in &analyses {
        let opened = store.open(analysis).await.unwrap();
        assert!(opened.created, "{analysis:?}");
        ids.insert(opened.session);
    }
    assert_eq!(ids.len(), analyses.len());
}

async fn a_session_lies_in_the_partition_of_its_repository(store: &dyn Maintain) {
    for name in ["acme/shop", "acme/web", "x", "a/b/c/d"] {
        let opened = store.open(&open(name)).await.unwrap();
        let expected = Partitions::DEFAULT.of(&repository(name));
        assert_eq!(opened.session.partition(), expected, "{name}");
    }
}

async fn expected_bots_become_pending_executions(store: &dyn Maintain) {
    let analysis = open("acme/shop").expect([bot("b"), bot("a"), bot("b")]);
    let opened = store.open(&analysis).await.unwrap();
    let mut hand = Hand::new(store, &opened.session, "a");
    hand.start().await.unwrap();
    let more = open("acme/shop").expect([bot("a"), bot("c")]);
    store.open(&more).await.unwrap();
    let progress = store.progress(&opened.session).await.unwrap();
    let seen: Vec<_> = progress
        .executions
        .iter()
        .map(|e| (e.bot.as_str(), e.state, e.attempt))
        .collect();
    let pending = ExecutionState::Pending;
    let expected = [
        ("a", ExecutionState::Running, 1),
        ("b", pending, 0),
        ("c", pending, 0),
    ];
    assert_eq!(seen, expected);
}

async fn joining_with_nothing_to_add_changes_nothing(store: &dyn Maintain) {
    let analysis = open("acme/shop").expect([bot("a")]);
    let opened = store.open(&analysis).await.unwrap();
    let before = store.facts(&opened.session).await.unwrap();
    store.open(&analysis).await.unwrap();
    store.open(&open("acme/shop")).await.unwrap();
    assert_eq!(store.facts(&opened.session).await.unwrap(), before);
}

async fn more_executions_than_a_session_may_have_are_refused_whole(store: &dyn Maintain) {
    let bots = |range: std::ops::Range<usize>| range.map(|n| bot(&format!("bot-{n}")));
    let full = open("acme/shop").expect(bots(0..MAX_EXECUTIONS - 1));
    let opened = store.open(&full).await.unwrap();
    let over = open("acme/shop").expect(bots(MAX_EXECUTIONS - 1..MAX_EXECUTIONS + 1));
    let error = store.open(&over).await.unwrap_err();
    let expected = Error::invalid("expect", "a session has at most 256 executions");
    assert_eq!(error, expected);
    let before = store.progress(&opened.session).await.unwrap();
    assert_eq!(before.executions.len(), MAX_EXECUTIONS - 1);

    let mut last = Hand::new(store, &opened.session, "last");
    last.start().await.unwrap();
    let mut over = Hand::new(store, &opened.session, "over");
    let expected = Error::invalid("execution", "a session has at most 256");
    assert_eq!(over.start().await.unwrap_err(), expected);
    assert_eq!(over.skip("full").await.unwrap_err(), expected);
    last.complete(0).await.unwrap();
}

async fn a_ref_commit_or_run_that_is_too_long_or_unprintable_is_refused(store: &dyn Maintain) {
    let bad = [
        (open("r").git_ref("x".repeat(256)), "ref"),
        (open("r").commit("x".repeat(65)), "commit"),
        (open("r").run("x".repeat(65)), "run"),
        (open("r").git_ref("a\nb"), "ref"),
    ];
    for (analysis, field) in bad {
        let error = store.open(&analysis).await.unwrap_err();
        assert!(
            matches!(&error, Error::Invalid { what, .. } if what == field),
            "{error}"
        );
    }
    assert_eq!(store.rollup().await.unwrap().sessions, 0);
}

async fn a_session_that_does_not_exist_is_not_found(store: &dyn Maintain) {
    let ghost = SessionId::fresh(Partition(3));
    let expected = Error::not_found("session", &ghost);
    assert_eq!(store.facts(&ghost).await.unwrap_err(), expected);
    assert_eq!(store.findings(&ghost).await.err(), Some(expected.clone()));
    assert_eq!(store.progress(&ghost).await.unwrap_err(), expected);
    let waited = store.changed(&ghost, Version(1), Duration::ZERO).await;
    assert_eq!(waited.unwrap_err(), expected);
    let mut hand = Hand::new(store, &ghost, "a");
    assert_eq!(hand.start().await.unwrap_err(), expected);
    let pushed = hand.push(vec![finding(1)]).await;
    assert_eq!(pushed.unwrap_err(), expected);
    let last = store.last_sequence(&ghost, &ProducerId::fresh()).await;
    assert_eq!(last.unwrap(), 0, "a producer can be unknown anywhere");
}

async fn a_session_in_a_partition_that_does_not_exist_is_not_found(store: &dyn Maintain) {
    let ghost = SessionId::fresh(Partition(999));
    let expected = Error::not_found("session", &ghost);
    assert_eq!(store.facts(&ghost).await.unwrap_err(), expected);
}

async fn a_session_is_complete_when_every_execution_is_finished(store: &dyn Maintain) {
    let analysis = open("acme/shop").expect([bot("a"), bot("b"), bot("c")]);
    let session = store.open(&analysis).await.unwrap().session;
    let mut a = Hand::new(store, &session, "a");
    let mut b = Hand::new(store, &session, "b");
    let mut c = Hand::new(store, &session, "c");
    a.start().await.unwrap();
    a.complete(0).await.unwrap();
    b.fail("no disk").await.unwrap();
    assert_eq!(state(store, &session).await, SessionState::Open);
    c.skip("not needed").await.unwrap();
    assert_eq!(state(store, &session).await, SessionState::Complete);
    a.reopen().await.unwrap();
    assert_eq!(state(store, &session).await, SessionState::Open);
}

async fn state(store: &dyn Maintain, session: &SessionId) -> SessionState {
    let told = store.progress(session).await.unwrap().state;
    let listed = store.facts(session).await.unwrap().session.state;
    assert_eq!(told, listed);
    told
}

async fn every_change_moves_the_version(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let mut hand = Hand::new(store, &session, "a");
    let mut seen = std::collections::HashSet::from([version(store, &session).await]);
    hand.start().await.unwrap();
    assert!(seen.insert(version(store, &session).await), "start");
    let answer = hand.push(vec![finding(1)]).await.unwrap();
    assert!(seen.insert(answer.version), "push");
    assert_eq!(version(store, &session).await, answer.version);
    let answer = hand.push(Vec::new()).await.unwrap();
    assert!(seen.insert(answer.version), "an empty push");
    hand.complete(1).await.unwrap();
    assert!(seen.insert(version(store, &session).await), "complete");
    store
        .open(&open("acme/shop").expect([bot("b")]))
        .await
        .unwrap();
    assert!(seen.insert(version(store, &session).await), "expect");
}

async fn version(store: &dyn Maintain, session: &SessionId) -> Version {
    let progress = store.progress(session).await.unwrap().version;
    let facts = store.facts(session).await.unwrap().session.version;
    assert_eq!(progress, facts);
    facts
}

async fn waiting_for_a_change_ends_with_it(store: &dyn Maintain) {
    let hand = &mut Hand::started(store, "a").await;
    let session = hand.session.clone();
    let known = version(store, &session).await;
    let hour = Duration::from_hours(1);
    let waiting = store.changed(&session, known, hour);
    let (seen, pushed) = within(async { tokio::join!(waiting, hand.push(vec![finding(1)])) }).await;
    assert_eq!(seen.unwrap(), pushed.unwrap().version);
}

async fn waiting_from_another_version_ends_at_once(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let now = version(store, &session).await;
    let hour = Duration::from_hours(1);
    let seen = within(store.changed(&session, Version(1), hour)).await;
    assert_eq!(seen.unwrap(), now);
}

async fn waiting_in_vain_answers_the_version_known(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let known = version(store, &session).await;
    let wait = Duration::from_millis(5);
    let seen = within(store.changed(&session, known, wait)).await;
    assert_eq!(seen.unwrap(), known);
}

on_every_store!(
    opening_the_same_analysis_again_joins_it,
    a_session_that_was_lost_is_opened_again_under_its_id,
    another_repository_ref_commit_or_run_is_another_session,
    a_session_lies_in_the_partition_of_its_repository,
    expected_bots_become_pending_executions,
    joining_with_nothing_to_add_changes_nothing,
    more_executions_than_a_session_may_have_are_refused_whole,
    a_ref_commit_or_run_that_is_too_long_or_unprintable_is_refused,
    a_session_that_does_not_exist_is_not_found,
    a_session_in_a_partition_that_does_not_exist_is_not_found,
    a_session_is_complete_when_every_execution_is_finished,
    every_change_moves_the_version,
    waiting_for_a_change_ends_with_it,
    waiting_from_another_version_ends_at_once,
    waiting_in_vain_answers_the_version_known,
);
