//! What readers of the view see while Redis is away.

use std::process::Command;
use std::time::Duration;

use fleet_coordinator::store::{OpenOptions, SessionQuery, SharedStore, open};
use fleet_coordinator::view::{View, ViewSettings};
use fleet_worker_sdk::{Error, OpenSession, SessionId, redis};

use crate::support::{RedisServer, within};

/// A view that asks the store for every answer and is soon out of patience.
fn view(store: &SharedStore) -> View {
    let settings = ViewSettings {
        ttl: Duration::from_nanos(1),
        grace: Duration::ZERO,
        patience: Duration::from_millis(50),
        ..ViewSettings::default()
    };
    View::new(store.clone(), settings)
}

async fn fleet(server: &RedisServer) -> (SharedStore, SessionId) {
    let store = open(&server.url(), &OpenOptions::default()).unwrap();
    let wanted = OpenSession::new("acme/shop").unwrap();
    // Also makes the fleet, which the first call of a link may have to wait for.
    store.check().await.unwrap();
    let session = store.open(&wanted).await.unwrap().session;
    (store, session)
}

/// The process that serves `server`.
async fn process_of(server: &RedisServer) -> String {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut info = redis::cmd("INFO");
    let info: String = info
        .arg("server")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut lines = info.lines();
    let process = lines.find_map(|line| line.strip_prefix("process_id:"));
    process.unwrap().to_owned()
}

#[track_caller]
fn signal(process: &str, name: &str) {
    let told = Command::new("kill").args([name, process]).status();
    assert!(told.unwrap().success());
}

#[tokio::test]
async fn what_was_known_is_served_stale_when_redis_is_gone() {
    let server = RedisServer::start().await;
    let (store, session) = fleet(&server).await;
    let view = view(&store);
    let before = view.session(&session).await.unwrap();
    assert!(!before.stale && !view.fleet().await.unwrap().stale);
    drop(server);
    let after = within(view.session(&session)).await.unwrap();
    assert!(after.stale);
    assert_eq!(
        (&after.health, after.version),
        (&before.health, before.version)
    );
    assert!(within(view.fleet()).await.unwrap().stale);
    let never_seen = SessionId::fresh(session.partition());
    let error = within(view.session(&never_seen)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_redis_that_hangs_is_waited_for_once_and_heard_when_it_is_back() {
    let server = RedisServer::start().await;
    let (store, session) = fleet(&server).await;
    let view = view(&store);
    view.session(&session).await.unwrap();
    let process = process_of(&server).await;
    signal(&process, "-STOP");

    let loads = view.cache_stats().loads;
    let readers = (0..100).map(|_| within(view.session(&session)));
    let seen = futures_util::future::join_all(readers).await;
    assert!(seen.iter().all(|health| health.as_ref().unwrap().stale));
    assert!(
        view.cache_stats().loads == loads + 1,
        "a hundred readers ask together: {:?}",
        view.cache_stats()
    );
    signal(&process, "-CONT");
    within(async {
        while view.session(&session).await.unwrap().stale {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_is_back_is_found_though_calls_are_dropped() {
    let server = RedisServer::start().await;
    let (store, session) = fleet(&server).await;
    let port = server.port();
    drop(server);
    // One of its calls is let through after a pause; the others are refused and drop it.
    let listed = async || {
        let query = SessionQuery {
            limit: 10,
            ..SessionQuery::default()
        };
        store.sessions(&query).await
    };
    within(async {
        loop {
            match listed().await {
                Err(error) if error.to_string().contains("unreachable since") => break,
                _ => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let _server = RedisServer::start_on(port).await;
    within(async {
        while listed().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(store.facts(&session).await.is_err(), "it kept nothing");
}
