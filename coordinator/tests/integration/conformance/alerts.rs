//! Alerts are raised once, delivered by one at a time and in order, and silenced from then on.

use std::time::Duration;

use fleet_coordinator::alert::{
    AlertSettings, Board, Channel, Delivery, Known, Labels, Matcher, Name, Observation, Pace,
    Severity, Silence, step,
};
use fleet_coordinator::store::Maintain;
use fleet_coordinator::store::alerts::{MAX_OUTBOX, MAX_SILENCES, Outcome};
use fleet_worker_sdk::Error;
use jiff::{SignedDuration, Timestamp};

const LEASE: Duration = Duration::from_mins(1);

/// A board on which a bot fails, and what its channels are told.
fn raised(at: Timestamp, channels: &[&str]) -> (Board, Vec<Delivery>) {
    let channel = |name: &&str| Channel {
        name: (*name).to_owned(),
        severities: Vec::new(),
        matchers: Vec::new(),
        pace: Pace {
            group_by: Vec::new(),
            wait: SignedDuration::ZERO,
            interval: SignedDuration::ZERO,
            repeat: SignedDuration::from_hours(1),
        },
    };
    let channels: Vec<_> = channels.iter().map(channel).collect();
    let observed = [Observation {
        labels: Labels::new(Name::BotFailing, Severity::Warning),
        value: 3.0,
        summary: "it fails".to_owned(),
        description: "look at it".to_owned(),
    }];
    let known = Known {
        observed: &observed,
        silences: &[],
        beside: &[],
        waiting: &[],
        now: at,
    };
    step(
        &Board::default(),
        &known,
        &AlertSettings::default(),
        &channels,
    )
}

fn names(channels: &[&str]) -> Vec<String> {
    channels.iter().map(ToString::to_string).collect()
}

fn silence(at: Timestamp) -> Silence {
    let matchers = vec![Matcher::parse("bot=scan").unwrap()];
    Silence::new(matchers, "ana", "known", at, SignedDuration::from_hours(1)).unwrap()
}

async fn of_coordinators_that_raise_at_once_one_does(store: &dyn Maintain) {
    let before = store.alerts().await.unwrap();
    assert_eq!((before.version, before.waiting.len()), (None, 0));
    let (board, deliveries) = raised(store.now().await.unwrap(), &["one", "two"]);
    let all = (0..10).map(|_| store.raise(None, &board, &deliveries));
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(
        answers.into_iter().filter(|done| *done == Ok(true)).count(),
        1
    );
    let after = store.alerts().await.unwrap();
    assert_eq!(after.board, board);
    assert_eq!(after.waiting, ["one", "two"]);
    assert!(
        !store.raise(None, &board, &deliveries).await.unwrap(),
        "late"
    );
    assert!(store.raise(after.version, &board, &[]).await.unwrap());
    assert_ne!(store.alerts().await.unwrap().version, after.version);
}

async fn a_delivery_is_had_by_one_and_in_order(store: &dyn Maintain) {
    let (board, deliveries) = raised(store.now().await.unwrap(), &["one", "two"]);
    let second: Vec<_> = deliveries.iter().take(1).cloned().collect();
    store.raise(None, &board, &deliveries).await.unwrap();
    let version = store.alerts().await.unwrap().version;
    store.raise(version, &board, &second).await.unwrap();
    let channels = names(&["one", "two", "three"]);
    let taken = store.claim("a", &channels, LEASE).await.unwrap();
    assert_eq!(taken.len(), 2, "the second of `one` waits for the first");
    assert_eq!(taken[0].delivery, deliveries[0]);
    assert_eq!(taken[0].attempts, 1);
    assert_eq!(store.claim("b", &channels, LEASE).await.unwrap(), []);
    assert!(
        !store
            .settle_delivery("b", &taken[0], &Outcome::Done)
            .await
            .unwrap()
    );
    assert!(
        store
            .settle_delivery("a", &taken[0], &Outcome::Done)
            .await
            .unwrap()
    );
    assert!(
        !store
            .settle_delivery("a", &taken[0], &Outcome::Done)
            .await
            .unwrap()
    );
    let next = store.claim("b", &channels, LEASE).await.unwrap();
    assert_eq!(next.len(), 1);
    assert_eq!(store.alerts().await.unwrap().waiting, ["two", "one"]);
}

async fn a_delivery_is_taken_over_when_its_lease_is_over_or_it_has_rested(store: &dyn Maintain) {
    let (board, deliveries) = raised(store.now().await.unwrap(), &["one"]);
    store.raise(None, &board, &deliveries).await.unwrap();
    let channels = names(&["one"]);
    assert_eq!(
        store.claim("a", &names(&["other"]), LEASE).await.unwrap(),
        []
    );
    let lost = store.claim("a", &channels, Duration::ZERO).await.unwrap();
    let taken = store.claim("b", &channels, LEASE).await.unwrap();
    assert_eq!((taken.len(), taken[0].attempts), (1, 2));
    assert!(
        !store
            .settle_delivery("a", &lost[0], &Outcome::Done)
            .await
            .unwrap(),
        "it lost it"
    );
    let later = Outcome::Again(Duration::from_hours(1));
    assert!(store.settle_delivery("b", &taken[0], &later).await.unwrap());
    assert_eq!(
        store.claim("b", &channels, LEASE).await.unwrap(),
        [],
        "it rests"
    );
    assert!(
        !store
            .settle_delivery("b", &taken[0], &Outcome::Done)
            .await
            .unwrap()
    );
}

