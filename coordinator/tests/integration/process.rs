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

#[tokio::test]
async fn it_answers_probes_and_scrapes_on_a_listener_of_its_own() {
    let server = RedisServer::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ops = free.local_addr().unwrap().to_string();
    drop(free);
    let store = server.url();
    let settings = ["--store", &store, "--ops-listen", &ops];
    let asking = || {
        let mut command = coordinator();
        command.args(settings).arg("--healthcheck");
        command.output().unwrap()
    };
    assert_eq!(asking().status.code(), Some(1), "nobody listens yet");
    let mut child = coordinator()
        .args(settings)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    within(async {
        while !tokio::task::spawn_blocking(asking_of(&store, &ops))
            .await
            .unwrap()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{ops}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/livez").await.0, 200);
    assert_eq!(get("/nothing").await.0, 404);
    let (status, metrics) = get("/metrics").await;
    assert_eq!(status, 200);
    for name in [
        "fleet_coordinator_entries_total",
        "fleet_coordinator_lag_seconds",
        "fleet_build_info",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    drop(server);
    within(async {
        while get("/readyz").await.0 != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(
        get("/livez").await.0,
        200,
        "no restart would bring Redis back"
    );
    let why = String::from_utf8(asking().stderr).unwrap();
    assert!(why.contains("not ready"), "{why}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Whether the process that runs with these settings says that it is ready.
fn asking_of(store: &str, ops: &str) -> impl FnOnce() -> bool + use<> {
    let mut command = coordinator();
    command.args(["--store", store, "--ops-listen", ops, "--healthcheck"]);
    move || command.output().unwrap().status.success()
}
