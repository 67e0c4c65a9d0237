//! Sessions and executions: who analyses what, how far they are, who may start.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bot::{Bot, Tier};
use crate::error::{Error, Result};
use crate::ids::{BotId, Partition, ProducerId, Repository, SessionId, WorkerId};
use crate::severity::words;

/// A state of a stored object. Compare for equality only: it is no counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

/// The run of a session opened without one.
pub const DEFAULT_RUN: &str = "0";
/// Most executions a session may have, expected ones included.
pub const MAX_EXECUTIONS: usize = 256;

/// Asks for the session of (repository, ref, commit, run): joined if it exists, created if not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// Which repository.
    pub repository: Repository,
    /// Branch or tag, as the repository names it; empty when unknown.
    #[serde(default, rename = "ref")]
    pub git_ref: String,
    /// Commit hash; empty when unknown.
    #[serde(default)]
    pub commit: String,
    /// Tells analyses of the same commit apart, such as a CI run's number.
    #[serde(default = "default_run")]
    pub run: String,
    /// Bots that will take part: they become pending executions.
    #[serde(default)]
    pub expect: Vec<BotId>,
    /// The id that the session had when it was opened, where the store has lost it since: it gets
    /// that one again, even if the same analysis was opened anew under another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<SessionId>,
}

fn default_run() -> String {
    DEFAULT_RUN.to_owned()
}

impl OpenSession {
    /// The session of `repository`, with no ref, no commit, run `0`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `repository` is no valid name.
    pub fn new(repository: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            repository: Repository::new(repository)?,
            git_ref: String::new(),
            commit: String::new(),
            run: default_run(),
            expect: Vec::new(),
            again: None,
        })
    }

    /// At this branch or tag.
    #[must_use]
    pub fn git_ref(mut self, git_ref: impl Into<String>) -> Self {
        self.git_ref = git_ref.into();
        self
    }

    /// At this commit.
    #[must_use]
    pub fn commit(mut self, commit: impl Into<String>) -> Self {
        self.commit = commit.into();
        self
    }

    /// In this run.
    #[must_use]
    pub fn run(mut self, run: impl Into<String>) -> Self {
        self.run = run.into();
        self
    }

    /// With these bots taking part.
    #[must_use]
    pub fn expect(mut self, bots: impl IntoIterator<Item = BotId>) -> Self {
        self.expect = bots.into_iter().collect();
        self
    }

    /// The id of the session in `partition` if this creates it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the id that it had is of another partition.
    pub fn id_in(&self, partition: Partition) -> Result<SessionId> {
        match &self.again {
            None => Ok(SessionId::fresh(partition)),
            Some(id) if id.partition() == partition => Ok(id.clone()),
            Some(id) => Err(Error::invalid(
                "again",
                format!("session `{id}` is none of {}", self.repository),
            )),
        }
    }

    /// Refuses what no store takes.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field and the bound.
    pub fn check(&self) -> Result<()> {
        for (what, text, max) in [
            ("ref", &self.git_ref, 255),
            ("commit", &self.commit, 64),
            ("run", &self.run, 64),
        ] {
            if text.len() > max {
                return Err(Error::invalid(
                    what,
                    format!("it is {} bytes long, the limit is {max}", text.len()),
                ));
            }
            if text.chars().any(char::is_control) {
                return Err(Error::invalid(what, "it contains a control character"));
            }
        }
        if self.expect.len() > MAX_EXECUTIONS {
            return Err(Error::invalid(
                "expect",
                format!("more than {MAX_EXECUTIONS} bots"),
            ));
        }
        Ok(())
    }
}

/// The answer to [`OpenSession`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The session.
    pub session: SessionId,
    /// Whether this call created it.
    pub created: bool,
}

words!(
    /// Where an execution is.
    ExecutionState, "execution state" {
        /// Expected, not begun.
        Pending = "pending",
        /// A worker is at it.
        Running = "running",
        /// Ended well.
        Completed = "completed",
        /// Ended badly.
        Failed = "failed",
        /// Will not run, for a reason.
        Skipped = "skipped",
    }
);

impl ExecutionState {
    /// Whether nothing more will come, unless it is reopened.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped)
    }

    /// Whether bots that depend on it may go on.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Completed | Self::Skipped)
    }
}

words!(
    /// Where a session is: complete when every execution it has is finished.
    SessionState, "session state" {
        /// Something is pending or running, or nothing has begun.
        Open = "open",
        /// Every execution is finished.
        Complete = "complete",
    }
);

impl SessionState {
    /// Open while anything is pending or running, or nothing has begun.
    pub fn of(executions: &[Execution]) -> Self {
        if !executions.is_empty() && executions.iter().all(|e| e.state.is_finished()) {
            Self::Complete
        } else {
            Self::Open
        }
    }
}

/// One bot's part in a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Whose.
    pub bot: BotId,
    /// Where it is.
    pub state: ExecutionState,
    /// Counts from 1; a reopened execution has the next one, and pushes of the former are refused.
    pub attempt: u32,
    /// Who works or worked on it.
    pub worker: Option<WorkerId>,
    /// When this attempt started (the store's clock).
    pub started: Option<Timestamp>,
    /// When it finished.
    pub ended: Option<Timestamp>,
    /// Findings received in this attempt, known ones included, repeats not.
    pub pushed: u64,
    /// It ended well but did not look at everything: it closes nothing.
    pub partial: bool,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
}

