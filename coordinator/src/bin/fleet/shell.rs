//! `fleet completions` and `fleet man`: what a shell and its readers need, made from the command
//! line itself.

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man as Page;
use fleet_worker_sdk::Error;

use crate::exit::Stop;
use crate::output::say;

pub(crate) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  bash   fleet completions bash > ~/.local/share/bash-completion/completions/fleet
  zsh    fleet completions zsh > ~/.zfunc/_fleet      (with ~/.zfunc in $fpath, before compinit)
  fish   fleet completions fish > ~/.config/fish/completions/fleet.fish
  other  powershell and elvish: into the profile that the shell reads";

pub(crate) const MAN_EXAMPLES: &str = "\
Examples:
  fleet man | man -l -                                       read it now
  fleet man > ~/.local/share/man/man1/fleet.1                install it
  fleet man findings > ~/.local/share/man/man1/fleet-findings.1";

/// What `fleet completions` is given.
#[derive(Args)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, mut command: Command) -> Result<(), Stop> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "fleet", &mut script);
        Ok(say(&String::from_utf8_lossy(&script))?)
    }
}

/// What `fleet man` is given.
#[derive(Args)]
pub(crate) struct Man {
    /// A command of fleet, such as `findings` or `workers quiet`; fleet itself without one
    command: Vec<String>,
}

impl Man {
    pub(crate) fn run(self, mut command: Command) -> Result<(), Stop> {
        command.build(); // options that all commands share reach each one
        let mut chosen = &command;
        for name in &self.command {
            chosen = chosen.find_subcommand(name).ok_or_else(|| {
                let why = "there is none of this name; fleet --help lists them";
                Stop::Usage(Error::invalid(format!("command `{name}`"), why))
            })?;
        }
        let mut text = Vec::new();
        Page::new(chosen.clone()).render(&mut text)?;
        Ok(say(&String::from_utf8_lossy(&text))?)
    }
}
