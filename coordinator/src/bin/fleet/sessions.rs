//! `fleet sessions`: what was analysed, latest change first.

use clap::Args;
use fleet_coordinator::answer::SessionPage;
use fleet_coordinator::client::{MAX_SESSIONS, Reader};
use fleet_coordinator::model::{Session, Tally};
use fleet_coordinator::store::SessionQuery;
use fleet_worker_sdk::{ExecutionState, Repository};
use jiff::Timestamp;

use crate::asking::Asking;
use crate::exit::Stop;
use crate::look::{Look, Tone, ago, score};
use crate::output::{plain, say};
use crate::stream::Document;
use crate::table::{Cell, Column, Table};

/// Sessions listed unless told otherwise: a screen of them.
const DEFAULT_LIMIT: usize = 20;

pub(crate) const EXAMPLES: &str = "\
Examples:
  fleet sessions                     the latest of all
  fleet sessions acme/shop -n 5      the latest five of one repository
  fleet sessions --all --json | jq -r '.sessions[].id'";

/// What `fleet sessions` is given.
#[derive(Args)]
pub(crate) struct Sessions {
    /// Only of this repository
    #[arg(value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// How many
    #[arg(long, short = 'n', value_name = "N", default_value_t = DEFAULT_LIMIT, conflicts_with = "all")]
    limit: usize,
    /// All of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    asking: Asking,
}

const COLUMNS: [Column; 8] = [
    Column::new("REPOSITORY").cut(12),
    Column::new("REF").cut(6).rank(3),
    Column::new("COMMIT").rank(4),
    Column::new("HEALTH").right(),
    Column::new("FINDINGS").cut(10),
    Column::new("BOTS").rank(2),
    Column::new("CHANGED").rank(1),
    Column::new("SESSION").cut(18),
];

/// Digits of a commit that are shown, as git shows them.
const COMMIT: usize = 9;

impl Sessions {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        let repository = self.repository.as_ref().map(Repository::new).transpose();
        let repository = repository.map_err(Stop::Usage)?;
        let reader = self.asking.reader()?;
        let look = self.asking.look();
        let mut left = if self.all { usize::MAX } else { self.limit };
        let mut out = Lister::new(self.asking.json, &look);
        let mut after = None;
        loop {
            let query = SessionQuery {
                repository: repository.clone(),
                after,
                limit: left.min(MAX_SESSIONS),
            };
            let page = page(&*reader, &query).await?;
            left = left.saturating_sub(page.sessions.len());
            after = page.next.filter(|_| left > 0 || self.asking.json);
            out.add(&page.sessions)?;
            if after.is_none() || left == 0 {
                return out.end(after);
            }
        }
    }
}

async fn page(reader: &dyn Reader, query: &SessionQuery) -> Result<SessionPage, Stop> {
    if query.limit == 0 {
        return Ok(SessionPage {
            sessions: Vec::new(),
            next: None,
        });
    }
    Ok(reader.sessions(query).await?)
}

/// Writes sessions as they come, as one JSON document or one table.
enum Lister {
    Json(Document),
    Table(Table, bool),
}

impl Lister {
    fn new(json: bool, look: &Look) -> Self {
        if json {
            Self::Json(Document::new("sessions"))
        } else {
            Self::Table(Table::new(look, &COLUMNS), false)
        }
    }

    fn add(&mut self, sessions: &[Session]) -> Result<(), Stop> {
        match self {
            Self::Json(document) => document.add(sessions),
            Self::Table(table, any) if !sessions.is_empty() => {
                *any = true;
                Ok(say(&table.rows(&rows(sessions)))?)
            }
            Self::Table(..) => Ok(()),
        }
    }

    fn end(self, next: Option<fleet_coordinator::store::SessionCursor>) -> Result<(), Stop> {
        match self {
            Self::Json(document) => document.end(&[("next", serde_json::json!(next))]),
            Self::Table(_, true) => Ok(()),
            Self::Table(_, false) => Ok(say(NONE)?),
        }
    }
}

/// Said where there are no sessions.
const NONE: &str = "no sessions; `fleet push` or a bot makes the first\n";

/// Sessions as a table.
pub(crate) fn list(sessions: &[Session], look: &Look) -> String {
    if sessions.is_empty() {
        return NONE.to_owned();
    }
    Table::new(look, &COLUMNS).rows(&rows(sessions))
}

fn rows(sessions: &[Session]) -> Vec<Vec<Cell>> {
    let now = Timestamp::now();
    sessions.iter().map(|session| row(session, now)).collect()
}

fn row(session: &Session, now: Timestamp) -> Vec<Cell> {
    let health = session.derived.as_ref().map(|derived| &derived.health);
    let commit: String = session.commit.chars().take(COMMIT).collect();
    vec![
        session.repository.as_str().into(),
        plain(&session.git_ref).into(),
        plain(&commit).into(),
        health.map_or_else(
            || Cell::toned("-", Tone::Faint),
            |health| Cell::toned(score(health), Tone::of_status(health.status)),
        ),
        findings(session.total, &session.tally).into(),
        bots(session).into(),
        ago(session.changed, now).into(),
        session.id.as_str().into(),
    ]
}

/// How many findings, and the worst of them.
pub(crate) fn findings(total: u64, tally: &Tally) -> String {
    match (tally.error, tally.warning) {
        _ if total == 0 => "none".to_owned(),
        (0, 0) => total.to_string(),
        (0, warnings) => format!("{total}, {warnings} warn"),
        (errors, 0) => format!("{total}, {errors} err"),
        (errors, warnings) => format!("{total}, {errors} err {warnings} warn"),
    }
}

/// How far the bots are.
pub(crate) fn bots(session: &Session) -> String {
    let count = |is: fn(ExecutionState) -> bool| {
        let states = session.executions.iter().map(|execution| execution.state);
        states.filter(|state| is(*state)).count()
    };
    let finished = count(ExecutionState::is_finished);
    let text = format!("{finished}/{}", session.executions.len());
    match count(|state| state == ExecutionState::Failed) {
        0 => text,
        failed => format!("{text}, {failed} failed"),
    }
}
