//! Functions in Redis that were lost, or loaded by software of another version.

use fleet_worker_sdk::Write;
use fleet_worker_sdk::retry::Backoff;
use fleet_worker_sdk::transport::redis::{LIBRARY, RedisWriter};

use crate::support::{Hand, RedisServer, assert_whole, beat, findings, over, raw, within};

#[tokio::test]
async fn functions_that_were_flushed_are_loaded_again() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let mut hand = Hand::started(&*store, "hypatia").await;
    raw(&mut connection, &["FUNCTION", "FLUSH"]).await;
    assert_eq!(hand.push(findings(0..3)).await.unwrap().new, 3);
    raw(&mut connection, &["FUNCTION", "FLUSH"]).await;
    assert_whole(&*store, &hand.session).await;
}

#[tokio::test]
async fn a_worker_retries_while_functions_are_missing() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let writer = RedisWriter::connect(&server.url()).await.unwrap();
    // The store is closed, so that nobody loads them again.
    drop(store);
    raw(&mut connection, &["FUNCTION", "FLUSH"]).await;
    let error = writer.beat(&beat("hypatia:h:1:b")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

/// The functions that bots call as software of the version before loads them.
fn library_before() -> String {
    let newest = "redis.register_function{function_name = 'fleet_push_4'";
    assert!(LIBRARY.contains(newest));
    let lines = LIBRARY.lines().filter(|line| !line.starts_with(newest));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_bot_waits_seconds_only_when_an_older_version_has_replaced_its_functions() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let writer = RedisWriter::connect(&server.url()).await.unwrap();
    let hand = Hand::started(&*store, "hypatia").await;
    let older = library_before();
    raw(&mut connection, &["FUNCTION", "LOAD", "REPLACE", &older]).await;
    let batch = hand.batch(findings(0..2));
    let refused = writer.push(&batch).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    // Nothing else calls a function that is gone: the open store looks by itself.
    let pushed = within(async {
        let mut backoff = Backoff::new();
        loop {
            match writer.push(&batch).await {
                Ok(answer) => return answer,
                Err(_) => backoff.wait().await,
            }
        }
    });
    assert_eq!(pushed.await.new, 2);
    assert_whole(&*store, &hand.session).await;
}

#[tokio::test]
async fn a_store_leaves_functions_of_a_newer_version_in_place() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    drop(store);
    let newer = format!(
        "{LIBRARY}redis.register_function{{function_name = 'fleet_push_5', callback = open}}\n"
    );
    raw(&mut connection, &["FUNCTION", "LOAD", "REPLACE", &newer]).await;
    let _older = over(&server).await;
    let list = [
        "FUNCTION",
        "LIST",
        "LIBRARYNAME",
        "fleet_worker_1",
        "WITHCODE",
    ];
    let kept = format!("{:?}", raw(&mut connection, &list).await);
    assert!(kept.contains("fleet_push_5"), "{kept}");
}
