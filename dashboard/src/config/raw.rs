//! What people write, in a flag, a variable or a file, unchecked.

use std::path::PathBuf;

use fleet_coordinator::config::{RawAlerts, RawHealth, read_file};
use serde::{Deserialize, Serialize};

use super::{ConfigError, Settings};

/// Shows a fleet live: health, findings, workers, reports; and takes what bots push over HTTP.
///
/// Without --store the fleet lives in this process, and ends with it unless --data-dir keeps it.
#[derive(Debug, clap::Parser)]
#[command(name = "fleet-dashboard", version)]
pub struct Args {
    /// File with any of these settings, in TOML; flags and variables win over it.
    #[arg(long, env = "FLEET_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the settings that result, with secrets hidden, and exit.
    #[arg(long)]
    pub print_config: bool,
    /// Ask the process that runs with these settings whether it is ready, and exit.
    #[arg(long)]
    pub healthcheck: bool,
    /// Show a fleet at work: small bots look at the checkout at PATH, again every minute.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = ".", conflicts_with = "store")]
    pub demo: Option<PathBuf>,
    /// Take reports along at start (SARIF or JSON lines), or all of a folder.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub import: Vec<PathBuf>,
    /// What a process of the demonstration has to do, which starts it itself.
    #[arg(long, hide = true, value_name = "JSON")]
    pub demo_task: Option<String>,
    /// The settings.
    #[command(flatten)]
    pub raw: Raw,
}

