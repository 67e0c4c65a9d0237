//! Opening connections, whichever way the servers hang together.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::{ClusterClient, ClusterClientBuilder, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisError, RedisFuture, RedisResult, TlsMode, Value,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::address::{Address, Credentials, Node, Topology};

/// How long to wait for a TCP connection and its greeting.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A short command that takes longer than this is given up: its outcome is unknown, and retried.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a command follows a slot that moves, before its caller is told to try again.
const CLUSTER_RETRIES: u32 = 4;
/// Longest pause between two of these, in milliseconds.
const CLUSTER_PAUSE_MS: u64 = 200;

/// A way to open connections to the fleet's servers.
pub(super) enum Door {
    Standalone {
        client: Box<Client>,
        /// Makes and checks the connections of the pool.
        manager: Box<deadpool_redis::Manager>,
    },
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster {
        client: Box<ClusterClient>,
        nodes: Vec<Client>,
    },
}

/// A connection that takes commands of any slot.
#[derive(Clone)]
pub enum Connection {
    /// To one server.
    Single(MultiplexedConnection),
    /// To all masters of a cluster.
    Cluster(ClusterConnection),
}

impl Door {
    pub(super) fn new(address: &Address) -> RedisResult<Self> {
        if address.tls.is_some() {
            // rustls panics where nobody has said which cryptography it works with; that the
            // program has already said so is fine.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        match &address.topology {
            Topology::Standalone => {
                let node = address.nodes.first().ok_or_else(no_node)?;
                let client = Box::new(client(address, node)?);
                let manager = deadpool_redis::Manager::new_with_config(
                    client.get_connection_info().clone(),
                    connection_config(CALL_TIMEOUT),
                )?;
                Ok(Self::Standalone {
                    client,
                    manager: Box::new(manager),
                })
            }
            Topology::Sentinel(service) => {
                let client = sentinels(address, service)?;
                Ok(Self::Sentinel(Box::new(Mutex::new(client))))
            }
            Topology::Cluster => Ok(Self::Cluster {
                client: Box::new(cluster(address)?),
                nodes: address
                    .nodes
                    .iter()
                    .map(|node| client(address, node))
                    .collect::<RedisResult<_>>()?,
            }),
        }
    }

    /// A connection whose answers are waited for up to `response`.
    pub(super) async fn connect(&self, response: Duration) -> RedisResult<Connection> {
        let config = connection_config(response);
        match self {
            Self::Standalone { client, .. } => {
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                connection.await.map(Connection::Single)
            }
            Self::Sentinel(sentinels) => {
                let master = in_time(master(sentinels)).await?;
                let connection = master.get_multiplexed_async_connection_with_config(&config);
                connection.await.map(Connection::Single)
            }
            Self::Cluster { client, .. } => {
                let config = ClusterConfig::new()
                    .set_connection_timeout(CONNECT_TIMEOUT)
                    .set_response_timeout(response);
                let connection = client.get_async_connection_with_config(config);
                in_time(connection).await.map(Connection::Cluster)
            }
        }
    }

    /// A connection that hears what is published; every node of a cluster hears everything.
    pub(super) async fn listen(&self) -> RedisResult<PubSub> {
        match self {
            Self::Standalone { client, .. } => in_time(client.get_async_pubsub()).await,
            Self::Sentinel(sentinels) => {
                let master = in_time(master(sentinels)).await?;
                in_time(master.get_async_pubsub()).await
            }
            Self::Cluster { nodes, .. } => {
                let mut last = no_node();
                for node in nodes {
                    match in_time(node.get_async_pubsub()).await {
                        Ok(listener) => return Ok(listener),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    /// Whether keys of different slots are on different servers.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }
}

impl Connection {
    /// Asks every master; answers by their addresses, or with one answer of an only server.
    pub(super) async fn ask_masters(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => {
                let masters = MultipleNodeRoutingInfo::AllMasters;
                let routing = RoutingInfo::MultiNode((masters, None));
                connection.route_command(command.clone(), routing).await
            }
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

fn connection_config(response: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(response))
}

/// The library bounds single steps of a connection, not all of them together.
async fn in_time<T>(connecting: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(CONNECT_TIMEOUT, connecting)
        .await
        .unwrap_or_else(|_| {
            let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
            Err(RedisError::from(late))
        })
}

async fn master(sentinels: &Mutex<SentinelClient>) -> RedisResult<Client> {
    sentinels.lock().await.async_get_client().await
}

fn no_node() -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, "the address names no node"))
}

fn addr(address: &Address, node: &Node) -> ConnectionAddr {
    if address.tls.is_none() {
        return ConnectionAddr::Tcp(node.host.clone(), node.port);
    }
    ConnectionAddr::TcpTls {
        host: node.host.clone(),
        port: node.port,
        insecure: false,
        tls_params: None,
    }
}

fn greeting(address: &Address) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_db(address.db);
    let Credentials { user, password } = &address.credentials;
    if let Some(user) = user {
        info = info.set_username(user);
    }
    if let Some(password) = password {
        info = info.set_password(password);
    }
    info
}

fn client(address: &Address, node: &Node) -> RedisResult<Client> {
    let info = addr(address, node)
        .into_connection_info()?
        .set_redis_settings(greeting(address));
    match &address.tls {
        Some(tls) => Client::build_with_tls(info, tls.clone()),
        None => Client::open(info),
    }
}

fn sentinels(address: &Address, service: &str) -> RedisResult<SentinelClient> {
    let nodes = address.nodes.iter().map(|node| addr(address, node));
    let mut builder = SentinelClientBuilder::new(nodes, service, SentinelServerType::Master)?
        .set_client_to_redis_db(address.db);
    let Credentials { user, password } = &address.credentials;
    if let Some(user) = user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_redis_password(password);
    }
    let Credentials { user, password } = &address.sentinel;
    if let Some(user) = user {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let Some(tls) = &address.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(tls.clone())
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(tls.clone());
    }
    builder.build()
}

fn cluster(address: &Address) -> RedisResult<ClusterClient> {
    let nodes: Vec<_> = address
        .nodes
        .iter()
        .map(|node| {
            let info = addr(address, node).into_connection_info()?;
            Ok(info.set_redis_settings(greeting(address)))
        })
        .collect::<RedisResult<_>>()?;
    let mut builder = ClusterClientBuilder::new(nodes)
        .connection_timeout(CONNECT_TIMEOUT)
        .retries(CLUSTER_RETRIES)
        .max_retry_wait(CLUSTER_PAUSE_MS);
    if let Some(tls) = &address.tls {
        builder = builder.tls(TlsMode::Secure).certs(tls.clone());
    }
    builder.build()
}
