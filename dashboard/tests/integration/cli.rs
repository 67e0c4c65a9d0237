//! What the `fleet` command reads: the same through a dashboard as in the store itself.

use std::sync::Arc;

use fleet_coordinator::answer::FindingsQuery;
use fleet_coordinator::client::{DirectReader, HttpReader, Reader, ReportQuery};
use fleet_coordinator::conserve::Mismatch;
use fleet_coordinator::health::Settings as HealthSettings;
use fleet_coordinator::index::{Filter, PageQuery, Sort, Suppression};
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::report::Format;
use fleet_coordinator::store::memory::MemoryStore;
use fleet_coordinator::store::{SessionQuery, SharedStore};
use fleet_dashboard::config::Settings;
use fleet_dashboard::context::Context;
use fleet_dashboard::routes;
use fleet_worker_sdk::transport::http::HttpWriter;
use fleet_worker_sdk::worker::Fleet;
use fleet_worker_sdk::{
    Bot, Command, Error, OpenSession, Partitions, SessionId, Severity, Tier, WorkerId,
};
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::Value;

use crate::observed::unusual;
use crate::support::varied;

/// One fleet, read both ways.
struct Both {
    direct: DirectReader,
    http: HttpReader,
    session: SessionId,
    worker: WorkerId,
}

impl Both {
    async fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new(Partitions::DEFAULT))).await
    }

    async fn over(store: SharedStore) -> Self {
        let context = Context::new(Arc::clone(&store), Settings::default()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(
            warp::serve(routes::all(Box::leak(Box::new(context))))
                .incoming(listener)
                .run(),
        );
        let (session, worker) = fill(&address).await;
        Self {
            direct: DirectReader::new(store, HealthSettings::default()),
            http: HttpReader::new(HttpWriter::new(&address).unwrap()),
            session,
            worker,
        }
    }
}

/// A worker that has found something in one session, and a second session.
async fn fill(address: &str) -> (SessionId, WorkerId) {
    let fleet = Fleet::connect(address).await.unwrap();
    let bot = Bot::new("gosec").unwrap().tier(Tier::Engine).version("2.1");
    let worker = fleet.worker(bot).await.unwrap();
    let open = OpenSession::new("acme/shop").unwrap().git_ref("main");
    let session = worker.open(open).await.unwrap();
    let execution = session.start().await.unwrap();
    execution.push_all(varied(230)).await.unwrap();
    execution.complete().await.unwrap();
    worker
        .open(OpenSession::new("acme/till").unwrap())
        .await
        .unwrap();
    let id = worker.id().clone();
    worker.stop().await.unwrap();
    (session.id().clone(), id)
}

/// Both answers, as `--json` writes them.
#[track_caller]
fn same<T: Serialize>(direct: Result<T, Error>, http: Result<T, Error>) -> Value {
    let direct = serde_json::to_value(direct.unwrap()).unwrap();
    let http = serde_json::to_value(http.unwrap()).unwrap();
    assert_eq!(direct, http);
    direct
}

/// Without when it was computed, and the scores of what a clock moves.
fn still(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("computed_at");
                members.values_mut().for_each(walk);
            }
            Value::Array(list) => list.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}

#[tokio::test]
async fn both_ways_give_the_same_sessions_and_workers() {
    let Both {
        direct,
        http,
        session,
        worker,
    } = Both::new().await;
    let mut query = SessionQuery {
        limit: 1,
        ..SessionQuery::default()
    };
    let (one, two) = (direct.sessions(&query).await, http.sessions(&query).await);
    query.after = one.as_ref().unwrap().next.clone();
    assert!(query.after.is_some());
    same(one, two);
    let rest = same(direct.sessions(&query).await, http.sessions(&query).await);
    assert_eq!(rest["sessions"].as_array().unwrap().len(), 1);
    query.repository = Some("acme/nothing".parse().unwrap());
    same(direct.sessions(&query).await, http.sessions(&query).await);
    let facts = same(direct.session(&session).await, http.session(&session).await);
    assert_eq!(facts["session"]["total"], 230);
    same(direct.bots().await, http.bots().await);
    http.command(&worker, Command::Quiet).await.unwrap();
    let workers = same(direct.workers().await, http.workers().await);
    assert_eq!(workers["workers"][0]["command"], "quiet");
    assert_eq!(
        workers["workers"][0]["sdk"],
        env!("CARGO_PKG_VERSION"),
        "the workspace's, as the SDK's"
    );
}

