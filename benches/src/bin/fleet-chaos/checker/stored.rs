//! What the store holds, read without the code that folds it in production.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context, Result};
use fleet_coordinator::health::Settings;
use fleet_coordinator::index::Index;
use fleet_coordinator::model::SessionFacts;
use fleet_coordinator::store::{SessionCursor, SessionQuery, SharedStore};
use fleet_coordinator::view::session_health;
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::transport::redis::RedisLink;
use fleet_worker_sdk::{BotId, Execution, SessionId, redis, wire};
use jiff::Timestamp;

use crate::bot::read_message;

/// Sessions listed, and entries of a log read, in one go.
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
    /// Of each bot, how often its findings are logged, by their numbers.
    pub(crate) times: BTreeMap<String, Vec<u32>>,
    /// Messages of findings that no bot makes.
    pub(crate) strange: Vec<String>,
    pub(crate) total: u64,
    /// What must be as many as the total.
    pub(crate) sums: Vec<(&'static str, u64)>,
    /// Whether the counts are those of the findings in the log, kind by kind.
    pub(crate) counts_agree: bool,
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
}

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
            ..StoredFleet::default()
        };
        for id in self.sessions().await? {
            fleet.sessions.insert(
                id.to_string(),
                self.session(&id).await.with_context(|| id.to_string())?,
            );
        }
        Ok(fleet)
    }

    async fn sessions(&self) -> Result<Vec<SessionId>> {
        let mut all = Vec::new();
        let mut query = SessionQuery {
            limit: PAGE,
            ..SessionQuery::default()
        };
        loop {
            let page = self.store.sessions(&query).await?;
            query.after = page.last().map(SessionCursor::from);
            let full = page.len() == PAGE;
            all.extend(page.into_iter().map(|session| session.id));
            if !full {
                return Ok(all);
            }
        }
    }

    /// Sessions whose health is not of their present version.
    pub(crate) async fn outdated(&self) -> Result<usize> {
        let mut outdated = 0;
        let mut query = SessionQuery {
            limit: PAGE,
            ..SessionQuery::default()
        };
        loop {
            let page = self.store.sessions(&query).await?;
            query.after = page.last().map(SessionCursor::from);
            outdated += page
                .iter()
                .filter(|session| {
                    session
                        .derived
                        .as_ref()
                        .is_none_or(|derived| derived.version != session.version)
                })
                .count();
            if page.len() < PAGE {
                return Ok(outdated);
            }
        }
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
        let log = self.log(id).await?;
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
        Ok(Stored {
            times: log.times,
            strange: log.strange,
            total,
            sums,
            counts_agree: facts.session.quarantined > 0 || log.index.counts() == facts.counts,
            executions: facts.session.executions.clone(),
            standing: standing(&facts, &log.index),
        })
    }

    async fn log(&self, id: &SessionId) -> Result<Log> {
        let mut log = Log::default();
        let mut from = "-".to_owned();
        loop {
            let mut command = redis::cmd("XRANGE");
            command.arg(self.link.keys().log(id)).arg(&from).arg("+");
            command.arg("COUNT").arg(PAGE);
            let entries: Vec<(String, HashMap<String, Vec<u8>>)> = self.link.call(&command).await?;
            let full = entries.len() == PAGE;
            if let Some((last, _)) = entries.last() {
                from = format!("({last}");
            }
            for (_, fields) in &entries {
                log.add(fields)?;
            }
            if !full {
                return Ok(log);
            }
        }
    }
}

/// A log, read.
#[derive(Default)]
struct Log {
    times: BTreeMap<String, Vec<u32>>,
    strange: Vec<String>,
    findings: u64,
    index: Index,
}

impl Log {
    fn add(&mut self, fields: &HashMap<String, Vec<u8>>) -> Result<()> {
        let field = |name: &str| fields.get(name).map(Vec::as_slice).unwrap_or_default();
        let bot = BotId::new(String::from_utf8_lossy(field("b")))?;
        for body in wire::split(&wire::logged(field)?)? {
            self.findings += 1;
            self.index.add(&bot, Timestamp::UNIX_EPOCH, body)?;
            let message = wire::decode(body)?.finding.message;
            match read_message(&message) {
                Some((whose, number)) if whose == bot.as_str() => {
                    let times = self.times.entry(whose.to_owned()).or_default();
                    let at = number as usize;
                    times.resize(times.len().max(at + 1), 0);
                    if let Some(times) = times.get_mut(at) {
                        *times += 1;
                    }
                }
                _ => self.strange.push(message),
            }
        }
        Ok(())
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
