//! Findings go in once and in order, batches fill, and only a bot that says so has completed.

use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::worker::{ActiveExecution, LINGER, Session, Settings, Worker};
use fleet_worker_sdk::*;
use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::time::Instant;

use crate::flaky::{Faults, Flaky};

pub async fn worker(store: &Arc<Flaky>, settings: Settings) -> Worker {
    let bot = Bot::new("todo-finder").unwrap();
    store.fleet(settings).worker(bot).await.unwrap()
}

pub async fn session(worker: &Worker) -> Session {
    let open = OpenSession::new("acme/shop").unwrap();
    worker.open(open).await.unwrap()
}

pub async fn start(store: &Arc<Flaky>, settings: Settings) -> (Worker, ActiveExecution) {
    let worker = worker(store, settings).await;
    let execution = session(&worker).await.start().await.unwrap();
    (worker, execution)
}

pub fn finding(n: usize) -> Finding {
    Finding::new("r", message(n)).at(format!("src/{}.rs", message(n)), 1)
}

/// Letters only: what identity normalises must not make two of these one.
pub fn message(n: usize) -> String {
    let digit = |c: char| char::from(b'a' + c.to_digit(10).unwrap() as u8);
    format!("m{}", n.to_string().chars().map(digit).collect::<String>())
}

pub fn messages(count: usize) -> Vec<String> {
    (0..count).map(message).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Push,
    Queue(usize),
    Repeat,
    Flush,
    Pause(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Push),
        4 => (1..40_usize).prop_map(Step::Queue),
        1 => Just(Step::Repeat),
        1 => Just(Step::Flush),
        1 => (0..200_u64).prop_map(Step::Pause),
    ]
}

