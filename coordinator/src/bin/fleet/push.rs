//! `fleet push`: reports into a session.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use fleet_worker_sdk::{BotId, Error, Result};
use serde_json::{Value, json};

use crate::direct;
use crate::exit::{OK, REFUSED, UNREACHABLE, USAGE, code_of};
use crate::later::SpoolArgs;
use crate::output::{Counts, answer, complain, for_people, plain};
use crate::place::PlaceArgs;
use crate::store::{StoreArgs, Target};
use crate::upload::{self, Terms};

pub(crate) const EXAMPLES: &str = "\
Examples:
  fleet push scan.sarif                   into the session of this checkout, or of this CI job
  gosec -fmt sarif ./... | fleet push -   from standard input
  fleet push -R acme/shop --ref main --commit 4f2a9c1 *.sarif.gz";

/// What `fleet push` is given.
#[derive(Args)]
pub(crate) struct Push {
    #[command(flatten)]
    place: PlaceArgs,
    /// Bot whose findings these are [default: the tool that the report names]
    #[arg(long, env = "FLEET_BOT")]
    bot: Option<String>,
    /// Take the good results of a report with bad ones; the scan then closes nothing
    #[arg(long)]
    partial: bool,
    /// Print summaries as JSON, one a line; the default where the output is no terminal
    #[arg(long)]
    json: bool,
    /// Reports; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    spool: SpoolArgs,
    #[command(flatten)]
    store: StoreArgs,
}

impl Push {
    /// Pushes every report; answers with the exit code.
    pub(crate) async fn run(self) -> u8 {
        let ready = self
            .store
            .target()
            .and_then(|store| Ok((store, self.terms()?)));
        let (store, terms) = match ready {
            Ok(ready) => ready,
            Err(error) => {
                complain(&error.to_string());
                return USAGE;
            }
        };
        self.spool.send_kept(&store).await;
        let mut code = OK;
        for file in &self.files {
            let pushed = self.push(&store, &terms, file).await;
            code = code.max(self.report(file, pushed));
            if code == UNREACHABLE {
                break; // the next report would wait as long for nothing
            }
        }
        code
    }

    fn terms(&self) -> Result<Terms> {
        let bot = self.bot.as_ref().map(BotId::new).transpose()?;
        if self.files.iter().filter(|file| is_input(file)).count() > 1 {
            return Err(Error::invalid("files", "standard input is named twice"));
        }
        Ok(Terms {
            open: self.place.session()?,
            bot,
            partial: self.partial,
            continued: None,
        })
    }

    async fn push(&self, store: &Target, terms: &Terms, file: &Path) -> Result<Value> {
        let bar = !self.json && std::io::stderr().is_terminal();
        let keeps = self.spool.spool_dir.is_some();
        let is_direct = matches!(store, Target::Direct(_));
        // What is read once is put where it can be read again, unless nobody will.
        let input = (is_input(file) && (keeps || !is_direct)).then(upload::spool);
        let input = input.transpose()?;
        let path = input.as_ref().map_or(file, |input| input.path());
        let sent = match store {
            Target::Direct(store) => direct::send(&**store, terms, path, bar).await,
            Target::Http(store) => upload::send(store, terms, path, bar).await,
        };
        match sent {
            Err(error) if error.is_retryable() => {
                let kept = self.spool.keep(terms, path, &file.to_string_lossy())?;
                if !kept {
                    return Err(error);
                }
                complain(&format!(
                    "{error}; the report is kept, and sent by the next push"
                ));
                Ok(Value::Null)
            }
            sent => sent,
        }
    }

    /// Says what became of a report; answers with its exit code.
    fn report(&self, file: &Path, pushed: Result<Value>) -> u8 {
        let name = file.to_string_lossy();
        let people = !self.json && for_people();
        match pushed {
            Ok(Value::Null) => {
                if !people {
                    answer(&json!({ "file": name, "kept": true }).to_string());
                }
                OK
            }
            Ok(summary) => {
                let counts = Counts::of(&summary);
                if people {
                    answer(&counts.text(&name));
                } else {
                    answer(&json!({ "file": name, "summary": summary }).to_string());
                }
                if counts.all_accepted() { OK } else { REFUSED }
            }
            Err(error) => {
                if !people {
                    answer(&json!({ "file": name, "error": error }).to_string());
                }
                complain(&format!("{}: {error}", plain(&name)));
                code_of(&error)
            }
        }
    }
}

pub(crate) fn is_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}
