//! The coordinator process's flags, environment and file become one checked [`Config`] before any
//! socket opens.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleet_worker_sdk::Partitions;
use fleet_worker_sdk::keys::{DEFAULT_NAMESPACE, Keys};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::logging::LogFormat;
use crate::store::OpenOptions;

/// Time to finish what is in hand when told to stop: 25 s, below the 30 s after which Kubernetes
/// kills. A coordinator needs about one.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(25);
/// Longest time to drain that makes sense: an hour.
const MAX_DRAIN_MS: u64 = 3_600_000;
/// What is logged unless told otherwise.
const DEFAULT_LOG: &str = "info";

/// Why a configuration is refused. The process exits with 64 then.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value cannot be used.
    #[error("{name}: {why}")]
    Invalid {
        /// The flag, without dashes; the file uses the same name.
        name: &'static str,
        /// What is wrong with it and what is allowed.
        why: String,
    },
    /// The configuration file cannot be read.
    #[error("configuration file {}: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and where.
        why: String,
    },
}

fn invalid(name: &'static str, why: impl Into<String>) -> ConfigError {
    let why = why.into();
    ConfigError::Invalid { name, why }
}

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
    /// Time to finish what is in hand when told to stop, in milliseconds [default: 25000].
    #[arg(long, env = "FLEET_DRAIN_MS", value_name = "MS")]
    pub drain_ms: Option<u64>,
    /// What to log: a level, or directives such as `info,fleet_coordinator=debug` [default: info].
    #[arg(long, env = "FLEET_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// `text` or `json` [default: text].
    #[arg(long, env = "FLEET_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
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
            drain_ms: self.drain_ms.or(file.drain_ms),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
        }
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`ConfigError::File`] with the line of what cannot be read.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |why: String| ConfigError::File {
            path: path.to_owned(),
            why,
        };
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        toml::from_str(&text).map_err(|error| refuse(without_excerpt(&text, &error)))
    }
}

/// The parser's message and the line it is about, without the line: it may hold a password.
fn without_excerpt(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    format!("near line {line}: {}", error.message())
}

impl Args {
    /// Flags, then environment (clap has read it), then file, checked.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read or a value not be used.
    pub fn checked(self) -> Result<Config, ConfigError> {
        let file = self.config.as_deref().map(Raw::read).transpose()?;
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
    /// Time to finish what is in hand when told to stop.
    pub drain: Duration,
    /// What is logged: a level, or directives of `tracing-subscriber`.
    pub log: String,
    /// How it is written.
    pub log_format: LogFormat,
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
            store: StoreAddress::new(raw.store.as_deref())?,
            open: OpenOptions {
                partitions: partitions(raw.partitions)?,
                namespace: namespace(raw.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE))?,
                ..OpenOptions::default()
            },
            drain: drain(raw.drain_ms)?,
            log,
            log_format: log_format(raw.log_format.as_deref())?,
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
            drain_ms: u64::try_from(self.drain.as_millis()).ok(),
            log: Some(self.log.clone()),
            log_format: Some(self.log_format.as_str().to_owned()),
        }
    }
}

/// A store's address, which may hold a password: shown without it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreAddress(String);

