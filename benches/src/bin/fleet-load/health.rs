//! How soon health follows in a large fleet.
//!
//! Makes 20 bots, 5,000 workers that beat every five seconds and 10,000 sessions; then pushes
//! 1,000 small batches a second, while a probe ends an execution every quarter of a second and
//! waits until the session's health and the fleet's are those of after. A coordinator must run on
//! the same Redis; its processor time is its own to measure, such as from `/proc/<pid>/stat`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::say;
use fleet_benches::health::{fleet_bots, fleet_workers};
use fleet_coordinator::store::{OpenOptions, SharedStore, open};
use fleet_worker_sdk::{
    Batch, Beat, BotId, Change, Finding, Identified, OpenSession, ProducerId, Rule, SessionId,
    Transition, WorkerState,
};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, interval, sleep};

const BOTS: usize = 20;
const WORKERS: usize = 5_000;
const SESSIONS: usize = 10_000;
const PUSHES: u64 = 1_000;
const AT_ONCE: usize = 16;

/// Measures for so many seconds.
pub(crate) async fn run(address: &str, seconds: u64) {
    let store = open(address, &OpenOptions::default()).unwrap();
    let begun = Instant::now();
    let hands = fill(&store).await;
    say(&format!("filled in {:.1} s", begun.elapsed().as_secs_f64()));
    let pushed = Arc::new(AtomicU64::new(0));
    let beating = tokio::spawn(beat_on(Arc::clone(&store)));
    let pushing = tokio::spawn(push_on(Arc::clone(&store), hands, Arc::clone(&pushed)));
    // Not counted: it waits until the coordinator is through with what filled the fleet.
    probe(&store).await;
    let (mut sessions, mut fleets) = (Vec::new(), Vec::new());
    pushed.store(0, Relaxed);
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_millis(250));
    while begun.elapsed() < Duration::from_secs(seconds) {
        ticks.tick().await;
        let (session, fleet) = probe(&store).await;
        sessions.push(session);
        fleets.push(fleet);
    }
    let rate = pushed.load(Relaxed) as f64 / begun.elapsed().as_secs_f64();
    beating.abort();
    pushing.abort();
    say(&format!("{rate:.0} pushes a second"));
    say(&format!(
        "a session's health after its change: {}",
        spread(sessions)
    ));
    say(&format!(
        "the fleet's health after a change: {}",
        spread(fleets)
    ));
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let of = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
    let (median, most, max) = (of(50), of(99), of(100));
    format!(
        "median {median} ms, 99 % {most} ms, max {max} ms, of {}",
        times.len()
    )
}

/// An execution that takes batches.
struct Hand {
    session: SessionId,
    bot: BotId,
    producer: ProducerId,
    sequence: u64,
}

impl Hand {
    async fn start(store: &SharedStore, repository: usize, run: String) -> Self {
        let analysis = OpenSession::new(format!("acme/part-{repository}")).unwrap();
        let session = store.open(&analysis.run(run)).await.unwrap().session;
        let mut hand = Self {
            session,
            bot: format!("bot-{}", repository % BOTS).parse().unwrap(),
            producer: ProducerId::fresh(),
            sequence: 0,
        };
        let (worker, reopen) = (None, true);
        hand.change(store, Change::Start { worker, reopen }, 0)
            .await;
        hand
    }

    async fn change(&mut self, store: &SharedStore, change: Change, attempt: u32) {
        self.sequence += 1;
        let transition = Transition {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt,
            producer: self.producer.clone(),
            sequence: self.sequence,
            change,
        };
        store.transition(&transition).await.unwrap();
    }

    async fn push(&mut self, store: &SharedStore, number: u64) {
        self.sequence += 1;
        let rule = format!("rule-{}", number % 50);
        let finding = Finding::new(rule.clone(), format!("finding {number}")).at(
            format!("src/file-{}.rs", number % 100),
            (number % 900) as u32 + 1,
        );
        let fingerprint = u128::from(number).to_be_bytes();
        let batch = Batch {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: 1,
            producer: self.producer.clone(),
            sequence: self.sequence,
            findings: vec![Identified {
                fingerprint: fleet_worker_sdk::Fingerprint(fingerprint),
                finding,
            }],
            again: Vec::new(),
            rules: std::iter::once((rule, Rule::default())).collect(),
        };
        store.push(&batch).await.unwrap();
    }
}

async fn fill(store: &SharedStore) -> Vec<Hand> {
    for bot in fleet_bots(BOTS) {
        store.register(&bot).await.unwrap();
    }
    beat_all(store).await;
    let hands = stream::iter(0..SESSIONS)
        .map(|number| Hand::start(store, number % 500, number.to_string()))
        .buffer_unordered(AT_ONCE);
    hands.collect().await
}

async fn beat_all(store: &SharedStore) {
    let beats = fleet_workers(WORKERS, BOTS).into_iter().map(|worker| Beat {
        worker: worker.id,
        bot: worker.bot,
        version: worker.version,
        sdk: String::new(),
        host: worker.host,
        pid: worker.pid,
        started: worker.started,
        state: WorkerState::Running,
        sessions: Vec::new(),
        progress: 0,
    });
    stream::iter(beats)
        .for_each_concurrent(AT_ONCE, |beat| async move {
            store.beat(&beat).await.unwrap();
        })
        .await;
}

async fn beat_on(store: SharedStore) {
    loop {
        let begun = Instant::now();
        beat_all(&store).await;
        sleep(Duration::from_secs(5).saturating_sub(begun.elapsed())).await;
    }
}

async fn push_on(store: SharedStore, mut hands: Vec<Hand>, pushed: Arc<AtomicU64>) {
    let mut number = 0;
    let mut ticks = interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        let start = (number as usize) % SESSIONS;
        let burst = (PUSHES / 50) as usize;
        let end = (start + burst).min(SESSIONS);
        let pushes = hands[start..end].iter_mut().enumerate();
        stream::iter(pushes)
            .for_each_concurrent(AT_ONCE, |(offset, hand)| {
                let (store, number) = (&store, number + offset as u64);
                async move { hand.push(store, number).await }
            })
            .await;
        number += (end - start) as u64;
        pushed.fetch_add((end - start) as u64, Relaxed);
    }
}

/// Fails an execution of a new session; how long until the session's and the fleet's health show it.
async fn probe(store: &SharedStore) -> (Duration, Duration) {
    let run = ProducerId::fresh().to_string();
    let mut hand = Hand::start(store, 0, run).await;
    let reason = "a probe".to_owned();
    hand.change(store, Change::Fail { reason }, 1).await;
    let (begun, changed) = (Instant::now(), store.now().await.unwrap());
    let mut session = None;
    loop {
        if session.is_none() {
            let now = store.facts(&hand.session).await.unwrap().session;
            let derived = now
                .derived
                .is_some_and(|derived| derived.version == now.version);
            session = derived.then(|| begun.elapsed());
        }
        let kept = store.kept().await.unwrap().and_then(|kept| kept.fleet);
        let seen = kept.is_some_and(|fleet| fleet.computed_at > changed);
        if let (Some(session), true) = (session, seen) {
            return (session, begun.elapsed());
        }
        sleep(Duration::from_millis(2)).await;
    }
}
