//! `fleet push` and `fleet run` with a spool, while no store is there and when it is again.

use std::path::Path;
use std::process::{Output, Stdio};

use fleet_coordinator::store::{OpenOptions, SessionQuery, open};
use serde_json::json;
use tokio::process::Command;

use crate::support::{RedisServer, assert_whole, within};

async fn fleet(port: u16, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    command
        .args(arguments)
        .env("FLEET_STORE", format!("redis://127.0.0.1:{port}"))
        .env("FLEET_SPOOL_DIR", folder.join("spool"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    tokio::time::timeout(std::time::Duration::from_mins(3), command.output())
        .await
        .expect("the command ends")
        .unwrap()
}

fn report(folder: &Path, name: &str, rules: &[&str]) {
    let result = |rule: &&str| json!({ "ruleId": rule, "message": { "text": "found" } });
    let report = json!({ "version": "2.1.0", "runs": [{
        "tool": { "driver": { "name": name } },
        "results": rules.iter().map(result).collect::<Vec<_>>(),
    }]});
    std::fs::write(folder.join(name), report.to_string()).unwrap();
}

fn kept(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder.join("spool/reports")).unwrap();
    let is_kept = |path: std::path::PathBuf| path.extension().is_some_and(|end| end == "report");
    files
        .filter(|file| is_kept(file.as_ref().unwrap().path()))
        .count()
}

#[tokio::test]
async fn a_report_waits_for_the_fleet_and_goes_with_the_next() {
    let server = RedisServer::start().await;
    let port = server.port();
    drop(server);
    let folder = tempfile::tempdir().unwrap();
    report(folder.path(), "one", &["a", "b"]);
    report(folder.path(), "two", &["c"]);
    let output = fleet(port, folder.path(), &["push", "-R", "acme/shop", "one"]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("is kept"), "{said}");
    assert_eq!(kept(folder.path()), 1);

    let server = RedisServer::start_on(port).await;
    let store = open(&server.url(), &OpenOptions::default()).unwrap();
    within(store.check()).await.unwrap();
    let output = fleet(port, folder.path(), &["push", "-R", "acme/shop", "two"]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("one, which was kept, is sent"), "{said}");
    assert_eq!(kept(folder.path()), 0);
    let query = SessionQuery {
        limit: 10,
        ..SessionQuery::default()
    };
    let sessions = store.sessions(&query).await.unwrap();
    let [session] = &sessions[..] else {
        panic!("{sessions:?}");
    };
    assert_eq!((session.total, session.executions.len()), (3, 2));
    assert_whole(&*store, &session.id).await;

    // A run leaves no more behind than it found.
    let run = ["run", "--bot", "t", "-R", "acme/shop", "--", "true"];
    let output = fleet(port, folder.path(), &run).await;
    assert_eq!(output.status.code(), Some(0));
    let left = std::fs::read_dir(folder.path().join("spool/t")).unwrap();
    let names: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    assert!(
        names.iter().all(|name| name == "lock" || name == "refused"),
        "{names:?}"
    );
}
