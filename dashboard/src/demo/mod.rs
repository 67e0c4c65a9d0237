//! A demonstration: a fleet that looks at a checkout while one watches.
//!
//! Small checks ([`checks`]) are bots with tiers and dependencies. They run through the SDK, again
//! every minute ([`rounds`]); one fails now and then, one is killed and replaced ([`victim`]).

mod check;

mod checks;

mod checkout;

mod part;

mod victim;

mod rounds;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fleet_coordinator::store::SharedStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use checkout::Checkout;
use rounds::Demo;

pub use rounds::Pace;
pub use victim::play;

/// A demonstration that has been prepared.
pub struct Prepared {
    demo: Demo,
}

/// Prepares a demonstration on the checkout at `root`. `program` is this program, `address` where
/// it listens.
///
/// # Errors
/// When `root` is no folder.
pub fn prepare(
    root: &Path,
    store: SharedStore,
    address: String,
    program: Option<PathBuf>,
    pace: Pace,
) -> anyhow::Result<Prepared> {
    let program = match program {
        Some(program) => program,
        None => std::env::current_exe().context("this program cannot be found")?,
    };
    Ok(Prepared {
        demo: Demo {
            store,
            checkout: Checkout::at(root)?,
            pace,
            program,
            address,
        },
    })
}

impl Prepared {
    /// What a person has to know, in five lines.
    pub fn words(&self) -> String {
        let Demo {
            checkout, address, ..
        } = &self.demo;
        let Checkout {
            root,
            repository,
            git_ref,
            ..
        } = checkout;
        let mut text = format!("A fleet at work: open {address}/\n");
        let git_ref = if git_ref.is_empty() {
            String::new()
        } else {
            format!(" at {git_ref}")
        };
        let _ = writeln!(
            text,
            "{} bots look at {repository}{git_ref} in {} every minute; what they find is real.",
            checks::ALL.len(),
            root.display()
        );
        let _ = writeln!(
            text,
            "On purpose, {} fails every third time, and {} is killed every second time and replaced.",
            checks::FAILING,
            checks::KILLED
        );
        let fleet = "cargo run --release --bin fleet --";
        let _ = writeln!(
            text,
            "A report of yours joins in: {fleet} push report.sarif"
        );
        let _ = writeln!(
            text,
            "Any tool becomes a bot: {fleet} run --bot NAME --sarif FILE -- TOOL…   (Ctrl-C ends all)"
        );
        text.chars()
            .map(|c| {
                if c.is_control() && c != '\n' {
                    '\u{fffd}'
                } else {
                    c
                }
            })
            .collect()
    }

    /// Begins; goes on until `stop`.
    pub fn begin(self, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(self.demo.run(stop))
    }
}
