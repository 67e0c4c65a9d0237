//! Flags, environment and file become one checked [`Settings`] before any socket opens.
//!
//! [`raw`] is what people write, [`limits`] the defaults and bounds with their reasons.

pub mod limits;

pub mod raw;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use fleet_coordinator::config::keep;
use fleet_coordinator::config::shared::{log_format, namespace, partitions};
use fleet_coordinator::config::{AlertConfig, RawHealth};
pub use fleet_coordinator::config::{ConfigError, StoreAddress};
use fleet_coordinator::health::Settings as HealthSettings;
pub use fleet_coordinator::logging::LogFormat;
use fleet_coordinator::ops;
use fleet_coordinator::retention::Keep;
use fleet_worker_sdk::Partitions;
use fleet_worker_sdk::keys::DEFAULT_NAMESPACE;

use crate::access::TokensFile;
use limits::Limit;
pub use raw::{Args, Raw};

/// Where the dashboard listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on; a loopback address unless there are tokens or it is to be open.
    pub listen: SocketAddr,
    /// Address of metrics and probes; none for beside the pages.
    pub ops_listen: Option<SocketAddr>,
    /// Who may come in; none for everybody.
    pub tokens: Option<TokensFile>,
    /// Whether everybody may come in from other machines, too.
    pub insecure_open: bool,
    /// Address of the store; none for the embedded one.
    pub store: Option<StoreAddress>,
    /// Where the embedded store is kept; none for nowhere.
    pub data: Option<PathBuf>,
    /// Time between two syncs of what is kept there; zero for before every acknowledgement.
    pub data_sync: Duration,
    /// Namespace of the fleet in the store.
    pub namespace: String,
    /// Partitions of a fleet that is created by this process.
    pub partitions: Partitions,
    /// Host names answered to beside this machine's own.
    pub allowed_hosts: Vec<String>,
    /// Largest JSON body taken, in bytes.
    pub max_body: u64,
    /// Largest report taken by ingest, in bytes; a file on disk while it is read.
    pub max_ingest: u64,
    /// Most HTTP connections at once.
    pub max_connections: usize,
    /// Time a client has for a request's head, and may idle between requests.
    pub header_timeout: Duration,
    /// Time between two pieces of a body, either way.
    pub body_timeout: Duration,
    /// Most WebSocket clients at once.
    pub max_clients: usize,
    /// Most WebSocket clients of one address.
    pub max_clients_per_address: usize,
    /// Longest pause between two frames under load.
    pub frame_interval: Duration,
    /// Time a client has to take a frame.
    pub send_timeout: Duration,
    /// Time between pings; a client that has not answered one by the next is closed.
    pub ping_interval: Duration,
    /// Time to finish what is under way when the process is told to stop.
    pub drain: Duration,
    /// What is logged: a level, or directives of `tracing-subscriber`.
    pub log: String,
    /// How it is written.
    pub log_format: LogFormat,
    /// Time for which computed health is served.
    pub cache_ttl: Duration,
    /// Sessions whose health is kept.
    pub cache_sessions: u64,
    /// How scores are made.
    pub health: HealthSettings,
    /// What is an alert, and who is told; for the coordinator of a fleet in this process.
    pub alerts: AlertConfig,
    /// What is kept of a fleet in this process.
    pub keep: Keep,
}

