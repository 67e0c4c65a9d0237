use std::sync::Arc;

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
fn store_at(clock: &Arc<std::sync::atomic::AtomicI64>) -> SharedStore {
    let clock = Arc::clone(clock);
    let read = move || {
        let seconds = clock.load(std::sync::atomic::Ordering::Relaxed);
        Timestamp::from_second(seconds).unwrap()
    };
    Arc::new(MemoryStore::with_clock(Partitions::DEFAULT, Box::new(read)))
}

#[tokio::test]
async fn a_dead_workers_execution_fails_and_a_live_ones_does_not() {
    let clock = Arc::new(std::sync::atomic::AtomicI64::new(1_700_000_000));
    let store = store_at(&clock);
    let (session, _) = started(&store, Some("hypatia:h:1:b")).await;
    let beat = Beat {
        worker: "hypatia:h:1:b".parse().unwrap(),
        bot: "hypatia".parse().unwrap(),
        version: String::new(),
        host: String::new(),
        pid: 1,
        started: Timestamp::UNIX_EPOCH,
        state: WorkerState::Running,
        sessions: vec![session.clone()],
        progress: 0,
    };
    store.beat(&beat).await.unwrap();
    let coordinator = coordinator(&store);
    coordinator.watch_workers().await.unwrap();
    let state = async || store.facts(&session).await.unwrap().session.executions[0].state;
    assert_eq!(state().await, ExecutionState::Running);

    clock.fetch_add(59, std::sync::atomic::Ordering::Relaxed);
    coordinator.watch_workers().await.unwrap();
    assert_eq!(state().await, ExecutionState::Running);

    clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    coordinator.watch_workers().await.unwrap();
    assert_eq!(state().await, ExecutionState::Failed);
    let execution = store.facts(&session).await.unwrap().session.executions[0].clone();
    assert!(execution.reason.unwrap().contains("was lost"));
    assert_eq!(coordinator.totals().lost_workers, 1);

    clock.fetch_add(24 * 3_600, std::sync::atomic::Ordering::Relaxed);
    coordinator.watch_workers().await.unwrap();
    assert!(store.workers().await.unwrap().is_empty());
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
