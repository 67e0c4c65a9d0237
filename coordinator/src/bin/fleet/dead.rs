//! `fleet dead`: what nobody could read or settle, and what becomes of it.

use std::fmt::Write as _;
use std::io::IsTerminal;

use clap::{Args, Subcommand};
use fleet_coordinator::store::SharedStore;
use fleet_coordinator::store::operate::{
    Letter, LetterId, Letters, MAX_LETTERS_READ, OpenedLetter,
};
use fleet_worker_sdk::Error;
use jiff::Timestamp;
use serde_json::json;

use crate::asking::Asking;
use crate::exit::Stop;
use crate::look::{Look, ago};
use crate::output::{note, plain};
use crate::table::{Cell, Column, Table};

pub(crate) const EXAMPLES: &str = "\
A batch is here because it could not be read: of a newer version, or damaged. Its findings stay
counted, and are shown again once it is requeued and can be read. A change is here because it was
handed out too often. All but list and show need the store itself (redis://).

Examples:
  fleet dead                            what is here, and why
  fleet dead show p3-1700000000000-0    one letter, with what is in it
  fleet dead requeue --all --yes        all of it once more, after an update";

/// Bytes of a field that people are shown.
const SHOWN: usize = 256;

/// What is done through a dashboard: the rest needs the store itself.
const THROUGH_A_DASHBOARD: &str = "dead letters are only listed";

/// What `fleet dead` is given.
#[derive(Args)]
pub(crate) struct Dead {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Subcommand)]
enum Action {
    /// Lists dead letters, latest first; the same as no action
    List {
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 50)]
        limit: usize,
        /// Only those before this one: the last of the list before
        #[arg(long, value_name = "ID")]
        after: Option<LetterId>,
    },
    /// Shows one with what is in it
    Show {
        /// Which
        id: LetterId,
    },
    /// Puts letters back where they came from; what still cannot be read comes back
    Requeue(Chosen),
    /// Throws letters away, for good
    Drop(Chosen),
}

/// Which letters.
#[derive(Args)]
struct Chosen {
    /// Which
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<LetterId>,
    /// Every one there is now
    #[arg(long)]
    all: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
}

/// What is done with a letter.
#[derive(Clone, Copy)]
enum Deed {
    Requeue,
    Drop,
}

impl Deed {
    fn done(self) -> &'static str {
        match self {
            Self::Requeue => "requeued",
            Self::Drop => "dropped",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Requeue => "requeue",
            Self::Drop => "drop",
        }
    }
}

const COLUMNS: [Column; 6] = [
    Column::new("LETTER"),
    Column::new("KIND"),
    Column::new("SINCE").rank(1),
    Column::new("SESSION").cut(12).rank(2),
    Column::new("FINDINGS").right().rank(3),
    Column::new("REASON").cut(20),
];

