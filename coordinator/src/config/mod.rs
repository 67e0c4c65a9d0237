//! The coordinator process's flags, environment and file become one checked [`Config`] before any
//! socket opens. [`shared`] is what other processes' configurations have too.

pub mod shared;

pub mod alerts;

pub mod health;

pub mod keep;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fleet_worker_sdk::keys::DEFAULT_NAMESPACE;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::health::Settings;
use crate::logging::LogFormat;
use crate::ops;
use crate::retention::Keep;
use crate::store::OpenOptions;
use shared::{filter, log_format, namespace, partitions};

pub use alerts::{AlertConfig, RawAlerts};
pub use health::RawHealth;
pub use shared::{ConfigError, StoreAddress, read_file};

/// Time to finish what is in hand when told to stop: 25 s, below the 30 s after which Kubernetes
/// kills. A coordinator needs about one.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(25);
/// Longest time to drain that makes sense: an hour.
const MAX_DRAIN_MS: u64 = 3_600_000;
/// What is logged unless told otherwise.
const DEFAULT_LOG: &str = "info";

/// Keeps what is derived from a fleet up to date: health, lost workers, the fleet's score.
///
/// Any number may run on the same fleet.
#[derive(Debug, clap::Parser)]
#[command(
    name = "fleet-coordinator",
    version,
    after_help = "Exit codes:\n  0   stopped in order\n  1   something failed, or the drain took too long\n  64  the configuration cannot be used"
)]
pub struct Args {
    /// File with any of these settings, in TOML; flags and variables win over it.
    #[arg(long, env = "FLEET_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the settings that result, with secrets hidden, and exit.
    #[arg(long)]
    pub print_config: bool,
    /// Ask the process that runs with these settings whether it is ready (at --ops-listen), and exit.
    #[arg(long)]
    pub healthcheck: bool,
    /// The settings.
    #[command(flatten)]
    pub raw: Raw,
}

/// Every setting as written; the names are those of the flags, in the file too.
#[derive(Clone, Default, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Raw {
    /// Where the fleet lives, such as `redis://host:6379`.
    #[arg(long, env = "FLEET_STORE", value_name = "URL", hide_env_values = true)]
    pub store: Option<String>,
    /// Namespace of the fleet in the store [default: fleet].
    #[arg(long, env = "FLEET_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// Partitions, when this process creates the fleet [default: 16].
    #[arg(long, env = "FLEET_PARTITIONS", value_name = "N")]
    pub partitions: Option<u16>,
    /// Address of probes and metrics (/livez, /readyz, /metrics), such as 0.0.0.0:9090; they tell
    /// nothing of findings [default: none].
    #[arg(long, env = "FLEET_OPS_LISTEN", value_name = "ADDRESS")]
    pub ops_listen: Option<String>,
    /// Time to finish what is in hand when told to stop, in milliseconds [default: 25000].
    #[arg(long, env = "FLEET_DRAIN_MS", value_name = "MS")]
    pub drain_ms: Option<u64>,
    /// Days after which complete sessions go, but for the last ones of each branch; 0 keeps them
    /// [default: 90].
    #[arg(long, env = "FLEET_KEEP_DAYS", value_name = "DAYS")]
    pub keep_days: Option<u32>,
    /// Most findings kept; beyond, the oldest sessions go [default: what `maxmemory` allows].
    #[arg(long, env = "FLEET_KEEP_FINDINGS", value_name = "N")]
    pub keep_findings: Option<u64>,
    /// Minutes, such as 10 or 0.5, for which a complete session is unchanged before it is compacted to
    /// save Redis memory; 0 never compacts [default: 10].
    #[arg(long, env = "FLEET_COMPACT_AFTER_MINUTES", value_name = "MINUTES")]
    pub compact_after_minutes: Option<f64>,
    /// What to log: a level, or directives such as `info,fleet_coordinator=debug` [default: info].
    #[arg(long, env = "FLEET_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// `text` or `json` [default: text].
    #[arg(long, env = "FLEET_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// How scores are made; in the file only. Last, for a TOML table ends what stands above it.
    #[arg(skip)]
    pub health: Option<RawHealth>,
    /// What is an alert, and who is told; in the file only.
    #[arg(skip)]
    pub alerts: Option<RawAlerts>,
}

impl std::fmt::Debug for Raw {
    /// Nothing: an unchecked value may hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raw { .. }")
    }
}

