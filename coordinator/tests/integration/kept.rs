//! A fleet in memory with a folder: everything is there again, whatever ended its process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet_coordinator::history::Scope;
use fleet_coordinator::index::PageQuery;
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::store::memory::MemoryStore;
use fleet_coordinator::store::memory::journal::{Durable, Replayed};
use fleet_coordinator::store::retain::Retain;
use fleet_coordinator::store::{Maintain, Observe, Read, SessionQuery};
use fleet_worker_sdk::{Again, Bot, Partitions, ProducerId, Rule, Write};
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::support::{
    Hand, assert_whole, beat, bot, finding, findings, fingerprint, open, repository,
};

/// A store, its folder, and what was read at its start.
fn start(folder: &Path) -> (Arc<MemoryStore>, Replayed) {
    MemoryStore::durable(Partitions::DEFAULT, &Durable::new(folder)).unwrap()
}

async fn compact(store: &Arc<MemoryStore>) {
    let store = Arc::clone(store);
    let compacted = tokio::task::spawn_blocking(move || store.compact());
    compacted.await.unwrap().unwrap();
}

/// All that can be read of a fleet, but for when its workers beat.
async fn all_of(store: &dyn Maintain) -> String {
    let mut all = String::new();
    let mut say = |what: String| writeln!(all, "{what}").unwrap();
    let query = SessionQuery {
        limit: 1_000,
        ..SessionQuery::default()
    };
    let sessions = store.sessions(&query).await.unwrap();
    for session in &sessions {
        assert_whole(store, &session.id).await;
        say(format!("{:?}", store.facts(&session.id).await.unwrap()));
        let findings = store.findings(&session.id).await.unwrap();
        let index = findings.read().await;
        let page = PageQuery {
            limit: 500,
            ..PageQuery::default()
        };
        say(format!(
            "{:?} {:?}",
            index.query(&page).unwrap(),
            index.rules()
        ));
        for execution in &session.executions {
            let of = (&session.repository, &execution.bot, &session.git_ref);
            say(format!(
                "{:?}",
                store.baseline(of.0, of.1, of.2).await.unwrap()
            ));
            say(format!("{:?}", store.runs(&execution.bot).await.unwrap()));
            let scope = Scope::Bot(execution.bot.clone());
            say(format!("{:?}", store.history(&scope, 100).await.unwrap()));
        }
        let scope = Scope::Repository(session.repository.clone());
        say(format!("{:?}", store.history(&scope, 100).await.unwrap()));
        say(format!(
            "{:?}",
            store.speaker(&session.repository).await.unwrap()
        ));
    }
    say(format!("{:?}", store.bots().await.unwrap()));
    say(format!("{:?}", store.workers().await.unwrap()));
    say(format!("{:?}", store.rollup().await.unwrap()));
    say(format!("{:?}", store.series().await.unwrap()));
    say(format!("{:?}", store.anomalies().await.unwrap()));
    say(format!("{:?}", store.kept().await.unwrap()));
    say(format!(
        "{:?}",
        store.history(&Scope::Fleet, 100).await.unwrap()
    ));
    all
}

/// A coordinator's work, all of it.
async fn coordinate(store: &Arc<MemoryStore>) {
    let coordinator = Coordinator::new(store.clone(), CoordinatorSettings::default());
    coordinator.resync().await.unwrap();
    coordinator.observe().await.unwrap();
    coordinator.watch_workers().await.unwrap();
    coordinator.watch_fleet().await.unwrap();
}

