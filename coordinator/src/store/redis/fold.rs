//! Folding a session's log into an index, and catching up with it.

use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::transport::redis::stored::{number, timestamp};
use fleet_worker_sdk::transport::redis::{RedisLink, fcall, fcall_ro};
use fleet_worker_sdk::wire::{self, Columns};
use fleet_worker_sdk::{Again, BotId, Error, Result, Rule, SessionId};
use jiff::Timestamp;
use moka::future::Cache;
use tokio::sync::{Mutex, RwLock};

use super::compact::COMPACTED;
use super::compact::chunk::{self, Record};
use super::parse::Fields;
use crate::index::Index;
use crate::store::Findings;
use crate::store::retain::Memory;

/// Entries of a log read at once: 64 batches of at most 512 KiB, usually 4 MiB in all. Compacted ones
/// take as much, and are expanded one by one.
pub(super) const PAGE: usize = 64;
/// Findings that room is made for at once, as many as the session says it has: 40 MiB, should it be wrong.
const AT_ONCE: u64 = 500_000;
/// Times that a fold is made anew for one reader: a log is rewritten once in minutes.
const RESTARTS: usize = 3;
/// A fold that nobody reads is dropped after this.
const IDLE: Duration = Duration::from_mins(10);

/// One session, folded up to an entry of its log.
#[derive(Debug)]
struct Fold {
    index: Findings,
    position: Mutex<Position>,
}

#[derive(Debug, Default)]
struct Position {
    last: Option<String>,
    generation: u64,
}

/// What catching up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caught {
    /// All is folded.
    Up,
    /// The log is of another generation than what was folded of it.
    Rewritten,
    /// What is folded is not what the session counts.
    Differs,
}

type Entry = (String, Fields);
/// Generation, total, quarantined, rules with texts, entries.
type Tail = (u64, u64, u64, usize, Vec<Entry>);

/// Folded sessions, within a bound of bytes.
#[derive(Debug)]
pub(super) struct Folds {
    link: Arc<RedisLink>,
    cache: Cache<SessionId, Arc<Fold>>,
}

impl Folds {
    pub(super) fn new(link: Arc<RedisLink>, bytes: u64) -> Self {
        let weigh = |_: &SessionId, fold: &Arc<Fold>| {
            let weight = fold
                .index
                .try_read()
                .map_or(0, |index| index.weight() as u64);
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(bytes)
            .weigher(weigh)
            .time_to_idle(IDLE)
            .build();
        Self { link, cache }
    }

    /// What is held, and may be.
    pub(super) async fn memory(&self) -> Memory {
        // Sums are settled with later reads, and there may be none.
        self.cache.run_pending_tasks().await;
        Memory {
            used: self.cache.weighted_size(),
            limit: self.cache.policy().max_capacity().unwrap_or(0),
        }
    }

    /// The session's findings, with all that was pushed before the call.
    pub(super) async fn current(&self, session: &SessionId) -> Result<Findings> {
        let fold = self
            .cache
            .get_with_by_ref(session, async { Fold::empty() })
            .await;
        let before = fold.index.read().await.weight();
        if fold.catch_up(&self.link, session).await? != Caught::Up {
            fold.restart(&self.link, session).await?;
        }
        if fold.index.read().await.weight() > before {
            self.cache.insert(session.clone(), Arc::clone(&fold)).await;
        }
        Ok(Arc::clone(&fold.index))
    }
}

impl Fold {
    fn empty() -> Arc<Self> {
        let index = Arc::new(RwLock::new(Index::new()));
        Arc::new(Self {
            index,
            position: Mutex::default(),
        })
    }

    /// Folds the session anew. Until that is done readers see what was folded before; the order of
    /// findings is the same in every generation, so that their cursors hold.
    async fn restart(&self, link: &RedisLink, session: &SessionId) -> Result<()> {
        let mut position = self.position.lock().await;
        for _ in 0..RESTARTS {
            let fresh = Self::empty();
            let caught = fresh.catch_up(link, session).await?;
            if caught == Caught::Rewritten {
                continue;
            }
            if caught == Caught::Differs {
                tracing::error!(%session, "a session's log does not hold what its counters say");
            }
            *self.index.write().await = std::mem::take(&mut *fresh.index.write().await);
            *position = std::mem::take(&mut *fresh.position.lock().await);
            return Ok(());
        }
        Err(Error::Unavailable {
            store: link.address().to_owned(),
            why: format!("the log of session {session} was rewritten each time it was read"),
        })
    }

    /// Folds what was logged since.
    async fn catch_up(&self, link: &RedisLink, session: &SessionId) -> Result<Caught> {
        let mut position = self.position.lock().await;
        loop {
            let (generation, total, quarantined, texts, entries) =
                tail(link, session, &position).await?;
            if position.last.is_some() && position.generation != generation {
                return Ok(Caught::Rewritten);
            }
            position.generation = generation;
            let last_page = entries.len() < PAGE;
            let mut unreadable = Vec::new();
            if !entries.is_empty() {
                let mut index = self.index.write().await;
                let missing = total.saturating_sub(index.len() as u64);
                index.reserve(missing.min(AT_ONCE) as usize);
                for (id, fields) in entries {
                    if let Err(error) = apply(&mut index, &id, &fields) {
                        unreadable.push((id.clone(), error.to_string()));
                    }
                    position.last = Some(id);
                }
            }
            if !unreadable.is_empty() {
                quarantine(link, session, &unreadable).await?;
                continue;
            }
            if last_page {
                if self.index.read().await.rules().len() != texts {
                    self.index
                        .write()
                        .await
                        .set_rules(rules(link, session).await?);
                }
                if self.index.read().await.len() as u64 + quarantined == total {
                    return Ok(Caught::Up);
                }
                tracing::warn!(%session, "a fold differs from its session and is made anew");
                return Ok(Caught::Differs);
            }
        }
    }
}

/// A session folded apart from those that are read: for who has to know what its log says.
#[derive(Debug)]
pub(super) struct Apart(Arc<Fold>);

impl Apart {
    pub(super) fn new() -> Self {
        Self(Fold::empty())
    }

