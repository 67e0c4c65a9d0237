//! The fleet's health is stored over the one it was computed from only.

use fleet_coordinator::health::{FleetHealth, Health, Settings, Status};
use fleet_coordinator::model::Derived;
use fleet_coordinator::store::Maintain;
use fleet_coordinator::view::{compute_fleet, fleet_health};
use fleet_worker_sdk::{Bot, SessionId};

use crate::support::open;

async fn fleet(store: &dyn Maintain) -> FleetHealth {
    store.register(&Bot::new("scan").unwrap()).await.unwrap();
    compute_fleet(store, None, &Settings::default())
        .await
        .unwrap()
}

async fn the_fleets_health_is_stored_over_what_it_was_computed_from_only(store: &dyn Maintain) {
    assert_eq!(store.kept().await.unwrap(), None);
    let fleet = fleet(store).await;
    let first = store.keep(None, &fleet).await.unwrap().expect("the first");
    let kept = store.kept().await.unwrap().unwrap();
    assert_eq!((kept.version, kept.fleet.as_ref()), (first, Some(&fleet)));
    assert_eq!(store.keep(None, &fleet).await.unwrap(), None, "late");
    let second = store.keep(Some(first), &fleet).await.unwrap().unwrap();
    assert_ne!(second, first);
    assert_eq!(store.keep(Some(first), &fleet).await.unwrap(), None, "late");
    assert_eq!(store.kept().await.unwrap().unwrap().version, second);
}

async fn of_coordinators_that_store_at_once_one_does(store: &dyn Maintain) {
    let fleet = fleet(store).await;
    let all = (0..20).map(|_| store.keep(None, &fleet));
    let answers = futures_util::future::join_all(all).await;
    let stored = answers.into_iter().filter_map(|answer| answer.unwrap());
    assert_eq!(stored.count(), 1);
}

async fn what_is_stored_is_shown_while_it_is_current(store: &dyn Maintain) {
    let settings = Settings::default();
    let mut fleet = fleet(store).await;
    "a coordinator says so".clone_into(&mut fleet.health.reason);
    let version = store.keep(None, &fleet).await.unwrap();
    let shown = fleet_health(store, &settings).await.unwrap();
    assert_eq!(shown, fleet, "whoever looks sees what was stored");
    fleet.computed_at -= jiff::SignedDuration::from_mins(1);
    store.keep(version, &fleet).await.unwrap().unwrap();
    let shown = fleet_health(store, &settings).await.unwrap();
    assert_ne!(
        shown.health.reason, "a coordinator says so",
        "it is outdated"
    );
}

async fn derive(store: &dyn Maintain, session: &SessionId, quality: Option<f64>, band: Status) {
    let version = store.facts(session).await.unwrap().session.version;
    let derived = Derived {
        version,
        health: Health::unknown("a test says so"),
        quality,
        band: quality.map(|_| band),
    };
    assert!(store.derive(session, &derived).await.unwrap());
}

async fn the_session_that_speaks_for_a_repository_is_known_with_its_band(store: &dyn Maintain) {
    let analysis = open("acme/shop");
    let repository = analysis.repository.clone();
    let session = store.open(&analysis).await.unwrap().session;
    let speaker = async || store.speaker(&repository).await.unwrap();
    assert_eq!(speaker().await, None);
    derive(store, &session, None, Status::Healthy).await;
    assert_eq!(speaker().await, None, "nothing is known of its quality");
    derive(store, &session, Some(70.0), Status::Degraded).await;
    let spoken = speaker().await.unwrap();
    assert_eq!(
        (&spoken.session, spoken.band),
        (&session, Some(Status::Degraded))
    );
    derive(store, &session, Some(20.0), Status::Critical).await;
    assert_eq!(speaker().await.unwrap().band, Some(Status::Critical));
    let other = open("acme/web").repository;
    assert_eq!(store.speaker(&other).await.unwrap(), None);
}

on_every_store!(
    the_fleets_health_is_stored_over_what_it_was_computed_from_only,
    of_coordinators_that_store_at_once_one_does,
    what_is_stored_is_shown_while_it_is_current,
    the_session_that_speaks_for_a_repository_is_known_with_its_band,
);