/// Every setting as written; the names are those of the flags, in the file too.
#[derive(Clone, Default, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Raw {
    /// Address to listen on; other than a loopback address with --tokens-file only [default:
    /// 127.0.0.1:8080].
    #[arg(long, env = "FLEET_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Address of metrics and probes alone (/metrics, /livez, /readyz), such as 0.0.0.0:9090; they
    /// tell nothing of findings and need no token [default: beside the pages].
    #[arg(long, env = "FLEET_OPS_LISTEN", value_name = "ADDRESS")]
    pub ops_listen: Option<String>,
    /// File of those who may come in, a line each: `role sha256:HASH name`; `fleet token new` makes
    /// them. Read again when it changes [default: everybody may].
    #[arg(long, env = "FLEET_TOKENS_FILE", value_name = "FILE")]
    pub tokens_file: Option<PathBuf>,
    /// Let everybody who reaches --listen read and push everything.
    #[arg(long, env = "FLEET_INSECURE_OPEN", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub insecure_open: Option<bool>,
    /// Where the fleet lives, such as `redis://host:6379` [default: in this process].
    #[arg(long, env = "FLEET_STORE", value_name = "URL", hide_env_values = true)]
    pub store: Option<String>,
    /// Keep a fleet in this process in this folder: it is there again after a restart, or a crash
    /// [default: it ends with the process].
    #[arg(long, env = "FLEET_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Time after which what is in --data-dir survives a loss of power too, in milliseconds; 0 waits
    /// for the disk at every push [default: 1000].
    #[arg(long, env = "FLEET_DATA_SYNC_MS", value_name = "MS")]
    pub data_sync_ms: Option<u64>,
    /// Namespace of the fleet in the store [default: fleet].
    #[arg(long, env = "FLEET_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// Partitions, when this process creates the fleet [default: 16].
    #[arg(long, env = "FLEET_PARTITIONS", value_name = "N")]
    pub partitions: Option<u16>,
    /// Host names to answer to beside localhost, such as that of the proxy in front; separated by commas.
    #[arg(
        long,
        env = "FLEET_ALLOWED_HOSTS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub allowed_hosts: Option<Vec<String>>,
    /// Largest JSON body taken, in bytes.
    #[arg(long, env = "FLEET_MAX_BODY", value_name = "BYTES")]
    pub max_body: Option<u64>,
    /// Largest report taken, in bytes.
    #[arg(long, env = "FLEET_MAX_INGEST", value_name = "BYTES")]
    pub max_ingest: Option<u64>,
    /// Most HTTP connections at once.
    #[arg(long, env = "FLEET_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<u64>,
    /// Time for a request's head, and idle between requests, in milliseconds.
    #[arg(long, env = "FLEET_HEADER_TIMEOUT_MS", value_name = "MS")]
    pub header_timeout_ms: Option<u64>,
    /// Time between two pieces of a body, in milliseconds.
    #[arg(long, env = "FLEET_BODY_TIMEOUT_MS", value_name = "MS")]
    pub body_timeout_ms: Option<u64>,
    /// Most WebSocket clients at once.
    #[arg(long, env = "FLEET_MAX_CLIENTS", value_name = "N")]
    pub max_clients: Option<u64>,
    /// Most WebSocket clients of one address.
    #[arg(long, env = "FLEET_MAX_CLIENTS_PER_ADDRESS", value_name = "N")]
    pub max_clients_per_address: Option<u64>,
    /// Longest pause between two frames under load, in milliseconds.
    #[arg(long, env = "FLEET_FRAME_INTERVAL_MS", value_name = "MS")]
    pub frame_interval_ms: Option<u64>,
    /// Time a WebSocket client has to take a frame, in milliseconds.
    #[arg(long, env = "FLEET_SEND_TIMEOUT_MS", value_name = "MS")]
    pub send_timeout_ms: Option<u64>,
    /// Time between pings of WebSocket clients, in milliseconds.
    #[arg(long, env = "FLEET_PING_INTERVAL_MS", value_name = "MS")]
    pub ping_interval_ms: Option<u64>,
    /// Time to finish what is under way when told to stop, in milliseconds.
    #[arg(long, env = "FLEET_DRAIN_MS", value_name = "MS")]
    pub drain_ms: Option<u64>,
    /// Days after which complete sessions of a fleet in this process go, but for the last ones of
    /// each branch; 0 keeps them [default: 90].
    #[arg(long, env = "FLEET_KEEP_DAYS", value_name = "DAYS")]
    pub keep_days: Option<u32>,
    /// Most findings kept; beyond, the oldest sessions go [default: 1000000].
    #[arg(long, env = "FLEET_KEEP_FINDINGS", value_name = "N")]
    pub keep_findings: Option<u64>,
    /// What to log: a level, or directives such as `info,fleet_dashboard=debug`.
    #[arg(long, env = "FLEET_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// `text` or `json`.
    #[arg(long, env = "FLEET_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Time for which computed health is served, in milliseconds [default: 5000].
    #[arg(long, env = "FLEET_CACHE_TTL_MS", value_name = "MS")]
    pub cache_ttl_ms: Option<u64>,
    /// Sessions whose health is kept in memory [default: 10000].
    #[arg(long, env = "FLEET_CACHE_SESSIONS", value_name = "N")]
    pub cache_sessions: Option<u64>,
    /// How scores are made; in the file only. Last, for a TOML table ends what stands above it.
    #[arg(skip)]
    pub health: Option<RawHealth>,
    /// What is an alert, and who is told, for a fleet in this process; in the file only.
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
            listen: self.listen.or(file.listen),
            ops_listen: self.ops_listen.or(file.ops_listen),
            tokens_file: self.tokens_file.or(file.tokens_file),
            insecure_open: self.insecure_open.or(file.insecure_open),
            store: self.store.or(file.store),
            data_dir: self.data_dir.or(file.data_dir),
            data_sync_ms: self.data_sync_ms.or(file.data_sync_ms),
            namespace: self.namespace.or(file.namespace),
            partitions: self.partitions.or(file.partitions),
            allowed_hosts: self.allowed_hosts.or(file.allowed_hosts),
            max_body: self.max_body.or(file.max_body),
            max_ingest: self.max_ingest.or(file.max_ingest),
            max_connections: self.max_connections.or(file.max_connections),
            header_timeout_ms: self.header_timeout_ms.or(file.header_timeout_ms),
            body_timeout_ms: self.body_timeout_ms.or(file.body_timeout_ms),
            max_clients: self.max_clients.or(file.max_clients),
            max_clients_per_address: self
                .max_clients_per_address
                .or(file.max_clients_per_address),
            frame_interval_ms: self.frame_interval_ms.or(file.frame_interval_ms),
            send_timeout_ms: self.send_timeout_ms.or(file.send_timeout_ms),
            ping_interval_ms: self.ping_interval_ms.or(file.ping_interval_ms),
            drain_ms: self.drain_ms.or(file.drain_ms),
            keep_days: self.keep_days.or(file.keep_days),
            keep_findings: self.keep_findings.or(file.keep_findings),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
            cache_ttl_ms: self.cache_ttl_ms.or(file.cache_ttl_ms),
            cache_sessions: self.cache_sessions.or(file.cache_sessions),
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
    pub fn settings(self) -> Result<Settings, ConfigError> {
        let file = self.config.as_deref().map(read_file::<Raw>).transpose()?;
        Settings::check(&self.raw.over(file.unwrap_or_default()))
    }
}
