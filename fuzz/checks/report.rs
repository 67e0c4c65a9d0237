//! Reports of scanners: SARIF, JSON lines and Cargo's messages, plain or gzipped, through the whole
//! import into a store. Every result that was received is in the summary once.

use std::sync::Arc;

use fleet_coordinator::store::memory::MemoryStore;
use fleet_worker_sdk::import::{ImportOptions, Source, prepare};
use fleet_worker_sdk::{OpenSession, Partitions};

pub(crate) fn check(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .expect("a runtime");
    runtime.block_on(import(data));
}

async fn import(data: &[u8]) {
    let Ok(source) = Source::spool(data, "report") else {
        return;
    };
    let options = ImportOptions {
        open: OpenSession::new("acme/shop").expect("a repository"),
        bot: None,
        partial: false,
        worker: None,
    };
    let Ok(prepared) = prepare(Arc::new(source), options).await else {
        return;
    };
    let store = MemoryStore::new(Partitions::DEFAULT);
    if let Ok(imported) = prepared.push(&store, &|_| {}).await {
        let s = &imported.summary;
        let told = s.new + s.unchanged + s.updated + s.reopened + s.repeats;
        assert_eq!(s.received, told + s.rejected.len() as u64, "{s:?}");
    }
}
