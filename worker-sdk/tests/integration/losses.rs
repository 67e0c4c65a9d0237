//! A store that loses what it acknowledged, as a failover to a lagging replica does.

use std::time::Duration;

use fleet_worker_sdk::worker::Settings;
use fleet_worker_sdk::*;

use crate::executions::{finding, messages, start};
use crate::flaky::Flaky;

#[tokio::test(start_paused = true)]
async fn a_lost_tail_is_sent_again_by_the_next_push() {
    let store = Flaky::sound();
    let (_worker, execution) = start(&store, Settings::default()).await;
    execution.push(finding(0)).await.unwrap();
    let replica = store.snapshot();
    execution.push(finding(1)).await.unwrap();
    execution.push(finding(2)).await.unwrap();
    store.roll_back(replica);
    execution.push(finding(3)).await.unwrap();
    assert_eq!(store.log(), messages(4));
    let summary = execution.complete().await.unwrap();
    assert_eq!((summary.pushed, summary.lost), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn even_the_session_and_the_start_are_sent_again_and_twice_over() {
    let store = Flaky::sound();
    let empty = store.snapshot();
    let (_worker, execution) = start(&store, Settings::default()).await;
    execution.push(finding(0)).await.unwrap();
    store.roll_back(empty.clone());
    execution.push(finding(1)).await.unwrap();
    store.roll_back(empty);
    let summary = execution.complete().await.unwrap();
    assert_eq!((summary.pushed, summary.lost), (2, 0));
    assert_eq!(store.log(), messages(2));
}

#[tokio::test(start_paused = true)]
async fn an_idle_execution_fills_the_tail_when_the_store_comes_back() {
    let store = Flaky::sound();
    let (_worker, execution) = start(
        &store,
        Settings {
            keep: Duration::from_mins(1),
            ..Settings::default()
        },
    )
    .await;
    let replica = store.snapshot();
    execution.push(finding(0)).await.unwrap();
    store.set_down(true);
    tokio::time::sleep(Duration::from_secs(12)).await;
    store.roll_back(replica);
    store.set_down(false);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(store.log(), messages(1));
}

#[tokio::test(start_paused = true)]
async fn a_loss_beyond_what_is_kept_is_counted_and_said() {
    let store = Flaky::sound();
    let (_worker, execution) = start(&store, Settings::default()).await;
    let replica = store.snapshot();
    execution.push(finding(0)).await.unwrap();
    tokio::time::sleep(Settings::default().keep * 2).await;
    execution.push(finding(1)).await.unwrap();
    store.roll_back(replica);
    execution.push(finding(2)).await.unwrap();
    assert_eq!(store.log(), &messages(3)[1..]);
    let error = execution.complete().await.unwrap_err();
    assert!(error.to_string().contains("lost 1 acknowledged"), "{error}");
    let summary = execution.complete_partial().await.unwrap();
    assert_eq!(summary.lost, 1);
    assert_eq!(summary.execution.state, ExecutionState::Completed);
    assert!(summary.execution.partial);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_the_store_loses_comes_back() {
    let store = Flaky::sound();
    let settings = Settings {
        keep: Duration::from_mins(1),
        ..Settings::default()
    };
    let (worker, execution) = start(&store, settings).await;
    let replica = store.snapshot();
    execution.push(finding(0)).await.unwrap();
    execution.complete().await.unwrap();
    store.set_down(true);
    tokio::time::sleep(Duration::from_secs(12)).await;
    store.roll_back(replica);
    store.set_down(false);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(store.log(), messages(1));
    assert_eq!(
        store.execution("todo-finder").state,
        ExecutionState::Completed
    );
    worker.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_comes_back_that_a_failover_lost_between_two_beats() {
    let store = Flaky::sound();
    let (worker, execution) = start(&store, Settings::default()).await;
    execution.push(finding(0)).await.unwrap();
    let replica = store.snapshot();
    execution.push(finding(1)).await.unwrap();
    execution.complete().await.unwrap();
    store.roll_back(replica);
    tokio::time::sleep(Settings::default().keep * 2).await;
    assert_eq!(store.log(), messages(2));
    assert_eq!(
        store.execution("todo-finder").state,
        ExecutionState::Completed
    );
    worker.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stops_looks_once_more_for_what_it_ended() {
    let store = Flaky::sound();
    let (worker, execution) = start(&store, Settings::default()).await;
    execution.push(finding(0)).await.unwrap();
    let replica = store.snapshot();
    execution.push(finding(1)).await.unwrap();
    execution.complete().await.unwrap();
    store.roll_back(replica);
    worker.stop().await.unwrap();
    assert_eq!(store.log(), messages(2));
    assert_eq!(
        store.execution("todo-finder").state,
        ExecutionState::Completed
    );
}
