//! What only operators and probes of a Redis meet: letters of batches, malformed changes, consumers
//! left behind, servers that take no writes.

use std::time::{Duration, Instant};

use fleet_coordinator::doctor::{Verdict, examine};
use fleet_coordinator::health::Settings;
use fleet_coordinator::store::operate::LetterKind;
use fleet_coordinator::store::{OpenOptions, open as open_store};
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::redis::{self, AsyncCommands, aio::MultiplexedConnection};
use fleet_worker_sdk::{Error, SessionId};

use crate::support::{
    Hand, LogEntry, RedisServer, assert_whole, findings, next_changes, over, raw,
};

/// Puts the last batch of a session's log with the dead letters, as a fold that cannot read it does.
async fn quarantine_last(connection: &mut MultiplexedConnection, session: &SessionId) {
    let keys = Keys::default();
    let of = keys.of_session(session);
    let last: Vec<LogEntry> = redis::cmd("XREVRANGE")
        .arg(&of.log)
        .arg("+")
        .arg("-")
        .arg("COUNT")
        .arg(1)
        .query_async(connection)
        .await
        .unwrap();
    let partition = session.partition();
    let words = [
        "FCALL",
        "fleet_quarantine_1",
        "5",
        &of.session,
        &of.log,
        &keys.dead(partition),
        &keys.sessions(partition),
        &keys.feed(partition),
        session.as_str(),
        &last[0].0,
        "test",
    ];
    raw(connection, &words).await;
}

#[tokio::test]
async fn a_batch_that_can_be_read_again_is_whole_once_it_is_requeued() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push(findings(0..5)).await.unwrap();
    hand.push(findings(5..8)).await.unwrap();
    // A reader that has folded all of it must hear of both moves.
    assert_whole(&*store, &hand.session).await;
    quarantine_last(&mut connection, &hand.session).await;
    assert_whole(&*store, &hand.session).await;
    let facts = store.facts(&hand.session).await.unwrap();
    assert_eq!((facts.session.total, facts.session.quarantined), (8, 3));
    let letter = store.letters(None, 1).await.unwrap().letters[0].clone();
    assert_eq!((letter.kind, letter.findings), (LetterKind::Batch, 3));

    store.requeue(&letter.id).await.unwrap();
    let facts = store.facts(&hand.session).await.unwrap();
    assert_eq!((facts.session.total, facts.session.quarantined), (8, 0));
    assert_whole(&*store, &hand.session).await;
    let folded = store.findings(&hand.session).await.unwrap();
    assert_eq!(folded.read().await.len(), 8);
    assert_eq!(store.letters(None, 1).await.unwrap().total, 0);
}

#[tokio::test]
async fn a_batch_that_still_cannot_be_read_comes_back() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push(findings(0..5)).await.unwrap();
    let log = Keys::default().log(&hand.session);
    let entries: Vec<LogEntry> = connection.xrange_all(&log).await.unwrap();
    raw(&mut connection, &["XDEL", &log, &entries[0].0]).await;
    let torn = [
        "XADD", &log, "*", "v", "2", "b", "hypatia", "n", "5", "f", "torn", "a", "",
    ];
    raw(&mut connection, &torn).await;
    for _ in 0..2 {
        let folded = store.findings(&hand.session).await.unwrap();
        assert_eq!(folded.read().await.len(), 0);
        let facts = store.facts(&hand.session).await.unwrap();
        assert_eq!((facts.session.total, facts.session.quarantined), (5, 5));
        let dead = store.letters(None, 10).await.unwrap();
        assert_eq!(dead.total, 1);
        store.requeue(&dead.letters[0].id).await.unwrap();
    }
    store.findings(&hand.session).await.unwrap();
    let id = store.letters(None, 1).await.unwrap().letters[0].id;
    assert!(store.discard(&id).await.unwrap());
    let facts = store.facts(&hand.session).await.unwrap();
    assert_eq!((facts.session.total, facts.session.quarantined), (5, 5));
}

#[tokio::test]
async fn a_batch_of_a_session_that_is_gone_stays_a_letter() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push(findings(0..5)).await.unwrap();
    quarantine_last(&mut connection, &hand.session).await;
    let version = store.facts(&hand.session).await.unwrap().session.version;
    assert!(store.drop_session(&hand.session, version).await.unwrap());
    let id = store.letters(None, 1).await.unwrap().letters[0].id;
    let error = store.requeue(&id).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(store.letters(None, 1).await.unwrap().total, 1);
}

#[tokio::test]
async fn changes_that_name_no_session_are_letters_and_hold_nobody_up() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let hand = Hand::started(&*store, "hypatia").await;
    let partition = hand.session.partition();
    let feed = Keys::default().feed(partition);
    let elsewhere = format!("p{}-0190b3c6-7a11-7000-8000-000000000000", partition.0 + 1);
    for session in ["", "x", "p0-zz", &elsewhere] {
        raw(
            &mut connection,
            &["XADD", &feed, "*", "s", session, "v", "1"],
        )
        .await;
    }
    raw(&mut connection, &["XADD", &feed, "*", "what", "ever"]).await;
    let entries = next_changes(&*store, "one").await;
    assert!(entries.iter().all(|entry| entry.session == hand.session));
    store.settle(&entries).await.unwrap();
    assert_eq!(store.backlog().await.unwrap().entries, 0);
    let dead = store.letters(None, 10).await.unwrap();
    assert_eq!(dead.total, 5);
    assert!(dead.letters[0].reason.contains("no session"));
    for letter in &dead.letters {
        store.requeue(&letter.id).await.unwrap();
    }
    let nothing = store.changes("one", Duration::from_millis(1)).await;
    assert_eq!(nothing.unwrap(), []);
    assert_eq!(
        store.letters(None, 10).await.unwrap().total,
        5,
        "back again"
    );
}

