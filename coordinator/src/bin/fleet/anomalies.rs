//! `fleet anomalies`: what is unlike what is usual.

use clap::Args;
use fleet_coordinator::anomaly::Anomaly;
use fleet_coordinator::answer::AnomalyList;
use fleet_coordinator::series::Level;
use fleet_worker_sdk::BotId;
use jiff::Timestamp;

use crate::asking::Asking;
use crate::exit::Stop;
use crate::look::{Look, Tone, ago, line};
use crate::table::{Cell, Column, Table};

pub(crate) const EXAMPLES: &str = "\
A run is compared with what its bot usually does: expected +- spread, and z, the distance in spreads.
From 4 on it is a warning, from 6 an error. A bot that went silent, a worker that gets nothing done and
versions that run side by side are here, too, and last until they are over. Each is said once; the
latest 256 are kept.

Examples:
  fleet anomalies                    of every bot, latest first
  fleet anomalies --bot semgrep
  fleet anomalies --json | jq -r '.anomalies[] | select(.level == \"error\") | .text'";

/// What `fleet anomalies` is given.
#[derive(Args)]
pub(crate) struct Anomalies {
    /// Of this bot alone
    #[arg(long, short = 'b')]
    bot: Option<BotId>,
    #[command(flatten)]
    asking: Asking,
}

const COLUMNS: [Column; 6] = [
    Column::new("SINCE"),
    Column::new("BOT").cut(12),
    Column::new("KIND"),
    Column::new("LEVEL"),
    Column::new("STATE"),
    Column::new("WHAT").cut(30),
];

impl Anomalies {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        let reader = self.asking.reader()?;
        let answer = reader.anomalies(self.bot.as_ref()).await?;
        let now = Timestamp::now();
        self.asking.show(&answer, |look| text(&answer, look, now))
    }
}

fn text(answer: &AnomalyList, look: &Look, now: Timestamp) -> String {
    if answer.anomalies.is_empty() {
        return "nothing unusual was found\n".to_owned();
    }
    let rows = answer.anomalies.iter().map(|anomaly| row(anomaly, now));
    Table::new(look, &COLUMNS).rows(&rows.collect::<Vec<_>>())
}

fn row(anomaly: &Anomaly, now: Timestamp) -> Vec<Cell> {
    let tone = match anomaly.level {
        Level::Error => Tone::Bad,
        Level::Warning => Tone::Fair,
        Level::None => Tone::Plain,
    };
    vec![
        ago(anomaly.at, now).into(),
        anomaly.bot.as_str().into(),
        anomaly.kind.as_str().replace('_', " ").into(),
        Cell::toned(anomaly.level.as_str(), tone),
        state(anomaly).into(),
        line(&anomaly.text).into(),
    ]
}

/// What is about a run is neither.
fn state(anomaly: &Anomaly) -> &'static str {
    match anomaly.ended {
        Some(_) => "over",
        None if anomaly.is_open() => "lasts",
        None => "",
    }
}
