//! Other tools' output becomes findings: SARIF 2.1.0, JSON lines and Cargo's messages.
//!
//! A report is read three times: first it is checked whole and what its results refer to is collected,
//! then its results are marked, so that repeats and ordinals are known, then they are pushed. A small
//! one is held in memory meanwhile, and so are some 20,000 findings between being marked and being pushed;
//! of a large one memory grows by some tens of bytes a result.

mod source;

mod guard;

mod foreign;

mod report;

mod sarif;

mod jsonl;

mod cargo;

mod prepare;

mod push;

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::sync::Arc;

use serde_json::value::RawValue;

pub use report::{
    Continued, Ended, ImportOptions, ImportSummary, Imported, MAX_REJECTED, Rejected,
};
pub use source::{MAX_REPORT_BYTES, Source};

use crate::error::{Error, Result};
use crate::ids::{BotId, Repository};
use crate::write::Write;

use report::Report;

/// A report that was read whole, and of which nothing has been applied yet.
pub struct Prepared {
    checked: Arc<prepare::Checked>,
    options: ImportOptions,
}

/// Reads and checks a report.
///
/// # Errors
/// [`Error::Invalid`] with position and reason when it cannot be taken.
pub async fn prepare(source: Arc<Source>, options: ImportOptions) -> Result<Prepared> {
    options.open.check()?;
    let (bot, repository) = (options.bot.clone(), options.open.repository.clone());
    let partial = options.partial;
    let checked = blocking(move || {
        let report: Arc<dyn Report> = recognise(source, bot.as_ref(), &repository)?;
        prepare::check(report, &repository, partial)
    })
    .await?;
    let checked = Arc::new(checked);
    Ok(Prepared { checked, options })
}

impl Prepared {
    /// The bots it is taken for.
    pub fn bots(&self) -> impl Iterator<Item = &BotId> {
        self.checked
            .report
            .sections()
            .iter()
            .map(|section| &section.bot)
    }

    /// Results in the report.
    pub fn received(&self) -> u64 {
        self.checked.received
    }

    /// Pushes it: each tool in it becomes a bot's execution in the session. `progress` hears how
    /// many findings are in the store.
    ///
    /// # Errors
    /// Whatever the store says; an execution that had begun is failed with the reason.
    pub async fn push(
        &self,
        store: &dyn Write,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Imported> {
        push::push(store, Arc::clone(&self.checked), &self.options, progress).await
    }

    /// Pushes it into an execution that runs, and ends that. The report must be taken for that
    /// execution's bot: name it in the options.
    ///
    /// # Errors
    /// Those of [`push`](Self::push); [`Error::Invalid`] when the options name no bot.
    pub async fn push_into(
        &self,
        store: &dyn Write,
        continued: &Continued,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Imported> {
        let checked = Arc::clone(&self.checked);
        push::push_into(store, checked, &self.options, continued, progress).await
    }
}

/// Runs work that reads files and parses, off the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::protocol)?
}

/// How much of a report is looked at to tell what it is: the longest line of JSON lines.
const LOOKED_AT: u64 = jsonl::MAX_LINE;

/// Reads the report as what it looks like: SARIF is one object over many lines or with `runs`,
/// JSON lines have a finding on the first, Cargo says there what a line is about.
fn recognise(
    source: Arc<Source>,
    bot: Option<&BotId>,
    repository: &Repository,
) -> Result<Arc<dyn Report>> {
    let mut start = Vec::new();
    let read = source.read()?.take(LOOKED_AT).read_to_end(&mut start);
    read.map_err(|error| Error::invalid(source.name(), error.to_string()))?;
    if let Some(why) = foreign::refusal(&start) {
        return Err(Error::invalid(source.name(), why));
    }
    let first_line = start
        .trim_ascii_start()
        .lines()
        .next()
        .and_then(std::result::Result::ok);
    let first: Option<BTreeMap<String, &RawValue>> = first_line
        .as_deref()
        .and_then(|line| serde_json::from_str(line).ok());
    if first.as_ref().is_some_and(cargo::is_message) {
        return Ok(Arc::new(cargo::CargoMessages::check(source, bot)?));
    }
    let is_finding = first.is_some_and(|object| {
        object.contains_key("message")
            && !object.contains_key("runs")
            && !object.contains_key("$schema")
    });
    if is_finding {
        return Ok(Arc::new(jsonl::JsonLines::new(source, bot)));
    }
    Ok(Arc::new(sarif::Sarif::check(source, bot, repository)?))
}
