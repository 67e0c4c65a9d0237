//! The coordinator's process, from outside: exit codes, signals, and a Redis that comes later.

use std::process::{Command, Output, Stdio};

use fleet_coordinator::store::{OpenOptions, open};
use fleet_worker_sdk::OpenSession;

use crate::support::{RedisServer, within};

fn coordinator() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet-coordinator"));
    // What the tests' own environment says of a fleet is not meant for this one.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLEET_")) {
        command.env_remove(name);
    }
    command
}

#[track_caller]
fn ran(arguments: &[&str]) -> Output {
    coordinator().args(arguments).output().unwrap()
}

#[test]
fn a_configuration_that_cannot_be_used_ends_with_64_and_says_why() {
    for (arguments, why) in [
        (&[][..], "store: it is missing"),
        (&["--store", "memory"][..], "one process only"),
        (&["--store", "ftp://x"][..], "known are redis://"),
        (
            &["--store", "redis://h:1", "--partitions", "0"][..],
            "partitions",
        ),
        (
            &["--config", "/nowhere/fleet.toml"][..],
            "/nowhere/fleet.toml",
        ),
        (&["--no-such-flag"][..], "--no-such-flag"),
    ] {
        let output = ran(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}

#[test]
fn the_printed_configuration_hides_the_password() {
    let output = ran(&["--store", "redis://u:hunter2@h:1", "--print-config"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        said.contains("redis://***@h:1") && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test]
async fn it_waits_for_redis_computes_and_drains_on_a_signal() {
    let server = RedisServer::start().await;
    let port = server.port();
    drop(server);
    let mut child = coordinator()
        .args(["--store", &format!("redis://127.0.0.1:{port}")])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = RedisServer::start_on(port).await;
    let store = open(&server.url(), &OpenOptions::default()).unwrap();
    store.check().await.unwrap();
    let opened = store.open(&OpenSession::new("acme/shop").unwrap()).await;
    let session = opened.unwrap().session;
    within(async {
        while store
            .facts(&session)
            .await
            .unwrap()
            .session
            .derived
            .is_none()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let told = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(told.unwrap().success());
    let ended = tokio::task::spawn_blocking(move || child.wait());
    assert_eq!(within(ended).await.unwrap().unwrap().code(), Some(0));
}
