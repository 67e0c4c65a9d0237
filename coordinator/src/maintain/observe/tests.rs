use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fleet_worker_sdk::{
    Beat, Bot, Change, OpenSession, Partitions, ProducerId, Transition, WorkerState, Write,
};

use super::*;
use crate::alert::Name;
use crate::anomaly::{Anomaly, Kind};
use crate::maintain::CoordinatorSettings;
use crate::store::memory::MemoryStore;
use crate::store::{Alerting, Observe, SharedStore};

/// A fleet in which `bot` runs once an hour, for as many seconds as the test says.
struct Hours {
    store: Arc<MemoryStore>,
    second: Arc<AtomicI64>,
    coordinator: Coordinator,
}

impl Hours {
    async fn new() -> Self {
        let second = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&second);
        let now =
            move || Timestamp::from_second(1_700_000_000 + clock.load(Ordering::Relaxed)).unwrap();
        let store = Arc::new(MemoryStore::with_clock(Partitions::DEFAULT, Box::new(now)));
        store.register(&Bot::new("bot").unwrap()).await.unwrap();
        let shared: SharedStore = store.clone();
        let coordinator = Coordinator::new(shared, CoordinatorSettings::default());
        Self {
            store,
            second,
            coordinator,
        }
    }

    async fn run(&self, hour: i64, seconds: i64) {
        self.second.store(hour * 3_600, Ordering::Relaxed);
        let open = OpenSession::new("acme/shop").unwrap().run(hour.to_string());
        let session = self.store.open(&open).await.unwrap().session;
        let producer = ProducerId::fresh();
        let changes = [
            Change::Start {
                worker: None,
                reopen: false,
            },
            Change::Complete {
                pushed: 0,
                partial: false,
            },
        ];
        for (number, change) in (0..).zip(changes) {
            let transition = Transition {
                session: session.clone(),
                bot: "bot".parse().unwrap(),
                producer: producer.clone(),
                sequence: u64::from(number) + 1,
                attempt: number,
                change,
            };
            self.store.transition(&transition).await.unwrap();
            self.second.fetch_add(seconds, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn a_run_that_takes_far_longer_is_found_once() {
    let fleet = Hours::new().await;
    for hour in 0..20 {
        fleet.run(hour, 60 + hour % 3).await;
        assert_eq!(fleet.coordinator.observe().await.unwrap(), 0, "hour {hour}");
    }
    fleet.run(20, 1_200).await;
    assert!(fleet.coordinator.observe().await.unwrap() > 0);
    let found = fleet.store.anomalies().await.unwrap();
    assert!(
        found
            .iter()
            .any(|anomaly| anomaly.text.contains("expected")),
        "{found:?}"
    );
    let other: SharedStore = fleet.store.clone();
    let other = Coordinator::new(other, CoordinatorSettings::default());
    assert_eq!(
        other.observe().await.unwrap(),
        0,
        "another coordinator finds nothing new"
    );
    assert_eq!(fleet.store.anomalies().await.unwrap().len(), found.len());
}

impl Hours {
    /// A heartbeat of a worker at the given second, with as much progress.
    async fn beat(&self, name: &str, version: &str, second: i64, progress: u64) {
        self.second.store(second, Ordering::Relaxed);
        let open = OpenSession::new("acme/shop").unwrap();
        let session = self.store.open(&open).await.unwrap().session;
        let beat = Beat {
            worker: format!("bot:h:1:{name}").parse().unwrap(),
            bot: "bot".parse().unwrap(),
            version: version.to_owned(),
            sdk: String::new(),
            host: "h".to_owned(),
            pid: 1,
            started: Timestamp::from_second(1_700_000_000).unwrap(),
            state: WorkerState::Running,
            sessions: vec![session],
            progress,
        };
        self.store.beat(&beat).await.unwrap();
    }

    fn other(&self) -> Coordinator {
        let store: SharedStore = self.store.clone();
        Coordinator::new(store, CoordinatorSettings::default())
    }

    /// What lasts now, latest first.
    async fn open(&self) -> Vec<Kind> {
        let kept = self.store.anomalies().await.unwrap().into_iter();
        kept.filter(Anomaly::is_open).map(|one| one.kind).collect()
    }

    /// What is over, latest first.
    async fn over(&self) -> Vec<Kind> {
        let kept = self.store.anomalies().await.unwrap().into_iter();
        let over = kept.filter(|one| one.ended.is_some());
        over.map(|one| one.kind).collect()
    }

    /// Has three coordinators look twice each; how many anomalies each look found.
    async fn looked_at(&self, three: &[Coordinator; 3]) -> Vec<usize> {
        let mut found = Vec::new();
        for coordinator in three.iter().chain(three) {
            coordinator.watch_workers().await.unwrap();
            found.push(coordinator.observe().await.unwrap());
        }
        found
    }

    /// The names of the alerts that fire, but for changes that nobody here reads.
    async fn alerts(&self, coordinator: &Coordinator) -> Vec<Name> {
        coordinator.watch_alerts().await.unwrap();
        let board = self.store.alerts().await.unwrap().board;
        let names = board.firing().map(|one| one.labels.alertname);
        names.filter(|name| *name != Name::Backlog).collect()
    }

    async fn three(&self) -> [Coordinator; 3] {
        let three = [self.other(), self.other(), self.other()];
        for coordinator in &three {
            coordinator.watch_workers().await.unwrap();
        }
        three
    }
}

#[tokio::test]
async fn a_bot_without_runs_is_silent_once_and_until_it_runs() {
    let fleet = Hours::new().await;
    let three = fleet.three().await;
    for hour in 0..20 {
        fleet.run(hour, 60).await;
        fleet.looked_at(&three).await;
    }
    assert_eq!(fleet.open().await, []);
    fleet.second.store(100 * 3_600, Ordering::Relaxed);
    assert_eq!(fleet.looked_at(&three).await, [1, 0, 0, 0, 0, 0]);
    assert_eq!(fleet.open().await, [Kind::Silent]);
    assert_eq!(fleet.alerts(&three[1]).await, [Name::BotSilent]);

    fleet.run(101, 60).await;
    fleet.second.fetch_add(1, Ordering::Relaxed);
    assert_eq!(fleet.looked_at(&three).await, [0; 6]);
    assert_eq!(
        (fleet.open().await, fleet.over().await),
        (vec![], vec![Kind::Silent])
    );
    fleet.second.store(300 * 3_600, Ordering::Relaxed);
    assert_eq!(
        fleet.looked_at(&three).await,
        [1, 0, 0, 0, 0, 0],
        "it is silent again"
    );
}

#[tokio::test]
async fn a_bot_without_heartbeats_is_silent_once_and_until_it_beats() {
    let fleet = Hours::new().await;
    let three = fleet.three().await;
    fleet.beat("a", "1.2.0", 100, 1).await;
    fleet.second.store(159, Ordering::Relaxed);
    assert_eq!(fleet.looked_at(&three).await, [0; 6]);
    fleet.second.store(160, Ordering::Relaxed);
    assert_eq!(fleet.looked_at(&three).await, [1, 0, 0, 0, 0, 0]);
    assert_eq!(fleet.open().await, [Kind::Silent]);
    assert_eq!(fleet.alerts(&three[2]).await, [Name::BotSilent]);

    let newcomer = fleet.other();
    newcomer.watch_workers().await.unwrap();
    assert_eq!(newcomer.observe().await.unwrap(), 0);
    assert_eq!(
        fleet.open().await,
        [Kind::Silent],
        "who has just come ends nothing"
    );
    assert_eq!(fleet.alerts(&newcomer).await, [Name::BotSilent]);

    fleet.beat("b", "1.2.0", 200, 1).await;
    assert_eq!(fleet.looked_at(&three).await, [0; 6]);
    assert_eq!(
        (fleet.open().await, fleet.over().await),
        (vec![], vec![Kind::Silent])
    );
    assert_eq!(fleet.alerts(&three[0]).await, [Name::BotSilent]);
    fleet.beat("b", "1.2.0", 600, 2).await;
    assert_eq!(
        fleet.alerts(&three[0]).await,
        [],
        "and the alert, after its hold"
    );
}

#[tokio::test]
async fn a_worker_that_beats_and_gets_nothing_done_is_stuck_once_and_until_it_moves() {
    let fleet = Hours::new().await;
    let three = fleet.three().await;
    for second in [0, 300, 599] {
        fleet.beat("a", "1.2.0", second, 1).await;
        assert_eq!(fleet.looked_at(&three).await, [0; 6]);
    }
    fleet.beat("a", "1.2.0", 600, 1).await;
    assert_eq!(fleet.looked_at(&three).await, [1, 0, 0, 0, 0, 0]);
    assert_eq!(fleet.open().await, [Kind::Stuck]);
    assert_eq!(fleet.alerts(&three[1]).await, [Name::WorkerStuck]);
    fleet.beat("a", "1.2.0", 620, 2).await;
    assert_eq!(fleet.looked_at(&three).await, [0; 6]);
    assert_eq!(
        (fleet.open().await, fleet.over().await),
        (vec![], vec![Kind::Stuck])
    );
    for second in [660, 1_000, 1_220] {
        fleet.beat("a", "1.2.0", second, 2).await;
    }
    assert_eq!(
        fleet.looked_at(&three).await,
        [1, 0, 0, 0, 0, 0],
        "it is stuck anew"
    );
}

#[tokio::test]
async fn mixed_versions_are_told_once_and_until_one_is_left() {
    let fleet = Hours::new().await;
    let three = fleet.three().await;
    let both = async |second: i64, progress| {
        fleet.beat("a", "1.2.0", second, progress).await;
        fleet.beat("b", "1.3.0", second, progress).await;
    };
    both(10, 1).await;
    both(1_799, 2).await;
    assert_eq!(
        fleet.looked_at(&three).await,
        [0; 6],
        "a rollout takes a while"
    );
    both(1_800, 3).await;
    assert_eq!(fleet.looked_at(&three).await, [1, 0, 0, 0, 0, 0]);
    assert_eq!(fleet.open().await, [Kind::VersionSkew]);
    both(4_000, 4).await;
    assert_eq!(
        fleet.alerts(&three[0]).await,
        [Name::Anomaly],
        "as long as it lasts"
    );

    fleet.beat("b", "1.3.0", 4_100, 5).await;
    assert_eq!(fleet.looked_at(&three).await, [0; 6]);
    assert_eq!(
        (fleet.open().await, fleet.over().await),
        (vec![], vec![Kind::VersionSkew])
    );
    both(5_000, 6).await;
    assert_eq!(
        fleet.looked_at(&three).await,
        [1, 0, 0, 0, 0, 0],
        "somebody went back"
    );
    assert_eq!(
        (fleet.open().await, fleet.over().await),
        (vec![Kind::VersionSkew], vec![])
    );
}

#[tokio::test]
async fn scores_leave_a_trace_while_they_change() {
    let fleet = Hours::new().await;
    fleet.run(0, 60).await;
    fleet.coordinator.observe().await.unwrap();
    fleet.coordinator.observe().await.unwrap();
    let bot = Scope::Bot("bot".parse().unwrap());
    assert_eq!(fleet.store.history(&bot, 10).await.unwrap().len(), 1);
    assert_eq!(
        fleet.store.history(&Scope::Fleet, 10).await.unwrap().len(),
        1
    );
}
