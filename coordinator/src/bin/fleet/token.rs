//! `fleet token`: makes the tokens that a dashboard lets in.

use clap::{Args, Subcommand};
use fleet_coordinator::access::{Role, Secret, check_name};
use serde_json::json;

use crate::exit::Stop;
use crate::output::{note, say};

pub(crate) const EXAMPLES: &str = "\
Examples:
  fleet token new --role ingest ci              the token, and the line of it for --tokens-file
  fleet token new --role read ann --json | jq -r .line >> tokens";

/// What `fleet token` is given.
#[derive(Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Makes a token, and prints it with the line that lets it in. It is stored nowhere
    New(New),
}

/// What `fleet token new` is given.
#[derive(Args)]
struct New {
    /// Whose it is; a name may have two tokens at once
    name: String,
    /// What it is good for: ingest (bring findings), read, triage (and read) or admin (everything)
    #[arg(long)]
    role: String,
    /// Print both as JSON
    #[arg(long)]
    json: bool,
}

impl Token {
    /// Prints the token and its line.
    pub(crate) fn run(self) -> Result<(), Stop> {
        let What::New(new) = self.command;
        let role: Role = new.role.parse().map_err(Stop::Usage)?;
        check_name(&new.name).map_err(Stop::Usage)?;
        let secret = Secret::fresh()?;
        let line = secret.line(role, &new.name);
        if new.json {
            let both = json!({"token": secret.reveal(), "line": line});
            return Ok(say(&format!("{both}\n"))?);
        }
        say(&format!("{}\n{line}\n", secret.reveal()))?;
        note(
            "the first line is the token, shown this once; the second belongs into the file that the dashboard is given with --tokens-file",
        );
        Ok(())
    }
}
