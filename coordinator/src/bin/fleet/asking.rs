//! What all commands that read are given: where the fleet is, and how to show what it answers.

use clap::{Args, ValueEnum};
use fleet_coordinator::client::{DirectReader, HttpReader, Reader};
use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::Error;
use serde::Serialize;

use crate::exit::Stop;
use crate::look::Look;
use crate::output::say;
use crate::store::{StoreArgs, Target};

/// Options of every command that reads.
#[derive(Args, Clone)]
pub(crate) struct Asking {
    /// Print the answer as JSON, as the HTTP API gives it
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[arg(
        long,
        help = "When to use colours; NO_COLOR turns them off, too",
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t
    )]
    pub(crate) color: Colour,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal.
    #[default]
    Auto,
    /// Into files and pipes, too.
    Always,
    /// Not at all.
    Never,
}

impl Asking {
    /// The fleet, to ask. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Stop::Usage`] where what is given names no fleet.
    pub(crate) fn reader(&self) -> Result<Box<dyn Reader>, Stop> {
        Ok(match self.store.target().map_err(Stop::Usage)? {
            Target::Http(api) => Box::new(HttpReader::new(api)),
            Target::Direct(store) => {
                let settings = self.store.health().map_err(Stop::Usage)?;
                Box::new(DirectReader::new(store, settings))
            }
        })
    }

    /// The store itself, for what a dashboard does not do; `instead` says what it does.
    ///
    /// # Errors
    /// [`Stop::Usage`] where what is given names no fleet, or a dashboard.
    pub(crate) fn direct(&self, instead: &str) -> Result<SharedStore, Stop> {
        match self.store.target().map_err(Stop::Usage)? {
            Target::Direct(store) => Ok(store),
            Target::Http(_) => Err(Stop::Usage(Error::invalid(
                "store",
                format!(
                    "through a dashboard {instead}; name the store itself, such as --store \
                     redis://host:6379"
                ),
            ))),
        }
    }

    /// How to write for people here.
    pub(crate) fn look(&self) -> Look {
        Look::here(self.color)
    }

    /// Writes `answer` as JSON, or as `text` makes it for people.
    ///
    /// # Errors
    /// [`Stop::Output`] when it cannot be written.
    pub(crate) fn show<T: Serialize>(
        &self,
        answer: &T,
        text: impl FnOnce(&Look) -> String,
    ) -> Result<(), Stop> {
        if self.json {
            let json =
                serde_json::to_string_pretty(answer).map_err(fleet_worker_sdk::Error::protocol)?;
            Ok(say(&format!("{json}\n"))?)
        } else {
            Ok(say(&text(&self.look()))?)
        }
    }
}
