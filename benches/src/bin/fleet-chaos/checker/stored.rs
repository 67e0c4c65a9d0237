//! What the store holds, read without the code that folds it in production.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use fleet_coordinator::health::Settings;
use fleet_coordinator::index::Index;
use fleet_coordinator::model::{Session, SessionFacts};
use fleet_coordinator::store::{SessionCursor, SessionQuery, SharedStore};
use fleet_coordinator::view::session_health;
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::transport::redis::RedisLink;
use fleet_worker_sdk::{Execution, Repository, SessionId, SessionState, Version, redis};

use super::log::Log;

/// Sessions listed in one go.
const PAGE: usize = 100;

/// How a session's stored health compares with one computed from its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Agrees,
    /// None is stored, or of an older version.
    Outdated,
    Differs(String),
}

/// A session as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) repository: Repository,
    pub(crate) git_ref: String,
    pub(crate) version: Version,
    /// Whether its log was compacted.
    pub(crate) compacted: bool,
    /// Of each bot, how often its findings are logged, by their numbers.
    pub(crate) times: BTreeMap<String, Vec<u32>>,
    /// Messages of findings that no bot makes.
    pub(crate) strange: Vec<String>,
    pub(crate) total: u64,
    /// What must be as many as the total.
    pub(crate) sums: Vec<(&'static str, u64)>,
    /// Whether the counts are those of the findings in the log, kind by kind.
    pub(crate) counts_agree: bool,
    /// Whether its members, packed or not, are the fingerprints of the findings in the log, each once.
    pub(crate) members_agree: bool,
    pub(crate) executions: Vec<Execution>,
    pub(crate) standing: Standing,
}

impl Stored {
    /// Findings in the log, each time counted.
    pub(crate) fn logged(&self) -> u64 {
        let times = self.times.values().flatten();
        times.map(|times| u64::from(*times)).sum::<u64>() + self.strange.len() as u64
    }
}

/// All that a fleet holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredFleet {
    pub(crate) sessions: BTreeMap<String, Stored>,
    /// Findings by the fleet's own sums.
    pub(crate) counted: u64,
    pub(crate) counted_sessions: u64,
    /// Sessions that others are compared with, by scope.
    pub(crate) baselines: BTreeMap<String, String>,
}

/// Sessions as they were last seen when they were complete.
pub(crate) type Seen = BTreeMap<String, Stored>;

/// A way to read it.
pub(crate) struct Reader {
    pub(crate) store: SharedStore,
    link: Arc<RedisLink>,
}

impl Reader {
    /// Reads the fleet at `address`.
    pub(crate) fn open(address: &str) -> Result<Self> {
        let options = fleet_coordinator::store::OpenOptions::default();
        Ok(Self {
            store: fleet_coordinator::store::open(address, &options)?,
            link: Arc::new(RedisLink::new(address, Keys::default())?),
        })
    }

    /// Asks Redis itself.
    pub(crate) fn link(&self) -> &RedisLink {
        &self.link
    }

    /// Reads everything.
    pub(crate) async fn fleet(&self) -> Result<StoredFleet> {
        let rollup = self.store.rollup().await?;
        let mut fleet = StoredFleet {
            counted: rollup.stored(),
            counted_sessions: rollup.sessions,
            baselines: self.baselines().await?,
            ..StoredFleet::default()
        };
        for Session { id, .. } in self.sessions().await? {
            fleet.sessions.insert(
                id.to_string(),
                self.session(&id).await.with_context(|| id.to_string())?,
            );
        }
        Ok(fleet)
    }

    async fn sessions(&self) -> Result<Vec<Session>> {
        let mut all = Vec::new();
        let mut query = SessionQuery {
            limit: PAGE,
            ..SessionQuery::default()
        };
        loop {
            let page = self.store.sessions(&query).await?;
            query.after = page.last().map(SessionCursor::from);
            let full = page.len() == PAGE;
            all.extend(page);
            if !full {
                return Ok(all);
            }
        }
    }

