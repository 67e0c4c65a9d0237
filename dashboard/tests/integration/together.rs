//! Several processes around one Redis agree to the last count, whoever is killed.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::store::{OpenOptions, SharedStore, open};
use fleet_worker_sdk::worker::Fleet;
use fleet_worker_sdk::{Bot, Finding, Level, OpenSession, SessionId, Tier};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// After which something that a test waits for will not happen.
const LONG: Duration = Duration::from_secs(30);
const WORKERS: u32 = 20;
const FINDINGS: u32 = 120;

/// A process on a port of its own; killed with SIGKILL when dropped.
struct Process {
    child: Child,
    port: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(program: &str, port: u16, arguments: &[&str]) -> Process {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    Process { child, port }
}

fn redis(folder: &tempfile::TempDir) -> Process {
    let port = free_port();
    let (port_text, folder) = (
        port.to_string(),
        folder.path().to_string_lossy().into_owned(),
    );
    let arguments = [
        "--port",
        &port_text,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        &folder,
    ];
    spawn("redis-server", port, &arguments)
}

async fn dashboard(redis: &Process) -> Process {
    let port = free_port();
    let (listen, store) = (format!("127.0.0.1:{port}"), address(redis));
    let program = env!("CARGO_BIN_EXE_fleet-dashboard");
    let process = spawn(program, port, &["--listen", &listen, "--store", &store]);
    until("the dashboard is ready", async || {
        reqwest::get(format!("http://{listen}/readyz"))
            .await
            .is_ok_and(|r| r.status() == 200)
    })
    .await;
    process
}

fn address(redis: &Process) -> String {
    format!("redis://127.0.0.1:{}", redis.port)
}

/// Asks until it is so; each question takes a round trip, so this is no busy loop.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, asked)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

async fn get(dashboard: &Process, path: &str) -> Value {
    let url = format!("http://127.0.0.1:{}/api/v1/{path}", dashboard.port);
    let answer = reqwest::get(&url).await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.json().await.unwrap()
}

/// A worker of one of four bots in one of five sessions, directly at Redis.
async fn work(store: String, number: u32) -> (SessionId, u64) {
    let fleet = Fleet::connect(&store).await.unwrap();
    let bot = Bot::new(format!("bot-{}", number % 4))
        .unwrap()
        .tier(Tier::Engine);
    let worker = fleet.worker(bot).await.unwrap();
    let open = OpenSession::new(format!("acme/shop-{}", number / 4)).unwrap();
    let session = worker.open(open).await.unwrap();
    let execution = session.start().await.unwrap();
    let finding = |n: u32| {
        Finding::new(
            format!("rule-{}", n % 7),
            format!("{} of {number}", n % 100),
        )
        .level(*Level::ALL.get(n as usize % 4).unwrap())
        .at(format!("src/{number}/{n}.rs"), n + 1)
    };
    for n in 0..FINDINGS {
        execution.queue(finding(n)).await.unwrap();
    }
    let summary = execution.complete().await.unwrap();
    worker.stop().await.unwrap();
    (session.id().clone(), summary.new)
}

fn coordinate(store: &SharedStore) -> tokio::task::JoinHandle<()> {
    let coordinator = Coordinator::new(Arc::clone(store), CoordinatorSettings::default());
    tokio::spawn(async move { coordinator.run(CancellationToken::new()).await })
}

/// What a dashboard shows of the fleet, but for what moves with the clock.
async fn shown(dashboard: &Process) -> Vec<Value> {
    let mut all = Vec::new();
    let mut sessions = get(dashboard, "sessions?limit=100").await;
    for session in sessions["sessions"].as_array_mut().unwrap() {
        let id = session["id"].as_str().unwrap();
        let findings = get(
            dashboard,
            &format!("sessions/{id}/findings?limit=500&sort=path"),
        )
        .await;
        all.push(findings);
        all.push(session.take());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_around_one_redis_agree_whoever_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let redis = redis(&folder);
    let store = open(&address(&redis), &OpenOptions::default()).unwrap();
    until("redis answers", async || store.check().await.is_ok()).await;
    let (first, second) = (dashboard(&redis).await, dashboard(&redis).await);
    let doomed = coordinate(&store);
    let other = open(&address(&redis), &OpenOptions::default()).unwrap();
    let _survivor = coordinate(&other);

    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(work(address(&redis), number));
    }
    let done = workers.join_next().await.unwrap().unwrap();
    // A coordinator and a dashboard go amid the work, without a word.
    doomed.abort();
    drop(first);
    let first = dashboard(&redis).await;
    let mut finished = vec![done];
    while let Some(worker) = workers.join_next().await {
        finished.push(worker.unwrap());
    }
    let accepted: u64 = finished.iter().map(|(_, new)| new).sum();
    assert_eq!(accepted, u64::from(WORKERS * FINDINGS));
    for (session, _) in &finished {
        until("a coordinator has computed the session", async || {
            let session = store.facts(session).await.unwrap().session;
            session
                .derived
                .is_some_and(|derived| derived.version == session.version)
        })
        .await;
        let facts = store.facts(session).await.unwrap();
        assert_eq!(facts.indexed, facts.counts.tally().total());
        assert_eq!(facts.indexed, facts.session.total);
    }
    assert_eq!(store.rollup().await.unwrap().findings, accepted);
    let (one, two) = tokio::join!(shown(&first), shown(&second));
    assert_eq!(one.len(), 2 * 5);
    assert_eq!(one, two);
    let total: u64 = one.iter().filter_map(|shown| shown["total"].as_u64()).sum();
    assert!(total >= accepted, "{total} of {accepted} are shown");
}
