//! What the configurations of all processes have in common.

use std::path::{Path, PathBuf};

use fleet_worker_sdk::Partitions;
use fleet_worker_sdk::keys::Keys;
use serde::de::DeserializeOwned;
use tracing_subscriber::EnvFilter;

use crate::logging::LogFormat;

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

impl ConfigError {
    /// A refusal of the setting `name`.
    pub fn invalid(name: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Invalid { name, why }
    }
}

/// Reads a TOML file of settings.
///
/// # Errors
/// [`ConfigError::File`] with the line of what cannot be read.
pub fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let refuse = |why: String| ConfigError::File {
        path: path.to_owned(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    toml::from_str(&text).map_err(|error| refuse(without_excerpt(&text, &error)))
}

/// The parser's message and the line it is about, without the line: it may hold a password.
fn without_excerpt(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    format!("near line {line}: {}", error.message())
}

/// A store's address, which may hold a password: shown without it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreAddress(String);

impl StoreAddress {
    /// Takes `scheme://host`, whatever the scheme; the store knows which it can open.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when there is no scheme or no host. The text is not repeated: it
    /// may be a password in the wrong place.
    pub fn new(text: &str) -> Result<Self, ConfigError> {
        let parts = text.split_once("://");
        if parts.is_none_or(|(scheme, rest)| scheme.is_empty() || rest.is_empty()) {
            let why = "it has no scheme or no host; write it as redis://host:port";
            return Err(ConfigError::invalid("store", why));
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

/// A namespace of keys.
///
/// # Errors
/// [`ConfigError::Invalid`] when it is none.
pub fn namespace(text: &str) -> Result<String, ConfigError> {
    Keys::new(text).map_err(|error| ConfigError::invalid("namespace", error.to_string()))?;
    Ok(text.to_owned())
}

/// A number of partitions, 16 unless given.
///
/// # Errors
/// [`ConfigError::Invalid`] out of range.
pub fn partitions(count: Option<u16>) -> Result<Partitions, ConfigError> {
    count.map_or(Ok(Partitions::DEFAULT), |count| {
        Partitions::new(count)
            .map_err(|error| ConfigError::invalid("partitions", error.to_string()))
    })
}

/// What is logged: a level, or directives.
///
/// # Errors
/// [`ConfigError::Invalid`] when it is neither.
pub fn filter(text: &str) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(text).map_err(|error| {
        ConfigError::invalid(
            "log",
            format!("{text:?} is no level and no directive: {error}"),
        )
    })
}

/// How it is written, as text unless given.
///
/// # Errors
/// [`ConfigError::Invalid`] when it is no format.
pub fn log_format(text: Option<&str>) -> Result<LogFormat, ConfigError> {
    match text {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => Err(ConfigError::invalid(
            "log-format",
            format!("{other:?} is neither `text` nor `json`"),
        )),
    }
}
