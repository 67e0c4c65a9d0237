//! Sentinels and clusters whose masters die while workers push.

use std::time::Duration;

use fleet_coordinator::store::{OpenOptions, SharedStore, open};
use fleet_worker_sdk::worker::{Fleet, Settings};
use fleet_worker_sdk::{Bot, Finding, OpenSession, SessionId, Write};

use crate::support::{Cluster, Node, Sentinels, assert_whole, within};

const FINDINGS: u32 = 200;

/// A worker that keeps pushing one by one until it is done, however long the store is away.
async fn push_through(
    store: SharedStore,
    repository: String,
    midway: tokio::sync::oneshot::Sender<()>,
) -> SessionId {
    let writer: std::sync::Arc<dyn Write> = store;
    let settings = Settings {
        deadline: Duration::from_mins(1),
        ..Settings::default()
    };
    let fleet = Fleet::with(writer).settings(settings);
    let worker = fleet.worker(Bot::new("scanner").unwrap()).await.unwrap();
    let session = worker
        .open(OpenSession::new(&repository).unwrap())
        .await
        .unwrap();
    let execution = session.start().await.unwrap();
    let mut midway = Some(midway);
    for n in 0..FINDINGS {
        if n == FINDINGS / 2
            && let Some(midway) = midway.take()
        {
            let _ = midway.send(());
        }
        let finding = Finding::new("rule", format!("found {n}")).at(format!("src/{n}.rs"), 1);
        execution.push(finding).await.unwrap();
    }
    let summary = execution.complete().await.unwrap();
    assert_eq!(summary.pushed, u64::from(FINDINGS));
    session.id().clone()
}

/// Pushes into `store` while `master` dies; whatever was acknowledged is there, once.
async fn survive(store: SharedStore, master: &mut Node) {
    within(async { while store.check().await.is_err() {} }).await;
    let repositories = ["acme/shop", "acme/forge", "acme/till", "acme/yard"];
    let mut pushing = tokio::task::JoinSet::new();
    let mut midways = Vec::new();
    for repository in repositories {
        let (midway, reached) = tokio::sync::oneshot::channel();
        midways.push(reached);
        pushing.spawn(push_through(store.clone(), repository.to_owned(), midway));
    }
    for reached in midways {
        reached.await.unwrap();
    }
    master.kill();
    while let Some(done) = pushing.join_next().await {
        let session = done.unwrap();
        let facts = store.facts(&session).await.unwrap();
        assert_eq!(facts.session.total, u64::from(FINDINGS));
        assert_whole(&*store, &session).await;
    }
}

#[tokio::test]
async fn a_failover_by_sentinels_loses_nothing_that_was_acknowledged() {
    let mut sentinels = Sentinels::start().await;
    let store = open(&sentinels.url(), &OpenOptions::default()).unwrap();
    assert!(store.address().starts_with("redis+sentinel://127.0.0.1:"));
    survive(store, &mut sentinels.nodes[0]).await;
}

#[tokio::test]
async fn a_failover_in_a_cluster_loses_nothing_that_was_acknowledged() {
    let mut cluster = Cluster::start(1).await;
    let store = cluster.store("fleet");
    survive(store, &mut cluster.nodes[1]).await;
}
