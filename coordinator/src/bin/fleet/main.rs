//! The `fleet` command: a fleet from a terminal or a CI job.
//!
//! One file a command, in the order of [`Command`]. What they share: [`store`] and [`asking`] are
//! where the fleet is and how it is asked, [`place`] where a report belongs, [`choice`] and [`filters`] what is asked for, [`look`],
//! [`table`] and [`stream`] how answers are shown, [`output`] where they go, [`exit`] how it ends.

mod push;

mod run;

mod upload;

mod direct;

mod later;

mod sessions;

mod findings;

mod report;

mod health;

mod anomalies;

mod bots;

mod workers;

mod watch;

mod conserve;
mod dead;

mod doctor;

mod acl;

mod token;

mod shell;

mod alert;
mod asking;

mod store;

mod place;

mod choice;

mod filters;

mod look;

mod table;

mod stream;

mod output;

mod exit;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use exit::{EXIT_CODES, OK, UNREACHABLE, USAGE, end};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "\
Brings findings to a fleet, and shows what it knows: sessions, findings, health, bots and workers.

The fleet is a dashboard (http://) or its store (redis://). It is found, in this order, by --store,
FLEET_STORE, or `store` in a TOML file: --config, FLEET_CONFIG, ./fleet.toml, or fleet/config.toml in
$XDG_CONFIG_HOME (~/.config); else a dashboard on this host, http://127.0.0.1:8080.";

const EXAMPLES: &str = "\
Examples:
  fleet push scan.sarif              a report into the session of this checkout
  fleet run --bot clippy --clippy -- cargo clippy
  fleet findings                     what is wrong with this checkout
  fleet health --explain             how well the fleet is, and why
  fleet report acme/shop -o shop.html
  fleet watch                        all of it, live
  fleet completions bash > ~/.local/share/bash-completion/completions/fleet
  fleet man | man -l -";

#[derive(Parser)]
#[command(name = "fleet", version, about = "Brings findings to a fleet, and shows what it knows", long_about = ABOUT, after_help = after(EXAMPLES))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One a file, in the order of a fleet's life.
#[derive(Subcommand)]
enum Command {
    /// Pushes reports: SARIF (gzipped too) or JSON lines, from files or standard input
    #[command(after_help = after(push::EXAMPLES))]
    Push(push::Push),
    /// Runs any tool as a bot: heartbeats, duration, exit code and its findings
    #[command(after_help = after(run::EXAMPLES))]
    Run(run::Run),
    /// Lists sessions: analyses of repositories, latest change first
    #[command(after_help = after(sessions::EXAMPLES))]
    Sessions(sessions::Sessions),
    /// Lists what was found in a session
    #[command(after_help = after(findings::EXAMPLES))]
    Findings(findings::Findings),
    /// Writes a session's findings as Markdown, JSON or HTML
    #[command(after_help = after(report::EXAMPLES))]
    Report(report::Report),
    /// Shows how well the fleet, a tier, a bot, a session or a repository is, and why
    #[command(after_help = after(health::EXAMPLES))]
    Health(health::Health),
    /// Lists what is unlike what is usual: runs, silent bots, stuck workers, mixed versions
    #[command(after_help = after(anomalies::EXAMPLES))]
    Anomalies(anomalies::Anomalies),
    /// Lists the bots that take part
    #[command(after_help = after(bots::EXAMPLES))]
    Bots(bots::Bots),
    /// Lists workers: running processes of bots; tells one to go quiet or to end
    #[command(after_help = after(workers::EXAMPLES))]
    Workers(workers::Workers),
    /// Shows the fleet live on the terminal, or writes a line a change
    #[command(after_help = after(watch::EXAMPLES))]
    Watch(watch::Watch),
    /// Lists what nobody could read or settle; puts it back, or throws it away
    #[command(after_help = after(dead::EXAMPLES))]
    Dead(dead::Dead),
    /// Lists alerts; silences them; tests the channels that are told
    #[command(after_help = after(alert::EXAMPLES))]
    Alert(alert::AlertCommand),
    /// Says whether sessions add up; makes one do so again
    #[command(after_help = after(conserve::EXAMPLES))]
    Conserve(conserve::Conserve),
    /// Says what is wrong with a fleet and its servers, and what to do
    #[command(after_help = after(doctor::EXAMPLES))]
    Doctor(doctor::Doctor),
    /// Writes users for Redis, each with what it needs and no more
    #[command(after_help = after(acl::EXAMPLES))]
    Acl(acl::Acl),
    /// Makes tokens for those who may ask a dashboard
    #[command(after_help = after(token::EXAMPLES))]
    Token(token::Token),
    /// Writes a shell's completions for this command
    #[command(after_help = after(shell::COMPLETIONS_EXAMPLES))]
    Completions(shell::Completions),
    /// Writes the manual page of this command, or of one of its own
    #[command(after_help = after(shell::MAN_EXAMPLES))]
    Man(shell::Man),
}

/// What stands below a help text.
fn after(examples: &str) -> String {
    format!("{examples}\n\n{EXIT_CODES}")
}

impl Command {
    async fn run(self) -> u8 {
        match self {
            Self::Push(push) => push.run().await,
            Self::Run(run) => run.run().await,
            Self::Sessions(sessions) => end(sessions.run().await),
            Self::Findings(findings) => end(findings.run().await),
            Self::Report(report) => end(report.run().await),
            Self::Health(health) => end(health.run().await),
            Self::Anomalies(anomalies) => end(anomalies.run().await),
            Self::Bots(bots) => end(bots.run().await),
            Self::Workers(workers) => end(workers.run().await),
            Self::Watch(watch) => end(watch.run().await),
            Self::Alert(alert) => end(alert.run().await),
            Self::Conserve(conserve) => end(conserve.run().await),
            Self::Dead(dead) => end(dead.run().await),
            Self::Doctor(doctor) => end(doctor.run().await),
            Self::Acl(acl) => end(acl.run()),
            Self::Token(token) => end(token.run()),
            Self::Completions(completions) => end(completions.run(Cli::command())),
            Self::Man(man) => end(man.run(Cli::command())),
        }
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { OK };
            // Nobody is left to tell when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    if !matches!(&cli.command, Command::Watch(watch) if watch.takes_screen()) {
        log(&cli.command);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let code = match runtime {
        Ok(runtime) => runtime.block_on(cli.command.run()),
        Err(error) => {
            output::complain(&format!("cannot start: {error}"));
            UNREACHABLE
        }
    };
    ExitCode::from(code)
}

/// Warnings go to standard error; `RUST_LOG` asks for more.
fn log(command: &Command) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    // What is written while a tool runs stands between its own lines.
    let usual = if matches!(command, Command::Run(_)) {
        "error"
    } else {
        "warn"
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| usual.into()))
        .with_writer(std::io::stderr)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::REFUSED;

    #[test]
    fn the_command_line_is_sound_and_documents_its_exit_codes() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            for code in [OK, REFUSED, USAGE, UNREACHABLE] {
                assert!(
                    help.contains(&format!("\n  {code} ")),
                    "{code} is not in:\n{help}"
                );
            }
            assert!(help.contains("Examples:\n  "), "{help}");
        }
    }
}
