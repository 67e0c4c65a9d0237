//! The pool of connections for short commands.
//!
//! deadpool-redis pings a connection before each use, which doubles the time of a lone push. Here
//! that is done only after a while without use; a connection that failed is thrown away, and with a
//! lost server all others of its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_redis::{PoolError, Runtime};
use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::circuit::Circuit;
use super::connect::{CALL_TIMEOUT, CONNECT_TIMEOUT, Connection, Door};

/// Short commands on their way at once to one server: enough to keep it busy, few enough that 100
/// processes stay below its limit of clients.
const SIZE: usize = 16;
/// The same for a cluster: each of these is a connection to every master, and carries many commands.
const CLUSTER_SIZE: usize = 4;
/// A connection unused for longer is asked whether it lives: firewalls forget idle ones silently.
const IDLE: Duration = Duration::from_secs(15);

pub(super) type Pool = managed::Pool<Manager>;
pub(super) type Lent = managed::Object<Manager>;

/// Opens connections, and knows which are of the time before the server was lost.
pub(super) struct Manager {
    door: Arc<Door>,
    epoch: AtomicU64,
}

/// A connection of the pool.
pub(super) struct Pooled {
    pub(super) connection: Connection,
    epoch: u64,
}

/// A pool over `door`.
pub(super) fn pool(door: Arc<Door>) -> Result<Pool, managed::BuildError> {
    let size = if door.is_cluster() {
        CLUSTER_SIZE
    } else {
        SIZE
    };
    Pool::builder(Manager {
        door,
        epoch: AtomicU64::new(0),
    })
    .max_size(size)
    .wait_timeout(Some(CALL_TIMEOUT))
    .create_timeout(Some(CONNECT_TIMEOUT * 2)) // the door's own limits name the reason
    .recycle_timeout(Some(CALL_TIMEOUT))
    .runtime(Runtime::Tokio1)
    .build()
}

/// Asks whether the server is there again, and tells the circuit.
///
/// # Errors
/// Why it is not.
pub(super) async fn try_out(pool: &Pool, circuit: &Circuit) -> Result<(), String> {
    let mut lent = match pool.get().await {
        Ok(lent) => lent,
        Err(error) => {
            return match reason(error) {
                Ok(why) => Err(circuit.failed(why)),
                Err(error) => circuit.heard(&error),
            };
        }
    };
    let ping = redis::cmd("PING");
    match ping.query_async::<()>(&mut lent.connection).await {
        Ok(()) => {
            circuit.answered();
            Ok(())
        }
        Err(error) => {
            let heard = circuit.heard(&error);
            dispose(lent, &error);
            heard
        }
    }
}

/// Throws a connection away after `error` where that spoils it.
pub(super) fn dispose(lent: Lent, error: &RedisError) {
    let demoted = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
    let lost = demoted || error.is_connection_dropped();
    if lost && let Some(pool) = Lent::pool(&lent) {
        pool.manager()
            .epoch
            .fetch_max(lent.epoch + 1, Ordering::Relaxed);
    }
    if lost || error.is_timeout() || error.is_unrecoverable_error() {
        drop(Lent::take(lent));
    }
}

/// Whether a lone broken connection may be to blame, so that another is worth a try at once.
pub(super) fn is_worth_another(error: &RedisError, lent_before: bool) -> bool {
    lent_before && error.is_connection_dropped() && !error.is_timeout()
}

impl managed::Manager for Manager {
    type Type = Pooled;
    type Error = RedisError;

    async fn create(&self) -> Result<Pooled, RedisError> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        // Boxed: connecting is rare, and its state would be part of every call's.
        let connection = match &*self.door {
            Door::Standalone { manager, .. } => {
                Connection::Single(Box::pin(manager.create()).await?)
            }
            door => Box::pin(door.connect(CALL_TIMEOUT)).await?,
        };
        Ok(Pooled { connection, epoch })
    }

    async fn recycle(&self, pooled: &mut Pooled, metrics: &Metrics) -> RecycleResult<RedisError> {
        if pooled.epoch < self.epoch.load(Ordering::Relaxed) {
            return Err(RecycleError::message("it is of a server that was lost"));
        }
        if metrics.last_used() <= IDLE {
            return Ok(());
        }
        match (&*self.door, &mut pooled.connection) {
            (Door::Standalone { manager, .. }, Connection::Single(connection)) => {
                Box::pin(manager.recycle(connection, metrics)).await
            }
            (_, connection) => Ok(redis::cmd("PING").query_async::<()>(connection).await?),
        }
    }
}

/// What the pool's error says of the store.
pub(super) fn reason(error: PoolError) -> Result<String, RedisError> {
    match error {
        managed::PoolError::Backend(error) => Err(error),
        managed::PoolError::Timeout(managed::TimeoutType::Wait) => {
            Ok("no connection became free in time".to_owned())
        }
        managed::PoolError::Timeout(_) => Ok("it did not answer in time".to_owned()),
        other => Ok(other.to_string()),
    }
}
