//! Pushing a prepared report: one execution a bot, whole batches, numbered from its start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::bot::Bot;
use crate::error::{Error, Result};
use crate::ids::{BotId, ProducerId, SessionId};
use crate::push::{Batch, Identified, PushAnswer, Rule};
use crate::retry::Backoff;
use crate::session::{Change, Execution, Opened, Transition};
use crate::trace;
use crate::wire;
use crate::write::Write;

use super::blocking;
use super::prepare::Checked;
use super::report::{Continued, Ended, ImportOptions, ImportSummary, Imported};

/// Findings in a batch.
const BATCH_FINDINGS: usize = 256;
/// Bytes of encoded findings in a batch, as estimated, which is at least half of the truth: half of what
/// a store takes.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches parsed ahead of the store.
const AHEAD: usize = 2;
/// How long one call is retried while the store is away: an import has a person waiting for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// One execution that an import fills.
struct Filling<'a> {
    store: &'a dyn Write,
    session: SessionId,
    bot: BotId,
    producer: ProducerId,
    sequence: u64,
    attempt: u32,
    /// How the tool ended.
    ended: Ended,
}

pub(super) async fn push(
    store: &dyn Write,
    prepared: Arc<Checked>,
    options: &ImportOptions,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Imported> {
    let opened = patiently(|| store.open(&options.open)).await?;
    let mut pushing = Pushing::new(&prepared, progress);
    for (section, of) in prepared.report.sections().iter().enumerate() {
        register(store, &opened.session, &of.bot, &of.version).await?;
        let mut filling = Filling {
            store,
            session: opened.session.clone(),
            bot: of.bot.clone(),
            producer: ProducerId::fresh(),
            sequence: 0,
            attempt: 0,
            ended: Ended::Well,
        };
        let start = Change::Start {
            worker: options.worker.clone(),
            reopen: true,
        };
        filling.attempt = filling.change(start).await?.attempt;
        pushing.section(&mut filling, Some(section)).await?;
    }
    Ok(pushing.imported(opened))
}

pub(super) async fn push_into(
    store: &dyn Write,
    prepared: Arc<Checked>,
    options: &ImportOptions,
    continued: &Continued,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Imported> {
    let Some(bot) = &options.bot else {
        let why = "it is missing: a running execution is that of one bot";
        return Err(Error::invalid("bot", why));
    };
    let opened = patiently(|| store.open(&options.open)).await?;
    // With a bot named, all of the report is its: one section, or none where nothing was run.
    let of = prepared.report.sections().first();
    if let Some(of) = of {
        register(store, &opened.session, bot, &of.version).await?;
    }
    let ongoing = continued.ongoing.clone();
    let mut filling = Filling {
        store,
        session: opened.session.clone(),
        bot: bot.clone(),
        producer: ongoing.producer,
        sequence: ongoing.sequence,
        attempt: ongoing.attempt,
        ended: continued.ended,
    };
    let mut pushing = Pushing::new(&prepared, progress);
    pushing.section(&mut filling, of.map(|_| 0)).await?;
    Ok(pushing.imported(opened))
}

/// A report on its way, section by section.
struct Pushing<'a> {
    prepared: &'a Arc<Checked>,
    progress: &'a (dyn Fn(u64) + Send + Sync),
    done: u64,
    seen: BTreeMap<BotId, Vec<(crate::Fingerprint, bool)>>,
    partial: BTreeSet<BotId>,
}

impl<'a> Pushing<'a> {
    fn new(prepared: &'a Arc<Checked>, progress: &'a (dyn Fn(u64) + Send + Sync)) -> Self {
        Self {
            prepared,
            progress,
            done: 0,
            seen: BTreeMap::new(),
            partial: BTreeSet::new(),
        }
    }

    /// Fills an execution with a section, and ends it either way.
    async fn section(&mut self, filling: &mut Filling<'_>, section: Option<usize>) -> Result<()> {
        let partial = self.is_partial(filling.ended, section);
        let filled = self.fill_and_complete(filling, section, partial).await;
        match filled {
            Ok(findings) => {
                if partial {
                    self.partial.insert(filling.bot.clone());
                }
                self.seen.insert(filling.bot.clone(), findings);
                Ok(())
            }
            Err(error) => {
                filling.fail(&error).await;
                Err(error)
            }
        }
    }

    /// A report without a run says nothing of what was looked at.
    fn is_partial(&self, ended: Ended, section: Option<usize>) -> bool {
        let of = section.and_then(|at| self.prepared.report.sections().get(at));
        !self.prepared.rejected.is_empty() || of.is_none_or(|of| ended.partial(of))
    }

    async fn fill_and_complete(
        &mut self,
        filling: &mut Filling<'_>,
        section: Option<usize>,
        partial: bool,
    ) -> Result<Vec<(crate::Fingerprint, bool)>> {
        let findings = match section {
            Some(section) => {
                let done = &mut self.done;
                filling
                    .fill(self.prepared, section, done, self.progress)
                    .await?
            }
            None => Vec::new(),
        };
        let pushed = findings.len() as u64;
        filling.change(Change::Complete { pushed, partial }).await?;
        Ok(findings)
    }

    fn imported(self, opened: Opened) -> Imported {
        let summary = summary(self.prepared, &self.seen, opened.session, opened.created);
        Imported {
            summary,
            seen: self.seen,
            partial: self.partial,
        }
    }
}

fn summary(
    prepared: &Checked,
    seen: &BTreeMap<BotId, Vec<(crate::Fingerprint, bool)>>,
    session: SessionId,
    created: bool,
) -> ImportSummary {
    let all = || seen.values().flatten();
    ImportSummary {
        session,
        created,
        bots: seen.keys().cloned().collect(),
        received: prepared.received,
        new: all().filter(|(_, known)| !known).count() as u64,
        unchanged: all().filter(|(_, known)| *known).count() as u64,
        updated: 0,
        reopened: 0,
        repeats: prepared.repeats,
        rejected: prepared.rejected.clone(),
        suppressed: prepared.suppressed,
        closed: 0,
    }
}

/// Registers a tool as a bot, unless it is registered already, perhaps with more than its name.
async fn register(
    store: &dyn Write,
    session: &SessionId,
    bot: &BotId,
    version: &str,
) -> Result<()> {
    let progress = patiently(|| store.progress(session)).await?;
    let registered = progress
        .bots
        .into_iter()
        .find(|registered| registered.id == *bot);
    let mut wanted = match registered {
        Some(registered) if registered.version == version || version.is_empty() => return Ok(()),
        Some(registered) => registered,
        None => Bot::new(bot.as_str())?,
    };
    wanted.version = version.to_owned();
    patiently(|| store.register(&wanted)).await
}

impl Filling<'_> {
    /// Fails the execution, so that nobody waits for it; the first error is the one that matters.
    async fn fail(&mut self, error: &Error) {
        // A call whose answer was lost may have been applied: its number is not free then.
        let last = self
            .store
            .last_sequence(&self.session, &self.producer)
            .await;
        self.sequence = last.unwrap_or(self.sequence);
        let reason = format!("the import failed: {error}");
        if let Err(error) = self.change(Change::Fail { reason }).await {
            tracing::warn!(session = %self.session, bot = %self.bot, %error, "an execution could not be failed");
        }
    }

    async fn change(&mut self, change: Change) -> Result<Execution> {
        let transition = Transition {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: self.attempt,
            producer: self.producer.clone(),
            sequence: self.sequence + 1,
            change,
        };
        let execution = patiently(|| self.store.transition(&transition)).await?;
        self.sequence += 1;
        Ok(execution)
    }

    /// Pushes every finding of a section; answers them, and whether the session had them.
    async fn fill(
        &mut self,
        prepared: &Arc<Checked>,
        section: usize,
        done: &mut u64,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Vec<(crate::Fingerprint, bool)>> {
        let (sender, mut batches) = mpsc::channel::<Vec<Identified>>(AHEAD);
        let reading = Arc::clone(prepared);
        let reader = tokio::spawn(blocking(move || read_batches(&reading, section, &sender)));
        let mut texts_sent = BTreeSet::new();
        let mut seen = Vec::new();
        while let Some(findings) = batches.recv().await {
            let rules = texts(prepared, section, &findings, &mut texts_sent);
            let at = seen.len();
            seen.extend(
                findings
                    .iter()
                    .map(|identified| (identified.fingerprint, false)),
            );
            let count = findings.len() as u64;
            let answer = self.push(findings, rules).await?;
            for position in answer.known {
                if let Some((_, known)) = seen.get_mut(at + position as usize) {
                    *known = true;
                }
            }
            *done += count;
            progress(*done);
        }
        reader.await.map_err(Error::protocol)??;
        Ok(seen)
    }

    async fn push(
        &mut self,
        findings: Vec<Identified>,
        rules: BTreeMap<String, Rule>,
    ) -> Result<PushAnswer> {
        let batch = Batch {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: self.attempt,
            producer: self.producer.clone(),
            sequence: self.sequence + 1,
            findings,
            again: Vec::new(),
            rules,
        };
        let answer = patiently(|| trace::push(self.store, &batch)).await?;
        self.sequence += 1;
        Ok(answer)
    }
}

/// Texts of the rules that this batch is the first to use.
fn texts(
    prepared: &Checked,
    section: usize,
    findings: &[Identified],
    sent: &mut BTreeSet<String>,
) -> BTreeMap<String, Rule> {
    let mut texts = BTreeMap::new();
    for identified in findings {
        let rule = &identified.finding.rule_id;
        if !sent.contains(rule) {
            sent.insert(rule.clone());
            texts.extend(
                prepared
                    .report
                    .rule(section, rule)
                    .map(|text| (rule.clone(), text)),
            );
        }
    }
    texts
}

/// Reads a section into batches; ends early when nobody takes them.
fn read_batches(
    prepared: &Checked,
    section: usize,
    batches: &mpsc::Sender<Vec<Identified>>,
) -> Result<()> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let given_up = |_| Error::conflict("the import was given up");
    prepared.each_finding(section, &mut |identified| {
        let size = wire::about(&identified.finding);
        if !batch.is_empty() && (batch.len() == BATCH_FINDINGS || bytes + size > BATCH_BYTES) {
            batches
                .blocking_send(std::mem::take(&mut batch))
                .map_err(given_up)?;
            bytes = 0;
        }
        bytes += size;
        batch.push(identified);
        Ok(())
    })?;
    if !batch.is_empty() {
        batches.blocking_send(batch).map_err(given_up)?;
    }
    Ok(())
}

/// Calls until the answer is final; a sequence number makes the second call harmless.
async fn patiently<T, Fut>(call: impl Fn() -> Fut) -> Result<T>
where
    Fut: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    let mut backoff = Backoff::new();
    loop {
        match call().await {
            Err(error) if error.is_retryable() && Instant::now() < deadline => backoff.wait().await,
            answer => return answer,
        }
    }
}
