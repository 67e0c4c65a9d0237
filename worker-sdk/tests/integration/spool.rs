//! What is in the spool is not lost: not by an outage, nor by the end of the process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::spool::MIN_SPOOL_BYTES;
use fleet_worker_sdk::worker::{ActiveExecution, Settings, Worker};
use fleet_worker_sdk::*;

use crate::executions::{finding, message, messages, session};
use crate::flaky::{Faults, Flaky};

async fn worker(store: &Arc<Flaky>, folder: &Path, settings: Settings) -> Worker {
    let fleet = store.fleet(settings).spool(folder);
    fleet
        .worker(Bot::new("todo-finder").unwrap())
        .await
        .unwrap()
}

async fn start(store: &Arc<Flaky>, folder: &Path, settings: Settings) -> (Worker, ActiveExecution) {
    let worker = worker(store, folder, settings).await;
    let execution = session(&worker).await.start().await.unwrap();
    (worker, execution)
}

fn findings(count: usize) -> impl Iterator<Item = Finding> {
    (0..count).map(finding)
}

/// Waits, in a time that only tests have, until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let come = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let come = tokio::time::timeout(Duration::from_mins(10), come).await;
    assert!(come.is_ok(), "{what}");
}

fn ended(store: &Flaky) -> bool {
    store.execution("todo-finder").state.is_finished()
}

fn refused(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("todo-finder/refused")).unwrap();
    let read =
        |file: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(file.unwrap().path());
    files.map(|file| read(file).unwrap()).collect()
}

fn segments(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder.join("todo-finder")).unwrap();
    let is_segment = |name: String| name.contains(".spool");
    files
        .filter(|file| is_segment(file.as_ref().unwrap().file_name().into_string().unwrap()))
        .count()
}

