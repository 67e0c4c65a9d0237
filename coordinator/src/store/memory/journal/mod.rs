//! A fleet in memory that outlives its process: accepted writes are journaled, and replayed on start.
//!
//! In reading order: `entry` is what is written, in the records of
//! [`fleet_worker_sdk::spool`]; `files` which files there are; `writer` writes them off the
//! store's lock; `snapshot` bounds them by what the fleet still has; `replay` reads them back.

mod entry;

mod files;

mod writer;

mod snapshot;

mod replay;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use fleet_worker_sdk::spool::file::{Appender, Extent};
use fleet_worker_sdk::spool::lock::Lock;
use fleet_worker_sdk::{Error, Partitions, Result};
use jiff::Timestamp;
use tokio::sync::Notify;

use self::files::Files;
use self::writer::{Journal, Start};
use super::MemoryStore;
use super::state::State;

pub(super) use entry::{Encoded, Entry, encode_push, timed};
pub use replay::Replayed;
pub(super) use snapshot::Image;

/// Default of [`Durable::sync`]: what a loss of power costs at most, and little enough for a disk.
pub const SYNC: Duration = Duration::from_secs(1);
/// Default of [`Durable::compact_bytes`]: some 200,000 findings, read back in a second or two.
pub const COMPACT_BYTES: u64 = 64 * 1024 * 1024;

/// Where and how a fleet in memory is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The folder, which one process at a time may use.
    pub folder: PathBuf,
    /// Time between two syncs of the journal: an acknowledged write survives the process at once, and
    /// a loss of power after so long. Zero syncs before each acknowledgement.
    pub sync: Duration,
    /// Bytes of journal from which on a snapshot takes its place; more where the snapshot before was
    /// larger, so that at most twice what the fleet has is on disk, and a third while one is written.
    pub compact_bytes: u64,
}

impl Durable {
    /// In `folder`, with the defaults.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            sync: SYNC,
            compact_bytes: COMPACT_BYTES,
        }
    }
}

/// What keeps a store.
pub(super) struct Keeper {
    pub(super) journal: Journal,
    folder: PathBuf,
    /// The number of the journal that is written.
    number: AtomicU64,
    /// Bytes of the last snapshot.
    snapshot_bytes: AtomicU64,
    compact_bytes: u64,
    _lock: Lock,
}

/// What was read, and what goes on writing.
pub(super) struct Opened {
    pub(super) state: State,
    pub(super) keeper: Keeper,
    pub(super) replayed: Replayed,
}

/// Reads what is in a folder, or begins it.
///
/// # Errors
/// [`Error::Invalid`] when the folder cannot be used, another process uses it, or a file in it is
/// damaged before its end.
pub(super) fn open(
    durable: &Durable,
    partitions: Partitions,
    fed: Arc<Notify>,
    now: Timestamp,
) -> Result<Opened> {
    let folder = durable.folder.as_path();
    let lock = Lock::take(folder, "data directory")?;
    let files = Files::of(folder)?;
    let snapshot = files.snapshot.as_ref().map(|(_, path)| path);
    let first = snapshot.or(files.journals.first().map(|(_, path)| path));
    let created_with = first
        .map(|path| replay::partitions(path))
        .transpose()?
        .flatten();
    let mut state = State::new(created_with.unwrap_or(partitions), fed);
    let mut replayed = Replayed::default();
    let mut snapshot_bytes = 0;
    if let Some((_, path)) = &files.snapshot {
        let extent = replay::apply(path, &mut state, &mut replayed)?;
        whole(path, extent)?;
        snapshot_bytes = extent.end;
    }
    let (number, appender, bytes) = journals(folder, &files, &mut state, &mut replayed)?;
    replay::wake(&mut state, now);
    let sums = state.rollup.sums();
    (replayed.sessions, replayed.findings) = (sums.sessions, sums.stored());
    let start = Start {
        folder: folder.to_owned(),
        appender,
        bytes,
        sync: durable.sync,
    };
    let journal = Journal::start(start).map_err(|error| files::unusable(folder, &error))?;
    if created_with.is_none() {
        let partitions = partitions.count();
        journal.hand(Entry::Fleet { partitions }.encode()?);
    }
    let keeper = Keeper {
        journal,
        folder: folder.to_owned(),
        number: AtomicU64::new(number),
        snapshot_bytes: AtomicU64::new(snapshot_bytes),
        compact_bytes: durable.compact_bytes,
        _lock: lock,
    };
    Ok(Opened {
        state,
        keeper,
        replayed,
    })
}