#[tokio::test]
async fn both_ways_give_the_same_findings() {
    let both = Both::new().await;
    let filter = |filter| FindingsQuery {
        page: PageQuery {
            filter,
            limit: 1_000,
            ..PageQuery::default()
        },
        ..FindingsQuery::default()
    };
    let mut queries = vec![
        filter(Filter::default()),
        filter(Filter {
            severities: vec![Severity::Error, Severity::Info],
            categories: vec!["security".to_owned(), "style".to_owned()],
            file: Some("src/a/".to_owned()),
            suppression: Suppression::All,
            ..Filter::default()
        }),
        filter(Filter {
            rules: vec!["rule-1".to_owned()],
            text: Some("NUMBER 1".to_owned()),
            ..Filter::default()
        }),
        FindingsQuery {
            tiers: vec![Tier::Verifier],
            ..filter(Filter::default())
        },
        FindingsQuery {
            tiers: vec![Tier::Engine],
            ..filter(Filter::default())
        },
    ];
    queries[4].page.sort = Sort::Path;
    for mut query in queries {
        loop {
            let direct = both.direct.findings(&both.session, &query).await;
            let http = both.http.findings(&both.session, &query).await;
            query.page.after = direct.as_ref().unwrap().next.clone();
            same(direct, http);
            if query.page.after.is_none() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn both_ways_give_the_same_health() {
    let Both {
        direct,
        http,
        session,
        ..
    } = Both::new().await;
    let (one, two) = (
        direct.session_health(&session).await,
        http.session_health(&session).await,
    );
    same(one, two);
    let bot = "gosec".parse().unwrap();
    let (one, two) = (direct.bot_health(&bot).await, http.bot_health(&bot).await);
    same(one, two);
    let tier = Tier::Engine;
    let (one, two) = (direct.tier_health(tier).await, http.tier_health(tier).await);
    same(one, two);
    let json = |health| still(serde_json::to_value(health).unwrap());
    let (one, two) = (direct.health().await.unwrap(), http.health().await.unwrap());
    assert_eq!(json(one), json(two));
}

#[tokio::test]
async fn both_ways_explain_the_same_and_find_the_same_unusual() {
    let store: SharedStore = Arc::new(MemoryStore::new(Partitions::DEFAULT));
    let Both {
        direct,
        http,
        session,
        ..
    } = Both::over(Arc::clone(&store)).await;
    let shop = "acme/shop".parse().unwrap();
    for reader in [&direct as &dyn Reader, &http] {
        let error = reader.repository_health(&shop, true).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    let coordinator = Coordinator::new(Arc::clone(&store), CoordinatorSettings::default());
    coordinator.resync().await.unwrap();
    for explain in [false, true] {
        let both = (
            direct.repository_health(&shop, explain).await,
            http.repository_health(&shop, explain).await,
        );
        let health = same(both.0, both.1);
        assert_eq!(health["session"], session.as_str());
        assert_eq!(health["explanation"].is_object(), explain);
    }
    let both = (
        direct.explained_session(&session).await,
        http.explained_session(&session).await,
    );
    assert!(same(both.0, both.1)["explanation"]["quality"]["formula"].is_string());
    let bot = "gosec".parse().unwrap();
    let both = (
        direct.explained_bot(&bot).await,
        http.explained_bot(&bot).await,
    );
    assert!(same(both.0, both.1)["explanation"]["arithmetic"].is_string());
    let tier = Tier::Engine;
    let both = (
        direct.explained_tier(tier).await,
        http.explained_tier(tier).await,
    );
    assert_eq!(same(both.0, both.1)["explanation"]["subject"], "tier");
    let json = |health| still(serde_json::to_value(health).unwrap());
    let both = (
        direct.explained_health().await.unwrap(),
        http.explained_health().await.unwrap(),
    );
    assert_eq!(json(both.0), json(both.1));

    store
        .note(&[unusual("gosec"), unusual("trivy")])
        .await
        .unwrap();
    let all = same(direct.anomalies(None).await, http.anomalies(None).await);
    assert_eq!(all["anomalies"].as_array().unwrap().len(), 2);
    let both = (
        direct.anomalies(Some(&bot)).await,
        http.anomalies(Some(&bot)).await,
    );
    let own = same(both.0, both.1);
    assert_eq!(own["anomalies"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn both_ways_write_the_same_report() {
    let both = Both::new().await;
    for (format, limit) in [
        (Format::Json, Some(7)),
        (Format::Json, None),
        (Format::Json, Some(0)),
    ] {
        let mut findings = FindingsQuery::default();
        findings.page.filter.severities = vec![Severity::Error, Severity::Warning];
        let query = ReportQuery {
            format,
            findings,
            limit,
        };
        let read = async |reader: &dyn Reader| -> Result<Value, Error> {
            let parts = reader.report(&both.session, &query).await?;
            let parts: Vec<_> = parts.try_collect().await?;
            let mut report: Value = serde_json::from_slice(&parts.concat()).unwrap();
            report.as_object_mut().unwrap().remove("generated");
            Ok(report)
        };
        let (direct, http) = (read(&both.direct).await, read(&both.http).await);
        if limit == Some(0) {
            // A report of nothing is refused by the API's bounds; in the store it is an empty one.
            assert!(http.is_err());
            continue;
        }
        same(direct, http);
    }
}

#[tokio::test]
async fn both_ways_miss_the_same() {
    let Both { direct, http, .. } = Both::new().await;
    let nobody = SessionId::new("p1-01a20714-b637-7054-9cfa-b65a4c1fd8f8").unwrap();
    let bot = "nobody".parse().unwrap();
    let worker = WorkerId::new("a:b:1:c").unwrap();
    for reader in [&direct as &dyn Reader, &http] {
        for error in [
            reader.session(&nobody).await.err(),
            reader.session_health(&nobody).await.err(),
            reader
                .findings(&nobody, &FindingsQuery::default())
                .await
                .err(),
            reader.bot_health(&bot).await.err(),
            reader.tier_health(Tier::Finisher).await.err(),
            reader.command(&worker, Command::Quiet).await.err(),
        ] {
            let error = error.unwrap();
            assert!(matches!(error, Error::NotFound { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn dead_letters_are_listed_the_same_either_way() {
    let store: SharedStore = Arc::new(MemoryStore::new(Partitions::DEFAULT));
    let both = Both::over(Arc::clone(&store)).await;
    let entries = store
        .changes("one", std::time::Duration::ZERO)
        .await
        .unwrap();
    let given_up = store.give_up(&entries, "it fell over").await.unwrap();
    assert_eq!(given_up, 2, "both sessions have changed");
    let (direct, http) = (&both.direct, &both.http);
    let first = direct.letters(None, 1).await.unwrap();
    assert_eq!((first.letters.len(), first.total), (1, 2));
    same(Ok(first.clone()), http.letters(None, 1).await);
    let after = Some(&first.letters[0].id);
    let rest = same(direct.letters(after, 1).await, http.letters(after, 1).await);
    assert_ne!(rest["letters"][0]["id"], first.letters[0].id.to_string());
}

#[tokio::test]
async fn what_does_not_add_up_is_listed_the_same_either_way_and_on_the_page() {
    let store: SharedStore = Arc::new(MemoryStore::new(Partitions::DEFAULT));
    let both = Both::over(Arc::clone(&store)).await;
    let known = same(
        both.direct.conservation().await,
        both.http.conservation().await,
    );
    assert_eq!(known["mismatched"], 0);
    let latest = SessionQuery {
        limit: 1,
        ..SessionQuery::default()
    };
    let session = store.sessions(&latest).await.unwrap().remove(0).id;
    let mut account = store.account(&session).await.unwrap();
    account.indexed -= 1;
    let now = store.now().await.unwrap();
    let mismatch = Mismatch::of(account, now).unwrap();
    assert!(store.note_mismatch(&mismatch).await.unwrap());
    let known = same(
        both.direct.conservation().await,
        both.http.conservation().await,
    );
    assert_eq!(
        (&known["mismatched"], &known["difference"]),
        (&1.into(), &1.into())
    );
    assert_eq!(known["sessions"][0]["account"]["session"], session.as_str());
    let page = reqwest::get(format!("{}/", both.http.address()))
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("1 session does not add up"), "{page}");
}
