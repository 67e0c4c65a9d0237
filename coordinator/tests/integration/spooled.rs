//! A bot that is killed with findings in its spool, on a real Redis: the next start sends what the
//! store has not, once.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fleet_coordinator::store::{OpenOptions, SharedStore, open};
use fleet_worker_sdk::worker::{Fleet, Settings, Worker};
use fleet_worker_sdk::{Bot, ExecutionState, Finding, OpenSession, SessionId};

use crate::support::{RedisServer, assert_whole, bot, within};

/// Says to the child what it is.
const ADDRESS: &str = "SPOOLED_BOT_STORE";
/// The folder of its spool; and the file that it makes when all that it found is in there.
const FOLDER: &str = "SPOOLED_BOT_FOLDER";
/// Findings of the child: some pushed while the store is there, some while it is not.
const FOUND: usize = 3_000;

fn finding(n: usize) -> Finding {
    let name: String = n
        .to_string()
        .chars()
        .map(|c| char::from(b'a' + c as u8 - b'0'))
        .collect();
    Finding::new("r", format!("found {name}")).at(format!("src/{name}.rs"), 1)
}

async fn worker(address: &str, folder: &Path) -> Worker {
    let fleet = Fleet::connect(address).await.unwrap().spool(folder);
    let fleet = fleet.settings(Settings {
        batch_findings: 50,
        ..Settings::default()
    });
    fleet.worker(Bot::new("killed").unwrap()).await.unwrap()
}

fn analysis() -> OpenSession {
    OpenSession::new("acme/shop").unwrap().commit("4f2a9c1")
}

/// The bot, in a process of its own: this test's program, told to run this only.
#[tokio::test]
#[ignore = "a process that another test starts and kills"]
async fn the_bot() {
    let (Ok(address), Ok(folder)) = (std::env::var(ADDRESS), std::env::var(FOLDER)) else {
        return;
    };
    let folder = Path::new(&folder);
    let worker = worker(&address, folder).await;
    let session = worker.open(analysis()).await.unwrap();
    let execution = session.start_over().await.unwrap();
    for n in 0..FOUND {
        execution.queue(finding(n)).await.unwrap();
        if n == FOUND / 3 {
            execution.flush().await.unwrap();
            std::fs::write(folder.join("begun"), "").unwrap();
        }
    }
    execution.flush().await.unwrap();
    std::fs::write(folder.join("found"), "").unwrap();
    std::future::pending::<()>().await;
}

fn spawn(address: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "spooled::the_bot", "--ignored", "--nocapture"])
        .env(ADDRESS, address)
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn made(path: &Path) {
    within(async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Every finding once, under one attempt more than there were.
async fn delivered(store: &SharedStore, session: &SessionId, count: usize) {
    let ended = async {
        loop {
            let progress = store.progress(session).await.unwrap();
            let execution = progress.execution(&bot("killed")).unwrap();
            if execution.state.is_finished() {
                return execution.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let execution = within(ended).await;
    assert_eq!(execution.state, ExecutionState::Failed);
    assert!(execution.reason.unwrap().contains("killed"));
    assert_eq!(
        execution.pushed, count as u64,
        "counted twice, or not at all"
    );
    assert_whole(&**store, session).await;
    let findings = store.findings(session).await.unwrap();
    assert_eq!(findings.read().await.len(), count);
}

async fn kill_and_restart(
    pause: bool,
    until: &str,
) -> (RedisServer, SharedStore, SessionId, tempfile::TempDir) {
    let server = RedisServer::start().await;
    let store = open(&server.url(), &OpenOptions::default()).unwrap();
    store.check().await.unwrap();
    let session = store.open(&analysis()).await.unwrap().session;
    let folder = tempfile::tempdir().unwrap();
    let mut child = spawn(&server.url(), folder.path());
    made(&folder.path().join("begun")).await;
    if pause {
        server.pause();
    }
    made(&folder.path().join(until)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    if pause {
        server.resume();
    }
    (server, store, session, folder)
}

#[tokio::test]
async fn what_a_killed_bot_found_while_the_store_hung_is_delivered_once_by_the_next() {
    let (server, store, session, folder) = kill_and_restart(true, "found").await;
    let before = store.findings(&session).await.unwrap().read().await.len();
    assert!(before < FOUND, "nothing was left to send");
    let worker = worker(&server.url(), folder.path()).await;
    delivered(&store, &session, FOUND).await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_bot_killed_while_it_pushes_has_every_batch_of_its_spool_in_the_store_once() {
    let (server, store, session, folder) = kill_and_restart(false, "begun").await;
    let worker = worker(&server.url(), folder.path()).await;
    // The next one begins when what is left is sent.
    let again = worker.open(analysis()).await.unwrap();
    let execution = again.start_over().await.unwrap();
    assert_eq!(execution.started().attempt, 2);
    for n in 0..FOUND {
        execution.queue(finding(n)).await.unwrap();
    }
    let summary = execution.complete().await.unwrap();
    assert_eq!((summary.pushed, summary.spooled), (FOUND as u64, 0));
    assert!(summary.new <= (FOUND - FOUND / 3) as u64, "{summary:?}");
    assert_whole(&*store, &session).await;
    worker.stop().await.unwrap();
}
