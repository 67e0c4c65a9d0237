//! The threads behind a journal: one writes what has gathered, one has the disk take it.
//!
//! Whoever changes the state hands its record over under the state's lock, which keeps the order
//! and costs no more than moving a pointer. The writer takes all that has gathered and writes it
//! at once: the more is pushed, the more goes into one write.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fleet_worker_sdk::spool::file::Appender;
use fleet_worker_sdk::{Error, Result};
use tokio::sync::watch;
use tokio::time::timeout;

use super::entry::Encoded;
use super::files;

/// Most bytes that wait to be written: 120 of the largest batches. A disk that is that far behind
/// takes no more writes for now.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// How long a call waits for its record to be written: a disk that takes longer is as good as full.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before a disk that refused is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

enum Item {
    Record(Encoded),
    /// What follows goes into the journal of this number.
    Rotate(u64),
}

#[derive(Default)]
struct Queue {
    items: Vec<Item>,
    bytes: usize,
    /// Items ever handed over.
    handed: u64,
    closed: bool,
}

/// How far the writing is.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    items: u64,
    /// Bytes in journals that no snapshot was begun of.
    pub(super) bytes: u64,
    failed: Option<String>,
}

struct Shared {
    queue: Mutex<Queue>,
    handed: Condvar,
    written: watch::Sender<Written>,
}

/// A journal that is written.
pub(crate) struct Journal {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// The end of the files that are there.
pub(super) struct Start {
    pub(super) folder: PathBuf,
    pub(super) appender: Appender,
    /// Bytes in the journals since the last snapshot.
    pub(super) bytes: u64,
    /// Time between two syncs; zero syncs before every acknowledgement.
    pub(super) sync: Duration,
}

impl Journal {
    pub(super) fn start(start: Start) -> io::Result<Self> {
        let written = Written {
            bytes: start.bytes,
            ..Written::default()
        };
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            handed: Condvar::new(),
            written: watch::Sender::new(written),
        });
        let mut threads = Vec::new();
        let unsynced = (!start.sync.is_zero()).then(|| Arc::new(Unsynced::default()));
        if let Some(unsynced) = &unsynced {
            let (unsynced, interval) = (Arc::clone(unsynced), start.sync);
            let thread = std::thread::Builder::new().name("journal-sync".to_owned());
            threads.push(thread.spawn(move || unsynced.sync(interval))?);
        }
        let writer = Writer {
            shared: Arc::clone(&shared),
            folder: start.folder,
            appender: start.appender,
            unsynced,
        };
        let thread = std::thread::Builder::new().name("journal".to_owned());
        threads.push(thread.spawn(move || writer.run())?);
        Ok(Self { shared, threads })
    }

    /// Hands a record over; called under the state's lock, which gives the order.
    pub(crate) fn hand(&self, record: Encoded) {
        let mut queue = self.shared.queue();
        queue.bytes += record.1.len();
        queue.items.push(Item::Record(record));
        queue.handed += 1;
        drop(queue);
        self.shared.handed.notify_one();
    }

    /// Has what follows go into the journal of this number.
    pub(super) fn rotate(&self, number: u64) {
        let mut queue = self.shared.queue();
        queue.items.push(Item::Rotate(number));
        queue.handed += 1;
        drop(queue);
        self.shared.handed.notify_one();
    }

    /// Whether it takes records.
    ///
    /// # Errors
    /// [`Error::Full`] while the disk refuses, or is too far behind.
    pub(crate) fn ready(&self) -> Result<()> {
        if let Some(why) = &self.shared.written.borrow().failed {
            return Err(full(why));
        }
        if self.shared.queue().bytes > WAITING_BYTES {
            return Err(full("the disk is too far behind"));
        }
        Ok(())
    }

    /// Returns when everything handed over so far is written: it survives this process then.
    ///
    /// # Errors
    /// [`Error::Full`] when the disk refuses; what was handed over is written when it takes it again.
    pub(crate) async fn written(&self) -> Result<()> {
        let handed = self.shared.queue().handed;
        let mut written = self.shared.written.subscribe();
        let done = written.wait_for(|w| w.items >= handed || w.failed.is_some());
        match timeout(PATIENCE, done).await {
            Ok(Ok(written)) => match &written.failed {
                Some(why) if written.items < handed => Err(full(why)),
                _ => Ok(()),
            },
            _ => Err(full("the disk does not answer")),
        }
    }

    /// How far the writing is, from now on.
    pub(super) fn watch(&self) -> watch::Receiver<Written> {
        self.shared.written.subscribe()
    }
}

fn full(why: &str) -> Error {
    Error::Full {
        why: format!("the journal cannot be written: {why}"),
    }
}

