//! Dead letters in Redis, and consumers that are gone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::transport::redis::{RedisLink, fcall, fcall_ro, stored};
use fleet_worker_sdk::{Error, Partition, Result};
use futures_util::future::try_join_all;
use redis::Value;
use redis::streams::StreamRangeReply;

use crate::model::FeedEntry;
use crate::store::operate::{
    Consumers, Letter, LetterId, LetterKind, Letters, OpenedLetter, session_of,
};

/// A coordinator that was heard of within this time is at work: it looks for entries of dead ones
/// every ten seconds.
const AWAKE: Duration = Duration::from_mins(1);

/// Id, kind, session, entry, reason, deliveries, findings, bytes.
type Row = (String, String, String, String, String, u64, u64, u64);

/// A page of letters of all partitions.
pub(super) async fn letters(
    link: &RedisLink,
    after: Option<&LetterId>,
    limit: usize,
) -> Result<Letters> {
    let partitions = link.partitions().await?;
    let pages = partitions
        .iter()
        .map(|partition| page(link, partition, after, limit));
    let lengths = partitions.iter().map(|partition| length(link, partition));
    let mut letters = try_join_all(pages).await?.concat();
    letters.sort_by_key(|letter| std::cmp::Reverse(letter.id.order()));
    letters.truncate(limit);
    Ok(Letters {
        letters,
        total: try_join_all(lengths).await?.into_iter().sum(),
    })
}

async fn length(link: &RedisLink, partition: Partition) -> Result<u64> {
    let mut command = redis::cmd("XLEN");
    command.arg(link.keys().dead(partition));
    link.call(&command).await
}

async fn page(
    link: &RedisLink,
    partition: Partition,
    after: Option<&LetterId>,
    limit: usize,
) -> Result<Vec<Letter>> {
    let from = match after {
        None => "+".to_owned(),
        // Of the same moment, those of lower partitions come after it.
        Some(after) if partition.0 < after.partition.0 => place(after),
        Some(after) => format!("({}", place(after)),
    };
    let mut command = fcall_ro("fleet_letters_1", &[link.keys().dead(partition)]);
    command.arg(from).arg(limit);
    let rows: Vec<Row> = link.call(&command).await?;
    rows.into_iter().map(|row| letter(partition, row)).collect()
}

fn letter(partition: Partition, row: Row) -> Result<Letter> {
    let (id, kind, session, source, reason, delivered, findings, bytes) = row;
    let id: LetterId = format!("p{}-{id}", partition.0)
        .parse()
        .map_err(Error::protocol)?;
    Ok(Letter {
        id,
        kind: match kind.as_str() {
            "change" => LetterKind::Change,
            _ => LetterKind::Batch,
        },
        session,
        reason,
        since: stored::timestamp(id.ms)?,
        source,
        delivered,
        findings,
        bytes,
    })
}

/// A letter's name within its partition.
fn place(id: &LetterId) -> String {
    format!("{}-{}", id.ms, id.number)
}

fn missing(id: &LetterId) -> Error {
    Error::not_found("letter", id)
}

/// One letter, without what is in it.
async fn closed(link: &RedisLink, id: &LetterId) -> Result<Letter> {
    let dead = [link.keys().dead(id.partition)];
    let mut command = fcall_ro("fleet_letters_1", &dead);
    command.arg(place(id)).arg(1);
    let rows: Vec<Row> = link.call(&command).await?;
    let found = rows.into_iter().next().ok_or_else(|| missing(id))?;
    let letter = letter(id.partition, found)?;
    // The latest before it answers where it is not there.
    if letter.id == *id {
        Ok(letter)
    } else {
        Err(missing(id))
    }
}

/// One letter with what is in it.
pub(super) async fn opened(link: &RedisLink, id: &LetterId) -> Result<OpenedLetter> {
    let letter = closed(link, id).await?;
    let mut command = redis::cmd("XRANGE");
    command
        .arg(link.keys().dead(id.partition))
        .arg(place(id))
        .arg(place(id));
    let reply: StreamRangeReply = link.call(&command).await?;
    let entry = reply.ids.into_iter().next().ok_or_else(|| missing(id))?;
    let mut fields = BTreeMap::new();
    for (name, value) in entry.map {
        if let Some((_, name)) = name.split_once('.') {
            let value = redis::from_redis_value(value).map_err(Error::protocol)?;
            fields.insert(name.to_owned(), value);
        }
    }
    Ok(OpenedLetter { letter, fields })
}

