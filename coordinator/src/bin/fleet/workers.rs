//! `fleet workers`: the processes of bots, and what they are told.

use clap::{Args, Subcommand};
use fleet_coordinator::answer::WorkerView;
use fleet_coordinator::client::Reader;
use fleet_coordinator::lifecycle::Liveness;
use fleet_worker_sdk::{Command, Error, Result, WorkerId};
use jiff::Timestamp;
use serde_json::json;

use crate::asking::Asking;
use crate::exit::Stop;
use crate::look::{Look, Tone, ago};
use crate::output::plain;
use crate::table::{Cell, Column, Table};

pub(crate) const EXAMPLES: &str = "\
ID is a worker's id, or a part of it that no other worker's has. A worker learns what it is told
with its next heartbeat, within some seconds.

Examples:
  fleet workers                    who runs, and whether it lives
  fleet workers quiet build-7      take nothing new, finish what is begun
  fleet workers terminate build-7  finish, and exit";

/// Most candidates named where a part of an id means several.
const MAX_NAMED: usize = 5;

/// What `fleet workers` is given.
#[derive(Args)]
pub(crate) struct Workers {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Subcommand)]
enum Action {
    /// Lists them; the same as no action
    List,
    /// Tells one to take nothing new
    Quiet {
        /// Which
        id: String,
    },
    /// Tells one to finish what it has, and exit
    Terminate {
        /// Which
        id: String,
    },
}

const COLUMNS: [Column; 7] = [
    Column::new("WORKER").cut(20),
    Column::new("STATE"),
    Column::new("LIVENESS"),
    Column::new("SESSIONS").right().rank(1),
    Column::new("LAST BEAT").rank(2),
    Column::new("VERSION").cut(6).rank(3),
    Column::new("SDK").cut(6).rank(4),
];

impl Workers {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        let reader = self.asking.reader()?;
        match &self.action {
            None | Some(Action::List) => {
                let answer = reader.workers().await?;
                self.asking
                    .show(&answer, |look| list(&answer.workers, look))
            }
            Some(Action::Quiet { id }) => self.tell(&*reader, id, Command::Quiet).await,
            Some(Action::Terminate { id }) => self.tell(&*reader, id, Command::Terminate).await,
        }
    }

    async fn tell(&self, reader: &dyn Reader, id: &str, command: Command) -> Result<(), Stop> {
        let known = reader.workers().await?;
        let worker = chosen(&known.workers, id)?;
        reader.command(&worker, command).await?;
        let answer = json!({ "worker": worker, "command": command });
        self.asking.show(&answer, |_| {
            format!("{worker} is told to {command} with its next heartbeat\n")
        })
    }
}

/// The worker that `text` means: its id, or a part of it that no other's has.
fn chosen(workers: &[WorkerView], text: &str) -> Result<WorkerId> {
    let text = text.trim().trim_end_matches('…');
    let ids = || workers.iter().map(|seen| &seen.worker.id);
    if let Some(exact) = ids().find(|id| id.as_str() == text) {
        return Ok(exact.clone());
    }
    let mut named: Vec<&str> = ids()
        .map(WorkerId::as_str)
        .filter(|id| !text.is_empty() && id.contains(text))
        .collect();
    match named.as_slice() {
        [] => Err(Error::not_found("worker", text)),
        [one] => WorkerId::new(one),
        _ => {
            named.truncate(MAX_NAMED);
            let why = format!("`{text}` may be {}; name one of them", named.join(" or "));
            Err(Error::conflict(why))
        }
    }
}

/// Workers as a table.
pub(crate) fn list(workers: &[WorkerView], look: &Look) -> String {
    if workers.is_empty() {
        return "no workers; reports that are pushed come without any\n".to_owned();
    }
    let now = Timestamp::now();
    let rows: Vec<_> = workers.iter().map(|seen| row(seen, now)).collect();
    Table::new(look, &COLUMNS).rows(&rows)
}

fn row(seen: &WorkerView, now: Timestamp) -> Vec<Cell> {
    let worker = &seen.worker;
    let state = match worker.command {
        Some(command) => format!("{}, told to {command}", worker.state),
        None => worker.state.to_string(),
    };
    vec![
        worker.id.as_str().into(),
        state.into(),
        Cell::toned(liveness(seen), tone(seen)),
        worker.sessions.len().to_string().into(),
        ago(worker.last_beat, now).into(),
        plain(&worker.version).into(),
        plain(&worker.sdk).into(),
    ]
}

/// Whether it lives, in a word.
pub(crate) fn liveness(seen: &WorkerView) -> &'static str {
    if seen.stuck {
        "stuck"
    } else {
        seen.liveness.as_str()
    }
}

/// The tone of that word.
pub(crate) fn tone(seen: &WorkerView) -> Tone {
    match seen.liveness {
        Liveness::Alive | Liveness::Stale if seen.stuck => Tone::Bad,
        Liveness::Alive => Tone::Good,
        Liveness::Stale => Tone::Fair,
        Liveness::Dead => Tone::Bad,
        Liveness::Stopped => Tone::Faint,
    }
}

#[cfg(test)]
mod tests {
    use fleet_coordinator::model::Worker;
    use fleet_worker_sdk::WorkerState;

    use super::*;

    fn seen(id: &str) -> WorkerView {
        WorkerView {
            worker: Worker {
                id: WorkerId::new(id).unwrap(),
                bot: "gosec".parse().unwrap(),
                version: String::new(),
                sdk: String::new(),
                host: String::new(),
                pid: 1,
                started: Timestamp::UNIX_EPOCH,
                state: WorkerState::Running,
                sessions: Vec::new(),
                last_beat: Timestamp::UNIX_EPOCH,
                last_progress: Timestamp::UNIX_EPOCH,
                command: None,
            },
            liveness: Liveness::Alive,
            stuck: false,
        }
    }

    #[test]
    fn a_worker_is_named_by_what_no_other_has() {
        let workers = [
            seen("gosec:a:1:x"),
            seen("gosec:b:1:y"),
            seen("gosec:b:1:yy"),
        ];
        let id = |text| chosen(&workers, text).map(|id| id.to_string());
        assert_eq!(id("a:1").unwrap(), "gosec:a:1:x");
        assert_eq!(
            id("gosec:b:1:y").unwrap(),
            "gosec:b:1:y",
            "whole ids come first"
        );
        assert!(matches!(id("gosec"), Err(Error::Conflict { .. })));
        assert!(matches!(id("zz"), Err(Error::NotFound { .. })));
        assert!(matches!(id(""), Err(Error::NotFound { .. })));
    }
}
