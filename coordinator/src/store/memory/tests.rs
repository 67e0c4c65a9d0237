//! What takes a clock to test: holds that run out, workers and producers that are forgotten.
//! All else is tested with the stores together.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fleet_worker_sdk::{
    Batch, Beat, BotId, Change, OpenSession, Partitions, ProducerId, SessionId, Transition,
    WorkerId, WorkerState, Write,
};
use jiff::Timestamp;

use super::MemoryStore;
use crate::model::FeedEntry;
use crate::store::{Maintain, Read, SessionQuery};

const DAY: i64 = 24 * 3600;

/// A store on a clock set by hand, in seconds since 1970.
struct Timed {
    store: MemoryStore,
    seconds: Arc<AtomicI64>,
}

impl Timed {
    fn new() -> Self {
        let seconds = Arc::new(AtomicI64::new(1_000_000));
        let hand = Arc::clone(&seconds);
        let clock = move || Timestamp::from_second(hand.load(Ordering::Relaxed)).unwrap();
        let store = MemoryStore::with_clock(Partitions::DEFAULT, Box::new(clock));
        Self { store, seconds }
    }

    fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn open(&self, name: &str) -> SessionId {
        let open = OpenSession::new(name).unwrap();
        self.store.open(&open).await.unwrap().session
    }

    async fn changes(&self, consumer: &str) -> Vec<FeedEntry> {
        self.store.changes(consumer, Duration::ZERO).await.unwrap()
    }

    async fn beat(&self, state: WorkerState, progress: u64) {
        let beat = Beat {
            worker: WorkerId::new("a:h:1:x").unwrap(),
            bot: BotId::new("a").unwrap(),
            version: String::new(),
            sdk: String::new(),
            host: String::new(),
            pid: 1,
            started: Timestamp::UNIX_EPOCH,
            state,
            sessions: Vec::new(),
            progress,
        };
        self.store.beat(&beat).await.unwrap();
    }
}

#[tokio::test]
async fn a_change_that_is_not_settled_goes_to_somebody_else() {
    let fleet = Timed::new();
    fleet.open("acme/shop").await;
    let held = fleet.changes("dead").await;
    fleet.pass(29);
    assert_eq!(fleet.changes("alive").await, []);
    fleet.pass(1);
    let taken = fleet.changes("alive").await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].session, held[0].session);
    assert_eq!((held[0].redelivered, taken[0].redelivered), (0, 1));
    fleet.store.settle(&held).await.unwrap();
    fleet.pass(30);
    let again = fleet.changes("alive").await;
    assert_eq!(
        again[0].redelivered, 2,
        "the dead one's receipt settles nothing"
    );
    fleet.store.settle(&again).await.unwrap();
    fleet.pass(3600);
    assert_eq!(fleet.changes("alive").await, []);
}

#[tokio::test]
async fn changes_that_nobody_settles_do_not_pile_up() {
    let fleet = Timed::new();
    for run in 0..50 {
        let expect = BotId::new(format!("bot-{run}")).unwrap();
        let open = OpenSession::new("acme/shop").unwrap().expect([expect]);
        fleet.store.open(&open).await.unwrap();
        assert_eq!(fleet.changes("c").await.len(), 1);
    }
    fleet.pass(30);
    assert_eq!(fleet.changes("c").await.len(), 1);
}

#[tokio::test]
async fn a_worker_not_heard_of_for_a_day_is_forgotten() {
    let fleet = Timed::new();
    fleet.beat(WorkerState::Stopped, 0).await;
    fleet.pass(DAY - 1);
    assert_eq!(fleet.store.workers().await.unwrap().len(), 1);
    fleet.pass(1);
    assert!(fleet.store.workers().await.unwrap().is_empty());
    fleet.beat(WorkerState::Running, 0).await;
    let workers = fleet.store.workers().await.unwrap();
    assert_eq!(workers[0].state, WorkerState::Running, "it began anew");
}

#[tokio::test]
async fn progress_has_the_time_it_moved_at() {
    let fleet = Timed::new();
    fleet.beat(WorkerState::Running, 7).await;
    fleet.pass(5);
    fleet.beat(WorkerState::Running, 7).await;
    let worker = fleet.store.workers().await.unwrap().remove(0);
    assert_eq!(
        worker
            .last_beat
            .duration_since(worker.last_progress)
            .as_secs(),
        5
    );
}

#[tokio::test]
async fn sessions_changed_in_the_same_millisecond_are_listed_by_id() {
    let fleet = Timed::new();
    for run in 0..5 {
        let open = OpenSession::new("acme/shop").unwrap().run(run.to_string());
        fleet.store.open(&open).await.unwrap();
    }
    let query = SessionQuery {
        limit: 9,
        ..SessionQuery::default()
    };
    let listed = fleet.store.sessions(&query).await.unwrap();
    assert_eq!(listed.len(), 5);
    assert!(listed.is_sorted_by(|a, b| a.id > b.id));
}

#[tokio::test]
async fn versions_differ_while_the_clock_stands_still() {
    let fleet = Timed::new();
    let session = fleet.open("acme/shop").await;
    let version = async || fleet.store.facts(&session).await.unwrap().session.version;
    let opened = version().await;
    assert_eq!(opened.0, 1_000_000 * 1_000_000, "microseconds");
    let producer = ProducerId::fresh();
    let bot = BotId::new("a").unwrap();
    let start = Transition {
        session: session.clone(),
        bot: bot.clone(),
        attempt: 0,
        producer: producer.clone(),
        sequence: 1,
        change: Change::Start {
            worker: None,
            reopen: false,
        },
    };
    fleet.store.transition(&start).await.unwrap();
    assert_ne!(version().await, opened);
    let batch = Batch {
        session: session.clone(),
        bot,
        attempt: 1,
        producer,
        sequence: 2,
        findings: Vec::new(),
        again: Vec::new(),
        rules: std::collections::BTreeMap::new(),
    };
    let before = version().await;
    assert_ne!(fleet.store.push(&batch).await.unwrap().version, before);
}

#[test]
fn producers_that_are_long_gone_are_forgotten() {
    use super::producers::{Answer, Producers};
    let partition = fleet_worker_sdk::Partition(0);
    let key = |n: usize| (partition, ProducerId::new(format!("p{n}")).unwrap());
    let answer = Answer::Push(fleet_worker_sdk::PushAnswer::default());
    let early = Timestamp::UNIX_EPOCH;
    let late = Timestamp::from_second(7 * DAY).unwrap();
    let mut producers = Producers::default();
    for n in 0..600 {
        producers.remember(key(n), 3, answer.clone(), early);
    }
    for n in 600..1_200 {
        producers.remember(key(n), 3, answer.clone(), late);
    }
    assert_eq!(producers.last(&key(0)), 0);
    assert_eq!(producers.last(&key(1_199)), 3);
    assert_eq!(producers.last(&key(600)), 3);
}
