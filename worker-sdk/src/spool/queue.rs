//! A bot's spool: what its executions have to send, on disk until the store has acknowledged it.
//!
//! One chain of files for all executions of a bot. Parcels are appended, and marked done by
//! records behind them; the first file goes when everything in it is done, then the next. So a
//! parcel that is still there has every mark about it behind it.
//!
//! A parcel's number counts on from the producer's last; one that is refused uses none, so that
//! the parcels appended before it was refused are numbered one less from then on.

mod recover;

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::sync::Notify;

use self::recover::{mark, split};
use super::file::{self, Appender};
use super::lock::Lock;
use super::parcel::Parcel;
use crate::error::{Error, Result};
use crate::ids::{BotId, ProducerId, SessionId};

/// Most bytes of a spool unless told otherwise: about a million findings, which is what a bot finds
/// in an outage of hours, and little on any disk.
pub const SPOOL_BYTES: u64 = 256 * 1024 * 1024;
/// Least bytes of a spool: two of the largest batches with the texts of their rules.
pub const MIN_SPOOL_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes from which on the next file is begun: room comes back in steps of this size.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// A file of which nothing is left to send is begun anew from here on: below, doing so for each
/// batch would cost more than the file does.
const WORTH_REMOVING: u64 = 256 * 1024;
/// Kind of a record that says that a parcel is done with.
const DONE: u8 = 3;
/// Where parcels are kept that the store refuses for good.
const REFUSED: &str = "refused";
/// How the files are called, after their number.
const SUFFIX: &str = ".spool";

/// Where a parcel lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    segment: u64,
    at: u64,
}

/// What became of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The store has it, or nobody wants it sent any more.
    Settled,
    /// The store refuses it; its number was not used.
    Refused,
}

/// What a producer of an earlier process left behind, in order.
#[derive(Debug)]
pub(crate) struct Left {
    /// In which session.
    pub(crate) session: SessionId,
    /// Who.
    pub(crate) producer: ProducerId,
    /// The number of the first of them.
    pub(crate) first: u64,
    /// The parcels.
    pub(crate) places: Vec<Place>,
    /// A parcel of it was refused before.
    pub(crate) refused: bool,
}

/// A spool, held by this process.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    limit: u64,
    segment_bytes: u64,
    state: Mutex<State>,
    /// Rung when bytes came free.
    room: Notify,
    _lock: Lock,
}

#[derive(Debug, Default)]
struct State {
    segments: VecDeque<Segment>,
    /// Appends to the last segment.
    active: Option<Appender>,
    /// The number of the next segment.
    next: u64,
    /// Bytes in all segments.
    bytes: u64,
    /// Bytes in refused parcels.
    refused: u64,
    /// Next number of each producer that has parcels here or may have more.
    numbers: HashMap<ProducerId, u64>,
    /// Something was written since the last sync.
    dirty: bool,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    path: PathBuf,
    bytes: u64,
    /// Parcels in it that are not done.
    open: u64,
}

impl Spool {
    /// Takes the spool of `bot` in `folder`, and what is left in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the folder cannot be used, another process uses it, or a file in it
    /// is damaged before its end.
    pub(crate) fn open(folder: &Path, bot: &BotId, limit: u64) -> Result<(Arc<Self>, Vec<Left>)> {
        let folder = folder.join(bot.as_str());
        let lock = Lock::take(&folder, "spool directory")?;
        let failed = |error: io::Error| unusable(&folder, &error);
        let refused = folder.join(REFUSED);
        std::fs::create_dir_all(&refused).map_err(failed)?;
        let mut state = State {
            refused: size_of_folder(&refused).map_err(failed)?,
            ..State::default()
        };
        let left = state.recover(&folder).map_err(|error| error.map(failed))?;
        let spool = Self {
            segment_bytes: SEGMENT_BYTES.min(limit / 8),
            limit,
            state: Mutex::new(state),
            room: Notify::new(),
            folder,
            _lock: lock,
        };
        Ok((Arc::new(spool), left))
    }

    /// The folder of the bot's spool.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a parcel away under its producer's next number, when there is room.
    ///
    /// # Errors
    /// [`Error::Full`] when there is none, or the disk is full.
    pub(crate) fn put(&self, parcel: &Parcel) -> Result<Place> {
        let (kind, parcel_bytes) = parcel.encode()?;
        let mut state = self.lock();
        let producer = parcel.producer();
        let sequence = state.numbers.get(producer).copied().unwrap_or(1);
        let mut payload = sequence.to_le_bytes().to_vec();
        payload.extend_from_slice(&parcel_bytes);
        if state.bytes + state.refused + payload.len() as u64 > self.limit {
            return Err(self.full(&state));
        }
        let place = state.append(&self.folder, self.segment_bytes, kind, &payload);
        let place = place.map_err(|error| unwritable(&self.folder, &error))?;
        if let Some(segment) = state.segments.back_mut() {
            segment.open += 1;
        }
        state.numbers.insert(producer.clone(), sequence + 1);
        Ok(place)
    }