impl Execution {
    /// One that is expected and has not begun.
    pub fn pending(bot: &BotId) -> Self {
        Self {
            bot: bot.clone(),
            state: ExecutionState::Pending,
            attempt: 0,
            worker: None,
            started: None,
            ended: None,
            pushed: 0,
            partial: false,
            reason: None,
        }
    }
}

/// What a bot does with its execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Adds it as pending, if it is not there.
    Expect,
    /// Starts it. `reopen` takes over one that is running or finished, as a new attempt.
    Start {
        /// Who works on it.
        worker: Option<WorkerId>,
        /// Take over what is running or finished.
        #[serde(default)]
        reopen: bool,
    },
    /// Ends it well. Refused when the store did not receive exactly `pushed` findings.
    Complete {
        /// Findings pushed in this attempt, repeats not counted.
        pushed: u64,
        /// Not everything was looked at.
        #[serde(default)]
        partial: bool,
    },
    /// Ends it badly.
    Fail {
        /// Why, for people.
        reason: String,
    },
    /// Says that it will not run.
    Skip {
        /// Why, for people.
        reason: String,
    },
    /// Ends it badly if `worker` still holds it: said by a coordinator of a dead worker.
    Lost {
        /// The worker that died.
        worker: WorkerId,
    },
}

/// A sequenced change of an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// In which session.
    pub session: SessionId,
    /// Whose execution.
    pub bot: BotId,
    /// Which attempt the producer means, from the answer to its start; 0 for expect, start, skip and lost.
    #[serde(default)]
    pub attempt: u32,
    /// Who says so.
    pub producer: ProducerId,
    /// The producer's next sequence number; a repeated one gets the stored answer.
    /// 0 for an unsequenced change (`Expect`, `Lost`), which is idempotent by itself.
    pub sequence: u64,
    /// What.
    #[serde(flatten)]
    pub change: Change,
}

/// How far the producer of a running execution is: what another hand needs to go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ongoing {
    /// The running attempt.
    pub attempt: u32,
    /// Who started it.
    pub producer: ProducerId,
    /// The last sequence number that the producer used.
    pub sequence: u64,
}

impl Ongoing {
    /// Ends the execution badly.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the attempt has ended or was taken over; whatever the store says.
    pub async fn fail(
        &self,
        store: &dyn crate::write::Write,
        session: &SessionId,
        bot: &BotId,
        reason: &str,
    ) -> Result<Execution> {
        // Whoever went on with it may have used more numbers.
        let last = store.last_sequence(session, &self.producer).await?;
        let cut = reason.floor_char_boundary(MAX_REASON);
        let transition = Transition {
            session: session.clone(),
            bot: bot.clone(),
            attempt: self.attempt,
            producer: self.producer.clone(),
            sequence: last + 1,
            change: Change::Fail {
                reason: reason.get(..cut).unwrap_or_default().to_owned(),
            },
        };
        store.transition(&transition).await
    }
}

/// Longest reason kept, in bytes; longer ones are cut by the store's clients.
pub const MAX_REASON: usize = 2048;

/// A session's executions, to decide who may start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Which session.
    pub session: SessionId,
    /// Its state.
    pub state: SessionState,
    /// Version of the session this was read at.
    pub version: Version,
    /// One entry a bot, in order of bot id.
    pub executions: Vec<Execution>,
    /// The registered bots, for tiers and dependencies.
    pub bots: Vec<Bot>,
}

impl Progress {
    /// The execution of `bot`.
    pub fn execution(&self, bot: &BotId) -> Option<&Execution> {
        self.executions
            .iter()
            .find(|execution| execution.bot == *bot)
    }

    fn tier_of(&self, bot: &BotId) -> Tier {
        self.bots
            .iter()
            .find(|b| b.id == *bot)
            .map_or(Tier::Custom, |b| b.tier)
    }

    /// Bots whose execution is pending and may start: all they depend on, as far as it takes
    /// part in this session, has completed or was skipped; finishers also wait for the verifiers.
    pub fn ready_bots(&self) -> Vec<BotId> {
        let pending = self
            .executions
            .iter()
            .filter(|e| e.state == ExecutionState::Pending);
        pending
            .filter(|e| self.may_start(&e.bot))
            .map(|e| e.bot.clone())
            .collect()
    }

    /// Whether nothing that `bot` has to wait for is outstanding.
    pub fn may_start(&self, bot: &BotId) -> bool {
        let settled = |id: &BotId| self.execution(id).is_none_or(|e| e.state.is_settled());
        let registered = self.bots.iter().find(|b| b.id == *bot);
        let gated = registered.is_some_and(|b| b.tier == Tier::Finisher);
        registered.is_none_or(|b| b.depends_on.iter().all(settled))
            && (!gated || self.verifiers_complete())
    }

    /// Whether every verifier that takes part has completed or was skipped: the finishers' gate.
    pub fn verifiers_complete(&self) -> bool {
        let mut verifiers = self
            .executions
            .iter()
            .filter(|e| self.tier_of(&e.bot) == Tier::Verifier);
        verifiers.all(|e| e.state.is_settled())
    }
}
