//! What findings weigh, kept by the function that pushes them in Redis, is what its counts make.

use fleet_coordinator::health::Weights;
use fleet_coordinator::model::MAX_RULES;
use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::{Finding, Identified, Level, SessionId, Suppression};

use crate::support::{Beneath, Hand, assert_whole, fingerprint};

impl Beneath {
    /// What is kept of the session, without a look at its counts.
    async fn weights(&mut self, session: &SessionId) -> Weights {
        let mut command = redis::cmd("HGET");
        command.arg(Keys::default().session(session)).arg("weights");
        let text: Option<String> = command.query_async(&mut self.connection).await.unwrap();
        text.unwrap_or_default().parse().unwrap()
    }

    async fn assert_kept(&mut self, session: &SessionId) {
        let facts = self.store.facts(session).await.unwrap();
        let counted = Weights::of(&facts.counts);
        assert_eq!(self.weights(session).await, counted);
        let basis = self.store.basis(session).await.unwrap();
        assert_eq!((basis.weights, basis.session), (counted, facts.session));
    }
}

/// A finding whose rule, level and standing follow from its number.
fn numbered(number: u32) -> Identified {
    let levels = [Level::Error, Level::Warning, Level::Note, Level::None];
    let level = levels[number as usize % levels.len()];
    let mut finding = Finding::new(format!("rule-{}", number % 37), "").level(level);
    if number.is_multiple_of(11) {
        finding.security_severity = Some(9.5);
    }
    if number.is_multiple_of(13) {
        finding.suppressions.push(Suppression::default());
    }
    Identified {
        fingerprint: fingerprint(number),
        finding,
    }
}

#[tokio::test]
async fn weights_are_kept_through_new_known_and_mixed_batches_of_any_size() {
    let mut kept = Beneath::new().await;
    let store = SharedStore::clone(&kept.store);
    let mut hand = Hand::started(&*store, "hypatia").await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..40 {
        let first = random.u32(0..2_000);
        let many = if random.bool() { 1 } else { random.u32(2..200) };
        let batch = (first..first + many).map(numbered).collect();
        hand.push(batch).await.unwrap();
        kept.assert_kept(&hand.session).await;
    }
    assert_whole(&*kept.store, &hand.session).await;
}

#[tokio::test]
async fn rules_beyond_the_limit_weigh_together() {
    let mut kept = Beneath::new().await;
    let store = SharedStore::clone(&kept.store);
    let mut hand = Hand::started(&*store, "hypatia").await;
    let rules = MAX_RULES as u32 + 300;
    // Twice, in findings of their own: those over the limit, and others, come again.
    for round in 0..2 {
        let numbers: Vec<u32> = (0..rules).collect();
        for numbers in numbers.chunks(700) {
            let one = |number: &u32| Identified {
                fingerprint: fingerprint(number + round * rules),
                finding: Finding::new(format!("rule-{number}"), "").level(Level::Warning),
            };
            let batch = numbers.iter().map(one).collect();
            hand.push(batch).await.unwrap();
        }
    }
    kept.assert_kept(&hand.session).await;
}

#[tokio::test]
async fn findings_pushed_by_software_that_keeps_no_weights_weigh_what_they_are_counted_as() {
    let mut kept = Beneath::new().await;
    let store = SharedStore::clone(&kept.store);
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push((1..50).map(numbered).collect()).await.unwrap();
    let mut command = redis::cmd("HDEL");
    let key = Keys::default().session(&hand.session);
    command.arg(key).arg("weights");
    let removed: u64 = command.query_async(&mut kept.connection).await.unwrap();
    assert_eq!(removed, 1);
    hand.push((40..60).map(numbered).collect()).await.unwrap();
    let facts = kept.store.facts(&hand.session).await.unwrap();
    let counted = Weights::of(&facts.counts);
    assert_ne!(kept.weights(&hand.session).await, counted);
    let basis = kept.store.basis(&hand.session).await.unwrap();
    assert_eq!(basis.weights, counted);
}