    /// Returns when bytes have come free; asked for before looking, it misses none.
    pub(crate) fn room(&self) -> tokio::sync::futures::Notified<'_> {
        self.room.notified()
    }

    /// Reads a parcel again, and how many bytes it has.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no longer there, or damaged.
    pub(crate) fn read(&self, place: Place) -> Result<(Parcel, usize)> {
        let path = segment_path(&self.folder, place.segment);
        let record = file::read_at(&path, place.at)?;
        let (sequence, payload) = split(&record)?;
        let parcel = Parcel::decode(record.kind, payload)?;
        let mut parcel = parcel.ok_or_else(|| Error::invalid("spool", "a mark, not a parcel"))?;
        let producer = parcel.producer().clone();
        parcel.renumber(&producer, sequence);
        Ok((parcel, record.payload.len()))
    }

    /// Lets go of a parcel of `producer`.
    ///
    /// # Errors
    /// [`Error::Full`] when the mark cannot be written; the parcel is let go of all the same, and
    /// the next start asks the store whether it has it.
    pub(crate) fn done(&self, place: Place, producer: &ProducerId, outcome: Outcome) -> Result<()> {
        let mut state = self.lock();
        if outcome == Outcome::Refused
            && let Some(number) = state.numbers.get_mut(producer)
        {
            *number = number.saturating_sub(1);
        }
        let mark = mark(place, producer, outcome);
        let written = state.append(&self.folder, self.segment_bytes, DONE, &mark);
        let found = state
            .segments
            .iter_mut()
            .find(|s| s.number == place.segment);
        if let Some(segment) = found {
            segment.open = segment.open.saturating_sub(1);
        }
        state.tidy(WORTH_REMOVING);
        drop(state);
        self.room.notify_waiters();
        written
            .map(drop)
            .map_err(|error| unwritable(&self.folder, &error))
    }

    /// Moves a parcel aside with the reason that the store gave; answers where it lies now.
    ///
    /// # Errors
    /// [`Error::Full`] when it cannot be written; it stays in the spool then.
    pub(crate) fn refuse(&self, place: Place, parcel: &Parcel, why: &Error) -> Result<PathBuf> {
        let what = match parcel {
            Parcel::Batch(_) => "batch",
            Parcel::Change(_) => "transition",
        };
        let text = json!({ "reason": why.to_string(), what: parcel.to_json()? }).to_string();
        let name = format!(
            "{}-{:08}-{}.json",
            parcel.producer(),
            place.segment,
            place.at
        );
        let path = self.folder.join(REFUSED).join(name);
        std::fs::write(&path, &text).map_err(|error| unwritable(&self.folder, &error))?;
        self.lock().refused += text.len() as u64;
        self.done(place, parcel.producer(), Outcome::Refused)?;
        Ok(path)
    }

    /// Forgets a producer that will send nothing more.
    pub(crate) fn forget(&self, producer: &ProducerId) {
        self.lock().numbers.remove(producer);
    }

    /// Parcels not done.
    pub(crate) fn open_parcels(&self) -> u64 {
        self.lock()
            .segments
            .iter()
            .map(|segment| segment.open)
            .sum()
    }

    /// The file to sync, if anything was written since the last time.
    pub(crate) fn unsynced(&self) -> Option<File> {
        let mut state = self.lock();
        if !std::mem::take(&mut state.dirty) {
            return None;
        }
        state.active.as_ref()?.handle().ok()
    }

    fn full(&self, state: &State) -> Error {
        let folder = self.folder.display();
        let (bytes, refused) = (state.bytes, state.refused);
        let why = format!(
            "the spool {folder} holds {bytes} bytes that the store has not acknowledged, and \
             {refused} that it refused; the limit is {}",
            self.limit
        );
        Error::Full { why }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spool {
    /// An empty spool leaves no files.
    fn drop(&mut self) {
        self.lock().tidy(0);
    }
}

impl State {
    fn append(
        &mut self,
        folder: &Path,
        segment_bytes: u64,
        kind: u8,
        payload: &[u8],
    ) -> io::Result<Place> {
        if self
            .active
            .as_ref()
            .is_none_or(|a| a.end() >= segment_bytes)
        {
            if let Some(full) = &self.active {
                full.sync()?;
            }
            let path = segment_path(folder, self.next);
            let active = Appender::create(&path)?;
            self.bytes += active.end();
            self.segments.push_back(Segment {
                number: self.next,
                path,
                bytes: active.end(),
                open: 0,
            });
            self.next += 1;
            self.active = Some(active);
        }
        let (Some(active), Some(segment)) = (&mut self.active, self.segments.back_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let at = active.append(kind, payload)?;
        self.bytes += active.end() - segment.bytes;
        segment.bytes = active.end();
        self.dirty = true;
        Ok(Place {
            segment: segment.number,
            at,
        })
    }

    /// Removes the first files as long as nothing in them is to be sent; the one appended to only
    /// when it is the last, and holds `least` bytes.
    fn tidy(&mut self, least: u64) {
        while let Some(first) = self.segments.front()
            && first.open == 0
            && (self.segments.len() > 1 || first.bytes >= least)
        {
            if self.segments.len() == 1 {
                self.active = None;
            }
            if let Err(error) = std::fs::remove_file(&first.path) {
                // Its marks are in it: nothing of it is sent again.
                tracing::warn!(path = %first.path.display(), %error, "a spool file cannot be removed");
            }
            self.bytes -= first.bytes;
            self.segments.pop_front();
        }
    }
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}{SUFFIX}"))
}

fn size_of_folder(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

fn unusable(folder: &Path, error: &io::Error) -> Error {
    let why = format!("{}: it cannot be used: {error}", folder.display());
    Error::invalid("spool directory", why)
}

fn unwritable(folder: &Path, error: &io::Error) -> Error {
    let why = format!("the spool {} cannot be written: {error}", folder.display());
    Error::Full { why }
}

#[cfg(test)]
mod tests;