impl Settings {
    /// Checks what was written.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] naming the value, what is wrong with it and what is allowed.
    pub fn check(raw: &Raw) -> Result<Self, ConfigError> {
        let count = |limit: &Limit, value: Option<u64>| limit.take(value).map(|n| n as usize);
        let time = |limit: &Limit, value| limit.take(value).map(Duration::from_millis);
        let tokens = raw.tokens_file.as_deref().map(TokensFile::open);
        let tokens = tokens.transpose()?;
        let insecure_open = raw.insecure_open.unwrap_or_default();
        let guarded = tokens.is_some() || insecure_open;
        Ok(Self {
            listen: listen(raw.listen.as_deref().unwrap_or(DEFAULT_LISTEN), guarded)?,
            ops_listen: raw.ops_listen.as_deref().map(ops::address).transpose()?,
            tokens,
            insecure_open,
            store: raw.store.as_deref().map(store).transpose()?,
            data: data(raw)?,
            data_sync: time(&limits::DATA_SYNC, raw.data_sync_ms)?,
            namespace: namespace(raw.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE))?,
            partitions: partitions(raw.partitions)?,
            allowed_hosts: allowed_hosts(raw.allowed_hosts.as_deref().unwrap_or_default())?,
            max_body: limits::MAX_BODY.take(raw.max_body)?,
            max_ingest: limits::MAX_INGEST.take(raw.max_ingest)?,
            max_connections: count(&limits::MAX_CONNECTIONS, raw.max_connections)?,
            header_timeout: time(&limits::HEADER_TIMEOUT, raw.header_timeout_ms)?,
            body_timeout: time(&limits::BODY_TIMEOUT, raw.body_timeout_ms)?,
            max_clients: count(&limits::MAX_CLIENTS, raw.max_clients)?,
            max_clients_per_address: count(
                &limits::MAX_CLIENTS_PER_ADDRESS,
                raw.max_clients_per_address,
            )?,
            frame_interval: time(&limits::FRAME_INTERVAL, raw.frame_interval_ms)?,
            send_timeout: time(&limits::SEND_TIMEOUT, raw.send_timeout_ms)?,
            ping_interval: time(&limits::PING_INTERVAL, raw.ping_interval_ms)?,
            drain: time(&limits::DRAIN, raw.drain_ms)?,
            log: raw.log.clone().unwrap_or_else(|| "info".to_owned()),
            log_format: log_format(raw.log_format.as_deref())?,
            cache_ttl: time(&limits::CACHE_TTL, raw.cache_ttl_ms)?,
            cache_sessions: limits::CACHE_SESSIONS.take(raw.cache_sessions)?,
            health: raw.health.clone().unwrap_or_default().checked()?,
            keep: keep::checked(raw.keep_days, raw.keep_findings, None, in_memory())?,
            alerts: raw.alerts.clone().unwrap_or_default().checked()?,
        })
    }

    /// The configuration as a file that would give it again, but for secrets.
    pub fn shown(&self) -> Raw {
        let number = |n: usize| Some(n as u64);
        let ms = |time: Duration| u64::try_from(time.as_millis()).ok();
        Raw {
            listen: Some(self.listen.to_string()),
            ops_listen: self.ops_listen.map(|address| address.to_string()),
            tokens_file: self.tokens.as_ref().map(|file| file.path().to_owned()),
            insecure_open: Some(self.insecure_open),
            store: self.store.as_ref().map(StoreAddress::shown),
            data_dir: self.data.clone(),
            data_sync_ms: ms(self.data_sync),
            namespace: Some(self.namespace.clone()),
            partitions: Some(self.partitions.count()),
            allowed_hosts: Some(self.allowed_hosts.clone()),
            max_body: Some(self.max_body),
            max_ingest: Some(self.max_ingest),
            max_connections: number(self.max_connections),
            header_timeout_ms: ms(self.header_timeout),
            body_timeout_ms: ms(self.body_timeout),
            max_clients: number(self.max_clients),
            max_clients_per_address: number(self.max_clients_per_address),
            frame_interval_ms: ms(self.frame_interval),
            send_timeout_ms: ms(self.send_timeout),
            ping_interval_ms: ms(self.ping_interval),
            drain_ms: ms(self.drain),
            log: Some(self.log.clone()),
            log_format: Some(self.log_format.as_str().to_owned()),
            cache_ttl_ms: ms(self.cache_ttl),
            cache_sessions: Some(self.cache_sessions),
            health: Some(RawHealth::shown(&self.health)),
            alerts: Some(self.alerts.shown()),
            keep_days: keep::days(&self.keep),
            keep_findings: self.keep.findings,
        }
    }
}

