//! The `fleet` command from outside, at a Redis of its own: what it writes, and how it ends.

mod reading;

mod settings;

mod watching;

mod operating;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::store::{OpenOptions, open};
use serde_json::Value;

use crate::support::RedisServer;

/// The command, in `folder`, with nothing of the tests' own environment that concerns a fleet.
fn fleet_in(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    let foreign = [
        "FLEET_", "GITHUB_", "CI_", "XDG_", "COLUMNS", "NO_COLOR", "RUST_LOG",
    ];
    for (name, _) in std::env::vars() {
        if foreign.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).env("HOME", folder);
    // Not the repository that the tests are in.
    command
        .env("GIT_CEILING_DIRECTORIES", "/")
        .env("GIT_DIR", folder.join("none"));
    command
}

/// A fleet with something in it, and a folder to work in.
struct Site {
    server: RedisServer,
    folder: tempfile::TempDir,
}

/// What a run of the command came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    #[track_caller]
    fn json(self) -> Value {
        let out = self.ok().out;
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// It ended with `code` and said `why`.
    #[track_caller]
    fn refused(self, code: i32, why: &str) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(self.err.contains(why), "{}", self.err);
    }
}

impl Site {
    async fn new() -> Self {
        Self {
            server: RedisServer::start().await,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self) -> Command {
        let mut command = fleet_in(self.folder.path());
        command.env("FLEET_STORE", self.server.url());
        command
    }

    /// A coordinator of the fleet.
    fn coordinator(&self) -> Coordinator {
        let store = open(&self.server.url(), &OpenOptions::default());
        Coordinator::new(store.unwrap(), CoordinatorSettings::default())
    }

    #[track_caller]
    fn fleet(&self, arguments: &[&str]) -> Ran {
        self.command().args(arguments).output().unwrap().into()
    }

    /// Pushes `count` findings of `bot` on `repository`: each second one an error, each in a file
    /// of its own in one of two folders.
    #[track_caller]
    fn push(&self, repository: &str, bot: &str, count: usize) {
        let mut command = self.command();
        command.args(["push", "-R", repository, "--bot", bot, "-"]);
        let piped = || Stdio::piped();
        let child = command.stdin(piped()).stdout(piped()).stderr(piped());
        let mut child = child.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        for n in 0..count {
            let level = ["error", "note"][n % 2];
            let line = serde_json::json!({
                "rule_id": format!("rule-{}", n % 3),
                "level": level,
                "message": format!("message {n}\u{1b}[31m"),
                "category": "security",
                "locations": [{"uri": format!("src/{}/{n}.rs", n % 2), "region": {"startLine": n + 1}}],
            });
            writeln!(input, "{line}").unwrap();
        }
        drop(input);
        Ran::from(child.wait_with_output().unwrap()).ok();
    }
}