/// A bot that finds so much while the store is away, completes, and exits.
async fn offline(store: &Arc<Flaky>, folder: &Path, count: usize) {
    let (worker, execution) = start(store, folder, Settings::default()).await;
    store.set_down(true);
    execution.push_all(findings(count)).await.unwrap();
    let summary = execution.complete().await.unwrap();
    assert!(summary.spooled >= 2, "{summary:?}");
    assert_eq!(summary.pushed, count as u64);
    worker.stop().await.unwrap();
    assert_eq!(store.log(), [""; 0]);
    drop(execution);
    drop(worker);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_works_sees_the_same_as_without_a_spool() {
    let (store, folder) = (Flaky::sound(), tempfile::tempdir().unwrap());
    let (worker, execution) = start(&store, folder.path(), Settings::default()).await;
    execution.push(finding(0)).await.unwrap();
    execution.push_all((1..600).map(finding)).await.unwrap();
    let summary = execution.complete().await.unwrap();
    assert_eq!(
        (summary.pushed, summary.new, summary.spooled),
        (600, 600, 0)
    );
    assert_eq!(summary.execution.state, ExecutionState::Completed);
    assert_eq!(store.log(), messages(600));
    drop(execution);
    worker.stop().await.unwrap();
    drop(worker);
    until("the spool is empty", || segments(folder.path()) == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_bot_goes_on_without_the_store_and_the_next_start_delivers() {
    let (store, folder) = (Flaky::sound(), tempfile::tempdir().unwrap());
    offline(&store, folder.path(), 300).await;
    let producers = store.snapshot().producers;
    store.set_down(false);
    let worker = worker(&store, folder.path(), Settings::default()).await;
    until("the execution ends", || ended(&store)).await;
    assert_eq!(store.log(), messages(300));
    let execution = store.execution("todo-finder");
    assert_eq!(
        (execution.state, execution.pushed),
        (ExecutionState::Completed, 300)
    );
    assert_eq!((execution.attempt, execution.partial), (1, false));
    assert_eq!(
        store.snapshot().producers.keys().collect::<Vec<_>>(),
        producers.keys().collect::<Vec<_>>(),
        "another producer"
    );
    worker.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_new_is_begun_in_a_session_before_the_old_is_sent() {
    let (store, folder) = (Flaky::sound(), tempfile::tempdir().unwrap());
    offline(&store, folder.path(), 300).await;
    store.set_down(false);
    let (worker, execution) = {
        let worker = worker(&store, folder.path(), Settings::default()).await;
        let execution = session(&worker).await.start_over().await.unwrap();
        (worker, execution)
    };
    assert_eq!(execution.started().attempt, 2);
    assert_eq!(store.log(), messages(300));
    execution.complete().await.unwrap();
    worker.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn losses_and_outages_on_the_way_change_nothing() {
    for seed in 0..20 {
        let faults = Faults {
            refuse: 20,
            lose_reply: 20,
            latency: Duration::from_millis(3),
        };
        let (store, folder) = (Flaky::new(seed, faults), tempfile::tempdir().unwrap());
        let (worker, execution) = start(&store, folder.path(), Settings::default()).await;
        for n in 0..20 {
            execution.push(finding(n)).await.unwrap();
        }
        execution.push_all((20..400).map(finding)).await.unwrap();
        execution.complete().await.unwrap();
        until("the execution ends", || ended(&store)).await;
        assert_eq!(store.log(), messages(400), "seed {seed}");
        assert_eq!(store.execution("todo-finder").pushed, 400);
        worker.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_makes_the_bot_wait_and_drops_nothing() {
    let (store, folder) = (Flaky::sound(), tempfile::tempdir().unwrap());
    let settings = Settings {
        spool_bytes: MIN_SPOOL_BYTES,
        ..Settings::default()
    };
    let (worker, execution) = start(&store, folder.path(), settings).await;
    store.set_down(true);
    let large = |n: usize| {
        let mut large = finding(n);
        large.message = format!("{} {}", message(n), "x".repeat(8_000));
        large
    };
    let mut taken = 0;
    let error = loop {
        match execution.queue(large(taken)).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert!(error.to_string().contains("spool"), "{error}");
    assert!(taken > 400, "{taken}");
    store.set_down(false);
    execution.queue(large(taken)).await.unwrap();
    let summary = execution.complete().await.unwrap();
    assert_eq!((summary.pushed, summary.spooled), (taken as u64 + 1, 0));
    assert_eq!(store.log().len(), taken + 1);
    worker.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_is_moved_aside_and_the_scan_was_not_whole() {
    let (store, folder) = (Flaky::sound(), tempfile::tempdir().unwrap());
    let (worker, execution) = start(&store, folder.path(), Settings::default()).await;
    *store.poison.lock().unwrap() = Some(message(1));
    for n in 0..3 {
        execution.push(finding(n)).await.unwrap();
    }
    let error = execution.complete().await.unwrap_err();
    assert!(error.to_string().contains("poison"), "{error}");
    let summary = execution.complete_partial().await.unwrap();
    assert_eq!((summary.execution.partial, summary.pushed), (true, 2));
    assert_eq!(store.log(), [message(0), message(2)]);
    let aside = refused(folder.path());
    assert_eq!(aside.len(), 1);
    assert!(
        aside[0].contains("poison") && aside[0].contains(&message(1)),
        "{aside:?}"
    );
    worker.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_given_up_for_lost_goes_on_and_one_taken_over_does_not() {
    for taken_over in [false, true] {
        let (store, folder) = (Flaky::sound(), tempfile::tempdir().unwrap());
        offline(&store, folder.path(), 300).await;
        {
            let mut state = store.state.lock().unwrap();
            let execution = state.executions.values_mut().next().unwrap();
            if taken_over {
                execution.attempt = 2;
            } else {
                execution.state = ExecutionState::Failed;
            }
        }
        store.set_down(false);
        let worker = worker(&store, folder.path(), Settings::default()).await;
        let path = folder.path();
        let is_dealt_with = || {
            let mut aside = refused(path).into_iter();
            let completed = store.execution("todo-finder").state == ExecutionState::Completed;
            completed || taken_over && aside.any(|text| text.contains("transition"))
        };
        until("it is dealt with", is_dealt_with).await;
        let execution = store.execution("todo-finder");
        assert_eq!(execution.attempt, 2);
        if taken_over {
            assert_eq!(
                (execution.state, store.log().len()),
                (ExecutionState::Running, 0)
            );
            assert!(refused(path).iter().all(|text| text.contains("\"reason\"")));
        } else {
            assert_eq!((store.log(), execution.partial), (messages(300), false));
            assert!(refused(path).is_empty());
        }
        worker.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_the_bot_gave_up_is_not_sent_later() {
    let (store, folder) = (Flaky::sound(), tempfile::tempdir().unwrap());
    {
        let worker = worker(&store, folder.path(), Settings::default()).await;
        let session = session(&worker).await;
        store.set_down(true);
        assert!(session.start().await.is_err());
        worker.stop().await.unwrap();
    }
    store.set_down(false);
    let worker = worker(&store, folder.path(), Settings::default()).await;
    let execution = session(&worker).await.start().await.unwrap();
    assert_eq!(execution.started().attempt, 1);
    execution.fail("enough").await.unwrap();
    worker.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_worker_of_the_bot_is_told_whom_to_stop() {
    let (store, folder) = (Flaky::sound(), tempfile::tempdir().unwrap());
    let _worker = worker(&store, folder.path(), Settings::default()).await;
    let fleet = store.fleet(Settings::default()).spool(folder.path());
    let error = fleet
        .worker(Bot::new("todo-finder").unwrap())
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("stop that one"), "{error}");
}
