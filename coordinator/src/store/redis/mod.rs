//! The Redis store: the writes of the SDK's client, and all that is read and maintained.

mod parse;

mod members;

mod compact;

mod conserve;

mod alerts;

mod facts;

mod fold;

mod functions;

mod backlog;
mod dead;
mod feed;

mod maintain;

mod observe;

mod operate;

mod probe;

mod read;

mod retain;

mod sessions;

pub(crate) mod rights;

mod runs;

mod standing;

mod updates;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::beat::{Beat, BeatAnswer};
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::transport::redis::{
    COMMON, Keeper, LIBRARY, Library, RedisLink, RedisWriter,
};
use fleet_worker_sdk::{
    Batch, Bot, Execution, OpenSession, Opened, ProducerId, Progress, PushAnswer, Repository,
    Result, SessionId, Transition, Version, Write,
};
use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use compact::chunk;

use crate::model::Update;
use crate::store::OpenOptions;
use crate::told::Told;

/// Hints a slow listener may be behind before it is told to look at everything again.
const UPDATES_BUFFERED: usize = 1_024;
/// Sessions whose repository is remembered: those at work at one time, about 1 MiB.
const REPOSITORIES: u64 = 10_000;

/// The functions that coordinators and dashboards call, as a Redis library.
pub(crate) fn library() -> String {
    [
        "#!lua name=fleet_coordinator_1\n",
        COMMON,
        include_str!("functions/read.lua"),
        include_str!("functions/maintain.lua"),
        include_str!("functions/dead.lua"),
        include_str!("functions/drop.lua"),
        include_str!("functions/compact.lua"),
        include_str!("functions/standing.lua"),
        include_str!("functions/conserve.lua"),
        include_str!("functions/observe.lua"),
        include_str!("functions/alerts.lua"),
    ]
    .concat()
}

/// What a coordinator keeps loaded: the functions of bots, and its own.
fn libraries() -> Result<Vec<Library>> {
    [LIBRARY.to_owned(), library()]
        .map(Library::new)
        .into_iter()
        .collect()
}

/// A fleet in Redis.
#[derive(Debug)]
pub struct RedisStore {
    writer: RedisWriter,
    link: Arc<RedisLink>,
    folds: fold::Folds,
    feed: feed::Feed,
    runs: runs::Runs,
    /// Repositories of sessions computed lately.
    repositories: moka::sync::Cache<SessionId, Repository>,
    probe: probe::Probe,
    /// Sessions that lists leave out.
    unreadable: Told,
    updates: broadcast::Sender<Update>,
    _listener: DropGuard,
}

impl RedisStore {
    /// Opens the fleet at `address`; creates it, and loads its functions, as soon as Redis answers
    /// and unless told not to.
    ///
    /// # Errors
    /// `Error::Invalid` when the address or the namespace cannot be read.
    pub fn open(address: &str, options: &OpenOptions) -> Result<Arc<Self>> {
        let mut link = RedisLink::new(address, Keys::new(&options.namespace)?)?;
        if options.keeps {
            link = link.keeping(Keeper {
                libraries: libraries()?,
                partitions: options.partitions,
            });
        }
        let link = Arc::new(link);
        let (updates, _) = broadcast::channel(UPDATES_BUFFERED);
        let stop = CancellationToken::new();
        tokio::spawn(updates::listen(
            Arc::clone(&link),
            updates.clone(),
            stop.clone(),
        ));
        if options.keeps {
            tokio::spawn(functions::watch(Arc::clone(&link), stop.clone()));
        }
        Ok(Arc::new(Self {
            writer: RedisWriter::new(Arc::clone(&link)),
            folds: fold::Folds::new(Arc::clone(&link), options.fold_bytes),
            feed: feed::Feed::new(Arc::clone(&link)),
            runs: runs::Runs::new(Arc::clone(&link)),
            repositories: moka::sync::Cache::new(REPOSITORIES),
            probe: probe::Probe::default(),
            unreadable: Told::default(),
            link,
            updates,
            _listener: stop.drop_guard(),
        }))
    }

    fn keys(&self) -> &Keys {
        self.link.keys()
    }
}

#[async_trait]
impl Write for RedisStore {
    async fn register(&self, bot: &Bot) -> Result<()> {
        self.writer.register(bot).await
    }

    async fn beat(&self, beat: &Beat) -> Result<BeatAnswer> {
        self.writer.beat(beat).await
    }

    async fn open(&self, open: &OpenSession) -> Result<Opened> {
        self.writer.open(open).await
    }

    async fn transition(&self, transition: &Transition) -> Result<Execution> {
        self.writer.transition(transition).await
    }

    async fn push(&self, batch: &Batch) -> Result<PushAnswer> {
        self.writer.push(batch).await
    }

    async fn last_sequence(&self, session: &SessionId, producer: &ProducerId) -> Result<u64> {
        self.writer.last_sequence(session, producer).await
    }

    async fn progress(&self, session: &SessionId) -> Result<Progress> {
        self.writer.progress(session).await
    }

    async fn changed(
        &self,
        session: &SessionId,
        known: Version,
        wait: Duration,
    ) -> Result<Version> {
        self.writer.changed(session, known, wait).await
    }
}