    /// Folds what was logged since, whether or not it agrees with the counters; answers the
    /// generation that all of it is of.
    pub(super) async fn catch_up(&self, link: &RedisLink, session: &SessionId) -> Result<u64> {
        let _agrees = self.0.catch_up(link, session).await?;
        Ok(self.0.position.lock().await.generation)
    }

    /// What was folded.
    pub(super) fn index(&self) -> &RwLock<Index> {
        &self.0.index
    }
}

async fn tail(link: &RedisLink, session: &SessionId, position: &Position) -> Result<Tail> {
    let keys = link.keys();
    let keys = [
        keys.session(session),
        keys.log(session),
        keys.rules(session),
    ];
    let mut command = fcall_ro("fleet_tail_1", &keys);
    command
        .arg(position.last.as_deref().unwrap_or("-"))
        .arg(PAGE);
    link.call(&command).await.map_err(|error| match error {
        Error::NotFound { .. } => Error::not_found("session", session),
        other => other,
    })
}

async fn rules(
    link: &RedisLink,
    session: &SessionId,
) -> Result<std::collections::BTreeMap<String, Rule>> {
    let mut command = redis::cmd("HGETALL");
    command.arg(link.keys().rules(session));
    let fields: Fields = link.call(&command).await?;
    let read = |(rule, json): (String, Vec<u8>)| {
        serde_json::from_slice(&json)
            .map(|texts| (rule, texts))
            .map_err(Error::protocol)
    };
    fields.into_iter().map(read).collect()
}

/// Folds one entry, whole or not at all.
fn apply(index: &mut Index, id: &str, fields: &Fields) -> Result<()> {
    if let Some(compressed) = fields.get(COMPACTED) {
        let bytes = chunk::expand(compressed)?;
        return fold(index, &chunk::records(&bytes)?, fields);
    }
    fold(index, &[record(id, fields)?], fields)
}

/// An entry as it was pushed.
pub(super) fn record<'a>(id: &str, fields: &'a Fields) -> Result<Record<'a>> {
    let field = |name: &str| fields.get(name).map(Vec::as_slice).unwrap_or_default();
    let milliseconds = id.split('-').next().unwrap_or_default();
    let bot = std::str::from_utf8(field("b"))
        .map_err(|_| Error::invalid("log entry", "its bot is not UTF-8"))?;
    Ok(Record {
        ms: number(milliseconds.as_bytes())?,
        wire: u32::try_from(number(field("v"))?).unwrap_or(u32::MAX),
        bot,
        bodies: wire::logged(field)?,
        again: field("a"),
    })
}

/// What a record holds, decoded as far as can fail.
pub(super) struct Readable<'a> {
    bot: BotId,
    at: Timestamp,
    /// Its findings, with what an index needs of them.
    pub(super) findings: Vec<(&'a [u8], Columns<'a>)>,
    again: Vec<Again>,
}

/// Reads a record.
///
/// # Errors
/// `Error::Invalid` when its findings are not as this software writes them.
pub(super) fn readable<'a>(record: &'a Record<'_>) -> Result<Readable<'a>> {
    if !wire::accepts(record.wire) {
        let (theirs, ours) = (record.wire, wire::WIRE_VERSION);
        return Err(Error::invalid(
            "log entry",
            format!("its wire version is {theirs}, ours is {ours}"),
        ));
    }
    let bodies = wire::split(&record.bodies)?.into_iter();
    let findings = bodies.map(|body| Ok((body, wire::columns(body)?)));
    Ok(Readable {
        bot: BotId::new(record.bot)?,
        at: timestamp(record.ms)?,
        findings: findings.collect::<Result<_>>()?,
        again: wire::decode_again(record.again)?,
    })
}

fn fold(index: &mut Index, records: &[Record<'_>], fields: &Fields) -> Result<()> {
    let all = records.iter().map(readable).collect::<Result<Vec<_>>>()?;
    let findings: usize = all.iter().map(|readable| readable.findings.len()).sum();
    let stated = fields.get("n").map(Vec::as_slice).unwrap_or_default();
    if findings as u64 != number(stated)? {
        return Err(Error::invalid(
            "log entry",
            "it does not hold as many findings as it says",
        ));
    }
    for readable in &all {
        for (body, columns) in &readable.findings {
            index.add_read(&readable.bot, readable.at, body, columns)?;
        }
        for again in &readable.again {
            index.again(again);
        }
    }
    Ok(())
}

async fn quarantine(
    link: &RedisLink,
    session: &SessionId,
    entries: &[(String, String)],
) -> Result<()> {
    let (keys, partition) = (link.keys(), session.partition());
    let keys = [
        keys.session(session),
        keys.log(session),
        keys.dead(partition),
        keys.sessions(partition),
        keys.feed(partition),
    ];
    for (id, reason) in entries {
        tracing::error!(%session, entry = %id, %reason, "a batch cannot be read and goes to the dead letters");
        let mut command = fcall("fleet_quarantine_1", &keys);
        command.arg(session.as_str()).arg(id).arg(reason);
        let _findings: i64 = link.call(&command).await?;
    }
    Ok(())
}
