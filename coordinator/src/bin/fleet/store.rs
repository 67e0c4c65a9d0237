//! Where the fleet is: the flag, the environment, a file, or a dashboard on this host, in that order.

use std::path::{Path, PathBuf};

use clap::Args;
use fleet_coordinator::config::{ConfigError, RawHealth, read_file};
use fleet_coordinator::health::Settings;
use fleet_coordinator::store::{OpenOptions, SharedStore, open};
use fleet_worker_sdk::transport::http::HttpWriter;
use fleet_worker_sdk::{Error, Result};
use serde::Deserialize;

/// Where a dashboard listens unless told otherwise.
pub(crate) const DEFAULT_STORE: &str = "http://127.0.0.1:8080";
/// The file looked for in the current folder.
const LOCAL_FILE: &str = "fleet.toml";

const STORE_HELP: &str = "http://host:port of a dashboard, or redis://host:port of its store \
    [default: of the file, else http://127.0.0.1:8080]";
const CONFIG_HELP: &str = "TOML file with store, token or namespace [default: ./fleet.toml, else \
    fleet/config.toml in $XDG_CONFIG_HOME or ~/.config]";

/// How every command is told where the fleet is.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Where the fleet is")]
pub(crate) struct StoreArgs {
    #[arg(help = STORE_HELP,
        long,
        value_name = "URL",
        env = "FLEET_STORE",
        hide_env_values = true,
        global = true
    )]
    pub(crate) store: Option<String>,
    /// Access token for a dashboard
    #[arg(long, env = "FLEET_TOKEN", hide_env_values = true, global = true)]
    pub(crate) token: Option<String>,
    /// Namespace of the fleet, where the store is Redis [default: fleet]
    #[arg(long, value_name = "NAME", env = "FLEET_NAMESPACE", global = true)]
    pub(crate) namespace: Option<String>,
    #[arg(help = CONFIG_HELP, long, value_name = "FILE", env = "FLEET_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// What a file says. Settings of the other processes are theirs to check: all may share one file.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct File {
    store: Option<String>,
    token: Option<String>,
    namespace: Option<String>,
    health: Option<RawHealth>,
}

/// How the fleet is reached.
pub(crate) enum Target {
    /// Through a dashboard.
    Http(HttpWriter),
    /// In its store.
    Direct(SharedStore),
}

impl StoreArgs {
    /// The fleet to talk to. Nothing is sent yet.
    ///
    /// # Errors
    /// `Error::Invalid` naming the setting, where it is from, and what is allowed.
    pub(crate) fn target(&self) -> Result<Target> {
        self.target_that(true)
    }

    /// The same, whose store is left as it is: not even functions are loaded where they are missing.
    ///
    /// # Errors
    /// As [`StoreArgs::target`].
    pub(crate) fn untouched(&self) -> Result<Target> {
        self.target_that(false)
    }

    fn target_that(&self, keeps: bool) -> Result<Target> {
        let settled = self.settle(|name| std::env::var(name).ok())?;
        let address = settled.store.as_deref().unwrap_or(DEFAULT_STORE);
        if address == "memory" {
            return Err(Error::invalid(
                "store",
                "a fleet in memory is reached through the dashboard that holds it: name that, \
                 such as --store http://127.0.0.1:8080",
            ));
        }
        if address.starts_with("redis") {
            let mut options = OpenOptions {
                keeps,
                ..OpenOptions::default()
            };
            if let Some(namespace) = settled.namespace {
                options.namespace = namespace;
            }
            return open(address, &options).map(Target::Direct);
        }
        let store = HttpWriter::new(address)?;
        Ok(Target::Http(match settled.token {
            Some(token) => store.token(token),
            None => store,
        }))
    }

