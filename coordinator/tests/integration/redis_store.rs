//! What only a store in Redis can meet: unreadable batches, full memory, restarts.

use std::time::Duration;

use fleet_coordinator::model::Update;
use fleet_coordinator::store::{DEFAULT_FOLD_BYTES, OpenOptions, open as open_store};
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::redis::{self, AsyncCommands, aio::MultiplexedConnection};
use fleet_worker_sdk::transport::redis::{LIBRARY, RedisWriter};
use fleet_worker_sdk::{Error, SessionId};

use crate::support::{
    Hand, LogEntry, RedisServer, assert_whole, beat, bot, findings, next_changes, open, over, raw,
    within,
};

#[tokio::test]
async fn what_was_read_counts_against_the_budget_of_folded_sessions() {
    let server = RedisServer::start().await;
    let (store, _connection) = over(&server).await;
    let before = store.folded().await.unwrap();
    assert_eq!((before.used, before.limit), (0, DEFAULT_FOLD_BYTES));
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push(findings(0..50)).await.unwrap();
    assert_whole(&*store, &hand.session).await;
    let after = store.folded().await.unwrap().used;
    assert!(after > 50 * 100, "50 findings take {after} bytes");
}

#[tokio::test]
async fn a_session_that_a_failover_takes_back_while_it_is_opened_is_opened_again() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let begins = "local function expect(keys, args)\n";
    let loses = "
      if redis.call('INCR', 'lost') == 1 then
        redis.call('DEL', keys[1], unpack(redis.call('KEYS', '*:open:*')))
      end
    ";
    assert!(LIBRARY.contains(begins));
    let library = LIBRARY.replace(begins, &format!("{begins}{loses}"));
    raw(&mut connection, &["FUNCTION", "LOAD", "REPLACE", &library]).await;
    let wanted = open("acme/shop").expect([bot("hypatia")]);
    let opened = store.open(&wanted).await.unwrap();
    let facts = store.facts(&opened.session).await.unwrap();
    assert_eq!(facts.session.executions.len(), 1);
}

#[tokio::test]
async fn a_worker_waits_for_somebody_to_create_the_fleet() {
    let server = RedisServer::start().await;
    let error = RedisWriter::connect(&server.url()).await.unwrap_err();
    assert!(error.to_string().contains("start a coordinator"), "{error}");
    let _keeper = over(&server).await;
    assert!(RedisWriter::connect(&server.url()).await.is_ok());
}

#[tokio::test]
async fn a_batch_of_an_unknown_version_goes_to_the_dead_letters() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push(findings(0..5)).await.unwrap();
    write_unreadable(&mut connection, &hand.session).await;
    hand.push(findings(5..7)).await.unwrap();

    let folded = store.findings(&hand.session).await.unwrap();
    assert_eq!(folded.read().await.len(), 7);
    let facts = store.facts(&hand.session).await.unwrap();
    assert_eq!((facts.session.total, facts.session.quarantined), (9, 2));
    let dead = Keys::default().dead(hand.session.partition());
    let letters: Vec<(String, std::collections::HashMap<String, Vec<u8>>)> =
        connection.xrange_all(dead).await.unwrap();
    let reason = String::from_utf8_lossy(&letters[0].1["reason"]).into_owned();
    assert_eq!(letters.len(), 1);
    assert!(reason.contains("wire version is 99"), "{reason}");
    assert_eq!(letters[0].1["log.f"], b"whatever comes after us");
    // It is met once: a fresh reader finds the session whole.
    let other = open_store(&server.url(), &OpenOptions::default()).unwrap();
    assert_whole(&*other, &hand.session).await;
}

