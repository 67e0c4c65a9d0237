use fleet_coordinator::client::{DirectReader, Reader};
use fleet_coordinator::health::Settings;
use fleet_coordinator::store::{OpenOptions, SharedStore, open};
use fleet_worker_sdk::{
    Beat, Bot, Change as Step, Error, Execution, OpenSession, ProducerId, Tier, Transition,
    WorkerId, WorkerState,
};

use super::super::eye::look;
use super::*;

/// A fleet in memory, and what is seen of it.
pub(in super::super) struct Fleet {
    store: SharedStore,
    pub(in super::super) reader: DirectReader,
}

impl Fleet {
    pub(in super::super) fn new() -> Self {
        let store = open("memory", &OpenOptions::default()).unwrap();
        let reader = DirectReader::new(SharedStore::clone(&store), Settings::default());
        Self { store, reader }
    }

    pub(in super::super) async fn look(&self) -> Seen {
        look(&self.reader as &dyn Reader).await.unwrap()
    }

    pub(in super::super) async fn bot(&self, bot: &str) {
        let bot = Bot::new(bot).unwrap().tier(Tier::Engine);
        self.store.register(&bot).await.unwrap();
    }

    pub(in super::super) async fn start(&self, repository: &str, bot: &str) -> Execution {
        let open = OpenSession::new(repository).unwrap();
        let session = self.store.open(&open).await.unwrap().session;
        let start = Transition {
            session,
            bot: bot.parse().unwrap(),
            attempt: 0,
            producer: ProducerId::fresh(),
            sequence: 1,
            change: Step::Start {
                worker: None,
                reopen: false,
            },
        };
        self.store.transition(&start).await.unwrap()
    }

    pub(in super::super) async fn beat(&self, worker: &str, state: WorkerState) {
        let beat = Beat {
            worker: WorkerId::new(worker).unwrap(),
            bot: worker.split(':').next().unwrap().parse().unwrap(),
            version: String::new(),
            sdk: String::new(),
            host: String::new(),
            pid: 7,
            started: Timestamp::UNIX_EPOCH,
            state,
            sessions: Vec::new(),
            progress: 0,
        };
        self.store.beat(&beat).await.unwrap();
    }
}

fn away() -> Error {
    Error::Unavailable {
        store: "redis://h:1".to_owned(),
        why: "refused".to_owned(),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn texts(before: &Sight, after: &Sight) -> Vec<String> {
    let changes = changes(Some(before), after);
    changes.iter().map(Change::text).collect()
}

#[tokio::test]
async fn what_changed_is_told_and_nothing_else() {
    let fleet = Fleet::new();
    fleet.bot("gosec").await;
    let first = Sight::after(None, Ok(fleet.look().await), at(0));
    let again = Sight::after(Some(first.clone()), Ok(fleet.look().await), at(1));
    assert_eq!(changes(Some(&first), &again), []);

    fleet.start("acme/shop", "gosec").await;
    fleet.beat("gosec:h:7:b", WorkerState::Running).await;
    let busy = Sight::after(Some(again.clone()), Ok(fleet.look().await), at(2));
    let told = texts(&again, &busy).join("\n");
    assert!(
        told.contains("session  acme/shop open, bots 0/1, findings none"),
        "{told}"
    );
    assert!(
        told.contains("worker   gosec:h:7:b running, alive"),
        "{told}"
    );

    fleet.beat("gosec:h:7:b", WorkerState::Stopped).await;
    let ended = Sight::after(Some(busy.clone()), Ok(fleet.look().await), at(3));
    let told = texts(&busy, &ended).join("\n");
    assert!(told.contains("gosec:h:7:b stopped, stopped"), "{told}");
    assert!(!told.contains("session"), "{told}");
}

#[tokio::test]
async fn a_store_that_is_away_leaves_what_was_known_and_comes_back_by_itself() {
    let fleet = Fleet::new();
    fleet.start("acme/shop", "gosec").await;
    let first = Sight::after(None, Ok(fleet.look().await), at(0));
    let gone = Sight::after(Some(first.clone()), Err(away()), at(10));
    let still = Sight::after(Some(gone.clone()), Err(away()), at(20));
    assert_eq!(still.seen, first.seen);
    assert_eq!(
        still.away.as_ref().unwrap().0,
        at(10),
        "since the first failure"
    );
    assert_eq!(
        texts(&first, &gone),
        ["store    away: redis://h:1 is unreachable: refused"]
    );
    assert_eq!(texts(&gone, &still), [] as [String; 0]);
    let back = Sight::after(Some(still.clone()), Ok(fleet.look().await), at(30));
    assert!(texts(&still, &back).contains(&"store    is back".to_owned()));
    assert!(back.away.is_none());
}

#[tokio::test]
async fn a_stale_answer_of_a_dashboard_is_told_as_such() {
    let fleet = Fleet::new();
    let mut seen = fleet.look().await;
    seen.fleet.stale = true;
    let sight = Sight::after(None, Ok(seen.clone()), at(0));
    assert_eq!(sight.away.unwrap().0, seen.fleet.computed_at);
}
