//! What is asked of a fleet and what it answers: the shapes of the HTTP API, and of `fleet --json`.
//! Both make their answers here, so that one fleet reads the same whichever way it is asked.

mod alerts;
mod health;
mod observed;
mod report;

use std::fmt;
use std::str::FromStr;

use fleet_worker_sdk::{Bot, Error, Result, SessionId, Tier};
use futures_util::future::try_join;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use alerts::{AlertList, AlertSeen, AuditTrail, GivenUp, NewSilence, Silences};
pub use health::{Explain, Explained, HealthOf, RepositoryHealth};
pub use observed::{AnomalyList, HistoryOf, SESSIONS_OF_TRENDS, TrendsOf, of_sessions};
pub use report::{Reporting, STEP};

use crate::health::{Health, Settings};
use crate::index::{Filter, Page, PageQuery, Suppression};
use crate::lifecycle::{Liveness, is_stuck, liveness};
use crate::model::{Session, SessionFacts, Worker};
use crate::store::{Read, SessionCursor, SessionQuery};
use crate::view::session_health;

/// A page of sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionPage {
    /// The sessions, latest change first.
    pub sessions: Vec<Session>,
    /// Where the next page begins, if there is one.
    pub next: Option<SessionCursor>,
}

impl SessionPage {
    /// The page that `query` asks for.
    ///
    /// # Errors
    /// As the store's.
    pub async fn read<S: Read + ?Sized>(store: &S, query: &SessionQuery) -> Result<Self> {
        let asked = SessionQuery {
            limit: query.limit.saturating_add(1), // one more tells whether there is a next page
            ..query.clone()
        };
        let mut sessions = store.sessions(&asked).await?;
        let more = sessions.len() > query.limit;
        sessions.truncate(query.limit);
        let last = sessions.last().filter(|_| more);
        Ok(Self {
            next: last.map(SessionCursor::from),
            sessions,
        })
    }
}

impl fmt::Display for SessionCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.changed_ms, self.session)
    }
}

impl FromStr for SessionCursor {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('.').and_then(|(time, session)| {
            Some(Self {
                changed_ms: time.parse().ok()?,
                session: SessionId::new(session).ok()?,
            })
        });
        parts.ok_or_else(|| Error::invalid("cursor", "it is not the `next` of a page of sessions"))
    }
}

impl Serialize for SessionCursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionCursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A session's facts with the health they make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionView {
    /// The facts.
    #[serde(flatten)]
    pub facts: SessionFacts,
    /// The health they make.
    pub health: Health,
}

impl SessionView {
    /// The session of `facts`.
    pub fn of(facts: SessionFacts, settings: &Settings) -> Self {
        let health = session_health(&facts, settings).health;
        Self { facts, health }
    }
}

/// The registered bots, by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bots {
    /// They.
    pub bots: Vec<Bot>,
}

/// The workers heard of within a day, by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workers {
    /// They.
    pub workers: Vec<WorkerView>,
}

/// A worker and what is inferred about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// The worker.
    #[serde(flatten)]
    pub worker: Worker,
    /// Whether it lives.
    pub liveness: Liveness,
    /// It beats, has sessions, and gets nothing done.
    pub stuck: bool,
}

impl Workers {
    /// The workers as they are now.
    ///
    /// # Errors
    /// As the store's.
    pub async fn read<S: Read + ?Sized>(store: &S, settings: &Settings) -> Result<Self> {
        let (now, workers) = try_join(store.now(), store.workers()).await?;
        let seen = workers.into_iter().map(|worker| WorkerView {
            liveness: liveness(&worker, worker.last_beat, now, settings),
            stuck: is_stuck(&worker, now, settings),
            worker,
        });
        Ok(Self {
            workers: seen.collect(),
        })
    }
}

/// Which findings of a session: a page query, and tiers, which are other words for their bots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingsQuery {
    /// Of bots of these tiers; of any where there are none.
    pub tiers: Vec<Tier>,
    /// Which of them, in which order, from where on.
    pub page: PageQuery,
}

impl FindingsQuery {
    /// The page query with the tiers' bots; none when nothing can match, because no bot is of the
    /// tiers asked for: an empty list of bots would mean all of them.
    ///
    /// # Errors
    /// As the store's.
    pub async fn resolve<S: Read + ?Sized>(&self, store: &S) -> Result<Option<PageQuery>> {
        let mut page = self.page.clone();
        if !self.tiers.is_empty() {
            let registered = store.bots().await?;
            let members = registered
                .into_iter()
                .filter(|bot| self.tiers.contains(&bot.tier));
            let members: Vec<_> = members.map(|bot| bot.id).collect();
            let bots = &mut page.filter.bots;
            if bots.is_empty() {
                *bots = members;
            } else {
                bots.retain(|bot| members.contains(bot));
            }
            if bots.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(page))
    }

    /// The page it asks for.
    ///
    /// # Errors
    /// As the store's; `Error::Invalid` for a cursor of another order or session.
    pub async fn read<S: Read + ?Sized>(&self, store: &S, session: &SessionId) -> Result<Page> {
        let asked = self.resolve(store).await?;
        let findings = store.findings(session).await?;
        match asked {
            Some(asked) => findings.read().await.query(&asked),
            None => Ok(Page {
                findings: Vec::new(),
                total: 0,
                next: None,
            }),
        }
    }

    /// The parameters of the HTTP API that ask for the same, but for `limit`.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut all = self.filters();
        all.push(("sort", self.page.sort.to_string()));
        all.extend(self.page.after.iter().map(|c| ("cursor", c.to_string())));
        all
    }

    /// The filters in words, for the head of a report; empty when all open findings pass.
    pub fn in_words(&self) -> String {
        let words = self.filters().into_iter();
        let words: Vec<_> = words
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        words.join(", ")
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let Filter {
            bots,
            severities,
            categories,
            rules,
            file,
            text,
            suppression,
        } = &self.page.filter;
        let mut all: Vec<(&'static str, String)> = Vec::new();
        all.extend(bots.iter().map(|bot| ("bot", bot.to_string())));
        all.extend(self.tiers.iter().map(|tier| ("tier", tier.to_string())));
        all.extend(severities.iter().map(|s| ("severity", s.to_string())));
        all.extend(categories.iter().map(|text| ("category", text.clone())));
        all.extend(rules.iter().map(|text| ("rule", text.clone())));
        all.extend(file.iter().map(|text| ("file", text.clone())));
        all.extend(text.iter().map(|text| ("text", text.clone())));
        if *suppression != Suppression::default() {
            all.push(("suppression", suppression.to_string()));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_sessions_survives_text() {
        let id = "p1-01a20714-b637-7054-9cfa-b65a4c1fd8f8";
        let text = format!("1735689600123.{id}");
        let cursor: SessionCursor = text.parse().unwrap();
        assert_eq!(cursor.to_string(), text);
        for wrong in ["", "12", id, &format!("x.{id}"), "12.p1"] {
            assert!(wrong.parse::<SessionCursor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_query_says_what_was_asked_and_nothing_else() {
        assert_eq!(FindingsQuery::default().in_words(), "");
        let query = FindingsQuery {
            tiers: vec![Tier::Engine],
            page: PageQuery {
                filter: Filter {
                    bots: vec!["a".parse().unwrap(), "b".parse().unwrap()],
                    file: Some("src/".to_owned()),
                    suppression: Suppression::All,
                    ..Filter::default()
                },
                ..PageQuery::default()
            },
        };
        assert_eq!(
            query.in_words(),
            "bot a, bot b, tier engine, file src/, suppression all"
        );
        assert_eq!(query.parameters().last().unwrap().0, "sort");
    }
}
