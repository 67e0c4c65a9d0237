//! The demonstration on a checkout of its own: real findings, in order, though one bot fails and one
//! is killed.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use fleet_coordinator::store::{SessionQuery, SharedStore};
use fleet_dashboard::demo::{Pace, prepare};
use fleet_worker_sdk::{ExecutionState, SessionId};
use tokio_util::sync::CancellationToken;

use crate::running::Running;

const FILES: [(&str, &str); 4] = [
    ("src/main.rs", "fn main() {} \n// TODO: something\n"),
    ("run.sh", "#!/bin/sh\nrm -rf $@\n"),
    (
        ".github/workflows/ci.yml",
        "on: push\njobs:\n- uses: actions/checkout@v4\n",
    ),
    ("LICENSE", "free\n"),
];

fn git(folder: &std::path::Path, arguments: &[&str]) {
    let run = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=n", "-c", "user.email=e@x"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
}

fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    git(folder.path(), &["init", "-q", "-b", "main"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-qm", "first"]);
    git(
        folder.path(),
        &["remote", "add", "origin", "git@host:acme/shop.git"],
    );
    folder
}

/// The sessions in which every bot has ended, in order of their runs; waits for `count`.
async fn rounds(store: &SharedStore, count: usize) -> Vec<SessionId> {
    let listed = async {
        loop {
            let sessions = store
                .sessions(&SessionQuery {
                    limit: 100,
                    ..SessionQuery::default()
                })
                .await
                .unwrap();
            let over = |state| !matches!(state, ExecutionState::Pending | ExecutionState::Running);
            let mut done: Vec<_> = sessions
                .into_iter()
                .filter(|session| {
                    session.executions.len() == 8
                        && session.executions.iter().all(|e| over(e.state))
                })
                .collect();
            if done.len() >= count {
                done.sort_by_key(|session| session.opened);
                return done.into_iter().map(|session| session.id).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), listed)
        .await
        .expect("the rounds end")
}

#[tokio::test]
async fn a_demonstration_finds_what_is_there_whoever_fails_or_is_killed() {
    let folder = checkout();
    let server = Running::start().await;
    let store = server.store().clone();
    let pace = Pace {
        every: Duration::from_millis(1),
        pause: Duration::from_millis(30),
    };
    let program = PathBuf::from(env!("CARGO_BIN_EXE_fleet-dashboard"));
    let prepared = prepare(
        folder.path(),
        store.clone(),
        format!("http://{}", server.address),
        Some(program),
        pace,
    )
    .unwrap();
    let words = prepared.words();
    assert_eq!(words.lines().count(), 5, "{words}");
    assert!(words.contains("acme/shop at main"), "{words}");
    let stop = CancellationToken::new();
    let demo = prepared.begin(stop.clone());

    let rounds = rounds(&store, 3).await;
    stop.cancel();
    demo.await.unwrap();
    server.stop();

    let findings = store.findings(&rounds[0]).await.unwrap();
    let index = findings.read().await;
    let mut seen: Vec<_> = index
        .fingerprints(None)
        .filter_map(|id| index.get(&id))
        .map(|view| {
            let finding = &view.identified.finding;
            (
                finding.rule_id.clone(),
                finding.path().to_owned(),
                finding.region().map_or(0, |r| r.start_line),
            )
        })
        .collect();
    seen.sort();
    for (rule, path, line) in [
        ("todo", "src/main.rs", 2),
        ("trailing-space", "src/main.rs", 1),
        ("unquoted-arguments", "run.sh", 2),
        ("no-errexit", "run.sh", 1),
        ("unpinned-action", ".github/workflows/ci.yml", 3),
        ("no-readme", "", 0),
        ("hot-spot", "src/main.rs", 1),
    ] {
        assert!(
            seen.contains(&(rule.to_owned(), path.to_owned(), line)),
            "{rule} in {seen:?}"
        );
    }
    assert!(
        !seen.iter().any(|(rule, ..)| rule == "no-licence"),
        "{seen:?}"
    );

    let execution = async |round: usize, bot: &str| {
        let facts = store.facts(&rounds[round]).await.unwrap();
        let mut executions = facts.session.executions.into_iter();
        executions
            .find(|execution| execution.bot.as_str() == bot)
            .unwrap()
    };
    assert_eq!(
        execution(0, "workflow-lint").await.state,
        ExecutionState::Completed
    );
    let failed = execution(2, "workflow-lint").await;
    assert_eq!(failed.state, ExecutionState::Failed);
    assert!(failed.reason.unwrap().contains("on purpose"));
    assert_eq!(execution(0, "secret-scan").await.attempt, 1);
    let replaced = execution(1, "secret-scan").await;
    assert_eq!(
        (replaced.state, replaced.attempt),
        (ExecutionState::Completed, 2)
    );
    let (before, after) = (
        execution(0, "size-scan").await,
        execution(0, "secret-scan").await,
    );
    assert!(
        before.ended.unwrap() <= after.started.unwrap(),
        "a bot waits for its turn"
    );
}
