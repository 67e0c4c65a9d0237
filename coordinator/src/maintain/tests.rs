use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use fleet_worker_sdk::{
    Beat, Bot, Change, Execution, ExecutionState, OpenSession, Partitions, ProducerId, Transition,
    WorkerState,
};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::model::Update;
use crate::store::memory::MemoryStore;

fn store() -> SharedStore {
    Arc::new(MemoryStore::new(Partitions::DEFAULT))
}

fn coordinator(store: &SharedStore) -> Coordinator {
    Coordinator::new(Arc::clone(store), CoordinatorSettings::default())
}

async fn started(store: &SharedStore, worker: Option<&str>) -> (SessionId, Execution) {
    store.register(&Bot::new("hypatia").unwrap()).await.unwrap();
    let opened = store
        .open(&OpenSession::new("acme/shop").unwrap())
        .await
        .unwrap();
    let transition = Transition {
        session: opened.session.clone(),
        bot: "hypatia".parse().unwrap(),
        attempt: 0,
        producer: ProducerId::fresh(),
        sequence: 1,
        change: Change::Start {
            worker: worker.map(|id| id.parse().unwrap()),
            reopen: true,
        },
    };
    let execution = store.transition(&transition).await.unwrap();
    (opened.session, execution)
}

#[tokio::test]
async fn what_changed_is_computed_once_and_settled() {
    let store = store();
    let (session, _) = started(&store, None).await;
    started(&store, None).await;
    let coordinator = coordinator(&store);
    assert_eq!(coordinator.follow_feed(Duration::ZERO).await.unwrap(), 1);
    let session = store.facts(&session).await.unwrap().session;
    assert_eq!(session.derived.unwrap().version, session.version);
    assert_eq!(coordinator.totals().recomputed, 1);
    assert_eq!(coordinator.totals().given_up, 0);
    assert_eq!(coordinator.follow_feed(Duration::ZERO).await.unwrap(), 0);
}

#[tokio::test]
async fn a_resync_repairs_what_the_feed_lost() {
    let store = store();
    let (session, _) = started(&store, None).await;
    let lost = store.changes("gone", Duration::ZERO).await.unwrap();
    store.settle(&lost).await.unwrap();
    let coordinator = coordinator(&store);
    assert_eq!(coordinator.resync().await.unwrap(), 1);
    assert!(
        store
            .facts(&session)
            .await
            .unwrap()
            .session
            .derived
            .is_some()
    );
    assert_eq!(coordinator.resync().await.unwrap(), 0);
}

#[tokio::test]
async fn two_coordinators_write_the_same_result_once() {
    let store = store();
    let (session, _) = started(&store, None).await;
    let (one, other) = (coordinator(&store), coordinator(&store));
    let (first, second) = tokio::join!(one.recompute(&session), other.recompute(&session));
    assert!(first.unwrap() && second.unwrap());
    assert!(
        store
            .facts(&session)
            .await
            .unwrap()
            .session
            .derived
            .is_some()
    );
}

#[tokio::test]
async fn the_fleets_health_is_announced_when_it_changes_only() {
    let store = store();
    started(&store, None).await;
    let coordinator = coordinator(&store);
    let mut updates = store.updates();
    assert!(coordinator.watch_fleet().await.unwrap());
    assert_eq!(updates.recv().await.unwrap(), Update::Fleet);
    assert!(!coordinator.watch_fleet().await.unwrap());
}

/// A store whose clock the test moves.
fn store_at(clock: &Arc<AtomicI64>) -> SharedStore {
    let clock = Arc::clone(clock);
    let read = move || {
        let seconds = clock.load(Relaxed);
        Timestamp::from_second(seconds).unwrap()
    };
    Arc::new(MemoryStore::with_clock(Partitions::DEFAULT, Box::new(read)))
}

#[tokio::test]
async fn a_dead_workers_execution_fails_and_a_live_ones_does_not() {
    let clock = Arc::new(AtomicI64::new(1_700_000_000));
    let store = store_at(&clock);
    let (session, _) = started(&store, Some("hypatia:h:1:b")).await;
    store.beat(&beat(WorkerState::Running)).await.unwrap();
    let coordinator = coordinator(&store);
    coordinator.watch_workers().await.unwrap();
    let state = async || store.facts(&session).await.unwrap().session.executions[0].state;
    assert_eq!(state().await, ExecutionState::Running);

    clock.fetch_add(59, Relaxed);
    coordinator.watch_workers().await.unwrap();
    assert_eq!(state().await, ExecutionState::Running);

    clock.fetch_add(1, Relaxed);
    coordinator.watch_workers().await.unwrap();
    assert_eq!(state().await, ExecutionState::Failed);
    let execution = store.facts(&session).await.unwrap().session.executions[0].clone();
    assert!(execution.reason.unwrap().contains("was lost"));
    assert_eq!(coordinator.totals().lost_workers, 1);

    clock.fetch_add(24 * 3_600, Relaxed);
    coordinator.watch_workers().await.unwrap();
    assert!(store.workers().await.unwrap().is_empty());
}

