//! Compaction where it matters: killed in the middle, raced by pushes, seen from inside Redis.

use std::collections::BTreeSet;
use std::time::Duration;

use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::retention::Keep;
use fleet_coordinator::store::{Compacted, SharedStore};
use fleet_worker_sdk::redis::{self, AsyncCommands, aio::MultiplexedConnection};
use fleet_worker_sdk::{Fingerprint, Identified, SessionId};
use jiff::SignedDuration;

use crate::support::{Hand, RedisServer, assert_whole, finding, findings, open, over};

/// Findings whose fingerprints are spread as those of real ones.
fn spread(numbers: std::ops::Range<u32>) -> Vec<Identified> {
    let fingerprint = |n: u32| {
        let wide = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Fingerprint(wide.to_be_bytes())
    };
    numbers
        .map(|n| Identified {
            fingerprint: fingerprint(n),
            ..finding(n)
        })
        .collect()
}

/// A complete session of so many findings.
async fn complete(store: &SharedStore, many: u32) -> Hand<'_> {
    let mut hand = Hand::started(&**store, "scanner").await;
    for from in (0..many).step_by(500) {
        let batch = spread(from..(from + 500).min(many));
        hand.push(batch).await.unwrap();
    }
    hand.complete(u64::from(many)).await.unwrap();
    hand
}

async fn compact(store: &SharedStore, session: &SessionId) -> Compacted {
    let version = store.facts(session).await.unwrap().session.version;
    store.compact_session(session, version).await.unwrap()
}

async fn keys_of(connection: &mut MultiplexedConnection, session: &SessionId) -> BTreeSet<String> {
    let keys: Vec<String> = connection.keys(format!("*{session}*")).await.unwrap();
    keys.into_iter().collect()
}

#[tokio::test]
async fn a_compacted_session_takes_less_than_half_and_leaves_nothing_behind() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let hand = complete(&store, 2_000).await;
    let Compacted::Done { before, after } = compact(&store, &hand.session).await else {
        panic!("it was not compacted");
    };
    assert!(after * 2 < before, "{before} bytes became {after}");
    let keys = keys_of(&mut connection, &hand.session).await;
    assert!(keys.iter().all(|key| !key.contains(":new:")), "{keys:?}");
    assert!(keys.iter().any(|key| key.ends_with(":packed")), "{keys:?}");
    for key in &keys {
        let left: i64 = connection.ttl(key).await.unwrap();
        assert_eq!(left, -1, "{key} stays");
    }
    let version = store.facts(&hand.session).await.unwrap().session.version;
    assert!(store.drop_session(&hand.session, version).await.unwrap());
    assert_eq!(
        keys_of(&mut connection, &hand.session).await,
        BTreeSet::new()
    );
}

#[tokio::test]
async fn one_that_is_killed_between_chunks_changes_nothing_and_leaves_what_expires() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let hand = complete(&store, 5_000).await;
    let session = hand.session.clone();
    let version = store.facts(&session).await.unwrap().session.version;
    let mut left_behind = false;
    // Dropped at every point where it waits for something, one after the other.
    for polls in 1.. {
        let mut compaction = Box::pin(store.compact_session(&session, version));
        let mut ended = None;
        for _ in 0..polls {
            tokio::select! {
                biased;
                compacted = &mut compaction => { ended = Some(compacted); break }
                () = tokio::time::sleep(Duration::from_millis(2)) => {}
            }
        }
        drop(compaction);
        if let Some(compacted) = ended {
            assert!(matches!(compacted.unwrap(), Compacted::Done { .. }));
            break;
        }
        for key in keys_of(&mut connection, &session).await {
            let expires: i64 = connection.ttl(&key).await.unwrap();
            assert_eq!(expires > 0, key.contains(":new:"), "{key}: {expires}");
            left_behind |= key.contains(":new:");
        }
        if store.facts(&session).await.unwrap().session.generation > 1 {
            break; // The swap was under way when it was dropped.
        }
    }
    assert!(left_behind, "it was never interrupted halfway");
    assert_whole(&*store, &session).await;
}

