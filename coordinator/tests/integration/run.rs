//! `fleet run` with real processes on a real Redis: the tool's output and exit code pass through, and
//! its end is recorded for what it was.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use fleet_coordinator::store::{OpenOptions, SessionQuery, SharedStore, open};
use fleet_worker_sdk::{Execution, ExecutionState};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{RedisServer, assert_whole, bot, within};

/// A fleet, and a folder to run tools in.
struct Fleet {
    server: RedisServer,
    store: SharedStore,
    folder: TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let server = RedisServer::start().await;
        let store = open(&server.url(), &OpenOptions::default()).unwrap();
        store.check().await.unwrap();
        Self {
            server,
            store,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, options: &[&str], tool: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        command
            .args([
                "run",
                "--store",
                &self.server.url(),
                "--bot",
                "tool",
                "-R",
                "acme/shop",
            ])
            .args(options)
            .arg("--")
            .args(tool)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, options: &[&str], tool: &[&str]) -> Output {
        within(self.command(options, tool).output()).await.unwrap()
    }

    /// The tool's execution.
    async fn execution(&self) -> Execution {
        let query = SessionQuery {
            limit: 10,
            ..SessionQuery::default()
        };
        let sessions = self.store.sessions(&query).await.unwrap();
        let session = sessions.first().expect("a session");
        assert_whole(&*self.store, &session.id).await;
        session.executions.first().expect("an execution").clone()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

#[track_caller]
fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn sarif(rules: &[&str], vouched: Option<bool>) -> Value {
    let result = |rule: &&str| {
        json!({
            "ruleId": rule, "message": { "text": "found" },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "a.rs" } } }],
        })
    };
    let invocations: Vec<_> = vouched
        .map(|good| json!({ "executionSuccessful": good }))
        .into_iter()
        .collect();
    json!({ "version": "2.1.0", "runs": [{
        "tool": { "driver": { "name": "tool" } }, "invocations": invocations,
        "results": rules.iter().map(result).collect::<Vec<_>>(),
    }]})
}

fn write(path: &Path, report: &Value) {
    std::fs::write(path, report.to_string()).unwrap();
}

#[tokio::test]
async fn output_and_exit_code_pass_through_and_are_recorded() {
    let fleet = Fleet::start().await;
    let output = fleet
        .run(&[], &["sh", "-c", "printf 'a\\0b'; echo e >&2"])
        .await;
    assert_eq!((code(&output), &*output.stdout), (0, &b"a\0b"[..]));
    assert!(said(&output).starts_with("e\n") && said(&output).contains("tool completed"));
    assert_eq!(fleet.execution().await.state, ExecutionState::Completed);

    let output = fleet.run(&["--quiet"], &["sh", "-c", "exit 3"]).await;
    assert_eq!((code(&output), said(&output).as_str()), (3, ""));
    let execution = fleet.execution().await;
    assert_eq!(execution.state, ExecutionState::Failed);
    assert_eq!(execution.reason.as_deref(), Some("exit code 3"));
    let runs = fleet.store.runs(&bot("tool")).await.unwrap();
    assert_eq!(runs.len(), 2);
    let workers = fleet.store.workers().await.unwrap();
    assert!(
        workers
            .iter()
            .all(|worker| worker.state.as_str() == "stopped"),
        "{workers:?}"
    );
}

#[tokio::test]
async fn a_tool_that_is_not_there_is_a_shells_127() {
    let fleet = Fleet::start().await;
    let output = fleet.run(&[], &["no-such-tool"]).await;
    assert_eq!(code(&output), 127);
    assert!(
        fleet
            .execution()
            .await
            .reason
            .unwrap()
            .contains("no-such-tool cannot be started")
    );
    std::fs::write(fleet.path("plain"), "no program").unwrap();
    assert_eq!(code(&fleet.run(&[], &["./plain"]).await), 126);
}

#[tokio::test]
async fn time_and_signals_end_a_tool_and_close_nothing() {
    let fleet = Fleet::start().await;
    let output = fleet.run(&["--timeout", "50ms"], &["sleep", "600"]).await;
    assert_eq!(code(&output), 124);
    assert!(
        fleet
            .execution()
            .await
            .reason
            .unwrap()
            .contains("ran out of")
    );
    let output = fleet.run(&[], &["sh", "-c", "kill -9 $$"]).await;
    assert_eq!(code(&output), 137);
    assert_eq!(fleet.execution().await.state, ExecutionState::Failed);

    let mut child = fleet
        .command(
            &[],
            &[
                "sh",
                "-c",
                "trap 'echo heard; exit 7' TERM; echo ready; while :; do sleep 0.01; done",
            ],
        )
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    assert_eq!(
        within(lines.next_line()).await.unwrap().as_deref(),
        Some("ready")
    );
    let pid = child.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill")
            .arg(&pid)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        within(lines.next_line()).await.unwrap().as_deref(),
        Some("heard")
    );
    assert_eq!(
        within(child.wait()).await.unwrap().code(),
        Some(7),
        "the tool's own end"
    );
    assert!(
        fleet
            .execution()
            .await
            .reason
            .unwrap()
            .contains("interrupted")
    );
}

