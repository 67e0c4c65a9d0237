//! Importing a report and counting it against the last complete scan of the same scope.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet_worker_sdk::import::{
    Continued, ImportOptions, ImportSummary, Imported, Source, prepare,
};
use fleet_worker_sdk::{BotId, Fingerprint, Result, SessionId, Write};

use crate::store::{Findings, Maintain};
use crate::summary::{self, count};

/// Imports a report, and says what it changed: against the session, and against the session that
/// was the baseline of (repository, bot, ref) before. `progress` hears how many findings are in
/// the store, of how many results.
///
/// # Errors
/// As [`prepare`] and the store; nothing is applied of a report that cannot be taken.
pub async fn import(
    store: &dyn Maintain,
    source: Arc<Source>,
    options: ImportOptions,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<ImportSummary> {
    import_through(store, store, source, options, None, progress).await
}

/// As [`import`], into an execution that runs already, and is ended by it.
///
/// # Errors
/// Those of [`import`]; when the report cannot be read, the execution still runs.
pub async fn import_into(
    store: &dyn Maintain,
    source: Arc<Source>,
    options: ImportOptions,
    continued: &Continued,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<ImportSummary> {
    import_through(store, store, source, options, Some(continued), progress).await
}

/// As [`import`], or [`import_into`] where an execution runs already, with everything written by way
/// of `writer`: whoever counts pushes stands there.
///
/// # Errors
/// Those of [`import`].
pub async fn import_through(
    store: &dyn Maintain,
    writer: &dyn Write,
    source: Arc<Source>,
    options: ImportOptions,
    continued: Option<&Continued>,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<ImportSummary> {
    let open = options.open.clone();
    let prepared = prepare(source, options).await?;
    let mut baselines = BTreeMap::new();
    for bot in prepared.bots() {
        let baseline = store.baseline(&open.repository, bot, &open.git_ref).await?;
        baselines.extend(baseline.map(|session| (bot.clone(), session)));
    }
    let received = prepared.received();
    let done = |done| progress(done, received);
    let imported = match continued {
        Some(continued) => prepared.push_into(writer, continued, &done).await?,
        None => prepared.push(writer, &done).await?,
    };
    against_baselines(store, imported, &baselines).await
}

async fn against_baselines(
    store: &dyn Maintain,
    imported: Imported,
    baselines: &BTreeMap<BotId, SessionId>,
) -> Result<ImportSummary> {
    let mut summary = imported.summary;
    let current = store.findings(&summary.session).await?;
    (summary.new, summary.unchanged) = (0, 0);
    for (bot, findings) in imported.seen {
        let complete = !imported.partial.contains(&bot);
        let baseline = match baselines.get(&bot) {
            // Compared with itself, everything would be known.
            Some(session) if *session != summary.session => Some(store.findings(session).await?),
            _ => None,
        };
        let counted = counted(&current, baseline.as_ref(), &bot, findings, complete).await;
        summary.new += counted.new;
        summary.unchanged += counted.unchanged;
        summary.updated += counted.updated;
        summary.reopened += counted.reopened;
        summary.closed += counted.closed;
    }
    Ok(summary)
}

async fn counted(
    current: &Findings,
    baseline: Option<&Findings>,
    bot: &BotId,
    findings: Vec<(Fingerprint, bool)>,
    complete: bool,
) -> summary::Counted {
    let current = current.read().await;
    let baseline = match baseline {
        Some(baseline) => Some(baseline.read().await),
        None => None,
    };
    let imported = summary::Imported {
        findings,
        repeats: 0,
        rejected: 0,
        complete,
    };
    count(&current, baseline.as_deref(), bot, &imported)
}