/// Does the steps; answers with the number of distinct findings and of repeats.
async fn perform(execution: &ActiveExecution, steps: &[Step]) -> (usize, usize) {
    let (mut count, mut repeats) = (0, 0);
    for step in steps {
        match step {
            Step::Push => {
                execution.push(finding(count)).await.unwrap();
                count += 1;
            }
            Step::Queue(more) => {
                for n in count..count + more {
                    execution.queue(finding(n)).await.unwrap();
                }
                count += more;
            }
            Step::Repeat if count > 0 => {
                execution.queue(finding(0)).await.unwrap();
                repeats += 1;
            }
            Step::Repeat => {}
            Step::Flush => execution.flush().await.unwrap(),
            Step::Pause(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        }
    }
    (count, repeats)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_finding_is_applied_once_and_in_order_whatever_is_lost(
        seed in any::<u64>(),
        refuse in 0..40_u32,
        lose_reply in 0..40_u32,
        latency_ms in 0..5_u64,
        batch_findings in 1..64_usize,
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let latency = Duration::from_millis(latency_ms);
        let store = Flaky::new(seed, Faults { refuse, lose_reply, latency });
        let settings = Settings {
            batch_findings,
            queue: 32,
            deadline: Duration::from_hours(1),
            ..Settings::default()
        };
        runtime().block_on(async {
            let (worker, execution) = start(&store, settings).await;
            let (count, repeats) = perform(&execution, &steps).await;
            let summary = execution.complete().await.unwrap();
            assert_eq!(summary.pushed, count as u64);
            assert_eq!(summary.repeats, repeats as u64);
            assert_eq!(summary.lost, 0);
            assert_eq!(store.log(), messages(count));
            let state = store.snapshot();
            assert_eq!(state.again.values().sum::<u32>(), if repeats > 0 { repeats as u32 + 1 } else { 0 });
            assert!(state.batches.iter().all(|size| *size <= batch_findings));
            worker.stop().await.unwrap();
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_push_goes_at_once() {
    let store = Flaky::sound();
    let (_worker, execution) = start(&store, Settings::default()).await;
    let begun = Instant::now();
    execution.push(finding(0)).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_lingers_and_then_goes() {
    let store = Flaky::sound();
    let (_worker, execution) = start(&store, Settings::default()).await;
    execution.queue(finding(0)).await.unwrap();
    tokio::time::sleep(LINGER / 2).await;
    execution.queue(finding(1)).await.unwrap();
    assert!(store.log().is_empty());
    tokio::time::sleep(LINGER).await;
    assert_eq!(store.snapshot().batches, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_fills_batches_while_one_is_in_flight() {
    let latency = Duration::from_millis(2);
    let store = Flaky::new(
        0,
        Faults {
            latency,
            ..Faults::default()
        },
    );
    let (_worker, execution) = start(&store, Settings::default()).await;
    let pushes = (0..600).map(|n| execution.push(finding(n)));
    for pushed in join_all(pushes).await {
        pushed.unwrap();
    }
    let batches = store.snapshot().batches;
    assert_eq!(batches.iter().sum::<usize>(), 600);
    assert!(batches.len() <= 5, "{batches:?}");
    // Pushes of different tasks have no order among themselves.
    let distinct: std::collections::HashSet<_> = store.log().into_iter().collect();
    assert_eq!(distinct.len(), 600);
}

#[tokio::test(start_paused = true)]
async fn large_findings_make_batches_small() {
    let store = Flaky::sound();
    let settings = Settings {
        batch_bytes: 10_000,
        ..Settings::default()
    };
    let (_worker, execution) = start(&store, settings).await;
    let large = (0..10).map(|n| finding(n).snippet(message(n).repeat(2_000)));
    execution.push_all(large).await.unwrap();
    let batches = store.snapshot().batches;
    assert!(batches.iter().all(|size| *size <= 3), "{batches:?}");
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_makes_the_bot_wait_and_then_says_why() {
    let store = Flaky::sound();
    let settings = Settings {
        queue: 4,
        batch_findings: 2,
        ..Settings::default()
    };
    let (_worker, execution) = start(&store, settings).await;
    store.set_down(true);
    let mut taken = 0;
    let error = loop {
        assert!(taken < 100, "the buffer has no bound");
        match execution.queue(finding(taken)).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("down"), "{error}");
    assert!(taken <= 4 + 2 * 2, "{taken} findings were taken");
    store.set_down(false);
    let summary = execution.complete().await.unwrap();
    assert_eq!(summary.pushed, taken as u64);
    assert_eq!(store.log(), messages(taken));
}

#[tokio::test(start_paused = true)]
async fn bytes_bound_the_buffer_too() {
    let store = Flaky::sound();
    let settings = Settings {
        queue_bytes: 20_000,
        ..Settings::default()
    };
    let (_worker, execution) = start(&store, settings).await;
    store.set_down(true);
    let mut taken = 0;
    for n in 0..100 {
        let large = finding(n).snippet("x".repeat(6_000));
        if execution.queue(large).await.is_err() {
            break;
        }
        taken += 1;
    }
    assert_eq!(taken, 3);
}

#[tokio::test(start_paused = true)]
async fn a_finding_no_store_takes_is_refused_and_the_execution_goes_on() {
    let store = Flaky::sound();
    let (_worker, execution) = start(&store, Settings::default()).await;
    assert!(execution.push(Finding::new("", "m")).await.is_err());
    let huge = finding(1).snippet("x".repeat(100_000));
    let error = execution.queue(huge).await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { .. } | Error::Invalid { .. }),
        "{error}"
    );
    execution.push(finding(0)).await.unwrap();
    assert_eq!(execution.complete().await.unwrap().pushed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_keeps_the_execution_from_completing() {
    let store = Flaky::sound();
    *store.poison.lock().unwrap() = Some(message(1));
    let (_worker, execution) = start(&store, Settings::default()).await;
    execution.queue(finding(0)).await.unwrap();
    execution.flush().await.unwrap();
    execution.queue(finding(1)).await.unwrap();
    let error = execution.flush().await.unwrap_err();
    assert!(error.to_string().contains("poison"), "{error}");
    execution.push(finding(2)).await.unwrap();
    let error = execution.complete().await.unwrap_err();
    assert!(error.to_string().contains("refused 1 findings"), "{error}");
    let summary = execution.complete_partial().await.unwrap();
    assert_eq!((summary.pushed, summary.execution.partial), (2, true));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_execution_fails_after_what_it_took_was_sent() {
    let store = Flaky::sound();
    let (worker, execution) = start(&store, Settings::default()).await;
    execution.queue(finding(0)).await.unwrap();
    drop(execution);
    worker.stop().await.unwrap();
    assert_eq!(store.log(), messages(1));
    let execution = store.execution("todo-finder");
    assert_eq!(execution.state, ExecutionState::Failed);
    assert!(execution.reason.unwrap().contains("dropped"));
}

#[tokio::test(start_paused = true)]
async fn stopping_fails_what_still_runs_and_refuses_more() {
    let store = Flaky::sound();
    let (worker, execution) = start(&store, Settings::default()).await;
    execution.queue(finding(0)).await.unwrap();
    worker.stop().await.unwrap();
    assert_eq!(store.log(), messages(1));
    assert_eq!(store.execution("todo-finder").state, ExecutionState::Failed);
    let error = execution.push(finding(1)).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_push_that_is_no_longer_waited_for_loses_nothing() {
    let latency = Duration::from_millis(10);
    let store = Flaky::new(
        0,
        Faults {
            latency,
            ..Faults::default()
        },
    );
    let (_worker, execution) = start(&store, Settings::default()).await;
    for n in 0..5 {
        let push = execution.push(finding(n));
        assert!(
            tokio::time::timeout(Duration::from_millis(1), push)
                .await
                .is_err()
        );
    }
    assert_eq!(execution.complete().await.unwrap().pushed, 5);
    assert_eq!(store.log(), messages(5));
}

#[tokio::test(start_paused = true)]
async fn rules_are_described_once() {
    let store = Flaky::sound();
    let (_worker, execution) = start(&store, Settings::default()).await;
    let rule = Rule {
        name: "Rule".to_owned(),
        ..Rule::default()
    };
    execution.describe("r", rule.clone()).await.unwrap();
    execution.complete().await.unwrap();
    assert_eq!(store.snapshot().rules["r"], rule);
    assert!(execution.describe("", rule).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_skipped_and_started_over() {
    let store = Flaky::sound();
    let worker = worker(&store, Settings::default()).await;
    let session = session(&worker).await;
    let skipped = session.skip("no such language").await.unwrap();
    assert_eq!(skipped.state, ExecutionState::Skipped);
    let error = session.start().await.err().unwrap();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let execution = session.start_over().await.unwrap();
    assert_eq!(execution.started().state, ExecutionState::Running);
    let summary = execution.fail("the tool crashed").await.unwrap();
    assert_eq!(summary.execution.reason.unwrap(), "the tool crashed");
}

#[tokio::test(start_paused = true)]
async fn a_dependent_waits_until_it_may_start() {
    let store = Flaky::sound();
    let engine = worker(&store, Settings::default()).await;
    let proof = Bot::new("proof").unwrap().tier(Tier::Verifier);
    let proof = proof.depends_on(["todo-finder"]).unwrap();
    let fleet = store.fleet(Settings::default());
    let verifier = fleet.worker(proof.clone()).await.unwrap();
    let open = OpenSession::new("acme/shop").unwrap();
    let open = open.expect([engine.bot().id.clone(), proof.id.clone()]);
    let session = verifier.open(open).await.unwrap();
    assert_eq!(
        session.ready_bots().await.unwrap(),
        [engine.bot().id.clone()]
    );
    assert!(!session.verifiers_complete().await.unwrap());
    let hour = Duration::from_hours(1);
    assert!(!session.wait_ready(&proof.id, hour).await.unwrap());

    let execution = self::session(&engine).await.start().await.unwrap();
    let (ready, completed) =
        tokio::join!(session.wait_ready(&proof.id, hour), execution.complete());
    completed.unwrap();
    assert!(ready.unwrap());
    session.skip("nothing to prove").await.unwrap();
    assert!(session.wait_verifiers(hour).await.unwrap());
}