#[tokio::test]
async fn a_report_is_whole_only_after_a_good_end() {
    let fleet = Fleet::start().await;
    let (first, second) = (fleet.path("first.json"), fleet.path("second.json"));
    write(Path::new(&first), &sarif(&["one", "two"], None));
    write(Path::new(&second), &sarif(&["one"], None));
    let ends = |report: &str, code: u8| format!("cp {report} report.sarif; exit {code}");
    let run = async |report: &str, code: u8, options: &[&str], commit: &str| {
        let options = [
            &[
                "--sarif",
                "report.sarif",
                "--json",
                "--ref",
                "main",
                "--commit",
                commit,
            ],
            options,
        ]
        .concat();
        let output = fleet
            .run(&options, &["sh", "-c", &ends(report, code)])
            .await;
        assert_eq!(output.status.code(), Some(i32::from(code)));
        let line = said(&output);
        let line = line
            .strip_prefix("fleet: ")
            .unwrap_or_else(|| panic!("{line}"));
        serde_json::from_str::<Value>(line).unwrap()
    };
    let told = run(&first, 0, &[], "1").await;
    assert_eq!(
        (&told["outcome"], &told["summary"]["new"]),
        (&json!("completed"), &json!(2))
    );
    let told = run(&second, 1, &[], "2").await;
    assert_eq!(
        (&told["outcome"], &told["summary"]["closed"]),
        (&json!("partial"), &json!(0))
    );
    let told = run(&second, 1, &["--success-codes", "0,1"], "3").await;
    assert_eq!(
        (&told["outcome"], &told["summary"]["closed"]),
        (&json!("completed"), &json!(1))
    );
    assert_eq!(told["summary"]["unchanged"], json!(1));
    write(Path::new(&second), &sarif(&["one"], Some(true)));
    let told = run(&second, 1, &[], "4").await;
    assert_eq!(
        told["outcome"],
        json!("completed"),
        "the report vouches for it: {told}"
    );
}

#[tokio::test]
async fn a_report_that_is_missing_old_or_none_fails_the_execution() {
    let fleet = Fleet::start().await;
    let sarif_at = |name: &str| vec!["--sarif".to_owned(), fleet.path(name)];
    let failed = async |name: &str, tool: &str, why: &str| {
        let options = sarif_at(name);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let output = fleet.run(&options, &["sh", "-c", tool]).await;
        assert_eq!(code(&output), 0, "the tool's own");
        let execution = fleet.execution().await;
        assert_eq!(execution.state, ExecutionState::Failed);
        let reason = execution.reason.unwrap();
        assert!(reason.contains(why), "{reason}");
    };
    failed("missing", "true", "has not written it").await;
    let old = fleet.path("old");
    write(Path::new(&old), &sarif(&["one"], None));
    let hour_ago = std::time::SystemTime::now() - Duration::from_hours(1);
    std::fs::File::open(&old)
        .unwrap()
        .set_modified(hour_ago)
        .unwrap();
    failed("old", "true", "before the tool was started").await;
    failed("none", "echo no report > none", "refused").await;
}

#[tokio::test]
async fn standard_output_is_a_report_and_still_passed_on() {
    let fleet = Fleet::start().await;
    let report = fleet.path("report.json");
    write(Path::new(&report), &sarif(&["one", "two"], None));
    let output = fleet.run(&["--sarif", "-"], &["cat", &report]).await;
    assert_eq!(output.stdout, std::fs::read(&report).unwrap());
    assert!(
        said(&output).contains("2 results, 2 new"),
        "{}",
        said(&output)
    );

    let message = json!({ "reason": "compiler-message", "message": {
        "message": "unused variable: `x`", "level": "warning", "rendered": "warning: as ever\n",
        "code": { "code": "unused_variables" }, "children": [],
        "spans": [{ "file_name": "src/lib.rs", "line_start": 2, "line_end": 2, "column_start": 1,
            "column_end": 2, "is_primary": true, "text": [] }],
    }});
    let text = format!(
        "{message}\n{}\n",
        json!({ "reason": "build-finished", "success": true })
    );
    std::fs::write(&report, text).unwrap();
    let output = fleet.run(&["--clippy"], &["cat", &report]).await;
    assert_eq!(output.stdout, b"", "messages are for programs");
    assert!(
        said(&output).starts_with("warning: as ever\n"),
        "{}",
        said(&output)
    );
    assert!(
        said(&output).contains("1 results, 1 new"),
        "{}",
        said(&output)
    );
}

#[tokio::test]
async fn a_fleet_that_is_away_stops_no_tool_unless_it_is_required() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    let away = [
        "run",
        "--store",
        "http://127.0.0.1:1",
        "--bot",
        "tool",
        "-R",
        "a/b",
    ];
    let output = within(
        command
            .args(away)
            .args(["--", "sh", "-c", "echo done; exit 5"])
            .output(),
    )
    .await
    .unwrap();
    assert_eq!((code(&output), &*output.stdout), (5, &b"done\n"[..]));
    assert!(
        said(&output).contains("was not recorded"),
        "{}",
        said(&output)
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    let required = command
        .args(away)
        .args(["--require-fleet", "--", "echo", "done"])
        .output();
    let output = tokio::time::timeout(Duration::from_mins(2), required)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((code(&output), &*output.stdout), (69, &b""[..]));
}
