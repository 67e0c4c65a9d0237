//! `fleet bots`: who takes part.

use clap::Args;
use fleet_coordinator::answer::Bots as Answer;
use fleet_worker_sdk::{Bot, BotId};

use crate::asking::Asking;
use crate::exit::Stop;
use crate::look::{Look, line};
use crate::output::plain;
use crate::table::{Cell, Column, Table};

pub(crate) const EXAMPLES: &str = "\
Examples:
  fleet bots
  fleet bots --json | jq -r '.bots[] | select(.can_fix) | .id'";

/// What `fleet bots` is given.
#[derive(Args)]
pub(crate) struct Bots {
    #[command(flatten)]
    asking: Asking,
}

const COLUMNS: [Column; 6] = [
    Column::new("BOT"),
    Column::new("TIER"),
    Column::new("VERSION").cut(6).rank(3),
    Column::new("AFTER").cut(8).rank(2),
    Column::new("CATEGORIES").cut(10).rank(1),
    Column::new("DESCRIPTION").cut(12).rank(4),
];

impl Bots {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        let reader = self.asking.reader()?;
        let answer = reader.bots().await?;
        self.asking.show(&answer, |look| text(&answer, look))
    }
}

fn text(answer: &Answer, look: &Look) -> String {
    if answer.bots.is_empty() {
        return "no bots; the first one that pushes registers itself\n".to_owned();
    }
    let rows: Vec<_> = answer.bots.iter().map(row).collect();
    Table::new(look, &COLUMNS).rows(&rows)
}

fn row(bot: &Bot) -> Vec<Cell> {
    let after: Vec<_> = bot.depends_on.iter().map(BotId::as_str).collect();
    vec![
        bot.id.as_str().into(),
        bot.tier.as_str().into(),
        plain(&bot.version).into(),
        after.join(", ").into(),
        plain(&bot.categories.join(", ")).into(),
        line(&bot.description).into(),
    ]
}