/// Two findings as software of a much later version would log and count them.
async fn write_unreadable(connection: &mut MultiplexedConnection, session: &SessionId) {
    let keys = Keys::default().of_session(session);
    raw(
        connection,
        &[
            "ZADD",
            &keys.index,
            "1",
            "0123456789abcdef",
            "2",
            "fedcba9876543210",
        ],
    )
    .await;
    raw(
        connection,
        &["HINCRBY", &keys.counts, "b:error:hypatia", "2"],
    )
    .await;
    raw(connection, &["HINCRBY", &keys.counts, "c:security", "2"]).await;
    raw(
        connection,
        &["HINCRBY", &keys.counts, "w:error:rule-0", "2"],
    )
    .await;
    raw(connection, &["HINCRBY", &keys.session, "t:error", "2"]).await;
    raw(connection, &["HINCRBY", &keys.session, "total", "2"]).await;
    raw(connection, &["HINCRBY", &keys.session, "xp:hypatia", "2"]).await;
    let body = "whatever comes after us";
    raw(
        connection,
        &[
            "XADD", &keys.log, "*", "v", "99", "b", "hypatia", "n", "2", "f", body,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_large_batch_is_logged_packed_and_read_without_what_was_known() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push(findings(0..400)).await.unwrap();
    let answer = hand.push(findings(300..600)).await.unwrap();
    assert_eq!((answer.new, answer.known.len()), (200, 100));
    hand.push(findings(600..602)).await.unwrap();

    let log = Keys::default().log(&hand.session);
    let entries: Vec<LogEntry> = connection.xrange_all(&log).await.unwrap();
    let field = |entry: usize, name: &str| {
        let mut fields = entries[entry].1.iter();
        fields
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.clone())
    };
    assert_eq!(field(0, "p"), Some(b"lz4".to_vec()));
    assert_eq!(field(0, "k"), None);
    assert_eq!(field(1, "n"), Some(b"200".to_vec()));
    assert!(field(1, "k").unwrap().starts_with(b"0,1,2,3,"));
    assert_eq!(field(2, "p"), None, "two findings are left as they are");

    let folded = store.findings(&hand.session).await.unwrap();
    assert_eq!(folded.read().await.len(), 602);
    assert_whole(&*store, &hand.session).await;
}

#[tokio::test]
async fn a_log_that_was_rewritten_is_folded_anew() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push(findings(0..5)).await.unwrap();
    hand.push(findings(5..9)).await.unwrap();
    assert_whole(&*store, &hand.session).await;

    let keys = Keys::default().of_session(&hand.session);
    let entries: Vec<LogEntry> = connection.xrange_all(&keys.log).await.unwrap();
    let _: () = connection.del(&keys.log).await.unwrap();
    for (_, fields) in &entries {
        let _: String = connection.xadd(&keys.log, "*", fields).await.unwrap();
    }
    raw(
        &mut connection,
        &["HINCRBY", &keys.session, "generation", "1"],
    )
    .await;
    assert_whole(&*store, &hand.session).await;
}

#[tokio::test]
async fn a_lost_tail_of_the_log_is_noticed() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push(findings(0..5)).await.unwrap();
    let keys = Keys::default().of_session(&hand.session);
    let all = [&keys.session, &keys.log, &keys.index, &keys.counts];
    let mut before = Vec::new();
    for key in all {
        let dump: Vec<u8> = redis::cmd("DUMP")
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap();
        before.push(dump);
    }
    hand.push(findings(5..9)).await.unwrap();
    assert_whole(&*store, &hand.session).await;
    // A replica that had not heard of the last push takes over, and hears another one.
    for (key, dump) in all.iter().zip(before) {
        let mut restore = redis::cmd("RESTORE");
        restore.arg(key).arg(0).arg(dump).arg("REPLACE");
        let _: () = restore.query_async(&mut connection).await.unwrap();
    }
    let mut successor = Hand::new(&*store, &hand.session, "rhodibot");
    successor.start().await.unwrap();
    successor.push(findings(20..22)).await.unwrap();
    assert_whole(&*store, &hand.session).await;
}