impl StoreAddress {
    fn new(text: Option<&str>) -> Result<Self, ConfigError> {
        let refuse = |why| Err(invalid("store", why));
        let Some(text) = text else {
            return refuse(
                "it is missing; name the Redis that the fleet lives in with \
                 --store redis://host:port, FLEET_STORE or `store` in the file",
            );
        };
        if text == "memory" {
            return refuse(
                "a fleet in memory is in one process only: fleet-dashboard without --store runs it, \
                 coordinator included",
            );
        }
        let parts = text.split_once("://");
        // The text is not repeated: it may be a password in the wrong place.
        if parts.is_none_or(|(scheme, rest)| scheme.is_empty() || rest.is_empty()) {
            return refuse("it has no scheme or no host; write it as redis://host:port");
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole address, for the client that connects.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// The address for people: user, password and parameters left out.
    pub fn shown(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        // Cut at the last `@`: a password may hold one that nobody escaped.
        let (credentials, host) = rest
            .rsplit_once('@')
            .map_or(("", rest), |(_, h)| ("***@", h));
        let host = host.split_once('?').map_or(host, |(host, _)| host);
        format!("{scheme}://{credentials}{host}")
    }
}

impl std::fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

fn namespace(text: &str) -> Result<String, ConfigError> {
    Keys::new(text).map_err(|error| invalid("namespace", error.to_string()))?;
    Ok(text.to_owned())
}

fn partitions(count: Option<u16>) -> Result<Partitions, ConfigError> {
    count.map_or(Ok(Partitions::DEFAULT), |count| {
        Partitions::new(count).map_err(|error| invalid("partitions", error.to_string()))
    })
}

fn drain(ms: Option<u64>) -> Result<Duration, ConfigError> {
    match ms {
        None => Ok(DEFAULT_DRAIN),
        Some(ms) if ms <= MAX_DRAIN_MS => Ok(Duration::from_millis(ms)),
        Some(ms) => Err(invalid(
            "drain-ms",
            format!("{ms} is not between 0 and {MAX_DRAIN_MS}"),
        )),
    }
}

fn filter(text: &str) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(text).map_err(|error| {
        invalid(
            "log",
            format!("{text:?} is no level and no directive: {error}"),
        )
    })
}

fn log_format(text: Option<&str>) -> Result<LogFormat, ConfigError> {
    match text {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => Err(invalid(
            "log-format",
            format!("{other:?} is neither `text` nor `json`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(store: &str) -> Raw {
        Raw {
            store: Some(store.to_owned()),
            ..Raw::default()
        }
    }

    #[track_caller]
    fn assert_refused(raw: &Raw, name: &str) -> String {
        let error = Config::check(raw).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
        error
    }

    #[test]
    fn the_command_line_is_sound() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let good = || raw("redis://localhost:6379");
        assert!(Config::check(&good()).is_ok());
        assert_refused(&Raw::default(), "store");
        assert_refused(&raw("memory"), "store");
        let mut wrong = good();
        wrong.partitions = Some(0);
        assert_refused(&wrong, "partitions");
        wrong = good();
        wrong.namespace = Some("a b".to_owned());
        assert_refused(&wrong, "namespace");
        wrong = good();
        wrong.drain_ms = Some(MAX_DRAIN_MS + 1);
        assert_refused(&wrong, "drain-ms");
        wrong = good();
        wrong.log = Some("fleet=loud".to_owned());
        assert_refused(&wrong, "log");
        wrong = good();
        wrong.log_format = Some("xml".to_owned());
        assert_refused(&wrong, "log-format");
    }

    #[test]
    fn a_password_is_never_shown() {
        for address in [
            "redis://user:hunter2@host:6379/0",
            "redis://:p@hunter2@host:6379",
            "redis://host:6379?password=hunter2",
        ] {
            let config = Config::check(&raw(address)).unwrap();
            let shown = toml::to_string(&config.shown()).unwrap();
            let debugged = format!("{config:?} {:?}", raw(address));
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(!debugged.contains("hunter2"), "{debugged}");
            assert!(shown.contains("host:6379"), "{shown}");
            assert_eq!(config.store.secret(), address);
        }
        let refused = assert_refused(&raw("hunter2"), "store");
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn the_file_fills_what_flags_leave_out_and_its_faults_name_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet.toml");
        let read = |text: &str, flags: Raw| {
            std::fs::write(&path, text).unwrap();
            let args = Args {
                config: Some(path.clone()),
                print_config: false,
                raw: flags,
            };
            args.checked()
        };
        let file = "store = \"redis://a:1\"\nlog = \"debug\"\n";
        let config = read(file, raw("redis://b:2")).unwrap();
        assert_eq!(
            (config.store.secret(), &*config.log),
            ("redis://b:2", "debug")
        );
        let faulty = "log = \"info\"\nstore = \"redis://:hunter2@a\nx = 1\n";
        let error = read(faulty, Raw::default()).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let unknown = read("stor = \"redis://a:1\"\n", Raw::default());
        assert!(unknown.unwrap_err().to_string().contains("stor"));
    }

    #[test]
    fn what_is_shown_gives_the_same_configuration() {
        let config = Config::check(&raw("redis://host:6379")).unwrap();
        let again = Config::check(&config.shown()).unwrap();
        assert_eq!(format!("{config:?}"), format!("{again:?}"));
    }
}
