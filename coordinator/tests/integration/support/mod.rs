//! Stores to test, each private to its test, and hands that do what bots do.

mod beneath;
mod build;
mod cluster;
mod hand;
mod node;
mod redis;
mod whole;

use std::ops::Deref;

use fleet_coordinator::store::memory::MemoryStore;
use fleet_coordinator::store::memory::journal::Durable;
use fleet_coordinator::store::{Maintain, OpenOptions, SharedStore};

use fleet_worker_sdk::Partitions;

pub(crate) use beneath::{Beneath, LogEntry, over, raw};
pub(crate) use build::{
    beat, bot, finding, findings, fingerprint, open, repository, stamp, worker,
};
pub(crate) use cluster::{Cluster, Sentinels};
pub(crate) use hand::{Hand, next_changes, within};
pub(crate) use node::Node;
pub(crate) use whole::assert_whole;

pub(crate) use self::redis::RedisServer;

/// Which store to test.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The embedded one.
    Memory,
    /// The embedded one, kept in a folder of its own.
    Durable,
    /// A Redis server of its own.
    Redis,
}

/// An empty store, and what must live as long as it.
pub(crate) struct TestStore {
    /// The store.
    pub(crate) store: SharedStore,
    _server: Option<RedisServer>,
    _folder: Option<tempfile::TempDir>,
}

impl Deref for TestStore {
    type Target = dyn Maintain;
    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

/// An empty store of 16 partitions.
pub(crate) async fn store(kind: Kind) -> TestStore {
    let server = match kind {
        Kind::Durable => return durable(),
        Kind::Memory => None,
        Kind::Redis => Some(RedisServer::start().await),
    };
    let address = server
        .as_ref()
        .map_or("memory".to_owned(), RedisServer::url);
    let store = fleet_coordinator::store::open(&address, &OpenOptions::default());
    TestStore {
        store: store.expect("the address can be read"),
        _server: server,
        _folder: None,
    }
}

fn durable() -> TestStore {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let durable = Durable::new(folder.path());
    let opened = MemoryStore::durable(Partitions::DEFAULT, &durable);
    TestStore {
        store: opened.expect("an empty folder can be used").0,
        _server: None,
        _folder: Some(folder),
    }
}

impl Cluster {
    /// An empty store in it.
    pub(crate) fn store(&self, namespace: &str) -> SharedStore {
        let options = OpenOptions {
            namespace: namespace.to_owned(),
            ..OpenOptions::default()
        };
        fleet_coordinator::store::open(&self.url(), &options).expect("the address can be read")
    }
}