#[tokio::test]
async fn what_a_dead_coordinator_held_is_taken_over() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let hand = Hand::started(&*store, "hypatia").await;
    let held = next_changes(&*store, "dead").await;
    let feed = Keys::default().feed(hand.session.partition());
    for entry in &held {
        // As if it had been held for a minute.
        let claim = [
            "XCLAIM",
            &feed,
            Keys::GROUP,
            "dead",
            "0",
            &entry.receipt,
            "IDLE",
            "60000",
            "JUSTID",
        ];
        raw(&mut connection, &claim).await;
    }
    let successor = open_store(&server.url(), &OpenOptions::default()).unwrap();
    let taken = next_changes(&*successor, "alive").await;
    let receipts = |entries: &[fleet_coordinator::model::FeedEntry]| {
        entries
            .iter()
            .map(|entry| entry.receipt.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(receipts(&taken), receipts(&held));
    assert!(
        taken.iter().all(|entry| entry.redelivered >= 1),
        "{taken:?}"
    );
    successor.settle(&taken).await.unwrap();
    let pending: redis::streams::StreamPendingReply =
        connection.xpending(&feed, Keys::GROUP).await.unwrap();
    assert_eq!(pending.count(), 0);
}

#[tokio::test]
async fn a_full_redis_refuses_pushes_and_hears_beats() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    store.beat(&beat("hypatia:h:1:known")).await.unwrap();
    raw(&mut connection, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = hand.push(findings(0..3)).await.unwrap_err();
    assert!(
        matches!(error, Error::Full { .. }) && error.is_retryable(),
        "{error}"
    );
    assert!(matches!(store.check().await, Err(Error::Full { .. })));
    store.beat(&beat("hypatia:h:1:known")).await.unwrap();
    let unknown = store.beat(&beat("hypatia:h:2:unknown")).await.unwrap_err();
    assert!(matches!(unknown, Error::Full { .. }), "{unknown}");
    raw(&mut connection, &["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(hand.push(findings(0..3)).await.unwrap().new, 3);
    assert_whole(&*store, &hand.session).await;
}

#[tokio::test]
async fn a_store_that_is_away_says_so_and_comes_back() {
    let server = RedisServer::start().await;
    let url = server.url();
    let port = server.port();
    drop(server);
    let store = open_store(&url, &OpenOptions::default()).unwrap();
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
    let mut updates = store.updates();
    let _server = RedisServer::start_on(port).await;
    let heard = within(updates.recv()).await.unwrap();
    assert_eq!(heard, Update::Resync);
    store.check().await.unwrap();
    Hand::started(&*store, "hypatia").await;
}

#[tokio::test]
async fn a_waiting_bot_hears_of_a_change() {
    let server = RedisServer::start().await;
    let (store, _connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    let known = store.progress(&hand.session).await.unwrap().version;
    let session = hand.session.clone();
    let waiting = store.changed(&session, known, Duration::from_secs(20));
    let (changed, _) = tokio::join!(waiting, hand.push(findings(0..1)));
    assert_ne!(changed.unwrap(), known);
}

#[tokio::test]
async fn runs_are_read_on_from_where_they_were_and_anew_when_that_is_gone() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let hypatia = bot("hypatia");
    assert!(store.runs(&hypatia).await.unwrap().is_empty());
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.fail("first").await.unwrap();
    assert_eq!(store.runs(&hypatia).await.unwrap().len(), 1);
    for attempt in 2..5 {
        hand.reopen().await.unwrap();
        hand.fail("again").await.unwrap();
        let runs = store.runs(&hypatia).await.unwrap();
        assert_eq!(runs.last().unwrap().attempt, attempt);
        assert_eq!(runs.len(), attempt as usize, "none twice");
    }
    let fresh = open_store(&server.url(), &OpenOptions::default()).unwrap();
    let whole = fresh.runs(&hypatia).await.unwrap();
    assert_eq!(store.runs(&hypatia).await.unwrap(), whole);

    let stream = Keys::default().runs(hand.session.partition(), &hypatia);
    raw(&mut connection, &["DEL", &stream]).await;
    assert!(store.runs(&hypatia).await.unwrap().is_empty());
    hand.reopen().await.unwrap();
    hand.fail("after all").await.unwrap();
    assert_eq!(store.runs(&hypatia).await.unwrap().len(), 1);
}
