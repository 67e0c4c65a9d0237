//! The connections to a Redis fleet, and what its answers mean.

use std::time::Duration;

use deadpool_redis::{Manager, Pool, PoolError, Runtime};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult,
    ServerErrorKind,
};
use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::ids::Partitions;
use crate::keys::{Keys, SCHEMA_VERSION};

/// Short commands on their way at once: enough to keep one Redis busy, few enough that 100
/// processes stay below its limit of clients.
const POOL_SIZE: usize = 16;
/// A short command that takes longer than this is given up: its outcome is unknown, and retried.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for a TCP connection and its greeting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A pool of connections for short commands, and the key names of the fleet behind it.
#[derive(Debug)]
pub struct RedisLink {
    pool: Pool,
    client: Client,
    keys: Keys,
    address: String,
    partitions: OnceCell<Partitions>,
    keeper: Option<Keeper>,
}

/// What a link of a coordinator or dashboard brings along: workers load nothing.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Function libraries to load where they are missing.
    pub libraries: Vec<String>,
    /// Partitions of a fleet that does not exist yet.
    pub partitions: Partitions,
}

impl RedisLink {
    /// Prepares a link to `redis://[user:password@]host[:port][/db]`; connects with the first call.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the address cannot be read.
    pub fn new(address: &str, keys: Keys) -> Result<Self> {
        let unreadable = |error: RedisError| Error::invalid("store address", error.to_string());
        let client = Client::open(address).map_err(unreadable)?;
        let shown = format!("redis://{}", client.get_connection_info().addr());
        let manager = Manager::new_with_config(address, connection_config(Some(CALL_TIMEOUT)))
            .map_err(unreadable)?;
        let pool = Pool::builder(manager)
            .max_size(POOL_SIZE)
            .wait_timeout(Some(CALL_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CALL_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::invalid("store address", error.to_string()))?;
        Ok(Self {
            pool,
            client,
            keys,
            address: shown,
            partitions: OnceCell::new(),
            keeper: None,
        })
    }

    /// Creates the fleet and loads functions where they are missing.
    #[must_use]
    pub fn keeping(mut self, keeper: Keeper) -> Self {
        self.keeper = Some(keeper);
        self
    }

    /// Creates the fleet if there is none, and loads the functions, for a link that
    /// [keeps](RedisLink::keeping) it.
    ///
    /// # Errors
    /// As [`RedisLink::call`].
    pub async fn prepare(&self) -> Result<()> {
        let Some(keeper) = &self.keeper else {
            return Ok(());
        };
        self.load(keeper).await?;
        let mut create = redis::pipe();
        let meta = self.keys.meta();
        create.hset_nx(&meta, "schema", SCHEMA_VERSION).ignore();
        create
            .hset_nx(&meta, "partitions", keeper.partitions.count())
            .ignore();
        self.pipeline::<()>(&create).await
    }

    async fn load(&self, keeper: &Keeper) -> Result<()> {
        for library in &keeper.libraries {
            let mut load = redis::cmd("FUNCTION");
            load.arg("LOAD").arg("REPLACE").arg(library);
            let loaded: RedisResult<String> = self.ask(&load).await?;
            loaded.map_err(|error| self.explain(&error))?;
        }
        Ok(())
    }

    /// The names of the fleet's keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The address without user and password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs one short command.
    ///
    /// # Errors
    /// As [`RedisLink::explain`]; [`Error::Protocol`] when the answer is not a `T`.
    pub async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let answer = match (self.ask(command).await?, &self.keeper) {
            (Err(error), Some(keeper)) if is_missing_function(&error) => {
                tracing::warn!("the fleet's functions were not loaded; loading them");
                self.load(keeper).await?;
                self.ask(command).await?
            }
            (answer, _) => answer,
        };
        answer.map_err(|error| self.explain(&error))
    }

