//! Compaction of a session in Redis: its log becomes few compressed entries, its index an array.
//!
//! Both are made beside the old ones, under keys that expire, and put in their place by one function
//! that checks that nothing has changed. So any number of coordinators may try, and one that is killed
//! leaves nothing.

pub mod chunk;

mod members;

use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::transport::redis::fcall;
use fleet_worker_sdk::{Error, Result, SessionId, Version};

use self::chunk::{Chunk, Record};
use super::RedisStore;
use super::fold::{PAGE, readable, record};
use super::parse::Fields;
use crate::store::compact::{Compact, Compacted};

/// The field of a log's entry that holds a [chunk](chunk).
pub(super) const COMPACTED: &str = "z";
/// What is in the making expires this long after it was last written to. A step takes milliseconds;
/// a minute lasts through a failover.
const EXPIRES: Duration = Duration::from_mins(1);
/// Sessions of fewer findings stay as they are: up to here an index is a list that takes little more
/// than the array, and a chunk has nothing to refer back to.
const FEW: u64 = 32;

/// A session as it was when its compaction began, and where the new form is made.
struct Making<'a> {
    store: &'a RedisStore,
    session: &'a SessionId,
    log: String,
    packed: String,
    entries: u64,
}

#[async_trait]
impl Compact for RedisStore {
    async fn compact_session(&self, session: &SessionId, version: Version) -> Result<Compacted> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.keys().session(session));
        command.arg(&["version", "generation", "total", "compacted"]);
        let fields: Vec<Option<u64>> = self.link.call(&command).await?;
        let [Some(now), Some(generation), Some(total), compacted] = fields[..] else {
            return Err(Error::not_found("session", session));
        };
        if now != version.0 {
            return Ok(Compacted::Moved);
        }
        if compacted == Some(now) || total < FEW {
            return Ok(Compacted::Left);
        }
        let token = u128::from_be_bytes(*uuid::Uuid::new_v4().as_bytes());
        let [log, packed] = self.keys().compacting(session, token);
        let mut making = Making {
            store: self,
            session,
            log,
            packed,
            entries: 0,
        };
        let made = making.make(version, generation).await;
        if !matches!(made, Ok(Compacted::Done { .. })) {
            making.discard().await;
        }
        made
    }
}

impl Making<'_> {
    async fn make(&mut self, version: Version, generation: u64) -> Result<Compacted> {
        if !self.write_log().await? {
            return Ok(Compacted::Left);
        }
        let members = self.write_packed().await?;
        self.swap(version, generation, members).await
    }

    /// Writes the log anew; false when it holds what cannot be read, which the next reader moves to
    /// the dead letters.
    async fn write_log(&mut self) -> Result<bool> {
        let mut chunk = Chunk::default();
        let mut last: Option<String> = None;
        loop {
            let entries = self.entries_after(last.as_deref()).await?;
            for (id, fields) in &entries {
                if !self.add(&mut chunk, id, fields).await? {
                    return Ok(false);
                }
            }
            if entries.len() < PAGE {
                break;
            }
            last = entries.into_iter().next_back().map(|(id, _)| id);
        }
        self.write_chunk(&mut chunk).await?;
        Ok(true)
    }

    async fn entries_after(&self, last: Option<&str>) -> Result<Vec<(String, Fields)>> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.store.keys().log(self.session));
        command.arg(last.map_or("-".to_owned(), |id| format!("({id}")));
        command.arg("+").arg("COUNT").arg(PAGE);
        self.store.link.call(&command).await
    }

    /// Adds an entry, compacted before or not; false when it cannot be read.
    async fn add(&mut self, chunk: &mut Chunk, id: &str, fields: &Fields) -> Result<bool> {
        let mut expanded = Vec::new();
        let Ok(records) = records(id, fields, &mut expanded) else {
            return Ok(false);
        };
        for (record, findings) in &records {
            if chunk.add(record, *findings).is_err() {
                return Ok(false);
            }
            if chunk.is_full() {
                self.write_chunk(chunk).await?;
            }
        }
        Ok(true)
    }

    /// Compresses what is in `chunk`, off the serving threads, and writes it. Ids count from 1 and so
    /// come before those of all pushes; a write that is repeated is refused, for its id is there.
    async fn write_chunk(&mut self, chunk: &mut Chunk) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        let whole = std::mem::take(chunk);
        let findings = whole.findings;
        let compressed = tokio::task::spawn_blocking(move || whole.compress());
        let compressed = compressed.await.map_err(Error::protocol)??;
        self.entries += 1;
        let mut write = redis::pipe();
        write.atomic();
        write
            .cmd("XADD")
            .arg(&self.log)
            .arg(format!("{}-0", self.entries));
        write
            .arg("n")
            .arg(findings)
            .arg(COMPACTED)
            .arg(compressed)
            .ignore();
        write
            .expire(&self.log, EXPIRES.as_secs().cast_signed())
            .ignore();
        self.store.link.pipeline::<()>(&write).await
    }

    async fn swap(&self, version: Version, generation: u64, members: u64) -> Result<Compacted> {
        let keys = self.store.keys().of_session(self.session);
        let keys = [
            keys.session,
            keys.log,
            keys.index,
            keys.packed,
            keys.counts,
            self.log.clone(),
            self.packed.clone(),
        ];
        let mut command = fcall("fleet_compact_1", &keys);
        command
            .arg(self.session.as_str())
            .arg(version.0)
            .arg(generation);
        command.arg(self.entries).arg(members);
        let answer: Vec<u64> = self.store.link.call(&command).await?;
        Ok(match answer[..] {
            [1, before, after] => Compacted::Done { before, after },
            _ => Compacted::Moved,
        })
    }

    /// Gives the room back at once; whatever stops this, it expires.
    async fn discard(&self) {
        let mut command = redis::cmd("UNLINK");
        command.arg(&self.log).arg(&self.packed);
        if let Err(error) = self.store.link.call::<u64>(&command).await {
            tracing::debug!(session = %self.session, %error, "what was made in vain is left to expire");
        }
    }
}

/// The records of an entry and their findings, checked as a fold would; `expanded` holds them where
/// they were compacted.
fn records<'a>(
    id: &str,
    fields: &'a Fields,
    expanded: &'a mut Vec<u8>,
) -> Result<Vec<(Record<'a>, u64)>> {
    let records = match fields.get(COMPACTED) {
        None => vec![record(id, fields)?],
        Some(compressed) => {
            *expanded = chunk::expand(compressed)?;
            chunk::records(expanded)?
        }
    };
    let counted = records.into_iter().map(|record| {
        let findings = readable(&record)?.findings.len() as u64;
        Ok((record, findings))
    });
    counted.collect()
}
