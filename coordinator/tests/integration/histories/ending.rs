//! Everything that can be read of a store, in a form to compare.

use std::collections::BTreeSet;
use std::time::Duration;

use fleet_coordinator::index::{Filter, Index, PageQuery, Sort, Suppression};
use fleet_coordinator::store::SessionQuery;
use fleet_worker_sdk::SessionId;
use serde_json::{Value, json};

use super::normal::normal;
use super::replay::{Replay, bot_of, producer_of};
use super::steps::{BOTS, PRODUCERS, REPOSITORIES};
use crate::support::repository;

/// Each part with its name.
pub(super) async fn read(replay: &Replay) -> Vec<(String, Value)> {
    let mut parts = vec![
        ("bots".to_owned(), json!(replay.store.bots().await.unwrap())),
        (
            "workers".to_owned(),
            json!(replay.store.workers().await.unwrap()),
        ),
        (
            "rollup".to_owned(),
            json!(replay.store.rollup().await.unwrap()),
        ),
        ("sessions".to_owned(), listed(replay).await),
        ("feed".to_owned(), feed(replay).await),
    ];
    for number in 0..BOTS {
        parts.push((format!("runs of bot {number}"), runs(replay, number).await));
        parts.push((
            format!("baselines of bot {number}"),
            baselines(replay, number).await,
        ));
    }
    for session in &replay.sessions {
        let facts = replay.store.facts(session).await.unwrap();
        parts.push((format!("facts of {session}"), json!(facts)));
        let progress = replay.store.progress(session).await.unwrap();
        parts.push((format!("progress of {session}"), json!(progress)));
        parts.push((
            format!("numbers in {session}"),
            numbers(replay, session).await,
        ));
        let findings = replay.store.findings(session).await.unwrap();
        let index = findings.read().await;
        parts.push((format!("findings of {session}"), pages(&index)));
        parts.push((format!("rules of {session}"), json!(index.rules())));
    }
    let own = |text: String| {
        let text = normal(Value::String(text), &replay.sessions);
        text.as_str().unwrap_or_default().to_owned()
    };
    parts
        .into_iter()
        .map(|(name, value)| (own(name), normal(value, &replay.sessions)))
        .collect()
}

/// Sessions as listed, by number: their order goes by times, which the stores do not share.
async fn listed(replay: &Replay) -> Value {
    let limit = 1_000;
    let query = SessionQuery {
        limit,
        ..SessionQuery::default()
    };
    let mut sessions = replay.store.sessions(&query).await.unwrap();
    let number = |id: &SessionId| replay.sessions.iter().position(|session| session == id);
    sessions.sort_by_key(|session| number(&session.id));
    json!(sessions)
}

async fn runs(replay: &Replay, bot: u8) -> Value {
    let runs = replay.store.runs(&bot_of(bot)).await.unwrap();
    assert!(runs.is_sorted_by_key(|run| run.ended));
    let runs = normal(json!(runs), &replay.sessions);
    let mut runs: Vec<String> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    runs.sort();
    json!(runs)
}

async fn baselines(replay: &Replay, bot: u8) -> Value {
    let mut baselines = Vec::new();
    for number in 0..REPOSITORIES {
        let repository = repository(&format!("acme/repo-{number}"));
        let baseline = replay.store.baseline(&repository, &bot_of(bot), "").await;
        baselines.push(baseline.unwrap());
    }
    json!(baselines)
}

async fn numbers(replay: &Replay, session: &SessionId) -> Value {
    let mut numbers = Vec::new();
    for producer in 0..PRODUCERS {
        let last = replay
            .store
            .last_sequence(session, &producer_of(producer))
            .await;
        numbers.push(last.unwrap());
    }
    json!(numbers)
}

/// Which sessions the feed hands out, settling what it did.
async fn feed(replay: &Replay) -> Value {
    let mut sessions = BTreeSet::new();
    loop {
        let wait = Duration::from_millis(1);
        let entries = replay.store.changes("checker", wait).await.unwrap();
        if entries.is_empty() {
            break;
        }
        sessions.extend(entries.iter().map(|entry| entry.session.clone()));
        replay.store.settle(&entries).await.unwrap();
    }
    let known = |session: &&SessionId| sessions.contains(*session);
    let sessions: Vec<_> = replay.sessions.iter().filter(known).collect();
    json!(sessions)
}

/// All findings page by page, in every order; those of each bot; those that are suppressed.
fn pages(index: &Index) -> Value {
    let mut filters = vec![Filter {
        suppression: Suppression::All,
        ..Filter::default()
    }];
    filters.push(Filter {
        suppression: Suppression::Suppressed,
        ..Filter::default()
    });
    filters.extend((0..BOTS).map(|bot| Filter {
        bots: vec![bot_of(bot)],
        ..Filter::default()
    }));
    let mut pages = Vec::new();
    for filter in filters {
        for &sort in Sort::ALL {
            let mut query = PageQuery {
                filter: filter.clone(),
                sort,
                after: None,
                limit: 5,
            };
            loop {
                let page = index.query(&query).unwrap();
                query.after.clone_from(&page.next);
                pages.push(json!([sort, page]));
                if query.after.is_none() {
                    break;
                }
            }
        }
    }
    json!(pages)
}