/// A bit of everything; `round` tells it from the same of another time.
async fn live(store: &Arc<MemoryStore>, round: u32) {
    for id in ["a", "b"] {
        store
            .register(&Bot::new(id).unwrap().version(round.to_string()))
            .await
            .unwrap();
    }
    store.beat(&beat(&format!("a:here:{round}"))).await.unwrap();
    let repository = format!("acme/{round}");
    let analysis = open(&repository)
        .git_ref("main")
        .expect([bot("a"), bot("c")]);
    let opened = store.open(&analysis).await.unwrap();
    let mut one = Hand::new(&**store, &opened.session, "a");
    one.start().await.unwrap();
    let mut batch = one.batch(findings(0..250));
    batch.rules = BTreeMap::from([(
        "rule-1".to_owned(),
        Rule {
            name: "One".to_owned(),
            ..Rule::default()
        },
    )]);
    one.send(&batch).await.unwrap();
    let mut repeats = one.batch(findings(250..260));
    repeats.again = vec![Again {
        fingerprint: fingerprint(3),
        occurrences: 9,
    }];
    one.send(&repeats).await.unwrap();
    one.complete(260).await.unwrap();
    let mut other = Hand::new(&**store, &opened.session, "b");
    other.start().await.unwrap();
    other.push(findings(255..300)).await.unwrap();
    other.fail("it broke").await.unwrap();
    other.reopen().await.unwrap();
    other.push(findings(290..310)).await.unwrap();
    Hand::new(&**store, &opened.session, "c")
        .skip("no need")
        .await
        .unwrap();
    let gone = store.open(&open(&repository).run("dropped")).await.unwrap();
    let mut hand = Hand::new(&**store, &gone.session, "a");
    hand.start().await.unwrap();
    hand.push(findings(0..5)).await.unwrap();
    hand.complete(5).await.unwrap();
    coordinate(store).await;
    let version = store.facts(&gone.session).await.unwrap().session.version;
    assert!(store.drop_session(&gone.session, version).await.unwrap());
}

#[tokio::test]
async fn a_fleet_is_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, replayed) = start(folder.path());
    assert_eq!(replayed, Replayed::default());
    live(&store, 1).await;
    let before = all_of(&*store).await;
    assert!(before.contains("finding 309") && before.contains("occurrence_count: 9"));
    drop(store);
    let (store, replayed) = start(folder.path());
    assert_eq!(
        (replayed.sessions, replayed.findings, replayed.torn),
        (1, 310, 0)
    );
    assert_eq!(all_of(&*store).await, before);
    // And goes on as if nothing had been.
    live(&store, 2).await;
    let before = all_of(&*store).await;
    drop(store);
    assert_eq!(all_of(&*start(folder.path()).0).await, before);
}

#[tokio::test]
async fn a_snapshot_holds_the_same_and_bounds_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = start(folder.path());
    live(&store, 1).await;
    compact(&store).await;
    let before = all_of(&*store).await;
    drop(store);
    let (store, _) = start(folder.path());
    assert_eq!(all_of(&*store).await, before);
    live(&store, 2).await;
    compact(&store).await;
    live(&store, 3).await;
    let before = all_of(&*store).await;
    drop(store);
    let (store, _) = start(folder.path());
    assert_eq!(all_of(&*store).await, before);
    drop(store);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["journal-3", "lock", "snapshot-3"]);
}

#[tokio::test]
async fn a_journal_that_grows_is_compacted_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let durable = Durable {
        compact_bytes: 50_000,
        ..Durable::new(folder.path())
    };
    let (store, _) = MemoryStore::durable(Partitions::DEFAULT, &durable).unwrap();
    let mut hand = Hand::started(&*store, "a").await;
    let mut pushed = 0;
    let snapshot = || folder.path().join("snapshot-2").exists();
    while !snapshot() {
        hand.push(findings(pushed..pushed + 50)).await.unwrap();
        pushed += 50;
        assert!(pushed < 100_000, "no snapshot after {pushed} findings");
    }
    hand.complete(u64::from(pushed)).await.unwrap();
    let before = all_of(&*store).await;
    drop(store);
    // The compaction may still hold the store.
    let again = async {
        loop {
            match MemoryStore::durable(Partitions::DEFAULT, &durable) {
                Ok((store, _)) => return store,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let store = crate::support::within(again).await;
    assert_eq!(all_of(&*store).await, before);
}

#[tokio::test]
async fn a_producer_is_known_again_and_no_version_is_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = start(folder.path());
    let mut hand = Hand::started(&*store, "a").await;
    let batch = hand.batch(findings(0..3));
    let answer = hand.send(&batch).await.unwrap();
    let (session, producer) = (hand.session.clone(), hand.producer.clone());
    drop(store);
    for compacted in [false, true] {
        if compacted {
            compact(&start(folder.path()).0).await;
        }
        let (store, _) = start(folder.path());
        assert_eq!(store.last_sequence(&session, &producer).await.unwrap(), 2);
        let again = store.push(&batch).await.unwrap();
        assert!(
            again.duplicate && again.version == answer.version,
            "{again:?}"
        );
        let opened = store.open(&open("acme/shop")).await.unwrap();
        assert_eq!((opened.session, opened.created), (session.clone(), false));
        let before = store.facts(&session).await.unwrap().session.version;
        let mut other = Hand::new(&*store, &session, &format!("b{compacted}"));
        other.start().await.unwrap();
        let after = store.facts(&session).await.unwrap().session.version;
        assert!(before.0 >= answer.version.0 && after.0 > before.0);
    }
}

#[tokio::test]
async fn what_was_not_looked_at_is_looked_at_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = start(folder.path());
    let hand = Hand::started(&*store, "a").await;
    let session = hand.session.clone();
    let settled = store.open(&open("acme/till")).await.unwrap().session;
    let coordinator = Coordinator::new(store.clone(), CoordinatorSettings::default());
    coordinator.recompute(&settled).await.unwrap();
    drop(coordinator);
    drop(store);
    let (store, _) = start(folder.path());
    let changes = store.changes("c", std::time::Duration::ZERO).await.unwrap();
    let sessions: Vec<_> = changes.into_iter().map(|change| change.session).collect();
    assert_eq!(sessions, [session]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, _) = start(folder.path());
    let refused = |path: PathBuf| {
        let refused = MemoryStore::durable(Partitions::DEFAULT, &Durable::new(path));
        refused.err().unwrap().to_string()
    };
    let error = refused(folder.path().to_owned());
    assert!(error.contains("stop that one"), "{error}");
    let file = folder.path().join("lock");
    assert!(refused(file).contains("may write to"));
}