    /// As [`RedisLink::call`]; none when Redis answers with the error `code`, which is expected.
    ///
    /// # Errors
    /// As [`RedisLink::call`], for other codes.
    pub async fn call_unless<T: FromRedisValue>(
        &self,
        command: &Cmd,
        code: &str,
    ) -> Result<Option<T>> {
        match self.ask(command).await? {
            Err(error) if error.code() == Some(code) => Ok(None),
            answer => answer.map(Some).map_err(|error| self.explain(&error)),
        }
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<RedisResult<T>> {
        let mut connection = self
            .pool
            .get()
            .await
            .map_err(|error| self.explain_pool(error))?;
        Ok(command.query_async(&mut connection).await)
    }

    /// Runs several short commands of one slot in one round trip, not as a transaction.
    ///
    /// # Errors
    /// As [`RedisLink::call`], of the first that fails.
    pub async fn pipeline<T: FromRedisValue>(&self, commands: &redis::Pipeline) -> Result<T> {
        let mut connection = self
            .pool
            .get()
            .await
            .map_err(|error| self.explain_pool(error))?;
        commands
            .query_async(&mut connection)
            .await
            .map_err(|error| self.explain(&error))
    }

    /// A connection of its own, for reads that block up to `block`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none to be had.
    pub async fn dedicated(&self, block: Duration) -> Result<MultiplexedConnection> {
        let config = connection_config(Some(block + CALL_TIMEOUT));
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        connection.map_err(|error| self.explain(&error))
    }

    /// A connection that hears what is published.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none to be had.
    pub async fn listener(&self) -> Result<redis::aio::PubSub> {
        let connecting =
            tokio::time::timeout(CONNECT_TIMEOUT, self.client.get_async_pubsub()).await;
        match connecting {
            Ok(connection) => connection.map_err(|error| self.explain(&error)),
            Err(_) => Err(self.unavailable("it did not answer in time")),
        }
    }

    /// How many partitions the fleet has; asked once, with the check that this client fits.
    ///
    /// # Errors
    /// [`Error::Incompatible`] when no fleet was created there, or by software of another layout.
    pub async fn partitions(&self) -> Result<Partitions> {
        let asked = self.partitions.get_or_try_init(|| self.hello()).await?;
        Ok(*asked)
    }

    async fn hello(&self) -> Result<Partitions> {
        self.prepare().await?;
        let call = super::fcall("fleet_hello_1", &[self.keys.meta()]);
        let (schema, partitions): (u32, u16) = self.call(&call).await?;
        if schema != SCHEMA_VERSION {
            return Err(Error::Incompatible {
                why: format!(
                    "its layout is version {schema}, this software speaks {SCHEMA_VERSION}"
                ),
            });
        }
        Partitions::new(partitions)
    }

    fn unavailable(&self, why: impl ToString) -> Error {
        Error::Unavailable {
            store: self.address.clone(),
            why: why.to_string(),
        }
    }

    fn explain_pool(&self, error: PoolError) -> Error {
        match error {
            PoolError::Backend(error) => self.explain(&error),
            PoolError::Timeout(_) => self.unavailable("no connection became free in time"),
            other => self.unavailable(other),
        }
    }

    /// What a Redis error means to a caller.
    pub fn explain(&self, error: &RedisError) -> Error {
        let detail = error.detail().unwrap_or_default();
        match error.kind() {
            ErrorKind::Extension => self.explain_code(error.code().unwrap_or_default(), detail),
            ErrorKind::AuthenticationFailed => Error::Incompatible {
                why: format!("{} refused user or password", self.address),
            },
            ErrorKind::Server(ServerErrorKind::NoPerm) => Error::Incompatible {
                why: format!("the Redis user may not do this: {detail}"),
            },
            _ if is_missing_function(error) => self.unavailable(
                "the fleet's functions are not loaded; start a coordinator or a dashboard on it",
            ),
            ErrorKind::Server(ServerErrorKind::ResponseError)
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Parse => Error::protocol(error),
            _ => self.unavailable(error),
        }
    }

    fn explain_code(&self, code: &str, detail: &str) -> Error {
        let (first, second) = detail.split_once('|').unwrap_or((detail, ""));
        match code.strip_prefix("FLEET_").unwrap_or(code) {
            "INVALID" => Error::invalid(first, second),
            "NOTFOUND" => Error::not_found(first, second),
            "CONFLICT" => Error::conflict(detail),
            "GAP" => Error::Gap {
                last: detail.trim().parse().unwrap_or_default(),
            },
            "RIGHTS" => Error::Incompatible {
                why: detail.to_owned(),
            },
            "NOFLEET" => Error::Incompatible {
                why: format!(
                    "{detail}; start a coordinator or a dashboard on {} first",
                    self.address
                ),
            },
            "OOM" => Error::Full {
                why: format!("Redis is at its memory limit ({detail})"),
            },
            "MISCONF" | "NOREPLICAS" => Error::Full {
                why: detail.to_owned(),
            },
            _ => self.unavailable(format!("{code} {detail}")),
        }
    }
}

/// Redis has no error code for this; its text is all there is.
fn is_missing_function(error: &RedisError) -> bool {
    let response = error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError);
    response
        && error
            .detail()
            .is_some_and(|detail| detail.contains("Function not found"))
}

fn connection_config(response: Option<Duration>) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(response)
}