    async fn baselines(&self) -> Result<BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        for partition in self.link.partitions().await?.iter() {
            let mut command = redis::cmd("HGETALL");
            command.arg(self.link.keys().baselines(partition));
            all.append(&mut self.link.call(&command).await?);
        }
        Ok(all)
    }

    /// Sessions that are complete, with their versions.
    pub(crate) async fn complete(&self) -> Result<BTreeMap<SessionId, Version>> {
        let all = self.sessions().await?.into_iter();
        let complete = all.filter(|session| session.state == SessionState::Complete);
        Ok(complete
            .map(|session| (session.id, session.version))
            .collect())
    }

    /// Reads a session; none when it was changed, rewritten or removed meanwhile.
    pub(crate) async fn session_at_rest(
        &self,
        id: &SessionId,
        version: Version,
    ) -> Result<Option<Stored>> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.link.keys().session(id));
        command.arg(&["version", "generation"]);
        let before: (Option<u64>, Option<u64>) = self.link.call(&command).await?;
        if before.0 != Some(version.0) {
            return Ok(None);
        }
        let stored = self.session(id).await;
        let after = self.link.call(&command).await?;
        (before == after).then_some(stored).transpose()
    }

    /// Sessions whose health is not of their present version.
    pub(crate) async fn outdated(&self) -> Result<usize> {
        let outdated = |session: &&Session| {
            let derived = session.derived.as_ref();
            derived.is_none_or(|derived| derived.version != session.version)
        };
        Ok(self.sessions().await?.iter().filter(outdated).count())
    }

    /// Feed entries that were handed out and not settled.
    pub(crate) async fn pending(&self) -> Result<u64> {
        let mut pending = 0;
        for partition in self.link.partitions().await?.iter() {
            let mut command = redis::cmd("XPENDING");
            command
                .arg(self.link.keys().feed(partition))
                .arg(Keys::GROUP);
            let answer: Option<(u64, redis::Value, redis::Value, redis::Value)> =
                self.link.call_unless(&command, "NOGROUP").await?;
            pending += answer.map_or(0, |(count, ..)| count);
        }
        Ok(pending)
    }

    /// Reads one session.
    pub(crate) async fn session(&self, id: &SessionId) -> Result<Stored> {
        let facts = self.store.facts(id).await?;
        let log = Log::read(&self.link, id).await?;
        let members = self.members(id).await?;
        let total = facts.session.total;
        let suppressed = facts.counts.tally().suppressed;
        let sums = vec![
            ("members of the index", facts.indexed),
            ("in the tally", facts.session.tally.total()),
            ("counted by bot", facts.counts.tally().total()),
            (
                "counted by category",
                facts.counts.by_category.values().sum::<u64>() + suppressed,
            ),
            (
                "counted by rule",
                facts.counts.by_rule.values().sum::<u64>() + suppressed,
            ),
            (
                "in the log or quarantined",
                log.findings + facts.session.quarantined,
            ),
        ];
        let whole = facts.session.quarantined == 0;
        Ok(Stored {
            repository: facts.session.repository.clone(),
            git_ref: facts.session.git_ref.clone(),
            version: facts.session.version,
            compacted: log.chunks > 0,
            times: log.times,
            strange: log.strange,
            total,
            sums,
            counts_agree: !whole || log.index.counts() == facts.counts,
            members_agree: !whole || members == log.fingerprints,
            executions: facts.session.executions.clone(),
            standing: standing(&facts, &log.index),
        })
    }

    /// Fingerprints of the index and of the string that compaction packs them into, ascending.
    async fn members(&self, id: &SessionId) -> Result<Vec<[u8; 16]>> {
        let mut commands = redis::pipe();
        commands.zrange(self.link.keys().index(id), 0, -1);
        commands.get(self.link.keys().packed(id));
        let (index, packed): (Vec<Vec<u8>>, Option<Vec<u8>>) =
            self.link.pipeline(&commands).await?;
        let packed = packed.unwrap_or_default();
        let all = index.iter().map(Vec::as_slice).chain(packed.chunks(16));
        let members = all.map(|member| <[u8; 16]>::try_from(member).context("a member is torn"));
        let mut members = members.collect::<Result<Vec<_>>>()?;
        members.sort_unstable();
        Ok(members)
    }
}

/// Computes the health anew, from the log's counts.
fn standing(facts: &SessionFacts, index: &Index) -> Standing {
    let Some(derived) = &facts.session.derived else {
        return Standing::Outdated;
    };
    if derived.version != facts.session.version {
        return Standing::Outdated;
    }
    let from_log = SessionFacts {
        counts: index.counts(),
        ..facts.clone()
    };
    let anew = session_health(&from_log, &Settings::default());
    let said = |health: &fleet_coordinator::health::Health| {
        format!("{:?} {}", health.score, health.status)
    };
    let (stored, computed) = (&derived.health, &anew.health);
    if (stored.score, stored.status) == (computed.score, computed.status)
        && derived.quality == anew.quality.score
    {
        Standing::Agrees
    } else {
        Standing::Differs(format!(
            "{} is stored, {} is right",
            said(stored),
            said(computed)
        ))
    }
}
