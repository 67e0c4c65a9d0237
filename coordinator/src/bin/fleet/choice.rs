//! Which session is meant: an id, the beginning of one, a repository, `latest`, or nothing.

use fleet_coordinator::answer::SessionPage;
use fleet_coordinator::client::{MAX_SESSIONS, Reader};
use fleet_coordinator::model::Session;
use fleet_coordinator::place::Place;
use fleet_coordinator::store::SessionQuery;
use fleet_worker_sdk::{Error, Repository, Result, SessionId};

/// Pages of the latest sessions that are looked through for a short name: a thousand sessions.
const PAGES: usize = 5;
/// Shortest beginning of an id that is looked for: partition and some digits of the time.
const MIN_PREFIX: usize = 6;
/// Most candidates named where a short name means several.
const MAX_NAMED: usize = 5;

/// The session that `text` means; without one, the latest of the repository around the current
/// folder, and outside of any, the latest of all.
///
/// # Errors
/// `Error::NotFound` when there is none; `Error::Conflict` naming the candidates of a short name
/// that means several; as the reader's.
pub(crate) async fn session(reader: &dyn Reader, text: Option<&str>) -> Result<SessionId> {
    // What was cut in a table is pasted with the sign of it.
    match text.map(|text| text.trim().trim_end_matches('…')) {
        None => match Place::found(Place::default()).repository {
            Some(here) => of_repository(reader, &here)
                .await
                .map_err(|error| match error {
                    Error::NotFound { .. } => Error::not_found(
                        "session of this checkout's repository; name a session, another repository \
                     or `latest` instead of",
                        here,
                    ),
                    other => other,
                }),
            None => latest(reader).await,
        },
        Some("latest") => latest(reader).await,
        Some(text) => match SessionId::new(text) {
            Ok(id) => Ok(id),
            Err(_) if is_prefix(text) => {
                search(reader, text, |s| s.id.as_str().starts_with(text)).await
            }
            Err(_) => of_repository(reader, text).await,
        },
    }
}

async fn latest(reader: &dyn Reader) -> Result<SessionId> {
    let page = page(reader, None, None, 1).await?;
    let first = page.sessions.into_iter().next();
    first
        .map(|session| session.id)
        .ok_or_else(|| Error::NotFound {
            what: "session yet: fleet push or a bot makes the first; asked for".to_owned(),
            id: "latest".to_owned(),
        })
}

/// The latest session of a repository, of which only the last part of the name may be given.
async fn of_repository(reader: &dyn Reader, text: &str) -> Result<SessionId> {
    let repository = Repository::new(text)?;
    let page = page(reader, Some(repository), None, 1).await?;
    if let Some(session) = page.sessions.into_iter().next() {
        return Ok(session.id);
    }
    let ends = |session: &Session| {
        let name = session.repository.as_str();
        name.rsplit('/')
            .next()
            .is_some_and(|last| last.eq_ignore_ascii_case(text))
    };
    search(reader, text, ends).await
}

/// The one repository's latest session, or the one session, that `is` holds for.
async fn search(
    reader: &dyn Reader,
    text: &str,
    is: impl Fn(&Session) -> bool,
) -> Result<SessionId> {
    let mut found: Vec<Session> = Vec::new();
    let mut after = None;
    for _ in 0..PAGES {
        let page = page(reader, None, after, MAX_SESSIONS).await?;
        found.extend(page.sessions.into_iter().filter(|session| is(session)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let by_id = is_prefix(text);
    let others = |first: &Session| {
        let differs = |other: &&Session| {
            if by_id {
                other.id != first.id
            } else {
                other.repository != first.repository
            }
        };
        found.iter().any(|other| differs(&other))
    };
    match found.first() {
        Some(first) if !others(first) => Ok(first.id.clone()),
        Some(_) => Err(ambiguous(text, &found, by_id)),
        None => Err(Error::NotFound {
            what: "session, repository or beginning of a session's id".to_owned(),
            id: text.to_owned(),
        }),
    }
}

fn ambiguous(text: &str, found: &[Session], by_id: bool) -> Error {
    let mut names: Vec<&str> = found
        .iter()
        .map(|session| {
            if by_id {
                session.id.as_str()
            } else {
                session.repository.as_str()
            }
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MAX_NAMED);
    Error::conflict(format!(
        "`{text}` may be {}; name one of them",
        names.join(" or ")
    ))
}

async fn page(
    reader: &dyn Reader,
    repository: Option<Repository>,
    after: Option<fleet_coordinator::store::SessionCursor>,
    limit: usize,
) -> Result<SessionPage> {
    let query = SessionQuery {
        repository,
        after,
        limit,
    };
    reader.sessions(&query).await
}

/// Whether it looks like the beginning of a session id, `p7-019a…`.
fn is_prefix(text: &str) -> bool {
    let parts = text.strip_prefix('p').and_then(|rest| rest.split_once('-'));
    text.len() >= MIN_PREFIX
        && parts.is_some_and(|(partition, uuid)| {
            partition.parse::<u16>().is_ok()
                && uuid.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fleet_coordinator::client::DirectReader;
    use fleet_coordinator::health::Settings;
    use fleet_coordinator::store::{OpenOptions, SharedStore, open};
    use fleet_worker_sdk::OpenSession;

    use super::*;

    async fn fleet(repositories: &[&str]) -> (DirectReader, Vec<SessionId>) {
        let store: SharedStore = open("memory", &OpenOptions::default()).unwrap();
        let mut sessions = Vec::new();
        for name in repositories {
            let opened = store.open(&OpenSession::new(name).unwrap()).await;
            sessions.push(opened.unwrap().session);
        }
        let reader = DirectReader::new(Arc::clone(&store), Settings::default());
        (reader, sessions)
    }

    #[tokio::test]
    async fn a_session_is_named_by_id_repository_or_the_beginning_of_either() {
        let (reader, sessions) = fleet(&["acme/shop", "acme/till"]).await;
        let [shop, till] = &sessions[..] else {
            unreachable!()
        };
        let short = &shop.as_str()[..shop.as_str().len() - 3];
        for (text, expected) in [
            (shop.as_str(), shop),
            (short, shop),
            (&format!("{short}…"), shop),
            ("acme/shop", shop),
            ("shop", shop),
            ("acme/till", till),
        ] {
            assert_eq!(
                &session(&reader, Some(text)).await.unwrap(),
                expected,
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_means_several_is_refused_with_the_candidates() {
        let (reader, _) = fleet(&["acme/shop", "umbra/shop"]).await;
        let error = session(&reader, Some("shop"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("acme/shop or umbra/shop"), "{error}");
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_to_be_missing() {
        let (reader, _) = fleet(&[]).await;
        for text in ["latest", "acme/shop", "p1-0199aaaa"] {
            let error = session(&reader, Some(text)).await.unwrap_err();
            assert!(matches!(error, Error::NotFound { .. }), "{text}: {error}");
        }
    }
}
