//! `fleet alert`: what is wrong now, who is told, and who wants to hear nothing of it.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fleet_coordinator::alert::{Labels, Phase, Severity};
use fleet_coordinator::answer::{AlertList, AlertSeen, GivenUp, NewSilence, Silences};
use fleet_coordinator::channel::Sender;
use fleet_coordinator::config::{RawAlerts, read_file};
use fleet_worker_sdk::Error;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::asking::Asking;
use crate::exit::Stop;
use crate::look::{Look, Tone, ago};
use crate::output::{plain, say};
use crate::table::{Cell, Column, Table};

pub(crate) const EXAMPLES: &str = "\
Labels are alertname, severity, bot, tier and repo; in a silence `*` stands for anything. Channels are
set in the file of the coordinators, [[alerts.channel]]. Exit code of list: 0, whatever fires; of test:
1 when a channel did not take it.

Examples:
  fleet alert                                        what pends, fires, or was resolved within the hour
  fleet alert silence bot=semgrep --for 2h --comment 'new rules, being looked at'
  fleet alert undelivered                            what no channel took, and why
  fleet alert test --config coordinator.toml         a test alert through every channel, now";

/// What `fleet alert` is given.
#[derive(Args)]
pub(crate) struct AlertCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Subcommand)]
enum Action {
    /// Lists alerts, most urgent first; the same as no action
    List {
        /// Only those that fire
        #[arg(long)]
        firing: bool,
    },
    /// Wants to hear nothing of some alerts for a while
    Silence {
        /// What of: label=value or label!=value; all must match
        #[arg(required = true)]
        matchers: Vec<String>,
        /// For how long, such as 30m, 2h or 3d
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        lasts: SignedDuration,
        /// Why
        #[arg(long)]
        comment: String,
        #[command(flatten)]
        by: By,
    },
    /// Ends a silence
    Unsilence {
        /// Its id
        id: String,
        #[command(flatten)]
        by: By,
    },
    /// Lists silences, those that ended within the day too
    Silences,
    /// Lists deliveries that were given up, and why
    Undelivered,
    /// Puts a delivery that was given up in line again
    Requeue {
        /// Its id
        id: String,
        #[command(flatten)]
        by: By,
    },
    /// Forgets a delivery that was given up
    Discard {
        /// Its id
        id: String,
        #[command(flatten)]
        by: By,
    },
    /// Says who silenced, requeued or discarded what
    Audit {
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 50)]
        limit: usize,
    },
    /// Sends a test alert through channels of a configuration file, from this machine
    Test {
        /// The file of a coordinator or dashboard
        #[arg(long, env = "FLEET_CONFIG")]
        config: PathBuf,
        /// Only this channel
        #[arg(long)]
        channel: Option<String>,
    },
}

/// In whose name.
#[derive(Args)]
struct By {
    /// Who does this, for the audit
    #[arg(long, env = "USER")]
    author: String,
}

fn time(text: &str) -> Result<SignedDuration, String> {
    let read = text.parse::<jiff::Span>().ok();
    // A day is 24 hours here, as it is for whoever is on call.
    let read = read.and_then(|span| {
        span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .ok()
    });
    read.ok_or_else(|| "write it as 30m, 2h or 3d".to_owned())
}

impl AlertCommand {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        let asking = &self.asking;
        let reader = || asking.reader();
        match &self.action {
            None => self.list(false).await,
            Some(Action::List { firing }) => self.list(*firing).await,
            Some(Action::Silence {
                matchers,
                lasts,
                comment,
                by,
            }) => {
                let seconds = u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX);
                let new = NewSilence {
                    matchers: matchers.clone(),
                    author: by.author.clone(),
                    comment: comment.clone(),
                    seconds,
                };
                let silence = reader()?.silence(&new).await?;
                let (id, end) = (&silence.id, silence.ends_at);
                asking.show(&silence, |_| format!("silenced until {end}: {id}\n"))
            }
            Some(Action::Unsilence { id, by }) => {
                reader()?.unsilence(id, &by.author).await?;
                self.did("ended", id)
            }
            Some(Action::Silences) => {
                let silences = reader()?.silences().await?;
                asking.show(&silences, |look| silences_text(&silences, look))
            }
            Some(Action::Undelivered) => {
                let given_up = reader()?.undelivered().await?;
                asking.show(&given_up, |look| given_up_text(&given_up, look))
            }
            Some(Action::Requeue { id, by }) => {
                reader()?.requeue_delivery(id, &by.author).await?;
                self.did("requeued", id)
            }
            Some(Action::Discard { id, by }) => {
                reader()?.discard_delivery(id, &by.author).await?;
                self.did("discarded", id)
            }
            Some(Action::Audit { limit }) => {
                let trail = reader()?.audit(*limit).await?;
                asking.show(&trail, |_| {
                    let line = |one: &fleet_coordinator::store::alerts::Audit| {
                        let (author, subject) = (plain(&one.author), plain(&one.subject));
                        format!("{}  {author}  {}  {subject}\n", one.at, plain(&one.action))
                    };
                    trail.audit.iter().map(line).collect()
                })
            }
            Some(Action::Test { config, channel }) => test(config, channel.as_deref()).await,
        }
    }

    fn did(&self, what: &str, id: &str) -> Result<(), Stop> {
        let text = format!("{what} {}\n", plain(id));
        self.asking.show(&json!({ what: id }), |_| text)
    }

    async fn list(&self, firing: bool) -> Result<(), Stop> {
        let mut list = self.asking.reader()?.alerts().await?;
        if firing {
            list.alerts.retain(|seen| seen.alert.phase == Phase::Firing);
        }
        self.asking.show(&list, |look| alerts_text(&list, look))
    }
}