#[tokio::test]
async fn what_was_made_must_be_whole_to_be_taken() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let hand = complete(&store, 100).await;
    let session = store.facts(&hand.session).await.unwrap().session;
    let keys = fleet_worker_sdk::keys::Keys::default();
    let own = keys.of_session(&session.id);
    let [log, packed] = keys.compacting(&session.id, 1);
    let _: String = connection.xadd(&log, "1-0", &[("n", "100")]).await.unwrap();
    let _: u64 = connection
        .set(&packed, vec![b'x'; 16 * 99])
        .await
        .map(|()| 0)
        .unwrap();
    for (entries, members) in [(1, 100), (2, 99), (1, 99)] {
        let mut swap = redis::cmd("FCALL");
        swap.arg("fleet_compact_1").arg(7);
        swap.arg(&own.session).arg(&own.log).arg(&own.index);
        swap.arg(&own.packed)
            .arg(&own.counts)
            .arg(&log)
            .arg(&packed);
        swap.arg(session.id.as_str()).arg(session.version.0).arg(1);
        swap.arg(entries).arg(members);
        let answer: Vec<u64> = swap.query_async(&mut connection).await.unwrap();
        assert_eq!(answer, [0], "{entries} entries, {members} members");
    }
    assert_whole(&*store, &session.id).await;
}

#[tokio::test]
async fn pushes_that_race_with_compaction_count_once() {
    let server = RedisServer::start().await;
    let (store, _connection) = over(&server).await;
    let mut hand = complete(&store, 1_000).await;
    hand.reopen().await.unwrap();
    let session = hand.session.clone();
    let compactions = async {
        let mut done = 0;
        for _ in 0..60 {
            let compacted = compact(&store, &session).await;
            done += usize::from(matches!(compacted, Compacted::Done { .. }));
            assert_eq!(store.facts(&session).await.unwrap().indexed % 10, 0);
        }
        done
    };
    let pushes = async {
        // Half of each batch has been pushed before, now packed and now not.
        for round in 0..60 {
            let from = 500 + round * 10;
            hand.push(spread(from..from + 20)).await.unwrap();
            let store_findings = store.findings(&session).await.unwrap();
            assert!(store_findings.read().await.len() >= 1_000);
        }
    };
    let (_, ()) = tokio::join!(compactions, pushes);
    let facts = store.facts(&session).await.unwrap();
    assert_eq!(facts.session.total, 1_110);
    assert!(matches!(
        compact(&store, &session).await,
        Compacted::Done { .. } | Compacted::Left
    ));
    assert_whole(&*store, &session).await;
    let all = hand.push(spread(0..1_000)).await.unwrap();
    assert_eq!(all.new, 0);
}

#[tokio::test]
async fn a_coordinator_compacts_what_is_quiet_and_nobody_works_at() {
    let server = RedisServer::start().await;
    let (store, _connection) = over(&server).await;
    let done = complete(&store, 200).await.session;
    let opened = store.open(&open("acme/other")).await.unwrap().session;
    let mut working = Hand::new(&*store, &opened, "scanner");
    working.start().await.unwrap();
    working.push(findings(0..200)).await.unwrap();
    let coordinator = |compact_after| {
        let keep = Keep {
            compact_after,
            ..Keep::default()
        };
        let settings = CoordinatorSettings {
            keep,
            ..CoordinatorSettings::default()
        };
        Coordinator::new(store.clone(), settings)
    };
    for never in [None, Some(SignedDuration::from_hours(1))] {
        assert_eq!(coordinator(never).compact().await.unwrap(), 0);
    }
    let at_once = coordinator(Some(SignedDuration::ZERO));
    assert_eq!(at_once.compact().await.unwrap(), 1);
    assert_eq!(at_once.compact().await.unwrap(), 0);
    let generation = async |session| store.facts(session).await.unwrap().session.generation;
    assert_eq!((generation(&done).await, generation(&opened).await), (2, 1));
    assert!(at_once.totals().compacted == 1 && at_once.totals().compacted_bytes > 0);
    working.complete(200).await.unwrap();
    assert_eq!(
        at_once.compact().await.unwrap(),
        1,
        "it is met again at the end"
    );
}
