//! Sessions as listed on pages: those of a repository, in a state, latest change first.

use fleet_coordinator::model::Session;
use fleet_coordinator::store::{SessionCursor, SessionQuery};
use fleet_worker_sdk::Repository;
use fleet_worker_sdk::session::SessionState;

use crate::api::problem::Problem;
use crate::api::query::{Query, encode};
use crate::api::sessions;
use crate::context::Context;

/// Sessions read at most for one page where only those of a state are wanted: the store keeps them
/// by time alone, and past this a page says where it stopped rather than read a whole fleet.
const MAX_SCAN: usize = 500;
/// The parameters that choose sessions.
pub(crate) const PARAMETERS: [&str; 4] = ["repository", "state", "cursor", "limit"];

/// Which sessions a page asks for.
pub(crate) struct Asked {
    pub(crate) repository: Option<Repository>,
    pub(crate) state: Option<SessionState>,
    pub(crate) paged: bool,
}

impl Asked {
    /// As `query` says.
    pub(crate) fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            repository: query.read("repository")?,
            state: query.read("state")?,
            paged: query.one("cursor")?.is_some(),
        })
    }

    /// Whether not all sessions are asked for.
    pub(crate) fn is_filtered(&self) -> bool {
        self.repository.is_some() || self.state.is_some()
    }
}

/// A page of sessions.
pub(crate) struct Listed {
    pub(crate) sessions: Vec<Session>,
    /// Query of the page after, if there is one.
    pub(crate) next: Option<String>,
}

/// The page of sessions that `query` asks for, of `size` unless it says otherwise.
pub(crate) async fn list(
    context: &Context,
    query: &Query,
    asked: &Asked,
    size: usize,
) -> Result<Listed, Problem> {
    let limit = query.limit(size, sessions::MAX_PAGE)?;
    let batch = if asked.state.is_some() {
        MAX_SCAN
    } else {
        limit
    };
    let mut read = SessionQuery {
        repository: asked.repository.clone(),
        after: query.read("cursor")?,
        limit: batch + 1, // one more tells whether there is a next page
    };
    let mut found = context.store.sessions(&read).await?;
    let more = found.len() > batch;
    found.truncate(batch);
    read.after = found.last().map(SessionCursor::from);
    let mut matching: Vec<Session> = found
        .into_iter()
        .filter(|session| asked.state.is_none_or(|state| session.state == state))
        .collect();
    let cut = matching.len() > limit;
    if cut {
        matching.truncate(limit);
        read.after = matching.last().map(SessionCursor::from);
    }
    let after = read.after.filter(|_| more || cut);
    Ok(Listed {
        sessions: matching,
        next: after.map(|after| follow(query, &after.to_string())),
    })
}

fn follow(query: &Query, cursor: &str) -> String {
    let kept = query.without(&["cursor"]);
    let joint = if kept.is_empty() { "" } else { "&" };
    format!("cursor={}{joint}{kept}", encode(cursor))
}