impl Dead {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        match &self.action {
            None => self.list(None, 50).await,
            Some(Action::List { limit, after }) => self.list(after.as_ref(), *limit).await,
            Some(Action::Show { id }) => self.show(id).await,
            Some(Action::Requeue(chosen)) => self.carry_out(Deed::Requeue, chosen).await,
            Some(Action::Drop(chosen)) => self.carry_out(Deed::Drop, chosen).await,
        }
    }

    async fn list(&self, after: Option<&LetterId>, limit: usize) -> Result<(), Stop> {
        let reader = self.asking.reader()?;
        let limit = limit.clamp(1, MAX_LETTERS_READ);
        let answer = reader.letters(after, limit).await?;
        self.asking.show(&answer, |look| list(&answer, look))
    }

    async fn show(&self, id: &LetterId) -> Result<(), Stop> {
        let opened = self.asking.direct(THROUGH_A_DASHBOARD)?.letter(id).await?;
        let fields: serde_json::Map<_, _> = opened
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), json!(String::from_utf8_lossy(value))))
            .collect();
        let answer = json!({ "letter": opened.letter, "fields": fields });
        self.asking.show(&answer, |_| shown(&opened))
    }

    async fn carry_out(&self, deed: Deed, chosen: &Chosen) -> Result<(), Stop> {
        let store = self.asking.direct(THROUGH_A_DASHBOARD)?;
        let ids = if chosen.all {
            confirm(deed, chosen)?;
            all(&store).await?
        } else {
            chosen.ids.clone()
        };
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for id in &ids {
            match one(&store, deed, id).await {
                Ok(()) => done.push(id),
                // The others are as good as this one was.
                Err(error @ (Error::NotFound { .. } | Error::Invalid { .. })) => {
                    refused.push(json!({ "letter": id, "why": error.to_string() }));
                    note(&plain(&format!("{id}: {error}")));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let answer = json!({ deed.done(): done, "refused": refused });
        let text = format!("{} {}\n", done.len(), deed.done());
        self.asking.show(&answer, |_| text)?;
        match refused.len() {
            0 => Ok(()),
            count => Err(Error::conflict(format!("{count} of {} were refused", ids.len())).into()),
        }
    }
}

/// Asks a person; where there is none, `--yes` must have been said.
fn confirm(deed: Deed, chosen: &Chosen) -> Result<(), Stop> {
    if chosen.yes {
        return Ok(());
    }
    let refused = |why: &str| Stop::Usage(Error::invalid("--all", why));
    if !std::io::stdin().is_terminal() {
        return Err(refused(
            "nobody can be asked here; say it is meant with --yes",
        ));
    }
    note(&format!(
        "{} every dead letter there is? [y/N]",
        deed.verb()
    ));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(refused("it was not confirmed; nothing was done"))
    }
}

async fn one(store: &SharedStore, deed: Deed, id: &LetterId) -> Result<(), Error> {
    match deed {
        Deed::Requeue => store.requeue(id).await,
        Deed::Drop => {
            if store.discard(id).await? {
                Ok(())
            } else {
                Err(Error::not_found("letter", id))
            }
        }
    }
}

/// Every letter there is now, oldest first, so that batches come back in their order.
async fn all(store: &SharedStore) -> Result<Vec<LetterId>, Error> {
    let mut ids: Vec<LetterId> = Vec::new();
    loop {
        let page = store.letters(ids.last(), MAX_LETTERS_READ).await?.letters;
        if page.is_empty() {
            break;
        }
        ids.extend(page.iter().map(|letter| letter.id));
    }
    ids.reverse();
    Ok(ids)
}

fn list(answer: &Letters, look: &Look) -> String {
    if answer.letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let now = Timestamp::now();
    let rows: Vec<_> = answer.letters.iter().map(|seen| row(seen, now)).collect();
    let mut text = Table::new(look, &COLUMNS).rows(&rows);
    let shown = answer.letters.len() as u64;
    if shown < answer.total
        && let Some(last) = answer.letters.last()
    {
        let (total, last) = (answer.total, last.id);
        let _ = writeln!(
            text,
            "{shown} of {total}; fleet dead list --after {last} shows those before"
        );
    }
    text
}

fn row(letter: &Letter, now: Timestamp) -> Vec<Cell> {
    vec![
        letter.id.to_string().into(),
        letter.kind.as_str().into(),
        ago(letter.since, now).into(),
        plain(&letter.session).into(),
        letter.findings.to_string().into(),
        plain(&letter.reason).into(),
    ]
}

fn shown(opened: &OpenedLetter) -> String {
    let letter = &opened.letter;
    let mut text = format!(
        "letter     {}\nkind       {}\nsession    {}\nsince      {}\nsource     {}\nreason     {}\n\
         delivered  {}\nfindings   {}\n",
        letter.id,
        letter.kind.as_str(),
        plain(&letter.session),
        letter.since,
        plain(&letter.source),
        plain(&letter.reason),
        letter.delivered,
        letter.findings,
    );
    for (name, value) in &opened.fields {
        let start = value.get(..SHOWN.min(value.len())).unwrap_or_default();
        let more = if value.len() > SHOWN { " …" } else { "" };
        let (name, start) = (plain(name), plain(&String::from_utf8_lossy(start)));
        let bytes = value.len();
        let _ = writeln!(text, "field {name} ({bytes} bytes): {start}{more}");
    }
    text
}
