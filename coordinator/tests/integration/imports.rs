//! Reports of real tools, and reports that no tool should write, into both stores.

mod meaning;
mod real;

use std::sync::Arc;

use fleet_coordinator::import::import;
use fleet_coordinator::index::query::{Filter, PageQuery, Sort, Suppression};
use fleet_coordinator::store::{Compacted, Maintain};
use fleet_worker_sdk::import::{ImportOptions, ImportSummary, Source};
use fleet_worker_sdk::{Error, ExecutionState, Identified, Level, OpenSession, Result, SessionId};

use crate::support::{Kind, TestStore, assert_whole, store};

fn options(repository: &str, commit: &str) -> ImportOptions {
    ImportOptions {
        open: OpenSession::new(repository)
            .unwrap()
            .git_ref("main")
            .commit(commit),
        bot: None,
        partial: false,
        worker: None,
    }
}

async fn take(
    store: &dyn Maintain,
    source: Source,
    options: ImportOptions,
) -> Result<ImportSummary> {
    import(store, Arc::new(source), options, &|_, _| {}).await
}

async fn take_text(store: &dyn Maintain, text: impl AsRef<[u8]>) -> Result<ImportSummary> {
    let source = Source::spool(text.as_ref(), "report")?;
    take(store, source, options("acme/shop", "1")).await
}

#[track_caller]
fn assert_adds_up(summary: &ImportSummary) {
    let sum = summary.new
        + summary.unchanged
        + summary.updated
        + summary.reopened
        + summary.repeats
        + summary.rejected.len() as u64;
    assert_eq!(sum, summary.received, "{summary:?}");
}

async fn all(store: &dyn Maintain, session: &SessionId) -> Vec<Identified> {
    let findings = store.findings(session).await.unwrap();
    let filter = Filter {
        suppression: Suppression::All,
        ..Filter::default()
    };
    let query = PageQuery {
        filter,
        sort: Sort::Severity,
        after: None,
        limit: 1_000,
    };
    let page = findings.read().await.query(&query).unwrap();
    page.findings
        .into_iter()
        .map(|view| view.identified)
        .collect()
}