/// Replays the journals, and opens the last one, or the first, to go on.
fn journals(
    folder: &Path,
    files: &Files,
    state: &mut State,
    replayed: &mut Replayed,
) -> Result<(u64, Appender, u64)> {
    let unusable = |error| files::unusable(folder, &error);
    let mut bytes = 0;
    let mut left = files.journals.iter().peekable();
    while let Some((number, path)) = left.next() {
        let extent = replay::apply(path, state, replayed)?;
        bytes += extent.end;
        if left.peek().is_none() {
            let appender = Appender::go_on(path, extent.end).map_err(unusable)?;
            return Ok((*number, appender, bytes));
        }
        whole(path, extent)?;
    }
    let number = files.snapshot.as_ref().map_or(1, |(number, _)| *number);
    let appender = Appender::create(&files::journal(folder, number)).map_err(unusable)?;
    files::sync_folder(folder).map_err(unusable)?;
    Ok((number, appender, bytes))
}

/// Only the last journal may end in the middle of a record.
fn whole(path: &Path, extent: Extent) -> Result<()> {
    if extent.torn == 0 {
        return Ok(());
    }
    let why = format!(
        "its last {} bytes are no whole record, and what came after it is in another file; restore it \
         from a copy",
        extent.torn
    );
    Err(Error::invalid(path.display().to_string(), why))
}

impl MemoryStore {
    /// Takes a snapshot and lets go of the journal so far. Blocks: for the writing of all that the
    /// fleet has, while the fleet goes on, and for an index that is being read or written.
    ///
    /// # Errors
    /// [`Error::Full`] when the disk does not take it; the journals stay then.
    pub fn compact(&self) -> Result<()> {
        let Some(keeper) = &self.keeper else {
            return Ok(());
        };
        let (image, number) = {
            let state = self.state();
            let number = keeper.number.fetch_add(1, Ordering::Relaxed) + 1;
            keeper.journal.rotate(number);
            (state.image(), number)
        };
        let size = snapshot::write(&keeper.folder, number, image)?;
        keeper.snapshot_bytes.store(size, Ordering::Relaxed);
        tracing::info!(bytes = size, "a snapshot took the place of the journal");
        Ok(())
    }
}

/// Takes a snapshot whenever the journal has grown enough, until the store is gone.
pub(super) async fn keep_compact(store: Weak<MemoryStore>) {
    let Some(mut written) = store
        .upgrade()
        .and_then(|s| Some(s.keeper.as_ref()?.journal.watch()))
    else {
        return;
    };
    loop {
        let most = {
            let Some(store) = store.upgrade() else { return };
            let Some(keeper) = &store.keeper else { return };
            keeper
                .compact_bytes
                .max(keeper.snapshot_bytes.load(Ordering::Relaxed))
        };
        if written
            .wait_for(|written| written.bytes > most)
            .await
            .is_err()
        {
            return;
        }
        let Some(store) = store.upgrade() else { return };
        let compacted = tokio::task::spawn_blocking(move || store.compact()).await;
        if let Ok(Err(error)) = compacted {
            tracing::error!(%error, "the journal cannot be compacted; trying again when it has grown as much");
        }
        // The writer begins the next journal on its own time.
        let begun = tokio::time::timeout(
            Duration::from_mins(1),
            written.wait_for(|w| w.bytes <= most),
        );
        let _ = begun.await;
    }
}
