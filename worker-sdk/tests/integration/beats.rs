//! Heartbeats: what a worker says of itself, and what it does when it is told something.

use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::beat::BEAT_INTERVAL;
use fleet_worker_sdk::worker::{Settings, Worker};
use fleet_worker_sdk::*;

use crate::executions::{finding, session, start, worker};
use crate::flaky::Flaky;

fn states(store: &Arc<Flaky>) -> Vec<WorkerState> {
    let beats = store.beats.lock().unwrap();
    let mut states: Vec<_> = beats.iter().map(|beat| beat.state).collect();
    states.dedup();
    states
}

fn beats(store: &Arc<Flaky>) -> usize {
    store.beats.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_worker_beats_through_its_life_and_says_goodbye() {
    let store = Flaky::sound();
    let worker = worker(&store, Settings::default()).await;
    tokio::time::sleep(BEAT_INTERVAL * 10).await;
    assert!(
        (10..=14).contains(&beats(&store)),
        "{} beats",
        beats(&store)
    );
    worker.stop().await.unwrap();
    worker.stop().await.unwrap();
    let seen = states(&store);
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&WorkerState::Stopped));
    let count = beats(&store);
    tokio::time::sleep(BEAT_INTERVAL * 10).await;
    assert_eq!(beats(&store), count, "it beats after it has stopped");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_worker_stops_beating_without_a_goodbye() {
    let store = Flaky::sound();
    let worker = worker(&store, Settings::default()).await;
    tokio::time::sleep(BEAT_INTERVAL).await;
    drop(worker);
    tokio::time::sleep(BEAT_INTERVAL).await;
    let count = beats(&store);
    tokio::time::sleep(BEAT_INTERVAL * 10).await;
    assert_eq!(beats(&store), count);
    assert_eq!(states(&store).last(), Some(&WorkerState::Running));
}

#[tokio::test(start_paused = true)]
async fn beats_name_the_session_and_count_progress() {
    let store = Flaky::sound();
    let (_worker, execution) = start(&store, Settings::default()).await;
    execution.push(finding(0)).await.unwrap();
    tokio::time::sleep(BEAT_INTERVAL).await;
    let busy = store.beats.lock().unwrap().last().unwrap().clone();
    assert_eq!(busy.sessions.len(), 1);
    execution.push(finding(1)).await.unwrap();
    execution.complete().await.unwrap();
    tokio::time::sleep(BEAT_INTERVAL).await;
    let idle = store.beats.lock().unwrap().last().unwrap().clone();
    assert!(idle.sessions.is_empty());
    assert_eq!(idle.progress, busy.progress + 2);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_worker_takes_nothing_new() {
    let store = Flaky::sound();
    let worker = worker(&store, Settings::default()).await;
    let mut commands = worker.commands();
    *store.command.lock().unwrap() = Some(Command::Quiet);
    commands.changed().await.unwrap();
    assert_eq!(*commands.borrow(), Some(Command::Quiet));
    assert!(worker.is_quiet() && !worker.is_cancelled());
    let open = OpenSession::new("acme/shop").unwrap();
    let error = worker.open(open).await.err().unwrap();
    assert!(error.to_string().contains("quiet"), "{error}");
    tokio::time::sleep(BEAT_INTERVAL).await;
    assert_eq!(states(&store).last(), Some(&WorkerState::Quiet));
}

#[tokio::test(start_paused = true)]
async fn failing_beats_stop_nothing() {
    let store = Flaky::sound();
    let worker = worker(&store, Settings::default()).await;
    store.set_down(true);
    tokio::time::sleep(BEAT_INTERVAL * 20).await;
    assert_eq!(worker.state(), WorkerState::Running);
    store.set_down(false);
    let count = beats(&store);
    tokio::time::sleep(BEAT_INTERVAL * 2).await;
    assert!(beats(&store) > count);
}

/// A bot that does as it is told: finishes its execution when it is to end.
async fn obedient(worker: Worker) -> Result<u64> {
    let execution = session(&worker).await.start().await?;
    execution.queue(finding(0)).await?;
    worker.cancelled().await;
    Ok(execution.complete().await?.pushed)
}

#[tokio::test(start_paused = true)]
async fn an_operators_terminate_lets_the_bot_finish() {
    let store = Flaky::sound();
    *store.command.lock().unwrap() = None;
    let fleet = store.fleet(Settings::default());
    let bot = Bot::new("todo-finder").unwrap();
    let run = fleet.run(bot, obedient);
    let told = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        *store.command.lock().unwrap() = Some(Command::Terminate);
    };
    let (pushed, ()) = tokio::join!(run, told);
    assert_eq!(pushed.unwrap(), 1);
    assert_eq!(
        store.execution("todo-finder").state,
        ExecutionState::Completed
    );
    let seen = states(&store);
    assert!(seen.contains(&WorkerState::Terminating), "{seen:?}");
    assert_eq!(seen.last(), Some(&WorkerState::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_bot_that_does_not_finish_in_time_is_cut_and_its_execution_fails() {
    let store = Flaky::sound();
    let fleet = store.fleet(Settings::default());
    let bot = Bot::new("todo-finder").unwrap();
    let run = fleet.run(bot, |worker| async move {
        let execution = session(&worker).await.start().await?;
        execution.queue(finding(0)).await?;
        worker.terminate();
        std::future::pending::<Result<()>>().await
    });
    let error = run.await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert_eq!(store.log().len(), 1);
    assert_eq!(store.execution("todo-finder").state, ExecutionState::Failed);
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_lets_the_bot_finish() {
    let store = Flaky::sound();
    let fleet = store.fleet(Settings::default());
    let bot = Bot::new("todo-finder").unwrap();
    let run = fleet.run(bot, |worker| async move {
        let pid = std::process::id().to_string();
        let kill = std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status();
        assert!(kill.unwrap().success());
        obedient(worker).await
    });
    assert_eq!(run.await.unwrap(), 1);
    assert_eq!(states(&store).last(), Some(&WorkerState::Stopped));
}
