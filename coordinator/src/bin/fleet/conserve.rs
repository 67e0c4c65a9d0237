//! `fleet conserve`: whether sessions add up, and making one do so again.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use fleet_coordinator::conserve::{Conservation, Mismatch, Repair};
use fleet_coordinator::store::{SessionCursor, SessionQuery};
use fleet_worker_sdk::{Error, SessionId};
use jiff::Timestamp;
use serde_json::json;

use crate::asking::Asking;
use crate::choice;
use crate::exit::Stop;
use crate::look::{Look, ago};
use crate::output::{note, plain};
use crate::table::{Cell, Column, Table};

pub(crate) const EXAMPLES: &str = "\
Of each session the members of its index, its counters, its total and the findings of its log are the
same number; coordinators look at all sessions in turn. One that does not add up is listed here until
it does. All but list need the store itself (redis://). Exit code 1: something does not add up.

Examples:
  fleet conserve                          what coordinators found
  fleet conserve check acme/shop          one session's numbers, counted now
  fleet conserve check --all              every session, counted now
  fleet conserve repair acme/shop --dry-run
                                          what a repair would change
  fleet conserve repair acme/shop         index and counters made anew from its log";

/// Sessions listed at once while all are checked.
const PAGE: usize = 100;

/// What is done through a dashboard: the rest needs the store itself.
const THROUGH_A_DASHBOARD: &str = "only what is known is listed";

/// What `fleet conserve` is given.
#[derive(Args)]
pub(crate) struct Conserve {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Subcommand)]
enum Action {
    /// Lists the sessions that were found not to add up; the same as no action
    List,
    /// Counts sessions now
    Check {
        /// Which: ids, repositories or `latest`
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        sessions: Vec<String>,
        /// Every one there is
        #[arg(long)]
        all: bool,
    },
    /// Makes index, counters and total of sessions anew from their logs
    Repair {
        /// Which: ids, repositories or `latest`
        #[arg(required = true)]
        sessions: Vec<String>,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
    },
}

const COLUMNS: [Column; 4] = [
    Column::new("SESSION").cut(12),
    Column::new("REPOSITORY").cut(16).rank(1),
    Column::new("SINCE").rank(2),
    Column::new("WRONG").cut(20),
];

impl Conserve {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        match &self.action {
            None | Some(Action::List) => {
                let known = self.asking.reader()?.conservation().await?;
                self.asking.show(&known, |look| list(&known, look))?;
                verdict(known.mismatched)
            }
            Some(Action::Check { all: true, .. }) => self.check_all().await,
            Some(Action::Check { sessions, .. }) => self.check(sessions).await,
            Some(Action::Repair { sessions, dry_run }) => self.repair(sessions, !dry_run).await,
        }
    }

    async fn check(&self, named: &[String]) -> Result<(), Stop> {
        let store = self.asking.direct(THROUGH_A_DASHBOARD)?;
        let mut accounts = Vec::new();
        for session in self.ids(named).await? {
            accounts.push(store.account(&session).await?);
        }
        let mut wrong = 0;
        let mut text = String::new();
        for account in &accounts {
            let faults = account.faults();
            wrong += u64::from(!faults.is_empty());
            let _ = writeln!(text, "{}  {}", account.session, account.text());
            for fault in faults {
                let _ = writeln!(text, "  wrong: {}", plain(&fault.to_string()));
            }
        }
        let shown = accounts
            .iter()
            .map(|account| json!({ "account": account, "faults": account.faults() }));
        self.asking.show(&shown.collect::<Vec<_>>(), |_| text)?;
        verdict(wrong)
    }

    async fn check_all(&self) -> Result<(), Stop> {
        let store = self.asking.direct(THROUGH_A_DASHBOARD)?;
        let now = store.now().await?;
        let (mut checked, mut after, mut wrong) = (0_u64, None, Vec::new());
        loop {
            let query = SessionQuery {
                repository: None,
                after,
                limit: PAGE,
            };
            let sessions = store.sessions(&query).await?;
            for session in &sessions {
                let account = match store.account(&session.id).await {
                    // Retention was faster.
                    Err(Error::NotFound { .. }) => continue,
                    account => account?,
                };
                checked += 1;
                wrong.extend(Mismatch::of(account, now));
            }
            after = sessions.last().map(SessionCursor::from);
            if sessions.len() < PAGE {
                break;
            }
        }
        let found = Conservation::of(wrong);
        let answer = json!({ "checked": checked, "conservation": found });
        self.asking.show(&answer, |look| {
            format!("{checked} sessions counted\n{}", list(&found, look))
        })?;
        verdict(found.mismatched)
    }

    async fn repair(&self, named: &[String], apply: bool) -> Result<(), Stop> {
        let store = self.asking.direct(THROUGH_A_DASHBOARD)?;
        let mut repairs = Vec::new();
        for session in self.ids(named).await? {
            repairs.push(store.repair_session(&session, apply).await?);
            if apply {
                store.forget_mismatch(&session).await?;
            }
        }
        let text: String = repairs.iter().map(|repair| told(repair, apply)).collect();
        self.asking.show(&repairs, |_| text)
    }

    /// The sessions meant.
    async fn ids(&self, named: &[String]) -> Result<Vec<SessionId>, Stop> {
        let reader = self.asking.reader()?;
        let mut ids = Vec::new();
        for name in named {
            ids.push(choice::session(&*reader, Some(name)).await?);
        }
        Ok(ids)
    }
}

fn verdict(wrong: u64) -> Result<(), Stop> {
    match wrong {
        0 => Ok(()),
        _ => Err(Error::conflict(format!(
            "{wrong} sessions do not add up; fleet conserve repair SESSION --dry-run says what a \
             repair would change"
        ))
        .into()),
    }
}

fn list(known: &Conservation, look: &Look) -> String {
    if known.sessions.is_empty() {
        return "every session adds up\n".to_owned();
    }
    let now = Timestamp::now();
    let row = |mismatch: &Mismatch| -> Vec<Cell> {
        vec![
            mismatch.account.session.to_string().into(),
            plain(mismatch.account.repository.as_str()).into(),
            ago(mismatch.since, now).into(),
            plain(&mismatch.text()).into(),
        ]
    };
    let rows: Vec<_> = known.sessions.iter().map(row).collect();
    let mut text = Table::new(look, &COLUMNS).rows(&rows);
    let (sessions, findings) = (known.mismatched, known.difference);
    let _ = writeln!(text, "{sessions} sessions, {findings} findings apart");
    text
}

fn told(repair: &Repair, apply: bool) -> String {
    let session = &repair.before.session;
    if repair.is_whole() {
        return format!("{session} adds up: {}\n", repair.before.text());
    }
    if apply && repair.lost > 0 {
        note(&format!(
            "{} findings of {session} were acknowledged and are nowhere: run its bots again",
            repair.lost
        ));
    }
    let word = if repair.applied {
        "repaired"
    } else {
        "would be repaired"
    };
    format!(
        "{session} {word}\n  before  {}\n  after   {}\n  {} findings into the index, {} out of it, {} \
         counters corrected, {} twice in the log, {} lost\n",
        repair.before.text(),
        repair.after.text(),
        repair.added,
        repair.removed,
        repair.counters,
        repair.duplicates,
        repair.lost,
    )
}
