//! `fleet-dashboard --data-dir`: a process that is killed leaves a fleet that the next one has.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use fleet_worker_sdk::worker::{Fleet, Worker};
use fleet_worker_sdk::{Bot, OpenSession};
use serde_json::Value;

use crate::running::LONG;
use crate::support::varied;

/// A dashboard's process; killed when dropped, with no time to do anything.
struct Dashboard {
    process: Child,
    url: String,
}

fn command(folder: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet-dashboard"));
    command
        .args(["--listen", listen, "--log", "warn", "--data-dir"])
        .arg(folder)
        .env_remove("FLEET_STORE");
    command
}

impl Dashboard {
    async fn start(folder: &Path) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listen = free.local_addr().unwrap().to_string();
        drop(free);
        let process = command(folder, &listen).spawn().unwrap();
        let url = format!("http://{listen}");
        let mut dashboard = Self { process, url };
        let up = async {
            while reqwest::get(format!("{}/livez", dashboard.url))
                .await
                .is_err()
            {
                assert!(dashboard.process.try_wait().unwrap().is_none(), "it ended");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, up).await.expect("it comes up");
        dashboard
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn get(&self, path: &str) -> Value {
        let response = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        assert!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn worker(&self) -> Worker {
        let fleet = Fleet::connect(&self.url).await.unwrap();
        fleet.worker(Bot::new("gosec").unwrap()).await.unwrap()
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_killed_dashboard_has_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let dashboard = Dashboard::start(folder.path()).await;
    let worker = dashboard.worker().await;
    let open = OpenSession::new("acme/shop")
        .unwrap()
        .git_ref("main")
        .commit("4f2a9c1");
    let session = worker.open(open.clone()).await.unwrap();
    let execution = session.start().await.unwrap();
    execution.push_all(varied(400)).await.unwrap();
    execution.complete().await.unwrap();
    // One more, which is running when the process ends.
    let running = worker
        .open(open.clone().run("2"))
        .await
        .unwrap()
        .start()
        .await
        .unwrap();
    running.push_all(varied(30)).await.unwrap();
    let of = |path: &str| format!("/api/v1/sessions/{}{path}", session.id());
    let findings = of("/findings?limit=200");
    let before = (
        dashboard.get(&of("")).await["session"]["version"].clone(),
        dashboard.get(&findings).await["findings"].clone(),
    );
    assert!(before.0.is_u64() && before.1.as_array().is_some_and(|page| page.len() == 200));
    dashboard.kill();
    drop((running, worker));

    let dashboard = Dashboard::start(folder.path()).await;
    assert_eq!(dashboard.get(&of("")).await["session"]["version"], before.0);
    assert_eq!(dashboard.get(&findings).await["findings"], before.1);
    let sessions = dashboard.get("/api/v1/sessions").await;
    let totals: Vec<_> = sessions["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["total"].clone())
        .collect();
    assert!(
        totals.contains(&400.into()) && totals.contains(&30.into()),
        "{sessions}"
    );
    // The same analysis is the same session, and its findings are known.
    let worker = dashboard.worker().await;
    let again = worker.open(open).await.unwrap();
    assert_eq!((again.id(), again.created()), (session.id(), false));
    let execution = again.start_over().await.unwrap();
    assert_eq!(execution.started().attempt, 2);
    execution.push_all(varied(401)).await.unwrap();
    assert_eq!(execution.complete().await.unwrap().new, 1);
}

fn refused(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.stdout(Stdio::null()).output().unwrap();
    assert_eq!(status.code(), Some(64));
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_ends_the_start_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let _held = Dashboard::start(folder.path()).await;
    let any = "127.0.0.1:0";
    let error = refused(command(folder.path(), any));
    assert!(error.contains("stop that one"), "{error}");
    let error = refused(command(&folder.path().join("lock"), any));
    assert!(error.contains("may write to"), "{error}");
    let mut elsewhere = command(folder.path(), any);
    elsewhere.args(["--store", "redis://127.0.0.1:1"]);
    assert!(refused(elsewhere).contains("leave one of them out"));
    let mut demo = command(folder.path(), any);
    demo.arg("--demo");
    assert!(refused(demo).contains("leave out --data-dir"));
}