async fn a_delivery_given_up_is_kept_until_somebody_decides(store: &dyn Maintain) {
    let (board, deliveries) = raised(store.now().await.unwrap(), &["one", "two"]);
    store.raise(None, &board, &deliveries).await.unwrap();
    let channels = names(&["one", "two"]);
    for claimed in store.claim("a", &channels, LEASE).await.unwrap() {
        let dead = Outcome::Dead("it answers 404".to_owned());
        assert!(store.settle_delivery("a", &claimed, &dead).await.unwrap());
    }
    let dead = store.undelivered().await.unwrap();
    assert_eq!(dead.len(), 2);
    assert_eq!(
        (dead[0].why.as_str(), dead[0].attempts),
        ("it answers 404", 1)
    );
    assert_eq!(dead[0].delivery, deliveries[0]);
    assert_eq!(store.alerts().await.unwrap().undelivered, 2);
    store.requeue_delivery(&dead[0].id, "ana").await.unwrap();
    store.discard_delivery(&dead[1].id, "ana").await.unwrap();
    for id in [dead[0].id.as_str(), "0-0", "x", ""] {
        let refused = store.discard_delivery(id, "ana").await;
        assert!(
            matches!(refused, Err(Error::NotFound { .. })),
            "{refused:?}"
        );
    }
    let again = store.claim("a", &channels, LEASE).await.unwrap();
    assert_eq!((again.len(), again[0].attempts), (1, 1));
    let audit = store.audit(10).await.unwrap();
    let did: Vec<_> = audit
        .iter()
        .map(|one| (one.author.as_str(), one.action.as_str()))
        .collect();
    assert_eq!(did, [("ana", "discard"), ("ana", "requeue")]);
}

async fn too_many_deliveries_are_given_up_at_once(store: &dyn Maintain) {
    let (board, deliveries) = raised(store.now().await.unwrap(), &["one"]);
    let many: Vec<_> = deliveries
        .iter()
        .cycle()
        .take(MAX_OUTBOX + 2)
        .cloned()
        .collect();
    assert!(store.raise(None, &board, &many).await.unwrap());
    let alerts = store.alerts().await.unwrap();
    assert_eq!((alerts.waiting.len(), alerts.undelivered), (MAX_OUTBOX, 2));
    let dead = store.undelivered().await.unwrap();
    let refused = store.requeue_delivery(&dead[0].id, "ana").await;
    assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");
}

async fn what_was_made_before_a_silence_is_not_raised(store: &dyn Maintain) {
    let now = store.now().await.unwrap();
    let (board, deliveries) = raised(now, &["one"]);
    store.raise(None, &board, &[]).await.unwrap();
    let before = store.alerts().await.unwrap();
    let silence = silence(now);
    store.silence(&silence).await.unwrap();
    assert!(
        !store
            .raise(before.version, &board, &deliveries)
            .await
            .unwrap()
    );
    let after = store.alerts().await.unwrap();
    assert_eq!(
        (after.silences, &after.board),
        (vec![silence.clone()], &board)
    );
    store.unsilence(&silence.id, "bo").await.unwrap();
    let ended = store.alerts().await.unwrap();
    assert_ne!(ended.version, after.version);
    assert!(!ended.silences[0].is_active(store.now().await.unwrap()));
    for id in [silence.id.as_str(), "none"] {
        let refused = store.unsilence(id, "bo").await;
        assert!(
            matches!(refused, Err(Error::NotFound { .. })),
            "{refused:?}"
        );
    }
    let audit = store.audit(10).await.unwrap();
    let did: Vec<_> = audit
        .iter()
        .map(|one| (one.author.as_str(), one.action.as_str()))
        .collect();
    assert_eq!(did, [("bo", "unsilence"), ("ana", "silence")]);
    assert!(audit[1].subject.contains("known"), "{audit:?}");
    assert_eq!(store.audit(1).await.unwrap().len(), 1);
}

async fn silences_are_bounded(store: &dyn Maintain) {
    let now = store.now().await.unwrap();
    for _ in 0..MAX_SILENCES {
        store.silence(&silence(now)).await.unwrap();
    }
    let refused = store.silence(&silence(now)).await;
    assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");
    let alerts = store.alerts().await.unwrap();
    assert_eq!(alerts.silences.len(), MAX_SILENCES);
}

on_every_store!(
    of_coordinators_that_raise_at_once_one_does,
    a_delivery_is_had_by_one_and_in_order,
    a_delivery_is_taken_over_when_its_lease_is_over_or_it_has_rested,
    a_delivery_given_up_is_kept_until_somebody_decides,
    too_many_deliveries_are_given_up_at_once,
    what_was_made_before_a_silence_is_not_raised,
    silences_are_bounded,
);
