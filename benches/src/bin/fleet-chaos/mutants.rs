//! The checker checked: Redis functions with a fault in them, each of which it must find.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use fleet_coordinator::model::FeedEntry;
use fleet_coordinator::store::{Compacted, Maintain};
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::redis;
use tokio::task::JoinSet;

use crate::bot::{self, BotArgs};
use crate::checker::{Reader, Seen, Verdict, judge};
use crate::journal::{self, History};
use crate::proxy::Proxy;
use crate::servers::Node;

const BOTS: usize = 3;
/// Findings of a bot in one round, and rounds.
const ROUND: u64 = 300;
const ROUNDS: u64 = 2;
/// Replies cut: functions that cannot tell a repeated call never come to an end under more.
const CUTS: u64 = 20;

/// A text of the functions and what stands in its place.
type Change<'a> = (&'a str, &'a str);

/// What is found after bots pushed through a line that cuts replies, while one consumer settles what
/// it reads and others die with it.
struct Trial {
    verdict: Verdict,
    /// Announcements that nobody settled, nobody holds and nobody can read any more.
    unannounced: usize,
    cut: u64,
}

async fn trial(changes: &[Change<'_>]) -> Trial {
    let node = Node::start(&[]).await;
    let proxy = Proxy::start(node.port).await.unwrap();
    let reader = Reader::open(&format!("redis://127.0.0.1:{}", node.port)).unwrap();
    reader.store.check().await.unwrap();
    mutate(&node, changes).await;
    let folder = tempfile::tempdir().unwrap();
    let journals: Vec<PathBuf> = (0..BOTS)
        .map(|number| folder.path().join(bot::name(number)))
        .collect();
    let mut bots = JoinSet::new();
    for (number, journal) in journals.iter().enumerate() {
        let args = BotArgs {
            store: proxy.url(),
            journal: journal.clone(),
            number,
            seed: 1,
            rate: 300,
            round: ROUND,
            group: BOTS,
            bots: BOTS,
            rounds: Some(ROUNDS),
        };
        bots.spawn(bot::run(args));
    }
    let mut settled = Settled::default();
    let mut deaths = 0;
    while !bots.is_empty() {
        if proxy.harm().cut_before.load(Relaxed) < CUTS {
            proxy.cut_before(1);
        } else {
            proxy.heal();
        }
        settled.follow(&*reader.store, "living").await;
        // Reads and is heard of no more.
        deaths += 1;
        let dying = format!("dying-{deaths}");
        let _ = reader
            .store
            .changes(&dying, Duration::from_millis(20))
            .await;
        while let Some(ended) = bots.try_join_next() {
            ended.unwrap().unwrap();
        }
    }
    let mut history = History::default();
    for (number, path) in journals.iter().enumerate() {
        history.add(&bot::name(number), journal::read(path).unwrap());
    }
    let unannounced = settled.unannounced(&reader).await;
    let seen = compact(&reader).await;
    let mut verdict = judge(&history, &reader.fleet().await.unwrap(), &seen);
    // Nobody computes it here.
    verdict.unhealthy = crate::checker::Faults::default();
    let cut = proxy.harm().cut_before.load(Relaxed);
    Trial {
        verdict,
        unannounced,
        cut,
    }
}

/// Changes the libraries that are loaded, each text in the one that has it.
async fn mutate(node: &Node, changes: &[Change<'_>]) {
    let words = &["FUNCTION", "LIST", "WITHCODE"];
    let libraries: Vec<BTreeMap<String, redis::Value>> = node.ask(words).await.unwrap();
    let mut codes: Vec<String> = libraries
        .iter()
        .map(|library| redis::from_redis_value_ref(&library["library_code"]).unwrap())
        .collect();
    for (from, to) in changes {
        // What every function shares stands in each library.
        let counts = || codes.iter().map(|code| code.matches(from).count());
        assert_eq!(
            counts().max(),
            Some(1),
            "`{from}` has changed: change this test"
        );
        for code in &mut codes {
            *code = code.replace(from, to);
        }
    }
    for code in codes {
        node.ask::<String>(&["FUNCTION", "LOAD", "REPLACE", &code])
            .await
            .unwrap();
    }
}

/// Compacts every session; answers how they were before.
async fn compact(reader: &Reader) -> Seen {
    let seen = reader.fleet().await.unwrap().sessions;
    for (id, stored) in &seen {
        let done = reader
            .store
            .compact_session(&id.parse().unwrap(), stored.version)
            .await;
        assert!(
            matches!(done, Ok(Compacted::Done { .. })),
            "{id} is not compacted: {done:?}"
        );
    }
    seen
}

/// What was read off the feed for good: receipts, by session.
#[derive(Default)]
struct Settled(BTreeMap<String, BTreeSet<String>>);

impl Settled {
    async fn follow(&mut self, store: &dyn Maintain, consumer: &str) {
        let entries = store
            .changes(consumer, Duration::from_millis(20))
            .await
            .unwrap();
        store.settle(&entries).await.unwrap();
        self.note(&entries);
    }

    fn note(&mut self, entries: &[FeedEntry]) {
        for entry in entries {
            let receipts = self.0.entry(entry.session.to_string()).or_default();
            receipts.insert(entry.receipt.clone());
        }
    }

    /// Every change of a session is announced by one entry: it was settled, or it can still be.
    async fn unannounced(mut self, reader: &Reader) -> usize {
        // What is unread comes now.
        while let entries = reader
            .store
            .changes("last", Duration::from_millis(20))
            .await
            .unwrap()
            && !entries.is_empty()
        {
            self.note(&entries);
        }
        self.note_held(reader).await;
        let mut missing = 0;
        for (session, changes) in changes(reader).await {
            let seen = self.0.get(&session).map_or(0, BTreeSet::len);
            missing += changes.saturating_sub(seen);
        }
        missing
    }

    /// What dead consumers hold and can be taken over: its body is there.
    async fn note_held(&mut self, reader: &Reader) {
        let link = reader.link();
        for partition in link.partitions().await.unwrap().iter() {
            let feed = link.keys().feed(partition);
            let mut command = redis::cmd("XPENDING");
            command
                .arg(&feed)
                .arg(Keys::GROUP)
                .arg("-")
                .arg("+")
                .arg(100_000);
            let held: Vec<(String, String, u64, u64)> = link
                .call_unless(&command, "NOGROUP")
                .await
                .unwrap()
                .unwrap_or_default();
            for (id, ..) in held {
                let mut command = redis::cmd("XRANGE");
                command.arg(&feed).arg(&id).arg(&id);
                let bodies: Vec<(String, BTreeMap<String, String>)> =
                    link.call(&command).await.unwrap();
                for (id, fields) in bodies {
                    self.0.entry(fields["s"].clone()).or_default().insert(id);
                }
            }
        }
    }
}

/// Changes of each session that left a trace of their own: it was opened, an auditor expected, and
/// each batch is in its log.
async fn changes(reader: &Reader) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for id in reader.fleet().await.unwrap().sessions.keys() {
        let key = Keys::default().log(&id.parse().unwrap());
        let mut command = redis::cmd("XLEN");
        command.arg(key);
        let batches: usize = reader.link().call(&command).await.unwrap();
        all.insert(id.clone(), 2 + batches);
    }
    all
}

#[tokio::test]
async fn sound_functions_pass() {
    let trial = trial(&[]).await;
    assert!(trial.verdict.is_clean(), "{}", trial.verdict);
    assert_eq!(trial.verdict.applied, BOTS as u64 * ROUND * ROUNDS);
    assert_eq!(trial.verdict.compacted, trial.verdict.sessions);
    assert_eq!(trial.unannounced, 0);
    assert!(trial.cut > 3, "replies must be cut: {}", trial.cut);
}

#[tokio::test]
async fn functions_that_do_not_look_at_sequence_numbers_are_caught() {
    let check = "  if sequence == last then return 'again', stored[2] end\n  if sequence < last then return 'old' end\n";
    let trial = trial(&[(check, "")]).await;
    assert!(
        trial.verdict.refused.count + trial.verdict.twice.count > 0,
        "{}",
        trial.verdict
    );
}

#[tokio::test]
async fn functions_that_log_twice_are_caught() {
    let log = "redis.call('XADD', log_key, '*', unpack(entry))";
    let trial = trial(&[(log, &format!("{log} {log}"))]).await;
    assert!(trial.verdict.twice.count > 0, "{}", trial.verdict);
}

#[tokio::test]
async fn functions_that_acknowledge_and_forget_are_caught() {
    let log = "log(keys[2], args, bot, new, known)";
    let forgetful = format!("if sequence % 7 ~= 0 then {log} end");
    let trial = trial(&[(log, &forgetful)]).await;
    assert!(trial.verdict.lost.count > 0, "{}", trial.verdict);
}

#[tokio::test]
async fn functions_that_count_twice_are_caught() {
    let trial = trial(&[("text(before + by)", "text(before + 2 * by)")]).await;
    assert!(trial.verdict.broken.count > 0, "{}", trial.verdict);
}

#[tokio::test]
async fn compaction_that_loses_findings_is_caught() {
    let log = "redis.call('RENAME', keys[6], keys[2])";
    let forgetful = format!("{log} redis.call('XDEL', keys[2], '1-0')");
    let trial = trial(&[(log, &forgetful)]).await;
    assert!(trial.verdict.lost.count > 0, "{}", trial.verdict);
}

#[tokio::test]
async fn compaction_that_forgets_members_is_caught() {
    let packed = "redis.call('RENAME', keys[7], keys[4])";
    let forgetful = format!("{packed} redis.call('SETRANGE', keys[4], 0, '0123456789abcdef')");
    let trial = trial(&[(packed, &forgetful)]).await;
    assert!(trial.verdict.broken.count > 0, "{}", trial.verdict);
}

#[tokio::test]
async fn ends_that_move_no_baseline_are_caught() {
    let moved = "redis.call('HSET', keys[6], repository .. ' ' .. x.bot .. ' ' .. ref, session)";
    let trial = trial(&[(moved, "local _ = ref")]).await;
    assert!(trial.verdict.broken.count > 0, "{}", trial.verdict);
}

#[tokio::test]
async fn functions_that_trim_what_is_pending_are_caught() {
    let trial = trial(&[(
        "'MAXLEN', '~', FEED_LENGTH, '*', 's'",
        "'MAXLEN', '=', 1, '*', 's'",
    )])
    .await;
    assert!(trial.unannounced > 0);
}

#[tokio::test]
async fn functions_that_delete_consumers_with_what_they_hold_are_caught() {
    let announce = "  redis.call('XADD', feed_key,";
    let reap = "
  if redis.call('EXISTS', feed_key) == 1 then
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', feed_key)) do
      for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', feed_key, group[2])) do
        if consumer[4] > 0 then redis.call('XGROUP', 'DELCONSUMER', feed_key, group[2], consumer[2]) end
      end
    end
  end
";
    let trial = trial(&[(announce, &format!("{reap}{announce}"))]).await;
    assert!(trial.unannounced > 0);
}
