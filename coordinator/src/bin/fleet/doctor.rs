//! `fleet doctor`: what is wrong with a fleet, and what to do about it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::Args;
use fleet_coordinator::client::{HttpReader, Reader};
use fleet_coordinator::doctor::{Check, Diagnosis, Verdict, examine};
use fleet_coordinator::lifecycle::Liveness;
use fleet_worker_sdk::transport::http::HttpWriter;
use fleet_worker_sdk::{Error, Result};
use reqwest::Method;

use crate::asking::Asking;
use crate::exit::Stop;
use crate::look::{Look, Tone};
use crate::output::plain;
use crate::store::Target;
use crate::table::{Cell, Column, Table};

pub(crate) const EXAMPLES: &str = "\
Asked of the store (redis://), every server is looked at, best as the admin user of `fleet acl`; of a
dashboard (http://), what it can tell. Ends with 1 when something fails; a warning is no failure.

Examples:
  fleet doctor --store redis://127.0.0.1:6379
  fleet doctor --json | jq '.checks[] | select(.verdict != \"ok\")'";

/// What `fleet doctor` is given.
#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    asking: Asking,
}

const COLUMNS: [Column; 3] = [
    Column::new("VERDICT"),
    Column::new("CHECK"),
    Column::new("SEEN").cut(30),
];

impl Doctor {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        let diagnosis = match self.asking.store.untouched().map_err(Stop::Usage)? {
            Target::Direct(store) => {
                let settings = self.asking.store.health().map_err(Stop::Usage)?;
                examine(&*store, &settings).await
            }
            Target::Http(api) => through(api).await,
        };
        self.asking
            .show(&diagnosis, |look| text(&diagnosis, look))?;
        match diagnosis.verdict {
            Verdict::Ok | Verdict::Warn => Ok(()),
            Verdict::Fail => Err(Error::conflict("something is wrong with the fleet").into()),
        }
    }
}

/// What a dashboard can tell.
async fn through(api: HttpWriter) -> Diagnosis {
    let store = api.address().to_owned();
    let begun = Instant::now();
    let live = text_of(&api, "livez").await;
    let mut checks = vec![match live {
        Ok(_) => Check::ok(
            "reachable",
            format!("answers in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3),
        ),
        Err(error) => {
            let advice = "start the dashboard, or correct the address with --store";
            let failed = Check::fail("reachable", error.to_string(), advice);
            return Diagnosis::of(store, vec![failed]);
        }
    }];
    checks.push(match text_of(&api, "readyz").await {
        Ok(_) => Check::ok("ready", "its store takes writes"),
        Err(error) => {
            let advice = "ask the store itself: fleet doctor --store redis://…";
            Check::fail("ready", error.to_string(), advice)
        }
    });
    checks.push(version(text_of(&api, "metrics").await));
    let reader = HttpReader::new(api);
    checks.push(health(&reader).await);
    checks.push(workers(&reader).await);
    checks.push(dead(&reader).await);
    Diagnosis::of(store, checks)
}

async fn text_of(api: &HttpWriter, path: &str) -> Result<String> {
    let request = api.request(Method::GET, path, Duration::ZERO)?;
    let response = api.respond(request).await?;
    response.text().await.map_err(Error::protocol)
}

fn version(metrics: Result<String>) -> Check {
    let ours = env!("CARGO_PKG_VERSION");
    let found = metrics.ok().and_then(|text| {
        let line = text
            .lines()
            .find(|line| line.starts_with("fleet_build_info{"))?;
        let (_, rest) = line.split_once("version=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    });
    match found {
        Some(theirs) if theirs == ours => Check::ok("version", theirs),
        Some(theirs) => Check::warn(
            "version",
            format!("{theirs}, this command is {ours}"),
            "update the older of the two",
        ),
        None => Check::warn(
            "version",
            "unknown",
            "its metrics cannot be read; see --token",
        ),
    }
}

/// A check of what was asked, or that it could not be.
fn asked<T>(name: &str, answer: Result<T>, check: impl FnOnce(T) -> Check) -> Check {
    answer.map_or_else(
        |error| Check::fail(name, error.to_string(), "see the dashboard's log"),
        check,
    )
}

async fn health(reader: &dyn Reader) -> Check {
    asked("health", reader.health().await, |fleet| {
        Check::ok("health", format!("the fleet is {}", fleet.health.status))
    })
}

async fn workers(reader: &dyn Reader) -> Check {
    asked("workers", reader.workers().await, |answer| {
        let unwell = |row: &&fleet_coordinator::answer::WorkerView| {
            row.stuck || matches!(row.liveness, Liveness::Stale | Liveness::Dead)
        };
        let (all, unwell) = (
            answer.workers.len(),
            answer.workers.iter().filter(unwell).count(),
        );
        let seen = format!("{all} known, {unwell} stale, dead or stuck");
        if unwell == 0 {
            Check::ok("workers", seen)
        } else {
            Check::warn("workers", seen, "fleet workers says which; see their logs")
        }
    })
}

async fn dead(reader: &dyn Reader) -> Check {
    asked(
        "dead letters",
        reader.letters(None, 1).await,
        |answer| match answer.total {
            0 => Check::ok("dead letters", "none"),
            total => Check::warn(
                "dead letters",
                total.to_string(),
                "fleet dead list says why they are there",
            ),
        },
    )
}

fn text(diagnosis: &Diagnosis, look: &Look) -> String {
    let several = {
        let mut servers: Vec<_> = diagnosis.checks.iter().map(|check| &check.server).collect();
        servers.retain(|server| !server.is_empty());
        servers.dedup();
        servers.len() > 1
    };
    let rows: Vec<_> = diagnosis
        .checks
        .iter()
        .map(|check| row(check, several))
        .collect();
    let mut text = Table::new(look, &COLUMNS).rows(&rows);
    for check in &diagnosis.checks {
        if !check.advice.is_empty() {
            let _ = write!(text, "\n{}: {}\n", plain(&check.name), plain(&check.advice));
        }
    }
    text
}

fn row(check: &Check, several: bool) -> Vec<Cell> {
    let tone = match check.verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warn => Tone::Fair,
        Verdict::Fail => Tone::Bad,
    };
    let name = if several && !check.server.is_empty() {
        format!("{} of {}", check.name, check.server)
    } else {
        check.name.clone()
    };
    vec![
        Cell::toned(check.verdict.as_str(), tone),
        plain(&name).into(),
        plain(&check.seen).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_metrics() {
        let ours = env!("CARGO_PKG_VERSION");
        let metrics = |version: &str| {
            Ok(format!(
                "# TYPE\nfleet_build_info{{version=\"{version}\"}} 1\n"
            ))
        };
        assert_eq!(version(metrics(ours)).verdict, Verdict::Ok);
        assert_eq!(version(metrics("0.0.0-other")).verdict, Verdict::Warn);
        assert_eq!(version(Ok("nothing".to_owned())).verdict, Verdict::Warn);
    }

    #[test]
    fn what_to_do_stands_below_the_table() {
        let checks = vec![
            Check::ok("layout", "version 1"),
            Check::fail("memory", "full\u{1b}[2J", "raise maxmemory"),
        ];
        let text = text(&Diagnosis::of("x".to_owned(), checks), &Look::default());
        assert!(text.contains("fail"), "{text}");
        assert!(text.ends_with("memory: raise maxmemory\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
