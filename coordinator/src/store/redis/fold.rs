//! Folding a session's log into an index, and catching up with it.

use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::transport::redis::{RedisLink, fcall, fcall_ro};
use fleet_worker_sdk::{BotId, Error, Result, Rule, SessionId, wire};
use moka::future::Cache;
use tokio::sync::{Mutex, RwLock};

use super::parse::Fields;
use crate::index::Index;
use crate::store::Findings;

/// Entries of a log read at once: 64 batches of at most 512 KiB, usually 4 MiB in all.
const PAGE: usize = 64;
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

    /// The session's findings, with all that was pushed before the call.
    pub(super) async fn current(&self, session: &SessionId) -> Result<Findings> {
        let fold = self
            .cache
            .get_with_by_ref(session, async { Fold::empty() })
            .await;
        let before = fold.index.read().await.weight();
        if !fold.catch_up(&self.link, session).await? {
            tracing::warn!(%session, "a fold differed from its session and was made anew");
            fold.restart().await;
            if !fold.catch_up(&self.link, session).await? {
                tracing::error!(%session, "a session's log does not hold what its counters say");
            }
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

    async fn restart(&self) {
        let mut position = self.position.lock().await;
        *self.index.write().await = Index::new();
        *position = Position::default();
    }

    /// Folds what was logged since; false when the whole does not add up.
    async fn catch_up(&self, link: &RedisLink, session: &SessionId) -> Result<bool> {
        let mut position = self.position.lock().await;
        loop {
            let (generation, total, quarantined, texts, entries) =
                tail(link, session, &position).await?;
            if position.last.is_some() && position.generation != generation {
                return Ok(false);
            }
            position.generation = generation;
            let last_page = entries.len() < PAGE;
            let mut unreadable = Vec::new();
            if !entries.is_empty() {
                let mut index = self.index.write().await;
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
                return Ok(self.index.read().await.len() as u64 + quarantined == total);
            }
        }
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
    let field = |name: &str| fields.get(name).map(Vec::as_slice).unwrap_or_default();
    let number = fleet_worker_sdk::transport::redis::stored::number;
    let version = number(field("v"))?;
    if !u32::try_from(version).is_ok_and(wire::accepts) {
        let ours = wire::WIRE_VERSION;
        return Err(Error::invalid(
            "log entry",
            format!("its wire version is {version}, ours is {ours}"),
        ));
    }
    let bot = BotId::new(String::from_utf8_lossy(field("b")))?;
    let milliseconds = id.split('-').next().unwrap_or_default();
    let at =
        fleet_worker_sdk::transport::redis::stored::timestamp(number(milliseconds.as_bytes())?)?;
    let bodies = wire::split(field("f"))?;
    let repeats = wire::decode_again(field("a"))?;
    if bodies.len() as u64 != number(field("n"))? {
        return Err(Error::invalid(
            "log entry",
            "it does not hold as many findings as it says",
        ));
    }
    for body in &bodies {
        wire::columns(body)?;
    }
    for body in bodies {
        index.add(&bot, at, body)?;
    }
    for again in &repeats {
        index.again(again);
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
