//! Sessions to measure.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fleet_benches::{BATCH, findings};
use fleet_coordinator::import::import;
use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::import::{ImportOptions, Source};
use fleet_worker_sdk::{Batch, BotId, Change, OpenSession, ProducerId, SessionId, Transition};

/// A session that nobody opened before.
fn fresh() -> OpenSession {
    let open = OpenSession::new("memory/measured").unwrap();
    open.run(ProducerId::fresh().to_string())
}

/// A complete session of made findings.
pub(crate) async fn session(store: &dyn Maintain, count: usize) -> SessionId {
    let session = store.open(&fresh()).await.unwrap().session;
    let bot: BotId = "scanner".parse().unwrap();
    let producer = ProducerId::fresh();
    let transition = |sequence, attempt, change| Transition {
        session: session.clone(),
        bot: bot.clone(),
        producer: producer.clone(),
        sequence,
        attempt,
        change,
    };
    let start = Change::Start {
        worker: None,
        reopen: false,
    };
    let started = store.transition(&transition(1, 0, start)).await.unwrap();
    let mut sequence = 2;
    for part in findings(count).chunks(BATCH) {
        let batch = Batch {
            session: session.clone(),
            bot: bot.clone(),
            attempt: started.attempt,
            producer: producer.clone(),
            sequence,
            findings: part.to_vec(),
            again: Vec::new(),
            rules: BTreeMap::new(),
        };
        store.push(&batch).await.unwrap();
        sequence += 1;
    }
    let complete = Change::Complete {
        pushed: count as u64,
        partial: false,
    };
    let transition = transition(sequence, started.attempt, complete);
    store.transition(&transition).await.unwrap();
    session
}

/// A complete session of a report's findings.
pub(crate) async fn imported(store: &dyn Maintain, report: &Path) -> SessionId {
    let options = ImportOptions {
        open: fresh(),
        bot: None,
        partial: false,
        worker: None,
    };
    let source = Arc::new(Source::open(report).unwrap());
    let imported = import(store, source, options, &|_, _| {}).await;
    imported.unwrap().session
}