    /// How scores are made where this process makes them: as the file says that coordinators and
    /// dashboards are given.
    ///
    /// # Errors
    /// `Error::Invalid` naming the setting, and what is allowed.
    pub(crate) fn health(&self) -> Result<Settings> {
        let settled = self.settle(|name| std::env::var(name).ok())?;
        let checked = settled.health.unwrap_or_default().checked();
        checked.map_err(|error| Error::invalid("configuration", error.to_string()))
    }

    /// What was given, and where nothing was, what the file says.
    fn settle(&self, variable: impl Fn(&str) -> Option<String>) -> Result<File> {
        let given = |value: &Option<String>| value.clone().filter(|text| !text.trim().is_empty());
        let (path, chosen) = match &self.config {
            Some(path) => (Some(path.clone()), true),
            None => (found(variable), false),
        };
        let file = path.as_deref().map(read).transpose()?.unwrap_or_default();
        let (store, token) = (given(&self.store), given(&self.token));
        let stranger = !chosen && path.as_deref() == Some(Path::new(LOCAL_FILE));
        if stranger && store.is_none() && file.store.is_some() && token.is_some() {
            // Whoever wrote the checkout would be sent the secret of whoever works in it.
            return Err(Error::invalid(
                "token",
                "it is from the flag or the environment, but the store is from ./fleet.toml, \
                 which may be a stranger's; say that you trust it with --config ./fleet.toml",
            ));
        }
        Ok(File {
            token: token.or(file.token),
            namespace: given(&self.namespace).or(file.namespace),
            store: store.or(file.store),
            health: file.health,
        })
    }
}

/// The first file that is there.
fn found(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|text| !text.is_empty());
    let home = || set("HOME").map(|home| Path::new(&home).join(".config"));
    let user = set("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let user = user.map(|folder| folder.join("fleet").join("config.toml"));
    let mut places = [Some(PathBuf::from(LOCAL_FILE)), user].into_iter();
    places.find_map(|place| place.filter(|path| path.is_file()))
}

fn read(path: &Path) -> Result<File> {
    read_file(path).map_err(|error| match error {
        ConfigError::File { path, why } => {
            Error::invalid(format!("configuration file {}", path.display()), why)
        }
        other @ ConfigError::Invalid { .. } => Error::invalid("configuration", other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(store: Option<&str>, config: Option<&Path>) -> StoreArgs {
        StoreArgs {
            store: store.map(str::to_owned),
            config: config.map(Path::to_owned),
            ..StoreArgs::default()
        }
    }

    #[test]
    fn what_is_given_wins_over_the_file_and_the_file_over_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "store = \"http://of-file:1\"\npartitions = 4\n").unwrap();
        let settle = |args: StoreArgs| args.settle(|_| None).unwrap().store;
        let given = settle(args(Some("http://given:1"), Some(&path)));
        assert_eq!(given.as_deref(), Some("http://given:1"));
        for empty in [None, Some(""), Some(" ")] {
            let of_file = settle(args(empty, Some(&path)));
            assert_eq!(of_file.as_deref(), Some("http://of-file:1"), "{empty:?}");
        }
    }

    #[test]
    fn the_users_file_is_found_where_it_belongs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet").join("config.toml");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "token = \"t\"").unwrap();
        let home = folder.path().to_string_lossy().into_owned();
        let variable = |name: &str| (name == "XDG_CONFIG_HOME").then(|| home.clone());
        assert_eq!(found(variable), Some(path));
        assert_eq!(found(|_| None), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.toml");
        std::fs::write(&path, "token = \"hunter2\nstore = 1").unwrap();
        let error = args(None, Some(&path)).settle(|_| None).err().unwrap();
        let text = error.to_string();
        assert!(
            text.contains("bad.toml") && !text.contains("hunter2"),
            "{text}"
        );
    }

    #[test]
    fn memory_is_refused_with_the_way_there() {
        let Err(error) = args(Some("memory"), None).target() else {
            panic!("a fleet in another process's memory was opened");
        };
        assert!(error.to_string().contains("http://127.0.0.1:8080"));
    }
}
