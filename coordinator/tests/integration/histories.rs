//! Two stores over the same random history answer the same and end in the same state.
//!
//! A history is data: what bots, workers, operators and coordinators do, retries and mistakes
//! included. Answers are compared after every step, and so is the invariant of every session;
//! at the end, everything that can be read is.

mod steps;

mod replay;

mod ending;

mod normal;

use fleet_coordinator::store::SharedStore;
use proptest::prelude::*;

use self::replay::Replay;
use self::steps::{Step, history};
use crate::support::{Kind, store};

/// Replays a history on two empty stores, comparing them all the way.
async fn pair(one: SharedStore, other: SharedStore, history: &[Step]) {
    let mut one = Replay::new(one);
    let mut other = Replay::new(other);
    for (number, step) in history.iter().enumerate() {
        let first = one.step(step).await;
        let second = other.step(step).await;
        assert_eq!(first, second, "after step {number}: {step:?}");
        one.check().await;
        other.check().await;
    }
    let first = ending::read(&one).await;
    let second = ending::read(&other).await;
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first, second);
    }
    assert_eq!(first.len(), second.len());
}

fn compare(one: Kind, other: Kind, history: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let (one, other) = (store(one).await, store(other).await);
        pair(one.store.clone(), other.store.clone(), history).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_store_answers_the_same_history_alike(history in history(60)) {
        compare(Kind::Memory, Kind::Memory, &history);
    }
}

proptest! {
    // A server is started for each: a tenth of a second.
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_answer_the_same_history_alike(history in history(60)) {
        compare(Kind::Memory, Kind::Redis, &history);
    }
}

/// A history is worth replaying only if much of it takes effect.
#[test]
fn histories_do_more_than_fail() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut seen = replay::Seen::default();
    for _ in 0..50 {
        let history = history(60).new_tree(&mut runner).unwrap().current();
        runtime.block_on(async {
            let empty = store(Kind::Memory).await;
            let mut replay = Replay::new(empty.store.clone());
            for step in &history {
                replay.step(step).await;
            }
            seen += replay.seen;
        });
    }
    assert!(seen.pushed > 300, "{seen:?}");
    assert!(seen.known > 60, "{seen:?}");
    assert!(seen.duplicates > 40, "{seen:?}");
    assert!(seen.completed > 20, "{seen:?}");
    assert!(seen.refused > 200, "{seen:?}");
}