impl Raw {
    /// These, and where nothing is set, those of `file`.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        Self {
            store: self.store.or(file.store),
            namespace: self.namespace.or(file.namespace),
            partitions: self.partitions.or(file.partitions),
            ops_listen: self.ops_listen.or(file.ops_listen),
            drain_ms: self.drain_ms.or(file.drain_ms),
            keep_days: self.keep_days.or(file.keep_days),
            keep_findings: self.keep_findings.or(file.keep_findings),
            compact_after_minutes: self.compact_after_minutes.or(file.compact_after_minutes),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
            health: self.health.or(file.health),
            alerts: self.alerts.or(file.alerts),
        }
    }
}

impl Args {
    /// Flags, then environment (clap has read it), then file, checked.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read or a value not be used.
    pub fn checked(self) -> Result<Config, ConfigError> {
        let file = self.config.as_deref().map(read_file::<Raw>).transpose()?;
        Config::check(&self.raw.over(file.unwrap_or_default()))
    }
}

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the fleet lives.
    pub store: StoreAddress,
    /// How the store is opened.
    pub open: OpenOptions,
    /// Where probes and metrics are; none for nowhere.
    pub ops_listen: Option<SocketAddr>,
    /// Time to finish what is in hand when told to stop.
    pub drain: Duration,
    /// What is logged: a level, or directives of `tracing-subscriber`.
    pub log: String,
    /// How it is written.
    pub log_format: LogFormat,
    /// How scores are made.
    pub health: Settings,
    /// What is an alert, and who is told.
    pub alerts: AlertConfig,
    /// What is kept.
    pub keep: Keep,
}

impl Config {
    /// Checks what was written.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] naming the value, what is wrong with it and what is allowed.
    pub fn check(raw: &Raw) -> Result<Self, ConfigError> {
        let log = raw.log.clone().unwrap_or_else(|| DEFAULT_LOG.to_owned());
        filter(&log)?;
        Ok(Self {
            store: store(raw.store.as_deref())?,
            open: OpenOptions {
                partitions: partitions(raw.partitions)?,
                namespace: namespace(raw.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE))?,
                ..OpenOptions::default()
            },
            ops_listen: raw.ops_listen.as_deref().map(ops::address).transpose()?,
            drain: drain(raw.drain_ms)?,
            log,
            log_format: log_format(raw.log_format.as_deref())?,
            health: raw.health.clone().unwrap_or_default().checked()?,
            keep: keep::checked(
                raw.keep_days,
                raw.keep_findings,
                raw.compact_after_minutes,
                Keep::default(),
            )?,
            alerts: raw.alerts.clone().unwrap_or_default().checked()?,
        })
    }

    /// The filter of what is logged.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], never after [`Config::check`].
    pub fn filter(&self) -> Result<EnvFilter, ConfigError> {
        filter(&self.log)
    }

    /// The configuration as a file that would give it again, but for secrets.
    pub fn shown(&self) -> Raw {
        Raw {
            store: Some(self.store.shown()),
            namespace: Some(self.open.namespace.clone()),
            partitions: Some(self.open.partitions.count()),
            ops_listen: self.ops_listen.map(|address| address.to_string()),
            drain_ms: u64::try_from(self.drain.as_millis()).ok(),
            keep_days: keep::days(&self.keep),
            keep_findings: self.keep.findings,
            compact_after_minutes: Some(keep::compact_minutes(&self.keep)),
            log: Some(self.log.clone()),
            log_format: Some(self.log_format.as_str().to_owned()),
            health: Some(RawHealth::shown(&self.health)),
            alerts: Some(self.alerts.shown()),
        }
    }
}

/// The address of a store that more than this process can reach.
fn store(text: Option<&str>) -> Result<StoreAddress, ConfigError> {
    let refuse = |why| Err(ConfigError::invalid("store", why));
    match text {
        None => refuse(
            "it is missing; name the Redis that the fleet lives in with \
             --store redis://host:port, FLEET_STORE or `store` in the file",
        ),
        Some("memory") => refuse(
            "a fleet in memory is in one process only: fleet-dashboard without --store runs it, \
             coordinator included",
        ),
        Some(text) => StoreAddress::new(text),
    }
}

fn drain(ms: Option<u64>) -> Result<Duration, ConfigError> {
    match ms {
        None => Ok(DEFAULT_DRAIN),
        Some(ms) if ms <= MAX_DRAIN_MS => Ok(Duration::from_millis(ms)),
        Some(ms) => Err(ConfigError::invalid(
            "drain-ms",
            format!("{ms} is not between 0 and {MAX_DRAIN_MS}"),
        )),
    }
}

#[cfg(test)]
mod tests;
