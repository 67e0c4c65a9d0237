//! Heartbeats, commands and what is told of workers.

use std::time::Duration;

use fleet_coordinator::model::{Update, Worker};
use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::{Beat, Bot, Command, Error, Partition, SessionId, WorkerId, WorkerState};
use tokio::sync::broadcast::Receiver;

use crate::support::{beat, stamp, within, worker};

fn in_state(id: &str, state: WorkerState) -> Beat {
    Beat { state, ..beat(id) }
}

async fn told(store: &dyn Maintain, id: &WorkerId) -> Worker {
    let workers = store.workers().await.unwrap();
    let found = workers.into_iter().find(|worker| worker.id == *id);
    found.expect("the worker is listed")
}

async fn a_worker_is_listed_from_its_first_beat(store: &dyn Maintain) {
    let mut second = in_state("b:h:1:x", WorkerState::Running);
    second.sessions = vec![SessionId::fresh(Partition(1))];
    let first = in_state("a:h:1:x", WorkerState::Starting);
    for beat in [&second, &first] {
        let answer = store.beat(beat).await.unwrap();
        assert_eq!(answer.command, None);
    }
    let workers = store.workers().await.unwrap();
    let ids: Vec<_> = workers.iter().map(|worker| worker.id.as_str()).collect();
    assert_eq!(ids, ["a:h:1:x", "b:h:1:x"]);
    let seen = &workers[1];
    assert_eq!((&seen.bot, &*seen.version), (&second.bot, "1.2"));
    assert_eq!(seen.sdk, "0.9.1");
    assert_eq!(
        (&*seen.host, seen.pid, seen.started),
        ("host-1", 42, stamp(0))
    );
    assert_eq!(
        (seen.state, &seen.sessions),
        (WorkerState::Running, &second.sessions)
    );
    assert_eq!(seen.last_beat, seen.last_progress);
    assert_eq!(seen.command, None);
}

async fn a_workers_state_never_goes_back(store: &dyn Maintain) {
    use WorkerState::{Quiet, Running, Starting, Stopped, Terminating};
    let told_and_kept = [
        (Starting, Starting),
        (Running, Running),
        (Starting, Running),
        (Terminating, Terminating),
        (Quiet, Terminating),
        (Stopped, Stopped),
        (Running, Stopped),
    ];
    for (state, kept) in told_and_kept {
        let mut beat = in_state("a:h:1:x", state);
        beat.version = state.to_string();
        store.beat(&beat).await.unwrap();
        let worker = told(store, &beat.worker).await;
        assert_eq!(worker.state, kept, "after {state}");
        assert_eq!(worker.version, beat.version, "all else is as last reported");
    }
}

async fn progress_that_stands_still_keeps_its_time(store: &dyn Maintain) {
    let mut beat = in_state("a:h:1:x", WorkerState::Running);
    beat.progress = 5;
    store.beat(&beat).await.unwrap();
    let first = told(store, &beat.worker).await;
    // Beats until the store's clock has moved on: it counts milliseconds.
    let still = loop {
        store.beat(&beat).await.unwrap();
        let worker = told(store, &beat.worker).await;
        if worker.last_beat > first.last_beat {
            break worker;
        }
    };
    assert_eq!(still.last_progress, first.last_progress);
    beat.progress = 3;
    store.beat(&beat).await.unwrap();
    let moved = told(store, &beat.worker).await;
    assert_eq!(
        moved.last_progress, moved.last_beat,
        "any other number is progress"
    );
}

async fn a_command_is_told_until_it_is_obeyed(store: &dyn Maintain) {
    use WorkerState::{Quiet, Running, Terminating};
    let id = worker("a:h:1:x");
    store.beat(&in_state("a:h:1:x", Running)).await.unwrap();
    let answer = async |state| {
        store
            .beat(&in_state("a:h:1:x", state))
            .await
            .unwrap()
            .command
    };
    store.command(&id, Command::Quiet).await.unwrap();
    assert_eq!(told(store, &id).await.command, Some(Command::Quiet));
    assert_eq!(answer(Running).await, Some(Command::Quiet));
    assert_eq!(answer(Running).await, Some(Command::Quiet));
    assert_eq!(answer(Quiet).await, None);
    assert_eq!(told(store, &id).await.command, None);
    store.command(&id, Command::Terminate).await.unwrap();
    assert_eq!(answer(Quiet).await, Some(Command::Terminate));
    assert_eq!(answer(Terminating).await, None);
    store.command(&id, Command::Quiet).await.unwrap();
    assert_eq!(answer(Terminating).await, None, "it is past that");
}