/// What the worker of [`started`] says; it names no session, as one that has just begun does not.
fn beat(state: WorkerState) -> Beat {
    Beat {
        worker: "hypatia:h:1:b".parse().unwrap(),
        bot: "hypatia".parse().unwrap(),
        version: String::new(),
        sdk: String::new(),
        host: String::new(),
        pid: 1,
        started: Timestamp::UNIX_EPOCH,
        state,
        sessions: Vec::new(),
        progress: 0,
    }
}

#[tokio::test]
async fn what_a_stopped_worker_left_running_fails_and_is_no_death() {
    let clock = Arc::new(AtomicI64::new(1_700_000_000));
    let store = store_at(&clock);
    let (session, _) = started(&store, Some("hypatia:h:1:b")).await;
    store.beat(&beat(WorkerState::Stopped)).await.unwrap();
    let coordinator = coordinator(&store);
    let state = async || store.facts(&session).await.unwrap().session.executions[0].state;
    clock.fetch_add(59, Relaxed);
    coordinator.watch_workers().await.unwrap();
    assert_eq!(state().await, ExecutionState::Running);
    clock.fetch_add(1, Relaxed);
    coordinator.watch_workers().await.unwrap();
    assert_eq!(state().await, ExecutionState::Failed);
    assert_eq!(coordinator.totals().lost_workers, 0);
}

#[tokio::test]
async fn a_change_handed_out_too_often_is_a_dead_letter_before_the_last_look() {
    let clock = Arc::new(AtomicI64::new(1_700_000_000));
    let store = store_at(&clock);
    let (session, _) = started(&store, None).await;
    for _ in 0..5 {
        let held = store.changes("dies", Duration::ZERO).await.unwrap();
        assert_eq!(held.len(), 1);
        clock.fetch_add(60, Relaxed);
    }
    let coordinator = coordinator(&store);
    assert_eq!(coordinator.follow_feed(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(coordinator.totals().given_up, 1);
    assert_eq!(coordinator.totals().lag_ms, 300_000);
    let dead = store.letters(None, 10).await.unwrap();
    assert_eq!((dead.total, dead.letters[0].delivered), (1, 6));
    assert_eq!(dead.letters[0].session, session.as_str());
    let derived = store.facts(&session).await.unwrap().session.derived;
    assert!(derived.is_some(), "the last look is still made");
    clock.fetch_add(60, Relaxed);
    assert_eq!(coordinator.follow_feed(Duration::ZERO).await.unwrap(), 0);
}

#[tokio::test]
async fn resyncs_reach_the_oldest_sessions_in_turn() {
    let store = store();
    let count = 1_000;
    for number in 0..count {
        let open = OpenSession::new(format!("acme/{number}")).unwrap();
        store.open(&open).await.unwrap();
    }
    let settings = CoordinatorSettings {
        resync_sessions: 300,
        ..CoordinatorSettings::default()
    };
    let coordinator = Coordinator::new(store, settings);
    let mut repaired = Vec::new();
    for _ in 0..5 {
        repaired.push(coordinator.resync().await.unwrap());
    }
    // The latest hundred and two older ones, then two older ones each; the last hundred alone.
    assert_eq!(repaired, [300, 200, 200, 200, 100]);
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for() {
    // Port 1 of this machine: nobody listens there, and a refusal comes at once.
    let options = crate::store::OpenOptions::default();
    let store = crate::store::open("redis://127.0.0.1:1", &options).unwrap();
    let coordinator = Coordinator::new(store, CoordinatorSettings::default());
    let shutdown = CancellationToken::new();
    let stopping = async {
        while coordinator.totals().failures < 5 {
            tokio::task::yield_now().await;
        }
        assert!(!coordinator.reaches_store());
        shutdown.cancel();
    };
    tokio::join!(coordinator.run(shutdown.clone()), stopping);
}

#[tokio::test]
async fn it_runs_until_it_is_told_to_stop() {
    let store = store();
    let (session, _) = started(&store, None).await;
    let coordinator = coordinator(&store);
    let shutdown = CancellationToken::new();
    let mut updates = store.updates();
    let stopping = async {
        loop {
            if let Update::Session {
                session: changed, ..
            } = updates.recv().await.unwrap()
            {
                assert_eq!(changed, session);
                shutdown.cancel();
                return;
            }
        }
    };
    tokio::join!(coordinator.run(shutdown.clone()), stopping);
}
