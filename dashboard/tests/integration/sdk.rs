//! A bot that links the SDK and reaches the fleet through the dashboard's HTTP API.

use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::store::SharedStore;
use fleet_coordinator::store::memory::MemoryStore;
use fleet_dashboard::config::Settings;
use fleet_dashboard::context::Context;
use fleet_dashboard::routes;
use fleet_worker_sdk::transport::connect;
use fleet_worker_sdk::worker::Fleet;
use fleet_worker_sdk::{
    Bot, Error, ExecutionState, Finding, OpenSession, ProducerId, Result, Tier, Version,
    WorkerState, roster,
};

/// A fleet in memory behind a dashboard of its own; its store and its address.
async fn dashboard() -> (SharedStore, String) {
    let store: SharedStore = Arc::new(MemoryStore::new(fleet_worker_sdk::Partitions::DEFAULT));
    let context = Context::new(Arc::clone(&store), Settings::default()).unwrap();
    let context: &'static Context = Box::leak(Box::new(context));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(warp::serve(routes::all(context)).incoming(listener).run());
    (store, address)
}

fn finding(n: u32) -> Finding {
    Finding::new("no-unwrap", "`unwrap` on user input").at(format!("src/{n}.rs"), 1)
}

#[tokio::test]
async fn a_bot_does_its_work_through_http() {
    let (store, address) = dashboard().await;
    let fleet = Fleet::connect(&address).await.unwrap();
    let worker = fleet
        .worker(Bot::new("scanner").unwrap().tier(Tier::Engine))
        .await
        .unwrap();
    let open = OpenSession::new("acme/shop")
        .unwrap()
        .git_ref("main")
        .commit("4f2a9c1");
    let session = worker.open(open.clone()).await.unwrap();
    assert!(session.created());
    assert!(!worker.open(open).await.unwrap().created());

    let execution = session.start().await.unwrap();
    execution.push_all((0..600).map(finding)).await.unwrap();
    execution.push(finding(0)).await.unwrap();
    let summary = execution.complete().await.unwrap();
    assert_eq!(
        (summary.pushed, summary.new, summary.repeats),
        (600, 600, 1)
    );
    assert_eq!(summary.execution.state, ExecutionState::Completed);

    let facts = store.facts(session.id()).await.unwrap();
    assert_eq!((facts.session.total, facts.indexed), (600, 600));
    worker.stop().await.unwrap();
    let workers = store.workers().await.unwrap();
    assert_eq!(
        workers.iter().map(|w| w.state).collect::<Vec<_>>(),
        [WorkerState::Stopped]
    );
}

#[tokio::test]
async fn a_dependent_bot_is_woken_by_the_end_of_what_it_waits_for() {
    let (_store, address) = dashboard().await;
    let fleet = Fleet::connect(&address).await.unwrap();
    let engine = fleet.worker(Bot::new("engine").unwrap()).await.unwrap();
    let proof = Bot::new("proof").unwrap().depends_on(["engine"]).unwrap();
    let proof = fleet.worker(proof).await.unwrap();
    let open = OpenSession::new("acme/shop").unwrap();
    let open = open.expect([engine.bot().id.clone(), proof.bot().id.clone()]);
    let waiting = proof.open(open.clone()).await.unwrap();
    assert_eq!(
        waiting.ready_bots().await.unwrap(),
        [engine.bot().id.clone()]
    );
    let execution = engine.open(open).await.unwrap().start().await.unwrap();
    let minute = Duration::from_mins(1);
    let (ready, done) = tokio::join!(
        waiting.wait_ready(&proof.bot().id, minute),
        execution.complete()
    );
    done.unwrap();
    assert!(ready.unwrap());
}

#[tokio::test]
async fn the_roster_registers_whole_but_for_what_others_run() {
    let (store, address) = dashboard().await;
    let writer = connect(&address).await.unwrap();
    assert_eq!(roster::register_all(&*writer).await.unwrap(), 11);
    assert_eq!(store.bots().await.unwrap().len(), 11);
}

#[tokio::test]
async fn refusals_cross_http_as_what_they_were() {
    let (_store, address) = dashboard().await;
    let writer = connect(&address).await.unwrap();
    let open = OpenSession::new("acme/shop").unwrap();
    let session = writer.open(&open).await.unwrap().session;
    assert_eq!(
        writer.last_sequence(&session, &ProducerId::fresh()).await,
        Ok(0)
    );
    let elsewhere = fleet_worker_sdk::SessionId::fresh(session.partition());
    let error = writer.progress(&elsewhere).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    let known = writer.progress(&session).await.unwrap().version;
    let unchanged: Result<Version> = writer
        .changed(&session, known, Duration::from_millis(20))
        .await;
    assert_eq!(unchanged.unwrap(), known);
}
