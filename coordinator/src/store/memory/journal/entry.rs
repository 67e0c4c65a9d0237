//! What stands in a journal and in a snapshot: accepted writes, and the state they came to.
//!
//! Everything is JSON, as the same values are in Redis, but for findings, which are as they are
//! everywhere. Times are written down with each change, so that the same changes give the same state.

use std::collections::BTreeMap;

use fleet_worker_sdk::spool::parcel;
use fleet_worker_sdk::{
    Again, Batch, Bot, BotId, Error, OpenSession, ProducerId, Repository, Result, Rule, SessionId,
    Transition, Version, WorkerId, wire,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::anomaly::Anomaly;
use crate::health::FleetHealth;
use crate::history::Point;
use crate::model::{Counts, Derived, Rollup, Run, Session, Worker};
use crate::series::BotSeries;
use crate::store::alerts::Audit;
use crate::store::memory::alerts::Kept;
use crate::store::memory::producers::Last;
use crate::store::memory::rollup::Latest;
use crate::store::memory::session::Apart;

/// Findings in one record of a snapshot: 64 MiB at their largest would be too much, a full batch's
/// worth is not.
pub(super) const FINDINGS: usize = 200;
/// Rules in one record of a snapshot, at most 16 KiB each.
pub(super) const RULES: usize = 256;

/// Kind of a push, whose payload is no JSON: the time in milliseconds, then the batch.
const PUSH: u8 = 2;
/// Kind of a part of a session's findings: [`Arrived`] and the findings.
const ARRIVED: u8 = 3;
/// Kind of everything else.
const OTHER: u8 = 1;

/// One record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// What a fleet was created with.
    Fleet { partitions: u16 },
    /// A bot was registered.
    Bot { bot: Bot },
    /// A session was created or joined.
    Open {
        open: OpenSession,
        session: SessionId,
        at: Timestamp,
    },
    /// An execution changed.
    Change {
        transition: Transition,
        at: Timestamp,
    },
    /// A session was dropped.
    Drop {
        session: SessionId,
        version: Version,
    },
    /// A session was made what its findings say.
    Mended { session: SessionId, at: Timestamp },
    /// A session's health was stored.
    Derived {
        session: SessionId,
        derived: Box<Derived>,
    },
    /// The fleet's health was stored.
    Health {
        version: Version,
        fleet: Box<FleetHealth>,
    },
    /// A bot's series moved on.
    Series { bot: BotId, to: Box<BotSeries> },
    /// Anomalies were found.
    Anomalies { found: Vec<Anomaly> },
    /// Anomalies ended, or began again.
    Amended { changed: Vec<Anomaly> },
    /// A score was recorded.
    Point { scope: String, point: Point },
    /// Alerts, silences or deliveries changed.
    Alerts { kept: Box<Kept> },
    /// Somebody did something.
    Audited { one: Audit },
    /// A worker appeared, or changed its state.
    Worker { worker: Worker, progress: u64 },
    /// A worker was forgotten.
    Forgotten { worker: WorkerId },
    /// A session as it is, before its findings.
    Session {
        session: Box<Session>,
        counts: Counts,
        apart: Apart,
    },
    /// Texts of rules of a session.
    Rules {
        session: SessionId,
        rules: BTreeMap<String, Rule>,
    },
    /// A producer's last answer.
    Producer {
        partition: u16,
        producer: ProducerId,
        last: Box<Last>,
    },
    /// A bot's runs, oldest first.
    Runs { bot: BotId, runs: Vec<Run> },
    /// The baseline of a scope.
    Baseline {
        repository: Repository,
        bot: BotId,
        #[serde(rename = "ref")]
        git_ref: String,
        session: SessionId,
    },
    /// The fleet's sums.
    Sums { sums: Rollup },
    /// Who speaks for a repository.
    Speaker {
        repository: Repository,
        latest: Latest,
    },
    /// A score's history, oldest first.
    History { scope: String, points: Vec<Point> },
}

/// Findings of one bot that came at one time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Arrived {
    pub(crate) session: SessionId,
    pub(crate) bot: BotId,
    pub(crate) at: Timestamp,
    /// Those seen more often than they say themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) again: Vec<Again>,
}

/// A record as it is read.
pub(super) enum Stored {
    Push {
        batch: Batch,
        bodies: Vec<Vec<u8>>,
        at: Timestamp,
    },
    Arrived(Arrived, Vec<Vec<u8>>),
    Other(Entry),
}

/// A record to write: its kind and payload.
pub(crate) type Encoded = (u8, Vec<u8>);

impl Entry {
    /// The record of it.
    ///
    /// # Errors
    /// [`Error::Protocol`] when it cannot be written as JSON.
    pub(crate) fn encode(&self) -> Result<Encoded> {
        Ok((OTHER, serde_json::to_vec(self).map_err(Error::protocol)?))
    }
}

impl Arrived {
    /// The record of it with its findings.
    ///
    /// # Errors
    /// [`Error::Protocol`] when it cannot be written as JSON.
    pub(super) fn encode<'a>(&self, bodies: impl Iterator<Item = &'a [u8]>) -> Result<Encoded> {
        let head = serde_json::to_vec(self).map_err(Error::protocol)?;
        let mut joined = wire::join([head.as_slice()]);
        joined.append(&mut wire::join(bodies));
        Ok((ARRIVED, joined))
    }
}

/// The record of a push, but for its time, which is known under the lock only.
///
/// # Errors
/// [`Error::Protocol`] when it cannot be written as JSON.
pub(crate) fn encode_push(batch: &Batch, bodies: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut payload = vec![0; 8];
    payload.append(&mut parcel::encode_batch(batch, bodies)?);
    Ok(payload)
}

/// Sets the time of a push.
pub(crate) fn timed(mut payload: Vec<u8>, at: Timestamp) -> Encoded {
    if let Some(time) = payload.first_chunk_mut::<8>() {
        *time = at.as_millisecond().to_le_bytes();
    }
    (PUSH, payload)
}

/// Reads a record.
///
/// # Errors
/// [`Error::Invalid`] when it is of a kind, or has a form, that this version does not know.
pub(super) fn decode(kind: u8, payload: &[u8]) -> Result<Stored> {
    match kind {
        OTHER => Ok(Stored::Other(json(payload)?)),
        PUSH => {
            let parts = payload.split_first_chunk::<8>();
            let (time, batch) = parts.ok_or_else(|| unknown("a push is too short"))?;
            let at = Timestamp::from_millisecond(i64::from_le_bytes(*time));
            let bodies = wire::split(batch)?.into_iter().skip(1);
            Ok(Stored::Push {
                bodies: bodies.map(<[u8]>::to_vec).collect(),
                batch: parcel::decode_batch(batch)?,
                at: at.map_err(|error| unknown(&error.to_string()))?,
            })
        }
        ARRIVED => {
            let mut parts = wire::split(payload)?.into_iter();
            let head = json(parts.next().unwrap_or_default())?;
            Ok(Stored::Arrived(head, parts.map(<[u8]>::to_vec).collect()))
        }
        _ => Err(unknown(&format!(
            "a record of kind {kind}, which a later version may have written"
        ))),
    }
}

fn json<T: DeserializeOwned>(payload: &[u8]) -> Result<T> {
    serde_json::from_slice(payload).map_err(|error| unknown(&error.to_string()))
}

fn unknown(why: &str) -> Error {
    Error::invalid("journal", why)
}
