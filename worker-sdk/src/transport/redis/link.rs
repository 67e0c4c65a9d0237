//! The connections to a Redis fleet.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::Object;
use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::OnceCell;

use super::address::Address;
use super::circuit::Circuit;
use super::connect::{CALL_TIMEOUT, Connection, Door};
use super::keeper::Keeper;
use super::meaning;
use super::pool::{self, Lent, Pool};
use super::rights::{self, Probe};
use crate::error::{Error, Result};
use crate::ids::Partitions;
use crate::keys::{Keys, SCHEMA_VERSION};

/// A pool of connections for short commands, and the key names of the fleet behind it.
pub struct RedisLink {
    pool: Pool,
    door: Arc<Door>,
    circuit: Arc<Circuit>,
    keys: Keys,
    address: String,
    partitions: OnceCell<Partitions>,
    pub(super) keeper: Option<Keeper>,
    /// Whether this link has found or created the fleet.
    pub(super) prepared: AtomicBool,
    /// The latest refusal to write that a caller met; none since [`RedisLink::forgive`].
    refused: Mutex<Option<Error>>,
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What is asked in one round trip.
#[derive(Clone, Copy)]
enum Question<'a> {
    One(&'a Cmd),
    Several(&'a Pipeline),
}

impl Question<'_> {
    async fn put(self, connection: &mut Connection) -> RedisResult<Value> {
        match self {
            Self::One(command) => command.query_async(connection).await,
            Self::Several(commands) => commands.query_async(connection).await,
        }
    }
}

impl RedisLink {
    /// Prepares a link to the fleet at an [`Address`]; connects with the first call.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the address cannot be read, or the certificates it names.
    pub fn new(address: &str, keys: Keys) -> Result<Self> {
        let address: Address = address.parse()?;
        let unusable =
            |error: &dyn fmt::Display| Error::invalid("store address", error.to_string());
        let door = Arc::new(Door::new(&address).map_err(|error| unusable(&error))?);
        Ok(Self {
            pool: pool::pool(Arc::clone(&door)).map_err(|error| unusable(&error))?,
            door,
            circuit: Arc::default(),
            keys,
            address: address.to_string(),
            partitions: OnceCell::new(),
            keeper: None,
            prepared: AtomicBool::new(false),
            refused: Mutex::default(),
        })
    }

    /// Creates the fleet and loads functions where they are missing.
    #[must_use]
    pub fn keeping(mut self, keeper: Keeper) -> Self {
        self.keeper = Some(keeper);
        self
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
        self.put_with_functions(Question::One(command)).await
    }

