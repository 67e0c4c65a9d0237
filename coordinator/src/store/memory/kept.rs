//! What a store with a folder does beside: opening it, and handing over what changes.

use std::sync::{Arc, Mutex};

use fleet_worker_sdk::{Partitions, Result};
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast};

use super::journal::{self, Durable, Encoded, Entry, Replayed};
use super::{MemoryStore, UPDATES};

impl MemoryStore {
    /// The fleet that is kept in a folder, or a new one of so many partitions; and what was read.
    /// From then on it is kept there. To be called on a runtime, which compacts it.
    ///
    /// # Errors
    /// [`fleet_worker_sdk::Error::Invalid`] saying what to do, when the folder cannot be used, another process uses it,
    /// or a file in it is damaged before its end.
    pub fn durable(partitions: Partitions, durable: &Durable) -> Result<(Arc<Self>, Replayed)> {
        let fed = Arc::new(Notify::new());
        let opened = journal::open(durable, partitions, Arc::clone(&fed), Timestamp::now())?;
        let store = Arc::new(Self {
            state: Mutex::new(opened.state),
            fed,
            updates: broadcast::Sender::new(UPDATES),
            clock: Box::new(Timestamp::now),
            keeper: Some(opened.keeper),
        });
        tokio::spawn(journal::keep_compact(Arc::downgrade(&store)));
        Ok((store, opened.replayed))
    }

    /// Journals what was just applied; called while the small lock is held.
    pub(super) fn log(&self, entry: impl FnOnce() -> Entry) {
        let Some(keeper) = &self.keeper else { return };
        match entry().encode() {
            Ok(record) => keeper.journal.hand(record),
            Err(error) => {
                tracing::error!(%error, "a change cannot be journaled; it is lost with the process");
            }
        }
    }

    /// Journals a record that is encoded already; called while the small lock is held.
    pub(super) fn log_encoded(&self, record: impl FnOnce() -> Option<Encoded>) {
        if let Some(keeper) = &self.keeper
            && let Some(record) = record()
        {
            keeper.journal.hand(record);
        }
    }

    /// Whether changes can be kept, asked before they are made.
    pub(super) fn ready(&self) -> Result<()> {
        self.keeper
            .as_ref()
            .map_or(Ok(()), |keeper| keeper.journal.ready())
    }

    /// Returns when everything applied so far outlives the process.
    pub(super) async fn written(&self) -> Result<()> {
        match &self.keeper {
            Some(keeper) => keeper.journal.written().await,
            None => Ok(()),
        }
    }
}
