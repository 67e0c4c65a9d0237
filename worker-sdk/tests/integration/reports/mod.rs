//! Reports of other tools, imported into a store in memory.

mod real;

mod hostile;

mod meaning;

use std::path::PathBuf;
use std::sync::Arc;

use fleet_worker_sdk::import::{ImportOptions, Imported, Source, prepare};
use fleet_worker_sdk::*;

use crate::flaky::Flaky;

pub fn options() -> ImportOptions {
    ImportOptions {
        open: OpenSession::new("acme/shop").unwrap(),
        bot: None,
        partial: false,
        worker: None,
    }
}

pub async fn take(
    store: &Flaky,
    text: impl AsRef<[u8]>,
    options: &ImportOptions,
) -> Result<Imported> {
    let source = Source::spool(text.as_ref(), "report")?;
    let imported = bring(store, source, options).await;
    if let Ok(imported) = &imported {
        obeys_the_law(imported);
    }
    imported
}

pub async fn bring(store: &Flaky, source: Source, options: &ImportOptions) -> Result<Imported> {
    let prepared = prepare(Arc::new(source), options.clone()).await?;
    prepared.push(store, &|_| {}).await
}

/// A store of its own, whole reports only.
pub async fn take_alone(text: impl AsRef<[u8]>) -> (Result<Imported>, Arc<Flaky>) {
    let store = Flaky::sound();
    (take(&store, text, &options()).await, store)
}

/// The findings of a report of one run, in order.
pub async fn findings(text: impl AsRef<[u8]>) -> Vec<Identified> {
    let (imported, store) = take_alone(text).await;
    imported.unwrap();
    store.snapshot().findings
}

/// The only finding of a report.
pub async fn finding(text: impl AsRef<[u8]>) -> Finding {
    let mut all = findings(text).await;
    assert_eq!(all.len(), 1);
    all.remove(0).finding
}

/// A SARIF log with one result, of a tool that has one rule.
pub fn log_of(result: &str) -> String {
    run_of(&format!(r#""results":[{result}]"#))
}

/// A SARIF log with one run, made of these members and a tool.
pub fn run_of(members: &str) -> String {
    format!(
        r#"{{"version":"2.1.0","runs":[{{{members},"tool":{{"driver":{{"name":"T","rules":[{{"id":"r0","defaultConfiguration":{{"level":"note"}},"messageStrings":{{"default":{{"text":"{{0}} in {{1}}"}}}}}}]}}}}}}]}}"#
    )
}

#[track_caller]
pub fn obeys_the_law(imported: &Imported) {
    let s = &imported.summary;
    let sum = s.new + s.unchanged + s.updated + s.reopened + s.repeats + s.rejected.len() as u64;
    assert_eq!(s.received, sum, "{s:?}");
    let seen: usize = imported.seen.values().map(Vec::len).sum();
    assert_eq!(s.new + s.unchanged, seen as u64);
}

/// Real scanner output beside the workspace; none where it is not there.
pub fn shared(name: &str) -> Option<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/sarif");
    let path = PathBuf::from(folder).join(name);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
    }
    path.exists().then_some(path)
}