impl Default for Settings {
    /// What a process without any flag, variable or file gets.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_listen: None,
            tokens: None,
            insecure_open: false,
            store: None,
            data: None,
            data_sync: Duration::from_millis(limits::DATA_SYNC.default),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            partitions: Partitions::DEFAULT,
            allowed_hosts: Vec::new(),
            max_body: limits::MAX_BODY.default,
            max_ingest: limits::MAX_INGEST.default,
            max_connections: limits::MAX_CONNECTIONS.default as usize,
            header_timeout: Duration::from_millis(limits::HEADER_TIMEOUT.default),
            body_timeout: Duration::from_millis(limits::BODY_TIMEOUT.default),
            max_clients: limits::MAX_CLIENTS.default as usize,
            max_clients_per_address: limits::MAX_CLIENTS_PER_ADDRESS.default as usize,
            frame_interval: Duration::from_millis(limits::FRAME_INTERVAL.default),
            send_timeout: Duration::from_millis(limits::SEND_TIMEOUT.default),
            ping_interval: Duration::from_millis(limits::PING_INTERVAL.default),
            drain: Duration::from_millis(limits::DRAIN.default),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            cache_ttl: Duration::from_millis(limits::CACHE_TTL.default),
            cache_sessions: limits::CACHE_SESSIONS.default,
            health: HealthSettings::default(),
            alerts: AlertConfig::default(),
            keep: in_memory(),
        }
    }
}

/// The folder of a fleet in this process; one that lives elsewhere is kept there.
fn data(raw: &Raw) -> Result<Option<PathBuf>, ConfigError> {
    match (&raw.data_dir, &raw.store) {
        (Some(_), Some(_)) => Err(ConfigError::invalid(
            "data-dir",
            "it keeps a fleet that lives in this process, and store names one that lives elsewhere; \
             leave one of them out",
        )),
        (folder, _) => Ok(folder.clone()),
    }
}

/// What a process keeps in its own memory: a million findings take about half a gigabyte.
fn in_memory() -> Keep {
    Keep {
        findings: Some(1_000_000),
        ..Keep::default()
    }
}

/// An address and port. Anything but a loopback address is refused unless it is `guarded`: whoever
/// reaches the port could read every finding and push false ones.
fn listen(text: &str, guarded: bool) -> Result<SocketAddr, ConfigError> {
    let refuse = |why: String| ConfigError::invalid("listen", why);
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    let address: SocketAddr = numeric.parse().map_err(|_| {
        refuse(format!(
            "{text:?} is not an address and a port; write it as 127.0.0.1:8080 or [::1]:8080"
        ))
    })?;
    if guarded || is_loopback(address.ip()) {
        return Ok(address);
    }
    Err(refuse(format!(
        "{address} can be reached from other machines, and whoever reaches it could read and push \
         findings. Say who may with --tokens-file, which `fleet token new` makes lines for; or listen \
         on 127.0.0.1:{port}; or let everybody in with --insecure-open",
        port = address.port()
    )))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn store(text: &str) -> Result<StoreAddress, ConfigError> {
    StoreAddress::new(text).map_err(|error| match error {
        ConfigError::Invalid { name, why } => ConfigError::invalid(
            name,
            format!("{why}, or leave it out to keep everything in this process"),
        ),
        other @ ConfigError::File { .. } => other,
    })
}

/// Names alone: a scheme or a port would never match, and a wildcard would undo the check.
fn allowed_hosts(names: &[String]) -> Result<Vec<String>, ConfigError> {
    let is_name = |name: &&String| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
    };
    match names.iter().find(|name| !is_name(name)) {
        None => Ok(names.to_vec()),
        Some(name) => {
            let why = format!("{name:?} is no host name; write it without scheme and port");
            Err(ConfigError::invalid("allowed-hosts", why))
        }
    }
}

#[cfg(test)]
mod tests;
