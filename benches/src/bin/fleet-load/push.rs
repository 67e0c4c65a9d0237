//! Workers of the SDK that push: a flood, or a rate.

use anyhow::Context as _;
use std::sync::Arc;
use std::time::Duration;

use fleet_benches::findings;
use fleet_worker_sdk::worker::{ActiveExecution, Fleet, Settings, Worker};
use fleet_worker_sdk::{Bot, Finding, OpenSession, SessionId, wire};
use hdrhistogram::Histogram;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::result::{Latency, Outcome, histogram, note};
use crate::used::Reading;
use crate::visible::{Sight, sessions_are_current, watch};
use crate::{Push, metronome, readers, say};

/// One execution and the findings it is to push.
struct Hand {
    execution: ActiveExecution,
    session: SessionId,
    findings: Vec<Finding>,
    /// Kept: a worker that is dropped stops.
    _worker: Worker,
}

pub(crate) async fn run(push: Push) -> anyhow::Result<()> {
    let settings = Settings {
        batch_findings: push.batch,
        ..Settings::default()
    };
    let fleet = Fleet::connect(&push.store)
        .await
        .context("there is no fleet to put load on; start one, or name another with --store")?
        .settings(settings);
    let (hands, body_bytes) = prepare(&fleet, &push).await;
    let sessions: Vec<SessionId> = hands.iter().map(|hand| hand.session.clone()).collect();
    let sight = watch(&push, &sessions).await;
    let before = Reading::take(&push.processes, &push.store).await;
    let readers = readers::start(&push);
    let begun = Instant::now();
    let (acknowledged, hands) = if push.rate == 0 {
        flood(hands).await
    } else {
        at_rate(hands, push.rate, sight.clone()).await
    };
    let acknowledged_in = begun.elapsed();
    sessions_are_current(&push.store, &sessions, push.findings as u64).await;
    let visible_in = begun.elapsed();
    let read = match readers {
        Some(readers) => readers.end().await,
        None => None,
    };
    let used = Reading::take(&push.processes, &push.store)
        .await
        .since(&before);
    let visible = match &sight {
        Some(sight) => sight.lock().await.all_seen(),
        None => None,
    };
    for hand in hands {
        hand.execution.complete().await.unwrap();
    }
    let rate = |time: Duration| push.findings as f64 / time.as_secs_f64();
    let outcome = Outcome {
        findings: push.findings as u64,
        workers: push.workers,
        sessions: push.sessions,
        acknowledged_per_second: rate(acknowledged_in),
        visible_per_second: rate(visible_in),
        acknowledged: Latency::of(&acknowledged),
        visible,
        read,
        used,
        body_bytes,
    };
    outcome.show();
    if let Some(path) = push.json {
        std::fs::write(path, serde_json::to_vec_pretty(&outcome).unwrap()).unwrap();
    }
    Ok(())
}

/// Opens the sessions and makes all findings, so that neither is measured.
async fn prepare(fleet: &Fleet, push: &Push) -> (Vec<Hand>, f64) {
    let made = findings(push.findings);
    let sample = &made[..made.len().min(1_000)];
    let bytes: usize = sample.iter().map(|f| wire::encode(f).unwrap().len()).sum();
    let body_bytes = bytes as f64 / sample.len() as f64;
    let run = fleet_worker_sdk::ProducerId::fresh().to_string();
    let share = push.findings.div_ceil(push.workers);
    let mut made = made.into_iter();
    let mut hands = Vec::new();
    for number in 0..push.workers {
        let bot = Bot::new(format!("load-{number}")).unwrap();
        let worker = fleet.worker(bot).await.unwrap();
        let repository = format!("load/part-{}", number % push.sessions);
        let open = OpenSession::new(repository).unwrap().run(run.clone());
        if push.analysed && number < push.sessions {
            analyse(fleet, open.clone()).await;
        }
        let session = worker.open(open).await.unwrap();
        let own = made.by_ref().take(share);
        hands.push(Hand {
            execution: session.start_over().await.unwrap(),
            session: session.id().clone(),
            findings: own.map(|one| one.finding).collect(),
            _worker: worker,
        });
    }
    say(&format!("{} findings are made", push.findings));
    (hands, body_bytes)
}

/// A bot that finds nothing looks at a session.
async fn analyse(fleet: &Fleet, open: OpenSession) {
    let bot = Bot::new("load-before").unwrap();
    let worker = fleet.worker(bot).await.unwrap();
    let session = worker.open(open).await.unwrap();
    session
        .start_over()
        .await
        .unwrap()
        .complete()
        .await
        .unwrap();
}

async fn flood(hands: Vec<Hand>) -> (Histogram<u64>, Vec<Hand>) {
    let tasks: Vec<_> = hands
        .into_iter()
        .map(|mut hand| {
            tokio::spawn(async move {
                let findings = std::mem::take(&mut hand.findings);
                hand.execution.push_all(findings).await.unwrap();
                hand
            })
        })
        .collect();
    let mut hands = Vec::new();
    for task in tasks {
        hands.push(task.await.unwrap());
    }
    (histogram(), hands)
}

/// Each finding is pushed when its time comes and waited for; one that is late counts from when it
/// was due, so that a slow store cannot hide behind a slow bot.
async fn at_rate(
    hands: Vec<Hand>,
    rate: u64,
    sight: Option<Arc<Mutex<Sight>>>,
) -> (Histogram<u64>, Vec<Hand>) {
    let longest = hands.iter().map(|hand| hand.findings.len()).max();
    let beats = metronome::start(hands.len(), longest.unwrap_or_default(), rate);
    let tasks: Vec<_> = beats
        .into_iter()
        .zip(hands)
        .map(|(mut beats, mut hand)| {
            let sight = sight.clone();
            tokio::spawn(async move {
                let mut times = histogram();
                for finding in std::mem::take(&mut hand.findings) {
                    let due = beats.recv().await.unwrap();
                    if let Some(sight) = &sight {
                        sight.lock().await.pushed(&hand.session, due);
                    }
                    hand.execution.push(finding).await.unwrap();
                    note(&mut times, due.elapsed());
                }
                (times, hand)
            })
        })
        .collect();
    let (mut all, mut hands) = (histogram(), Vec::new());
    for task in tasks {
        let (times, hand) = task.await.unwrap();
        all.add(times).unwrap();
        hands.push(hand);
    }
    (all, hands)
}
