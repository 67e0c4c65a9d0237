//! `fleet findings`: what is wrong with a repository.

use clap::Args;
use fleet_coordinator::client::MAX_FINDINGS;
use fleet_coordinator::index::{Cursor, FindingView, Page};
use fleet_worker_sdk::{Region, SessionId};
use serde_json::json;

use crate::asking::Asking;
use crate::choice;
use crate::exit::Stop;
use crate::filters::Filters;
use crate::look::{Tone, line};
use crate::output::{plain, say};
use crate::stream::Document;
use crate::table::{Cell, Column, Table};

/// Findings listed unless told otherwise.
const DEFAULT_LIMIT: usize = 50;

pub(crate) const EXAMPLES: &str = "\
SESSION is a session's id or the beginning of it, a repository (its latest session), or `latest`.
Without it: the repository of this checkout, and outside of any, the latest session of all.

Examples:
  fleet findings                             of this checkout, worst first
  fleet findings acme/shop -s error,warning  the errors and warnings of a repository
  fleet findings latest -f src/ --sort path  what is under src/, file by file
  fleet findings --all --json | jq '.findings[].rule_id'";

/// What `fleet findings` is given.
#[derive(Args)]
pub(crate) struct Findings {
    /// Which session
    session: Option<String>,
    /// How many
    #[arg(long, short = 'n', value_name = "N", default_value_t = DEFAULT_LIMIT, conflicts_with = "all")]
    limit: usize,
    /// All of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    asking: Asking,
}

const COLUMNS: [Column; 5] = [
    Column::new("SEVERITY"),
    Column::new("WHERE").cut_start(14),
    Column::new("MESSAGE").cut(16),
    Column::new("RULE").cut_start(8).rank(1),
    Column::new("BOT").cut(6).rank(2),
];

impl Findings {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        let mut query = self.filters.query().map_err(Stop::Usage)?;
        let reader = self.asking.reader()?;
        let session = choice::session(&*reader, self.session.as_deref()).await?;
        let mut out = self.lister(&session);
        let mut left = if self.all { usize::MAX } else { self.limit };
        loop {
            // With nothing to list there is still to be said how many there are.
            query.page.limit = left.clamp(1, MAX_FINDINGS);
            let mut page = reader.findings(&session, &query).await?;
            page.findings.truncate(left);
            left -= page.findings.len();
            out.add(&page)?;
            match page.next.take() {
                Some(next) if left > 0 => query.page.after = Some(next),
                next => return out.end(page.total, next),
            }
        }
    }

    fn lister(&self, session: &SessionId) -> Lister {
        let form = if self.asking.json {
            Form::Json(Document::new("findings"))
        } else {
            Form::Table(Table::new(&self.asking.look(), &COLUMNS))
        };
        Lister {
            form,
            session: session.clone(),
            listed: 0,
        }
    }
}

/// Writes findings as they come.
struct Lister {
    form: Form,
    session: SessionId,
    listed: u64,
}

enum Form {
    Json(Document),
    Table(Table),
}

impl Lister {
    fn add(&mut self, page: &Page) -> Result<(), Stop> {
        self.listed += page.findings.len() as u64;
        match &mut self.form {
            Form::Json(document) => document.add(&page.findings),
            Form::Table(_) if page.findings.is_empty() => Ok(()),
            Form::Table(table) => {
                let rows: Vec<_> = page.findings.iter().map(row).collect();
                Ok(say(&table.rows(&rows))?)
            }
        }
    }

    fn end(self, total: u64, next: Option<Cursor>) -> Result<(), Stop> {
        let Self {
            form,
            session,
            listed,
        } = self;
        let text = match form {
            Form::Json(document) => {
                return document.end(&[("total", json!(total)), ("next", json!(next))]);
            }
            Form::Table(_) if total == 0 => format!("no findings in session {session}\n"),
            Form::Table(_) if listed < total => {
                format!("\n{listed} of {total} findings of session {session}; --all lists all\n")
            }
            Form::Table(_) => format!("\n{total} findings of session {session}\n"),
        };
        Ok(say(&text)?)
    }
}

fn row(view: &FindingView) -> Vec<Cell> {
    let finding = &view.identified.finding;
    let mut message = line(&finding.message);
    if view.suppressed {
        message.insert_str(0, "(suppressed) ");
    }
    let tone = if view.suppressed {
        Tone::Faint
    } else {
        Tone::of_severity(view.severity)
    };
    vec![
        Cell::toned(view.severity.as_str(), tone),
        place(view).into(),
        message.into(),
        plain(&finding.rule_id).into(),
        view.bot.as_str().into(),
    ]
}

/// Path and line; a dash where it is nowhere.
fn place(view: &FindingView) -> String {
    let finding = &view.identified.finding;
    let line = finding.region().map(|Region { start_line, .. }| start_line);
    match (finding.path(), line) {
        ("", _) => "-".to_owned(),
        (path, Some(line)) if line > 0 => format!("{}:{line}", plain(path)),
        (path, _) => plain(path),
    }
}
