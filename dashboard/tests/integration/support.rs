//! A fleet in memory behind the dashboard's routes, and bots that fill it over HTTP.

use std::sync::Arc;

use fleet_coordinator::store::SharedStore;
use fleet_coordinator::store::memory::MemoryStore;
use fleet_dashboard::config::Settings;
use fleet_dashboard::context::Context;
use fleet_dashboard::routes;
use fleet_worker_sdk::{
    Batch, BotId, Change, Finding, Fingerprint, Identified, OpenSession, Partitions, ProducerId,
    SessionId, Suppression, Transition,
};
use serde_json::Value;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::HeaderMap;
use warp::reply::Response;

/// The routes of one dashboard.
pub(crate) struct Site {
    pub(crate) routes: BoxedFilter<(Response,)>,
    pub(crate) store: SharedStore,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status < 300, "{}: {}", self.status, self.text);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let store = Arc::new(MemoryStore::new(Partitions::DEFAULT));
        let context = Context::new(store, settings).unwrap();
        Self {
            routes: routes::all(&context).boxed(),
            store: context.store,
        }
    }

    pub(crate) async fn send(&self, request: warp::test::RequestBuilder) -> Answer {
        let response = request
            .header("host", "fleet.test:8080")
            .reply(&self.routes)
            .await;
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: String::from_utf8(response.body().to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(warp::test::request().path(path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &impl serde::Serialize) -> Answer {
        let request = warp::test::request().method("POST").path(path).json(body);
        self.send(request).await
    }

    pub(crate) async fn open(&self, repository: &str) -> SessionId {
        let open = OpenSession::new(repository)
            .unwrap()
            .commit("0123456789abcdef");
        let opened = self.post("/api/v1/sessions", &open).await.ok().json();
        opened["session"].as_str().unwrap().parse().unwrap()
    }

    /// A bot that has not started yet.
    pub(crate) fn hand(session: &SessionId, bot: &str) -> Hand {
        Hand {
            session: session.clone(),
            bot: BotId::new(bot).unwrap(),
            producer: ProducerId::fresh(),
            attempt: 0,
            sequence: 0,
        }
    }

    /// A bot that has started in a session.
    pub(crate) async fn start(&self, session: &SessionId, bot: &str) -> Hand {
        let mut hand = Self::hand(session, bot);
        let start = hand.next(Change::Start {
            worker: None,
            reopen: false,
        });
        let started = self.post("/api/v1/transitions", &start).await.ok().json();
        hand.attempt = u32::try_from(started["attempt"].as_u64().unwrap()).unwrap();
        hand
    }

    /// Pushes findings and completes.
    pub(crate) async fn finish(&self, hand: &mut Hand, findings: Vec<Finding>) {
        let pushed = findings.len() as u64;
        let batch = hand.batch(findings);
        self.post("/api/v1/push", &batch).await.ok();
        let done = hand.next(Change::Complete {
            pushed,
            partial: false,
        });
        self.post("/api/v1/transitions", &done).await.ok();
    }

    /// A session in which `bot` has found `findings`.
    pub(crate) async fn session(&self, bot: &str, findings: Vec<Finding>) -> SessionId {
        let session = self.open("acme/shop").await;
        let mut hand = self.start(&session, bot).await;
        self.finish(&mut hand, findings).await;
        session
    }
}

/// One bot's execution, seen from the bot.
pub(crate) struct Hand {
    pub(crate) session: SessionId,
    pub(crate) bot: BotId,
    pub(crate) producer: ProducerId,
    pub(crate) attempt: u32,
    pub(crate) sequence: u64,
}

impl Hand {
    pub(crate) fn next(&mut self, change: Change) -> Transition {
        self.sequence += 1;
        Transition {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: self.attempt,
            producer: self.producer.clone(),
            sequence: self.sequence,
            change,
        }
    }

    pub(crate) fn batch(&mut self, findings: Vec<Finding>) -> Batch {
        self.sequence += 1;
        let identified = findings.into_iter().enumerate().map(|(number, finding)| {
            let mut fingerprint = [0; 16];
            fingerprint[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let bot = self.bot.as_str().bytes().fold(7, |hash: u64, byte| {
                hash.wrapping_mul(31).wrapping_add(byte.into())
            });
            fingerprint[8..].copy_from_slice(&bot.to_be_bytes());
            Identified {
                fingerprint: Fingerprint(fingerprint),
                finding,
            }
        });
        Batch {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: self.attempt,
            producer: self.producer.clone(),
            sequence: self.sequence,
            findings: identified.collect(),
            again: Vec::new(),
            rules: std::collections::BTreeMap::new(),
        }
    }
}

/// `count` findings over four levels, three categories, five rules, six files; every tenth suppressed.
pub(crate) fn varied(count: usize) -> Vec<Finding> {
    use fleet_worker_sdk::Level;
    let finding = |n: usize| {
        let level = Level::ALL[n % Level::ALL.len()];
        let category = ["security", "style", "licence"][n % 3];
        let file = format!("src/{}/file{}.rs", ["a", "b"][n % 2], n % 6);
        let mut finding = Finding::new(format!("rule-{}", n % 5), format!("Message number {n}."))
            .level(level)
            .category(category)
            .at(file, n as u32 + 1);
        if n.is_multiple_of(10) {
            finding.suppressions.push(Suppression::default());
        }
        finding
    };
    (0..count).map(finding).collect()
}