async fn the_last_command_counts(store: &dyn Maintain) {
    let running = in_state("a:h:1:x", WorkerState::Running);
    store.beat(&running).await.unwrap();
    store
        .command(&running.worker, Command::Quiet)
        .await
        .unwrap();
    store
        .command(&running.worker, Command::Terminate)
        .await
        .unwrap();
    let answer = store.beat(&running).await.unwrap();
    assert_eq!(answer.command, Some(Command::Terminate));
}

async fn a_command_to_nobody_is_refused(store: &dyn Maintain) {
    let ghost = worker("a:h:1:x");
    let error = store.command(&ghost, Command::Quiet).await.unwrap_err();
    assert_eq!(error, Error::not_found("worker", &ghost));
}

async fn a_worker_that_is_forgotten_is_gone_until_it_beats(store: &dyn Maintain) {
    let stopped = in_state("a:h:1:x", WorkerState::Stopped);
    store.beat(&stopped).await.unwrap();
    store
        .command(&stopped.worker, Command::Quiet)
        .await
        .unwrap();
    store.forget(&stopped.worker).await.unwrap();
    store.forget(&stopped.worker).await.unwrap();
    assert!(store.workers().await.unwrap().is_empty());
    let running = in_state("a:h:1:x", WorkerState::Running);
    assert_eq!(store.beat(&running).await.unwrap().command, None);
    assert_eq!(
        told(store, &running.worker).await.state,
        WorkerState::Running
    );
}

async fn a_beat_names_so_many_sessions(store: &dyn Maintain) {
    let mut busy = in_state("a:h:1:x", WorkerState::Running);
    let sessions = (0..Beat::MAX_SESSIONS + 9).map(|_| SessionId::fresh(Partition(1)));
    busy.sessions = sessions.collect();
    store.beat(&busy).await.unwrap();
    let kept = told(store, &busy.worker).await.sessions;
    assert_eq!(kept, busy.sessions[..Beat::MAX_SESSIONS]);
}

/// Acts until `expected` is heard: a hint may be lost, above all before a listener is connected.
async fn hears(mut heard: Receiver<Update>, expected: &Update, act: impl AsyncFn()) {
    let listening = async {
        loop {
            act().await;
            let next = tokio::time::timeout(Duration::from_millis(100), heard.recv());
            match next.await {
                Ok(Ok(update)) if update == *expected => return,
                _ => {}
            }
        }
    };
    within(listening).await;
}

async fn registering_and_announcing_is_heard(store: &dyn Maintain) {
    let known = Bot::new("a").unwrap();
    let register = async || store.register(&known).await.unwrap();
    hears(store.updates(), &Update::Workers, register).await;
    for update in [Update::Fleet, Update::Resync] {
        let announce = async || store.announce(update.clone()).await.unwrap();
        hears(store.updates(), &update, announce).await;
    }
}

async fn a_new_worker_is_heard_of(store: &dyn Maintain) {
    let number = std::sync::atomic::AtomicU32::new(0);
    let appear = async || {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = format!("a:h:{number}:x");
        store
            .beat(&in_state(&id, WorkerState::Running))
            .await
            .unwrap();
    };
    hears(store.updates(), &Update::Workers, appear).await;
}

on_every_store!(
    a_worker_is_listed_from_its_first_beat,
    a_workers_state_never_goes_back,
    progress_that_stands_still_keeps_its_time,
    a_command_is_told_until_it_is_obeyed,
    the_last_command_counts,
    a_command_to_nobody_is_refused,
    a_worker_that_is_forgotten_is_gone_until_it_beats,
    a_beat_names_so_many_sessions,
    registering_and_announcing_is_heard,
    a_new_worker_is_heard_of,
);