    /// Asks once more where the fleet's functions were not all there, when they are: after a
    /// failover, or while software of an older version loads those that it knows.
    async fn put_with_functions<T: FromRedisValue>(&self, question: Question<'_>) -> Result<T> {
        let answer = match self.put(question).await? {
            Err(error) if self.keeper.is_some() && meaning::lacks_function(&error) => {
                match self.restore_functions().await {
                    // This user may not load them: what it waits for is a coordinator.
                    Err(Error::Incompatible { .. }) => return Err(self.explain(&error)),
                    restored => restored?,
                }
                self.put(question).await?
            }
            answer => answer,
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

    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<RedisResult<T>> {
        self.put(Question::One(command)).await
    }

    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<RedisResult<T>> {
        self.put(Question::Several(commands)).await
    }

    async fn put<T: FromRedisValue>(&self, question: Question<'_>) -> Result<RedisResult<T>> {
        // Boxed: whoever links this would else compile a future as deep as all clients together.
        match Box::pin(self.put_over_pool(question)).await? {
            // Whole, but not what was asked for.
            Ok(value) => T::from_redis_value(value).map(Ok).map_err(Error::protocol),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Asks over a connection of the pool; once more over another where the first one had broken
    /// unnoticed: every call may be repeated.
    async fn put_over_pool(&self, question: Question<'_>) -> Result<RedisResult<Value>> {
        loop {
            let mut lent = self.lend().await?;
            let used_before = Object::metrics(&lent).recycle_count > 0;
            let answer = question.put(&mut lent.connection).await;
            let Err(error) = &answer else {
                self.circuit.answered();
                return Ok(answer);
            };
            let another = pool::is_worth_another(error, used_before);
            let _ = self.circuit.heard(error);
            pool::dispose(lent, error);
            if !another {
                return Ok(answer);
            }
        }
    }

    async fn lend(&self) -> Result<Lent> {
        if let Some(why) = self.circuit.closed_to() {
            return Err(self.unavailable(why));
        }
        if self.circuit.is_open() {
            // On its own: of several calls made together, those that are told why drop this one,
            // which must not take the only try with it.
            let (pool, circuit) = (self.pool.clone(), Arc::clone(&self.circuit));
            let tried = tokio::spawn(async move { pool::try_out(&pool, &circuit).await });
            if let Ok(Err(why)) = tried.await {
                return Err(self.unavailable(why));
            }
        }
        self.pool.get().await.map_err(|error| {
            let explained = match pool::reason(error) {
                Ok(why) => self.unavailable(why),
                Err(error) => self.explain(&error),
            };
            match explained {
                Error::Unavailable { why, .. } => self.unavailable(self.circuit.failed(why)),
                other => other,
            }
        })
    }

    /// Runs several short commands of one slot in one round trip, not as a transaction.
    ///
    /// # Errors
    /// As [`RedisLink::call`], of the first that fails.
    pub async fn pipeline<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T> {
        self.put_with_functions(Question::Several(commands)).await
    }

    /// A connection of its own, for reads that block up to `block`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none to be had.
    pub async fn dedicated(&self, block: Duration) -> Result<Connection> {
        let connection = self.door.connect(block + CALL_TIMEOUT).await;
        connection.map_err(|error| self.explain(&error))
    }

    /// A connection that hears what is published.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none to be had.
    pub async fn listener(&self) -> Result<redis::aio::PubSub> {
        let listener = self.door.listen().await;
        listener.map_err(|error| self.explain(&error))
    }

    /// Whether partitions may lie on different servers, so that one read cannot span them.
    pub fn is_cluster(&self) -> bool {
        self.door.is_cluster()
    }

    /// How many partitions the fleet has; asked once, with the check that this client fits.
    ///
    /// # Errors
    /// [`Error::Incompatible`] when no fleet was created there, or by software of another layout.
    pub async fn partitions(&self) -> Result<Partitions> {
        let asked = self.partitions.get_or_try_init(|| self.hello()).await?;
        Ok(*asked)
    }

    /// Asks whether the Redis user may run every one of `probes`.
    ///
    /// # Errors
    /// [`Error::Incompatible`] naming the first that it may not; else as [`RedisLink::call`].
    pub async fn demand(&self, probes: &[Probe]) -> Result<()> {
        self.greet(probes).await.map(drop)
    }

    /// The schema and the partitions of the fleet, for a user with these rights.
    async fn greet(&self, probes: &[Probe]) -> Result<(u32, u16)> {
        let mut call = super::fcall_ro("fleet_hello_1", &[self.keys.meta()]);
        for probe in probes {
            call.arg(probe.len()).arg(probe);
        }
        self.call(&call).await
    }

    /// Asks each master; answers by address.
    ///
    /// # Errors
    /// As [`RedisLink::call`], of the first that fails.
    pub async fn on_masters(&self, command: &Cmd) -> Result<Vec<(String, Value)>> {
        let mut connection = self.dedicated(Duration::ZERO).await?;
        let answer = connection.ask_masters(command).await;
        match answer.map_err(|error| self.explain(&error))? {
            Value::Map(nodes) if self.is_cluster() => nodes
                .into_iter()
                .map(|(node, answer)| {
                    let node = redis::from_redis_value(node).map_err(Error::protocol)?;
                    Ok((node, answer))
                })
                .collect(),
            one => Ok(vec![(self.address.clone(), one)]),
        }
    }

    /// Why a write was refused since this was [last asked to forget](RedisLink::forgive); none
    /// when none was.
    pub fn refusal(&self) -> Option<Error> {
        let refused = self.refused.lock();
        refused.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets that a write was refused, before the next is tried.
    pub fn forgive(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn hello(&self) -> Result<Partitions> {
        self.prepare().await?;
        let (schema, partitions) = self.greet(&rights::worker(&self.keys)).await?;
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

    /// What a Redis error means to a caller. A refusal to write is [kept](RedisLink::refusal).
    pub fn explain(&self, error: &RedisError) -> Error {
        let explained = meaning::of(error, &self.address);
        let read_only = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        if read_only || matches!(explained, Error::Full { .. }) {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = Some(explained.clone());
        }
        explained
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that greets, and answers every PING with `answer` before it hangs up.
    async fn server(answer: &'static [u8]) -> RedisLink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("redis://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut said = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut said).await {
                    let said = &said[..read];
                    if said.windows(4).any(|word| word == b"PING") {
                        stream.write_all(answer).await.unwrap();
                        break;
                    }
                    let commands = said.split(|byte| *byte == b'*').count() - 1;
                    stream
                        .write_all(&b"+OK\r\n".repeat(commands))
                        .await
                        .unwrap();
                }
            }
        });
        RedisLink::new(&address, Keys::default()).unwrap()
    }

    #[tokio::test]
    async fn a_reply_cut_in_the_middle_says_nothing_about_the_call() {
        let link = server(b"$20\r\nhalf of").await;
        let error = link.call::<String>(&redis::cmd("PING")).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert!(error.is_retryable());
    }

    #[tokio::test]
    async fn a_whole_reply_of_another_kind_is_a_fault_of_ours() {
        let link = server(b"+words\r\n").await;
        let error = link.call::<u64>(&redis::cmd("PING")).await.unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
    }
}
