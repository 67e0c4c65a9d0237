//! What operators do with a store: dead letters, consumers that are gone, a look at its servers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::{Error, Partition, Result, SessionId};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Read;
use crate::model::FeedEntry;

/// Dead letters kept in a partition: a fault that makes more is one fault, and the first thousands
/// show it. The oldest go.
pub const MAX_LETTERS: usize = 10_000;
/// Letters of one page.
pub const MAX_LETTERS_READ: usize = 200;

/// Names a dead letter: its partition, and its place in it, which begins with the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LetterId {
    /// Where it is kept.
    pub partition: Partition,
    /// Milliseconds since 1970 at which it was put there.
    pub ms: u64,
    /// Number within the millisecond.
    pub number: u64,
}

impl LetterId {
    /// What letters are ordered by: time, then partition.
    pub fn order(&self) -> (u64, u64, u16) {
        (self.ms, self.number, self.partition.0)
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}-{}-{}", self.partition.0, self.ms, self.number)
    }
}

impl FromStr for LetterId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let parts = || {
            let (partition, place) = text.strip_prefix('p')?.split_once('-')?;
            let (ms, number) = place.split_once('-')?;
            Some(Self {
                partition: Partition(partition.parse().ok()?),
                ms: ms.parse().ok()?,
                number: number.parse().ok()?,
            })
        };
        parts().ok_or_else(|| {
            let why = format!(
                "`{}` is not of the form p3-1700000000000-0, as `fleet dead list` shows them",
                text.escape_debug()
            );
            Error::invalid("letter", why)
        })
    }
}

impl Serialize for LetterId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LetterId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a dead letter was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    /// A batch of findings that cannot be read; they stay counted as quarantined.
    Batch,
    /// A change on the feed that was handed out too often, names no session, or is of one that cannot
    /// be computed.
    Change,
}

impl LetterKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Change => "change",
        }
    }
}

/// A dead letter, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its name.
    pub id: LetterId,
    /// What it was.
    pub kind: LetterKind,
    /// The session it belongs to; empty where none can be read.
    pub session: String,
    /// Why it is here.
    pub reason: String,
    /// When it was put here.
    pub since: Timestamp,
    /// Where it stood: the entry of the session's log, or of the feed.
    pub source: String,
    /// How often it had been handed out; 0 for a batch.
    pub delivered: u64,
    /// Findings in it.
    pub findings: u64,
    /// Its size.
    pub bytes: u64,
}

/// A dead letter with what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedLetter {
    /// It.
    #[serde(flatten)]
    pub letter: Letter,
    /// The fields of its source, as bytes.
    #[serde(skip)]
    pub fields: BTreeMap<String, Vec<u8>>,
}

/// A page of dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letters {
    /// The letters, latest first.
    pub letters: Vec<Letter>,
    /// How many there are in all.
    pub total: u64,
}

/// What a server of the store says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub address: String,
    /// `INFO`, by field.
    pub info: BTreeMap<String, String>,
    /// Settings; none where the user may not ask for them.
    pub config: Option<BTreeMap<String, String>>,
    /// `CLUSTER INFO`, by field; none where it is of no cluster or must not be asked.
    pub cluster: Option<BTreeMap<String, String>>,
    /// Function libraries that are not as this software has them; none where it may not ask.
    pub foreign_functions: Option<Vec<String>>,
    /// Its clock.
    pub clock: Timestamp,
    /// This machine's clock when it was asked, in the middle between question and answer.
    pub asked: Timestamp,
    /// Time of an answer.
    pub latency: Duration,
}

/// A consumer of the feeds: one coordinator, in as many partitions as it read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consumers {
    /// How many there are.
    pub all: u64,
    /// How many were heard of within a minute.
    pub awake: u64,
    /// How many that were not hold entries.
    pub holding: u64,
}

/// The layout of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// Version of the keys.
    pub schema: u32,
    /// Partitions.
    pub partitions: u16,
}

/// What operators do.
#[async_trait]
pub trait Operate: Read {
    /// Dead letters before `after` in their order, latest first, at most `limit`.
    async fn letters(&self, after: Option<&LetterId>, limit: usize) -> Result<Letters>;
    /// A letter with what is in it.
    async fn letter(&self, id: &LetterId) -> Result<OpenedLetter>;
    /// Puts a letter back where it came from: a batch at the end of its session's log, a change on
    /// the feed. What still cannot be read comes back. `NotFound` when the letter, or the session of
    /// a batch, is not there.
    async fn requeue(&self, id: &LetterId) -> Result<()>;
    /// Throws a letter away; says whether it was there. Findings of a batch stay counted as
    /// quarantined, for they were acknowledged.
    async fn discard(&self, id: &LetterId) -> Result<bool>;
    /// Moves changes off the feed to the dead letters; answers how many were still on it.
    async fn give_up(&self, entries: &[FeedEntry], reason: &str) -> Result<u64>;
    /// Forgets consumers of the feeds that were not heard of for `idle` and hold nothing; answers how
    /// many.
    async fn reap(&self, idle: Duration) -> Result<u64>;
    /// What its servers that take writes say of themselves; none of a store within this process.
    async fn servers(&self) -> Result<Vec<Server>>;
    /// Who reads the feeds.
    async fn consumers(&self) -> Result<Consumers>;
    /// How the fleet is laid out.
    async fn layout(&self) -> Result<Layout>;
    /// Whether this user may do all that a coordinator does; the error names what is missing.
    async fn rights(&self) -> Result<()>;
}

/// The session that a letter names.
pub(super) fn session_of(letter: &Letter) -> Result<SessionId> {
    SessionId::new(&letter.session)
        .map_err(|_| Error::invalid("letter", format!("{} names no session; drop it", letter.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letters_name_reads_back_and_nothing_else_does() {
        let id = LetterId {
            partition: Partition(3),
            ms: 1_700_000_000_000,
            number: 2,
        };
        assert_eq!(id.to_string(), "p3-1700000000000-2");
        assert_eq!(id.to_string().parse::<LetterId>().unwrap(), id);
        for bad in ["", "p3", "3-1-0", "p3-1", "p-1-0", "px-1-0", "p3-1-0-0"] {
            assert!(bad.parse::<LetterId>().is_err(), "{bad}");
        }
    }
}