/// Puts a letter back.
pub(super) async fn requeue(link: &RedisLink, id: &LetterId) -> Result<()> {
    let letter = closed(link, id).await?;
    let (keys, partition) = (link.keys(), id.partition);
    let mut names = vec![keys.dead(partition), keys.feed(partition)];
    let mut session = None;
    if letter.kind == LetterKind::Batch {
        let of = session_of(&letter)?;
        names.extend([keys.session(&of), keys.log(&of), keys.sessions(partition)]);
        session = Some(of);
    }
    let mut command = fcall("fleet_requeue_1", &names);
    command.arg(place(id));
    command.arg(session.as_ref().map(fleet_worker_sdk::SessionId::as_str));
    let there: u8 = link.call(&command).await?;
    if there == 1 { Ok(()) } else { Err(missing(id)) }
}

/// Throws a letter away.
pub(super) async fn discard(link: &RedisLink, id: &LetterId) -> Result<bool> {
    let mut command = redis::cmd("XDEL");
    command.arg(link.keys().dead(id.partition)).arg(place(id));
    let gone: u8 = link.call(&command).await?;
    Ok(gone == 1)
}

/// Moves entries of the feeds to the dead letters.
pub(super) async fn give_up(link: &RedisLink, entries: &[FeedEntry], reason: &str) -> Result<u64> {
    let mut by_partition: HashMap<Partition, Vec<&str>> = HashMap::new();
    for entry in entries {
        let ids = by_partition.entry(entry.session.partition()).or_default();
        ids.push(&entry.receipt);
    }
    let mut moved = 0;
    for (partition, ids) in by_partition {
        moved += give_up_in(link, partition, &ids, reason).await?;
    }
    Ok(moved)
}

/// Moves entries of one feed to the dead letters.
pub(super) async fn give_up_in(
    link: &RedisLink,
    partition: Partition,
    ids: &[&str],
    reason: &str,
) -> Result<u64> {
    let keys = [link.keys().feed(partition), link.keys().dead(partition)];
    let mut command = fcall("fleet_give_up_1", &keys);
    command.arg(Keys::GROUP).arg(reason).arg(ids);
    link.call(&command).await
}

/// Forgets consumers.
pub(super) async fn reap(link: &RedisLink, idle: Duration) -> Result<u64> {
    let mut removed = 0;
    for partition in link.partitions().await?.iter() {
        let mut command = fcall("fleet_reap_1", &[link.keys().feed(partition)]);
        command.arg(Keys::GROUP).arg(idle.as_millis() as u64);
        removed += link.call::<u64>(&command).await?;
    }
    Ok(removed)
}

/// Rows of a feed's consumers; none where there is neither feed nor group yet.
async fn consumers_of(
    link: &RedisLink,
    partition: Partition,
) -> Result<Vec<HashMap<String, Value>>> {
    let feed = link.keys().feed(partition);
    let mut exists = redis::cmd("EXISTS");
    exists.arg(&feed);
    if link.call::<u8>(&exists).await? == 0 {
        return Ok(Vec::new());
    }
    let mut command = redis::cmd("XINFO");
    command.arg("CONSUMERS").arg(feed).arg(Keys::GROUP);
    let rows = link.call_unless(&command, "NOGROUP").await?;
    Ok(rows.unwrap_or_default())
}

/// Who reads the feeds, over all partitions.
pub(super) async fn consumers(link: &RedisLink) -> Result<Consumers> {
    let (mut all, mut awake, mut holding) = (HashSet::new(), HashSet::new(), HashSet::new());
    for partition in link.partitions().await?.iter() {
        for mut row in consumers_of(link, partition).await? {
            let mut take = |name: &str| row.remove(name).unwrap_or(Value::Nil);
            let name: String = redis::from_redis_value(take("name")).map_err(Error::protocol)?;
            let idle: u64 = redis::from_redis_value(take("idle")).map_err(Error::protocol)?;
            let pending: u64 = redis::from_redis_value(take("pending")).map_err(Error::protocol)?;
            if idle < AWAKE.as_millis() as u64 {
                awake.insert(name.clone());
            } else if pending > 0 {
                holding.insert(name.clone());
            }
            all.insert(name);
        }
    }
    let holding = holding.difference(&awake).count() as u64;
    Ok(Consumers {
        all: all.len() as u64,
        awake: awake.len() as u64,
        holding,
    })
}
