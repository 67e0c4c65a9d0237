//! A store in Redis, and the server beneath it to ask and to tell by hand.

use fleet_coordinator::store::{OpenOptions, SharedStore, open};
use redis::aio::MultiplexedConnection;

use super::RedisServer;

/// Id and fields.
pub(crate) type LogEntry = (String, Vec<(String, Vec<u8>)>);

/// A store in a server of its own, with a connection past it.
pub(crate) struct Beneath {
    pub(crate) store: SharedStore,
    pub(crate) connection: MultiplexedConnection,
    _server: RedisServer,
}

impl Beneath {
    pub(crate) async fn new() -> Self {
        let server = RedisServer::start().await;
        let (store, connection) = over(&server).await;
        Self {
            store,
            connection,
            _server: server,
        }
    }
}

/// A store on `server`, and a connection beside it to do what no client would.
pub(crate) async fn over(server: &RedisServer) -> (SharedStore, MultiplexedConnection) {
    let store = open(&server.url(), &OpenOptions::default()).unwrap();
    store.check().await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    (store, connection)
}

/// What a command answers.
pub(crate) async fn raw(connection: &mut MultiplexedConnection, words: &[&str]) -> redis::Value {
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query_async(connection).await.unwrap()
}
