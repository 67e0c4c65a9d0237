//! A whole bot: finds markers left over in text files.
//!
//! `cargo run --example todo_bot -- DIRECTORY [STORE] [REPOSITORY]`

use std::path::{Path, PathBuf};

use fleet_worker_sdk::worker::{ActiveExecution, Fleet, Worker};
use fleet_worker_sdk::{Bot, Finding, Level, OpenSession, Tier};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What is looked for, and how bad it is.
const MARKERS: [(&str, Level); 3] = [
    ("FIXME", Level::Error),
    ("XXX", Level::Warning),
    ("TODO", Level::Note),
];
/// Files over this size are no source code.
const MAX_FILE: u64 = 1024 * 1024;

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let store = arguments.next();
    let store = store.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let repository = arguments.next();
    let repository = repository.unwrap_or_else(|| "example/todo".to_owned());
    let bot = Bot::new("todo-bot")?.tier(Tier::Engine).version("1.0.0");
    let fleet = Fleet::connect(&store).await?;
    let work = |worker| scan(worker, root, repository);
    fleet.run(bot, work).await
}

async fn scan(worker: Worker, root: PathBuf, repository: String) -> Outcome {
    let session = worker.open(OpenSession::new(repository)?).await?;
    let execution = session.start_over().await?;
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let kind = entry.file_type()?;
            if worker.is_cancelled() {
                // Not everything was looked at: nothing may be taken for fixed.
                return report(&execution.complete_partial().await?);
            } else if kind.is_dir() && !hidden {
                folders.push(entry.path());
            } else if kind.is_file() && entry.metadata()?.len() <= MAX_FILE {
                look_into(&execution, &root, &entry.path()).await?;
            }
        }
    }
    report(&execution.complete().await?)
}

async fn look_into(execution: &ActiveExecution, root: &Path, path: &Path) -> Outcome {
    let Ok(text) = std::fs::read_to_string(path) else {
        return Ok(()); // not text, or not ours to read
    };
    let name = path
        .strip_prefix(root)?
        .to_string_lossy()
        .replace('\\', "/");
    for (number, line) in (1..).zip(text.lines()) {
        let words = || line.split(|c: char| !c.is_alphanumeric());
        let marker = MARKERS.iter().find(|(m, _)| words().any(|word| word == *m));
        if let Some((marker, level)) = marker {
            let finding = Finding::new(marker.to_lowercase(), format!("{marker} left over"));
            let finding = finding.category("maintenance").level(*level);
            execution
                .queue(finding.at(&name, number).snippet(line.trim()))
                .await?;
        }
    }
    Ok(())
}

fn report(summary: &fleet_worker_sdk::worker::Summary) -> Outcome {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} markers, {} of them new",
        summary.pushed, summary.new
    )?;
    Ok(())
}
