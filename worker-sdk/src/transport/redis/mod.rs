//! The way to a fleet in Redis: each write is one function call in one slot.

pub mod address;

mod connect;

mod circuit;

mod pool;

mod meaning;

mod keeper;

mod link;

mod batch;

pub mod rights;

pub mod stored;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Cmd;

pub use address::Address;
pub use batch::score;
pub use connect::Connection;
pub use keeper::{Keeper, Library};
pub use link::RedisLink;

use crate::beat::{Beat, BeatAnswer};
use crate::bot::Bot;
use crate::error::{Error, Result};
use crate::ids::{BotId, ProducerId, SessionId};
use crate::keys::Keys;
use crate::push::{Batch, PushAnswer};
use crate::session::{
    Change, Execution, MAX_REASON, OpenSession, Opened, Progress, SessionState, Transition, Version,
};
use crate::write::Write;

/// The functions that workers call, as a Redis library; coordinators load it on every master.
pub const LIBRARY: &str = concat!(
    "#!lua name=fleet_worker_1\n",
    include_str!("functions/common.lua"),
    include_str!("functions/hello.lua"),
    include_str!("functions/beat.lua"),
    include_str!("functions/open.lua"),
    include_str!("functions/execution.lua"),
    include_str!("functions/counts.lua"),
    include_str!("functions/packed.lua"),
    include_str!("functions/push.lua"),
);

/// What every library begins with.
pub const COMMON: &str = include_str!("functions/common.lua");

/// How often a waiting bot looks whether a session has changed.
const POLL: Duration = Duration::from_millis(200);

/// A call of a function with these keys; its arguments follow.
pub fn fcall(function: &str, keys: &[String]) -> Cmd {
    let mut command = redis::cmd("FCALL");
    command.arg(function).arg(keys.len()).arg(keys);
    command
}

/// A call of a function that writes nothing.
pub fn fcall_ro(function: &str, keys: &[String]) -> Cmd {
    let mut command = redis::cmd("FCALL_RO");
    command.arg(function).arg(keys.len()).arg(keys);
    command
}

/// Writes to a fleet in Redis.
#[derive(Clone, Debug)]
pub struct RedisWriter {
    link: Arc<RedisLink>,
}

impl RedisWriter {
    /// Connects and checks that there is a fleet which this client fits.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unreadable address, [`Error::Unavailable`] when nothing answers,
    /// [`Error::Incompatible`] when no coordinator has created a fleet there yet.
    pub async fn connect(address: &str) -> Result<Self> {
        let writer = Self::new(Arc::new(RedisLink::new(address, Keys::default())?));
        writer.link.partitions().await?;
        Ok(writer)
    }

    /// Writes over a link that exists.
    pub fn new(link: Arc<RedisLink>) -> Self {
        Self { link }
    }

    fn keys(&self) -> &Keys {
        self.link.keys()
    }

    async fn fields(&self, session: &SessionId) -> Result<HashMap<String, Vec<u8>>> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys().session(session));
        let fields: HashMap<String, Vec<u8>> = self.link.call(&command).await?;
        if fields.is_empty() {
            Err(Error::not_found("session", session))
        } else {
            Ok(fields)
        }
    }

    async fn version(&self, session: &SessionId) -> Result<Version> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys().session(session)).arg("version");
        let version: Option<u64> = self.link.call(&command).await?;
        version
            .map(Version)
            .ok_or_else(|| Error::not_found("session", session))
    }

    async fn join(&self, open: &OpenSession) -> Result<Opened> {
        let partition = self.link.partitions().await?.of(&open.repository);
        let fresh = open.id_in(partition)?;
        let keys = self.keys();
        let keys = [
            keys.open(partition, open),
            keys.session(&fresh),
            keys.sessions(partition),
            keys.feed(partition),
            keys.rollup(partition),
        ];
        let mut command = fcall("fleet_open_1", &keys);
        command.arg(fresh.as_str()).arg(open.repository.as_str());
        command.arg(&open.git_ref).arg(&open.commit).arg(&open.run);
        command.arg(u8::from(open.again.is_some()));
        let (session, created): (String, u8) = self.link.call(&command).await?;
        Ok(Opened {
            session: SessionId::new(session).map_err(Error::protocol)?,
            created: created == 1,
        })
    }

    async fn expect(&self, session: &SessionId, bots: &[&str]) -> Result<()> {
        let keys = self.keys();
        let partition = session.partition();
        let keys = [
            keys.session(session),
            keys.sessions(partition),
            keys.feed(partition),
        ];
        let mut command = fcall("fleet_expect_1", &keys);
        command.arg(session.as_str()).arg(bots);
        let _added: u32 = self.link.call(&command).await?;
        Ok(())
    }
}