const ALERTS: [Column; 5] = [
    Column::new("SEVERITY"),
    Column::new("ALERT").cut(20),
    Column::new("STATE").rank(1),
    Column::new("SINCE").rank(2),
    Column::new("WHAT").cut(24),
];

fn alerts_text(list: &AlertList, look: &Look) -> String {
    if list.alerts.is_empty() {
        return "nothing fires\n".to_owned();
    }
    let rows: Vec<_> = list.alerts.iter().map(|seen| row(seen, list.now)).collect();
    let mut text = Table::new(look, &ALERTS).rows(&rows);
    if list.undelivered > 0 {
        let _ = writeln!(
            text,
            "{} deliveries were given up: fleet alert undelivered",
            list.undelivered
        );
    }
    text
}

fn row(seen: &AlertSeen, now: Timestamp) -> Vec<Cell> {
    let alert = &seen.alert;
    let tone = match alert.labels.severity {
        Severity::Critical => Tone::Worst,
        Severity::Warning => Tone::Fair,
        Severity::Info => Tone::Faint,
    };
    let quiet = match (&seen.inhibited_by, seen.silenced_by.first()) {
        (_, Some(_)) => ", silenced",
        (Some(_), None) => ", explained",
        (None, None) => "",
    };
    vec![
        Cell::toned(alert.labels.severity.as_str(), tone),
        plain(&subject(&alert.labels)).into(),
        format!("{}{quiet}", alert.phase.as_str()).into(),
        ago(alert.starts_at, now).into(),
        plain(&alert.summary).into(),
    ]
}

/// The name with what it is about.
fn subject(labels: &Labels) -> String {
    let map = labels.map();
    let about = ["bot", "repo", "tier"]
        .into_iter()
        .find_map(|name| map.get(name).copied());
    let name = labels.alertname;
    about.map_or_else(|| name.to_string(), |about| format!("{name} {about}"))
}

fn silences_text(silences: &Silences, look: &Look) -> String {
    const COLUMNS: [Column; 5] = [
        Column::new("SILENCE"),
        Column::new("OF").cut(20),
        Column::new("BY").cut(8).rank(2),
        Column::new("UNTIL").rank(1),
        Column::new("WHY").cut(16),
    ];
    if silences.silences.is_empty() {
        return "nothing is silenced\n".to_owned();
    }
    let row = |silence: &fleet_coordinator::alert::Silence| -> Vec<Cell> {
        let matchers: Vec<_> = silence.matchers.iter().map(ToString::to_string).collect();
        let until = if silence.is_active(silences.now) {
            silence.ends_at.to_string()
        } else {
            format!("ended {}", ago(silence.ends_at, silences.now))
        };
        vec![
            plain(&silence.id).into(),
            plain(&matchers.join(" ")).into(),
            plain(&silence.author).into(),
            until.into(),
            plain(&silence.comment).into(),
        ]
    };
    let rows: Vec<_> = silences.silences.iter().map(row).collect();
    Table::new(look, &COLUMNS).rows(&rows)
}

fn given_up_text(given_up: &GivenUp, look: &Look) -> String {
    const COLUMNS: [Column; 5] = [
        Column::new("DELIVERY"),
        Column::new("CHANNEL"),
        Column::new("GROUP").cut(16).rank(2),
        Column::new("TRIED").right().rank(1),
        Column::new("WHY").cut(24),
    ];
    if given_up.undelivered.is_empty() {
        return "every delivery arrived, or is on its way\n".to_owned();
    }
    let row = |one: &fleet_coordinator::store::alerts::Undelivered| -> Vec<Cell> {
        vec![
            plain(&one.id).into(),
            plain(&one.delivery.channel).into(),
            plain(&one.delivery.group).into(),
            one.attempts.to_string().into(),
            plain(&one.why).into(),
        ]
    };
    let rows: Vec<_> = given_up.undelivered.iter().map(row).collect();
    Table::new(look, &COLUMNS).rows(&rows)
}

/// What of a configuration file matters here; whose file it is does not.
#[derive(Deserialize)]
struct File {
    alerts: Option<RawAlerts>,
}

/// Tells every channel, or the one that is named, and says what came back.
async fn test(config: &std::path::Path, channel: Option<&str>) -> Result<(), Stop> {
    let unusable =
        |error: &dyn std::fmt::Display| Stop::Usage(Error::invalid("--config", error.to_string()));
    let file: File = read_file(config).map_err(|error| unusable(&error))?;
    let alerts = file.alerts.unwrap_or_default();
    let alerts = alerts.checked().map_err(|error| unusable(&error))?;
    let sender = Sender::new(alerts.targets).map_err(Stop::Usage)?;
    let mut names: Vec<String> = sender.channels().into_iter().map(|one| one.name).collect();
    if let Some(only) = channel {
        names.retain(|name| name == only);
    }
    if names.is_empty() {
        let what = channel.map_or_else(
            || "no channel".to_owned(),
            |name| format!("no channel {name}"),
        );
        return Err(unusable(&format!(
            "{what} is configured: [[alerts.channel]]"
        )));
    }
    let mut failed = 0;
    for name in &names {
        let tried = sender.try_out(name, Timestamp::now()).await;
        let result = match tried.why {
            None => "took it".to_owned(),
            Some(why) => {
                failed += 1;
                format!("FAILED: {why}")
            }
        };
        say(&format!("{}  {}\n", plain(name), plain(&result)))?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Error::conflict(format!(
            "{failed} of {} channels did not take it",
            names.len()
        ))
        .into()),
    }
}
