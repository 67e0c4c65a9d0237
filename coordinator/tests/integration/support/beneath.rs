//! A store in Redis, and the server beneath it to ask and to tell by hand.

use fleet_coordinator::store::{OpenOptions, SharedStore, open};

use super::RedisServer;

/// A store in a server of its own, with a connection past it.
pub(crate) struct Beneath {
    pub(crate) store: SharedStore,
    pub(crate) connection: redis::aio::MultiplexedConnection,
    _server: RedisServer,
}

impl Beneath {
    pub(crate) async fn new() -> Self {
        let server = RedisServer::start().await;
        let store = open(&server.url(), &OpenOptions::default()).unwrap();
        store.check().await.unwrap();
        let client = redis::Client::open(server.url()).unwrap();
        Self {
            store,
            connection: client.get_multiplexed_async_connection().await.unwrap(),
            _server: server,
        }
    }
}
