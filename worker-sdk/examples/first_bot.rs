//! A whole bot: says which of the files it is given are long.
//! `cargo run -p fleet-worker-sdk --example first_bot -- $(git ls-files '*.rs')`

use fleet_worker_sdk::worker::{Fleet, Worker};
use fleet_worker_sdk::{Bot, Error, Finding, OpenSession, Tier};

async fn scan(worker: Worker) -> Result<(), Error> {
    let session = worker.open(OpenSession::new("example/first")?).await?;
    let execution = session.start_over().await?;
    for file in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.lines().count() > 400 {
            let finding = Finding::new("long-file", "over 400 lines: is it one idea?");
            execution
                .push(finding.category("style").at(file, 0))
                .await?;
        }
    }
    execution.complete().await.map(drop)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let fleet = Fleet::connect("http://127.0.0.1:8080").await?;
    fleet
        .run(Bot::new("first-bot")?.tier(Tier::Engine), scan)
        .await
}