#[async_trait]
impl Write for RedisWriter {
    async fn register(&self, bot: &Bot) -> Result<()> {
        bot.check()?;
        let json = serde_json::to_vec(bot).map_err(Error::protocol)?;
        let mut command = redis::cmd("HSET");
        command
            .arg(self.keys().bots())
            .arg(bot.id.as_str())
            .arg(json);
        let _new: u32 = self.link.call(&command).await?;
        let mut hint = redis::cmd("PUBLISH");
        hint.arg(self.keys().updates()).arg(r#"{"kind":"workers"}"#);
        let _heard: u32 = self.link.call(&hint).await?;
        Ok(())
    }

    async fn beat(&self, beat: &Beat) -> Result<BeatAnswer> {
        let mut beat = beat.clone();
        beat.sessions.truncate(Beat::MAX_SESSIONS);
        let json = serde_json::to_vec(&beat).map_err(Error::protocol)?;
        let keys = [self.keys().worker(&beat.worker), self.keys().workers()];
        let call = |function| {
            let mut command = fcall(function, &keys);
            command
                .arg(beat.worker.as_str())
                .arg(&json)
                .arg(beat.state.as_str());
            command.arg(beat.progress).arg(self.keys().updates());
            command
        };
        let mut answer: String = self.link.call(&call("fleet_beat_1")).await?;
        if answer == "unknown" {
            answer = self.link.call(&call("fleet_hail_1")).await?;
        }
        let command = if answer.is_empty() {
            None
        } else {
            Some(answer.parse()?)
        };
        Ok(BeatAnswer { command })
    }

    async fn open(&self, open: &OpenSession) -> Result<Opened> {
        open.check()?;
        let opened = self.join(open).await?;
        if open.expect.is_empty() {
            return Ok(opened);
        }
        let bots: Vec<&str> = open.expect.iter().map(BotId::as_str).collect();
        match self.expect(&opened.session, &bots).await {
            // A failover took it back in between.
            Err(Error::NotFound { .. }) => {
                let opened = self.join(open).await?;
                self.expect(&opened.session, &bots).await?;
                Ok(opened)
            }
            expected => expected.map(|()| opened),
        }
    }

    async fn transition(&self, transition: &Transition) -> Result<Execution> {
        let (session, bot) = (&transition.session, &transition.bot);
        if transition.change == Change::Expect {
            self.expect(session, &[bot.as_str()]).await?;
            let progress = self.progress(session).await?;
            let found = progress.execution(bot).cloned();
            return found.ok_or_else(|| Error::not_found("execution", bot));
        }
        let (keys, partition) = (self.keys(), session.partition());
        let keys = [
            keys.session(session),
            keys.sessions(partition),
            keys.feed(partition),
            keys.producer(partition, &transition.producer),
            keys.runs(partition, bot),
            keys.baselines(partition),
            keys.counts(session),
        ];
        let mut command = fcall("fleet_execution_1", &keys);
        command
            .arg(session.as_str())
            .arg(bot.as_str())
            .arg(transition.sequence)
            .arg(transition.attempt);
        change_arguments(&mut command, &transition.change);
        let answer: Vec<u8> = self.link.call(&command).await?;
        stored::execution(&answer)
    }

    async fn push(&self, batch: &Batch) -> Result<PushAnswer> {
        batch.check()?;
        let session = &batch.session;
        let (keys, partition) = (self.keys(), session.partition());
        let keys = [
            keys.session(session),
            keys.log(session),
            keys.index(session),
            keys.counts(session),
            keys.rules(session),
            keys.sessions(partition),
            keys.feed(partition),
            keys.producer(partition, &batch.producer),
            keys.rollup(partition),
            keys.packed(session),
        ];
        let mut command = fcall("fleet_push_4", &keys);
        batch::arguments(&mut command, batch)?;
        let (outcome, text): (String, String) = self.link.call(&command).await?;
        batch::answer(&outcome, &text)
    }

    async fn last_sequence(&self, session: &SessionId, producer: &ProducerId) -> Result<u64> {
        let mut command = redis::cmd("HGET");
        command
            .arg(self.keys().producer(session.partition(), producer))
            .arg("last");
        let last: Option<u64> = self.link.call(&command).await?;
        Ok(last.unwrap_or(0))
    }

    async fn progress(&self, session: &SessionId) -> Result<Progress> {
        let fields = self.fields(session).await?;
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys().bots());
        let bots: HashMap<String, Vec<u8>> = self.link.call(&command).await?;
        let mut bots = bots
            .values()
            .map(|json| serde_json::from_slice(json).map_err(Error::protocol))
            .collect::<Result<Vec<Bot>>>()?;
        bots.sort_by(|a, b| a.id.cmp(&b.id));
        let version = fields
            .get("version")
            .map_or(Ok(0), |text| stored::number(text))?;
        let executions = stored::executions(&fields)?;
        Ok(Progress {
            session: session.clone(),
            state: SessionState::of(&executions),
            version: Version(version),
            executions,
            bots,
        })
    }

    async fn changed(
        &self,
        session: &SessionId,
        known: Version,
        wait: Duration,
    ) -> Result<Version> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let version = self.version(session).await?;
            if version != known || tokio::time::Instant::now() >= deadline {
                return Ok(version);
            }
            let next = tokio::time::Instant::now() + POLL;
            tokio::time::sleep_until(next.min(deadline)).await;
        }
    }
}

fn change_arguments(command: &mut Cmd, change: &Change) {
    let none = "";
    let (name, worker, reopen, pushed, partial, reason) = match change {
        Change::Expect => ("expect", none, false, 0, false, none),
        Change::Start { worker, reopen } => (
            "start",
            worker.as_ref().map_or(none, |w| w.as_str()),
            *reopen,
            0,
            false,
            none,
        ),
        Change::Complete { pushed, partial } => ("complete", none, false, *pushed, *partial, none),
        Change::Fail { reason } => ("fail", none, false, 0, false, cut(reason)),
        Change::Skip { reason } => ("skip", none, false, 0, false, cut(reason)),
        Change::Lost { worker } => ("lost", worker.as_str(), false, 0, false, none),
    };
    command
        .arg(name)
        .arg(worker)
        .arg(u8::from(reopen))
        .arg(pushed)
        .arg(u8::from(partial))
        .arg(reason);
}

/// At most [`MAX_REASON`] bytes of `text`, cut between characters.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_REASON);
    text.get(..end).unwrap_or_default()
}