impl Drop for Journal {
    /// Writes what is left; both threads end.
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.handed.notify_one();
        for thread in self.threads.drain(..).rev() {
            // A panic in it was reported; nothing can be done here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that has gathered; none when there will be no more.
    fn take(&self) -> Option<Vec<Item>> {
        let mut queue = self.queue();
        while queue.items.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self
                .handed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        queue.bytes = 0;
        Some(std::mem::take(&mut queue.items))
    }

    fn is_closed(&self) -> bool {
        self.queue().closed
    }
}

struct Writer {
    shared: Arc<Shared>,
    folder: PathBuf,
    appender: Appender,
    /// None where every write is synced at once.
    unsynced: Option<Arc<Unsynced>>,
}

impl Writer {
    fn run(mut self) {
        while let Some(items) = self.shared.take() {
            let mut items = items.into_iter().peekable();
            while items.peek().is_some() {
                let mut records = Vec::new();
                while let Some(Item::Record(record)) =
                    items.next_if(|i| matches!(i, Item::Record(_)))
                {
                    records.push(record);
                }
                if !records.is_empty() && !self.insist(|writer| writer.write(&records)) {
                    return;
                }
                if let Some(Item::Rotate(number)) = items.next_if(|i| matches!(i, Item::Rotate(_)))
                    && !self.insist(|writer| writer.rotate(number))
                {
                    return;
                }
            }
        }
        if let Err(error) = self.appender.sync() {
            tracing::error!(%error, "the journal cannot be synced");
        }
    }

    /// Tries until it works; false when the store is closed first.
    fn insist(&mut self, mut work: impl FnMut(&mut Self) -> io::Result<u64>) -> bool {
        loop {
            match work(self) {
                Ok(items) => {
                    self.shared.written.send_modify(|written| {
                        written.items += items;
                        if written.failed.take().is_some() {
                            tracing::info!("the journal is written again");
                        }
                    });
                    return true;
                }
                Err(error) => self.failed(&error),
            }
            if self.shared.is_closed() {
                tracing::error!(
                    "the store ends before its journal is written: the last writes are lost"
                );
                return false;
            }
            std::thread::sleep(TRY_AGAIN);
        }
    }

    fn failed(&self, error: &io::Error) {
        let path = self.appender.path().display().to_string();
        let fresh = self.shared.written.send_if_modified(|written| {
            let fresh = written.failed.is_none();
            written.failed = Some(format!("{path}: {error}"));
            fresh
        });
        if fresh {
            tracing::error!(path, %error, "the journal cannot be written; no writes are taken until it can");
        }
    }

    fn write(&mut self, records: &[Encoded]) -> io::Result<u64> {
        let before = self.appender.end();
        let slices = records
            .iter()
            .map(|(kind, payload)| (*kind, payload.as_slice()));
        self.appender.append_all(slices)?;
        match &self.unsynced {
            Some(unsynced) => unsynced.note(&self.appender)?,
            None => self.appender.sync()?,
        }
        let bytes = self.appender.end() - before;
        self.shared
            .written
            .send_modify(|written| written.bytes += bytes);
        Ok(records.len() as u64)
    }

    /// What is behind is on disk before anything follows, so that only the last journal can be torn.
    fn rotate(&mut self, number: u64) -> io::Result<u64> {
        self.appender.sync()?;
        let path = files::journal(&self.folder, number);
        if path.exists() {
            // Left by a try that failed half way; nothing is in it.
            std::fs::remove_file(&path)?;
        }
        self.appender = Appender::create(&path)?;
        files::sync_folder(&self.folder)?;
        self.shared.written.send_modify(|written| written.bytes = 0);
        Ok(1)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(unsynced) = &self.unsynced {
            unsynced.close();
        }
    }
}

/// The file that was written to since it was last synced.
#[derive(Default)]
struct Unsynced {
    state: Mutex<(Option<File>, bool)>,
    changed: Condvar,
}

impl Unsynced {
    fn lock(&self) -> MutexGuard<'_, (Option<File>, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, appender: &Appender) -> io::Result<()> {
        let mut state = self.lock();
        // One that is noted and no longer written to was synced when the next was begun.
        if state.0.is_none() {
            state.0 = Some(appender.handle()?);
            self.changed.notify_one();
        }
        Ok(())
    }

    fn close(&self) {
        self.lock().1 = true;
        self.changed.notify_one();
    }

    /// Has the disk take, once an interval, what was written meanwhile.
    fn sync(&self, interval: Duration) {
        loop {
            let mut state = self.lock();
            while state.0.is_none() {
                if state.1 {
                    return;
                }
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let waited = self
                .changed
                .wait_timeout_while(state, interval, |(_, closed)| !*closed);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let file = state.0.take();
            drop(state);
            if let Some(Err(error)) = file.map(|file| file.sync_data()) {
                tracing::error!(%error, "the journal cannot be synced");
            }
        }
    }
}