#[tokio::test]
async fn consumers_left_behind_are_forgotten_unless_they_hold_something() {
    let server = RedisServer::start().await;
    let (store, _connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    let done = next_changes(&*store, "done").await;
    store.settle(&done).await.unwrap();
    hand.push(findings(0..3)).await.unwrap();
    let held = next_changes(&*store, "holds").await;
    assert_eq!(store.consumers().await.unwrap().all, 2);
    let hour = Duration::from_hours(1);
    assert_eq!(store.reap(hour).await.unwrap(), 0, "not idle for so long");
    assert!(store.reap(Duration::ZERO).await.unwrap() > 0);
    assert_eq!(store.consumers().await.unwrap().all, 1);
    assert!(store.backlog().await.unwrap().entries > 0, "still held");
    store.settle(&held).await.unwrap();
    store.reap(Duration::ZERO).await.unwrap();
    assert_eq!(store.consumers().await.unwrap().all, 0);
    // One forgotten too early is back with its next read.
    hand.push(findings(3..6)).await.unwrap();
    assert!(!next_changes(&*store, "done").await.is_empty());
}

#[tokio::test]
async fn readiness_writes_once_a_second_at_most() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let begun = Instant::now();
    for _ in 0..50 {
        store.check().await.unwrap();
    }
    let seconds = begun.elapsed().as_secs();
    let stats: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut connection)
        .await
        .unwrap();
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_set:calls="));
    let calls: u64 = line.unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(calls <= 1 + seconds, "{calls} writes in {seconds} s");
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_not_ready_and_says_why() {
    let server = RedisServer::start().await;
    let master = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    raw(&mut connection, &["CONFIG", "SET", "maxmemory", "1"]).await;
    // The probe just went well; that a push was refused since is enough to know better.
    hand.push(findings(0..3)).await.unwrap_err();
    let error = store.check().await.unwrap_err();
    assert!(error.to_string().contains("memory"), "{error}");
    raw(&mut connection, &["CONFIG", "SET", "maxmemory", "0"]).await;
    store.check().await.unwrap();
    raw(
        &mut connection,
        &["CONFIG", "SET", "min-replicas-to-write", "1"],
    )
    .await;
    hand.push(findings(0..3)).await.unwrap_err();
    let error = store.check().await.unwrap_err();
    assert!(error.to_string().contains("replicas"), "{error}");
    raw(
        &mut connection,
        &["CONFIG", "SET", "min-replicas-to-write", "0"],
    )
    .await;
    store.check().await.unwrap();
    let port = master.port().to_string();
    raw(&mut connection, &["REPLICAOF", "127.0.0.1", &port]).await;
    hand.push(findings(0..3)).await.unwrap_err();
    let error = store.check().await.unwrap_err();
    assert!(error.to_string().contains("read only"), "{error}");
}

#[tokio::test]
async fn a_doctor_leaves_an_empty_server_empty() {
    let server = RedisServer::start().await;
    let options = OpenOptions {
        keeps: false,
        ..OpenOptions::default()
    };
    let store = open_store(&server.url(), &options).unwrap();
    let diagnosis = examine(&*store, &Settings::default()).await;
    assert_eq!(diagnosis.verdict, Verdict::Fail);
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: u64 = redis::cmd("DBSIZE")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(keys, 0);
    let loaded: Vec<redis::Value> = redis::cmd("FUNCTION")
        .arg("LIST")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(loaded, []);
}

#[tokio::test]
async fn a_doctor_finds_what_is_wrong() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let hand = Hand::started(&*store, "hypatia").await;
    let settings = Settings::default();
    let of = async |name: &str| {
        let diagnosis = examine(&*store, &settings).await;
        let check = diagnosis.checks.iter().find(|check| check.name == name);
        check.unwrap_or_else(|| panic!("{diagnosis:?}")).verdict
    };
    assert_eq!(of("coordinators").await, Verdict::Fail);
    let entries = next_changes(&*store, "one").await;
    assert_eq!(of("coordinators").await, Verdict::Ok);
    for name in [
        "takes writes",
        "layout",
        "rights",
        "functions",
        "feed",
        "conservation",
    ] {
        assert_eq!(of(name).await, Verdict::Ok, "{name}");
    }
    assert_eq!(of("append-only file").await, Verdict::Warn);
    assert_eq!(of("dead letters").await, Verdict::Ok);
    store.give_up(&entries, "x").await.unwrap();
    assert_eq!(of("dead letters").await, Verdict::Warn);
    let session = Keys::default().session(&hand.session);
    raw(&mut connection, &["HINCRBY", &session, "total", "1"]).await;
    assert_eq!(of("conservation").await, Verdict::Fail);
    raw(
        &mut connection,
        &["FUNCTION", "DELETE", "fleet_coordinator_1"],
    )
    .await;
    assert_eq!(of("functions").await, Verdict::Fail);
    drop(server);
    assert_eq!(of("reachable").await, Verdict::Fail);
}
