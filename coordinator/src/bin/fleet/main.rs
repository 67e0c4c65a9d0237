//! The `fleet` command: a fleet from a terminal or a CI job.

mod push;

mod store;

mod place;

mod upload;

mod direct;

mod output;

mod exit;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::{EXIT_CODES, OK, UNREACHABLE, USAGE};

#[derive(Parser)]
#[command(name = "fleet", version, about = "Brings findings to a fleet", after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One a file, in the order of a fleet's life.
#[derive(Subcommand)]
enum Command {
    /// Pushes reports: SARIF (gzipped too) or JSON lines, from files or standard input
    #[command(after_help = EXIT_CODES)]
    Push(push::Push),
}

impl Command {
    async fn run(self) -> u8 {
        match self {
            Self::Push(push) => push.run().await,
        }
    }
}

fn main() -> ExitCode {
    log();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { OK };
            // Nobody is left to tell when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
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
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::exit::REFUSED;

    #[test]
    fn the_command_line_is_sound_and_documents_its_exit_codes() {
        Cli::command().debug_assert();
        let mut push = Cli::command().find_subcommand("push").unwrap().clone();
        let help = push.render_help().to_string();
        for code in [OK, REFUSED, USAGE, UNREACHABLE] {
            assert!(
                help.contains(&format!("\n  {code} ")),
                "{code} is not in:\n{help}"
            );
        }
    }
}