/// The length of every prefix that ends with a whole write, and what the fleet was then.
async fn written(folder: &Path) -> (Vec<(u64, u64)>, Vec<fleet_worker_sdk::Batch>) {
    let (store, _) = start(folder);
    let mut hand = Hand::started(&*store, "a").await;
    let (mut states, mut batches) = (Vec::new(), Vec::new());
    for n in 0..12 {
        let batch = hand.batch(vec![finding(n)]);
        hand.send(&batch).await.unwrap();
        batches.push(batch);
        let length = folder.join("journal-1").metadata().unwrap().len();
        states.push((length, u64::from(n) + 1));
    }
    (states, batches)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn a_cut_journal_is_a_prefix_and_resending_makes_it_whole(cut in any::<prop::sample::Index>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (states, batches) = written(folder.path()).await;
            let path = folder.path().join("journal-1");
            let (first, last) = (states[0].0, states[states.len() - 1].0);
            let cut = first + cut.index((last - first) as usize + 1) as u64;
            OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
            let (store, replayed) = start(folder.path());
            let whole = states.iter().take_while(|(length, _)| *length <= cut).last().unwrap();
            assert_eq!(replayed.findings, whole.1);
            assert_eq!(replayed.torn, cut - whole.0);
            for batch in &batches {
                store.push(batch).await.unwrap();
            }
            assert_eq!(store.rollup().await.unwrap().findings, 12);
            assert_whole(&*store, &batches[0].session).await;
        });
    }
}

#[tokio::test]
async fn a_damaged_journal_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (states, _) = written(folder.path()).await;
    let path = folder.path().join("journal-1");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[states[3].0 as usize + 30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let refused = MemoryStore::durable(Partitions::DEFAULT, &Durable::new(folder.path()));
    let error = refused.err().unwrap().to_string();
    assert!(
        error.contains(&format!("(byte {})", states[3].0)),
        "{error}"
    );
}

#[tokio::test]
async fn the_partitions_are_those_the_fleet_was_created_with() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = start(folder.path());
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    drop(store);
    let one = Partitions::new(1).unwrap();
    let (store, _) = MemoryStore::durable(one, &Durable::new(folder.path())).unwrap();
    let other = store
        .open(&open("acme/shop").run("2"))
        .await
        .unwrap()
        .session;
    assert_eq!(other.partition(), session.partition());
    assert_eq!(
        repository("acme/shop"),
        store.facts(&other).await.unwrap().session.repository
    );
    assert_eq!(
        store
            .last_sequence(&other, &ProducerId::fresh())
            .await
            .unwrap(),
        0
    );
    let later = store.now().await.unwrap() + SignedDuration::from_secs(1);
    assert!(store.runs_since(&bot("a"), later).await.unwrap().is_empty());
}
