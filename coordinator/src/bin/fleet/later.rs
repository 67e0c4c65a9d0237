//! Reports that no fleet could be reached for: kept in a folder, and sent by the next command that is
//! given the same one.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use fleet_worker_sdk::spool::SPOOL_BYTES;
use fleet_worker_sdk::spool::file::{self, Appender};
use fleet_worker_sdk::spool::lock::Lock;
use fleet_worker_sdk::{BotId, Error, OpenSession, ProducerId, Result};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::direct;
use crate::output::{complain, note, plain};
use crate::store::Target;
use crate::upload::{self, Terms};

/// Bytes of a report in one record.
const PIECE: usize = 1 << 20;
/// Kind of the record that says where a report belongs.
const HEAD: u8 = 1;
/// Kind of a record with a piece of it.
const BODY: u8 = 2;
/// Kind of the record after the last piece.
const END: u8 = 3;
const KEPT: &str = ".report";

/// Where a spool is.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SpoolArgs {
    /// Keep what no fleet can be reached for in this folder; the next command with it sends it
    #[arg(long, env = "FLEET_SPOOL_DIR", value_name = "DIR")]
    pub(crate) spool_dir: Option<PathBuf>,
}

/// Where a report belongs.
#[derive(Serialize, Deserialize)]
struct Head {
    open: OpenSession,
    bot: Option<BotId>,
    partial: bool,
    /// What it is called, for people.
    name: String,
}

impl SpoolArgs {
    fn reports(&self) -> Option<PathBuf> {
        Some(self.spool_dir.as_ref()?.join("reports"))
    }

    /// Keeps the report at `path`; false where there is no folder to keep it in.
    ///
    /// # Errors
    /// [`Error::Full`] when the folder holds as much as it may; [`Error::Invalid`] when it cannot
    /// be written, or the report cannot be read.
    pub(crate) fn keep(&self, terms: &Terms, path: &Path, name: &str) -> Result<bool> {
        let Some(folder) = self.reports() else {
            return Ok(false);
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let size = path.metadata().map_err(failed)?.len();
        let held = size_of(&folder).map_err(failed)?;
        if held + size > SPOOL_BYTES {
            let why = format!(
                "{} holds {held} bytes, the limit is {SPOOL_BYTES}",
                folder.display()
            );
            return Err(Error::Full { why });
        }
        let head = Head {
            open: terms.open.clone(),
            bot: terms.bot.clone(),
            partial: terms.partial,
            name: name.to_owned(),
        };
        let kept = folder.join(format!("{}{KEPT}", ProducerId::fresh()));
        let unfinished = kept.with_extension("unfinished");
        write(&unfinished, &head, path)?;
        std::fs::rename(unfinished, kept).map_err(failed)?;
        Ok(true)
    }

    /// Sends what is kept, oldest first; what the fleet refuses for good is moved aside. Stops at a
    /// fleet that is away: what is left waits for the next time.
    pub(crate) async fn send_kept(&self, target: &Target) {
        let Some(folder) = self.reports().filter(|folder| folder.is_dir()) else {
            return;
        };
        // Another command that sends them is as good.
        let Ok(_lock) = Lock::take(&folder, "spool directory") else {
            return;
        };
        for path in kept(&folder) {
            match send(target, &path).await {
                Ok(name) => {
                    note(&format!("{}, which was kept, is sent", plain(&name)));
                    drop(std::fs::remove_file(&path));
                }
                Err(error) if error.is_retryable() => return,
                Err(error) => match set_aside(&folder, &path) {
                    Ok(aside) => complain(&format!(
                        "a report that was kept is refused, and lies in {} now: {error}",
                        aside.display()
                    )),
                    Err(stuck) => complain(&format!(
                        "{} is refused ({error}), and cannot be moved: {stuck}",
                        path.display()
                    )),
                },
            }
        }
    }
}

fn write(to: &Path, head: &Head, report: &Path) -> Result<()> {
    let mut out = Appender::create(to).map_err(failed)?;
    let head = serde_json::to_vec(head).map_err(Error::protocol)?;
    out.append(HEAD, &head).map_err(failed)?;
    let mut report = std::fs::File::open(report).map_err(failed)?;
    let mut piece = Vec::new();
    loop {
        piece.clear();
        let read = (&mut report).take(PIECE as u64).read_to_end(&mut piece);
        if read.map_err(failed)? == 0 {
            break;
        }
        out.append(BODY, &piece).map_err(failed)?;
    }
    out.append(END, &[]).map_err(failed)?;
    out.sync().map_err(failed)
}

async fn send(target: &Target, path: &Path) -> Result<String> {
    let mut report = NamedTempFile::new().map_err(failed)?;
    let (mut head, mut whole) = (None, false);
    file::read(path, &mut |record| {
        match record.kind {
            HEAD => head = serde_json::from_slice::<Head>(&record.payload).ok(),
            BODY => report.write_all(&record.payload).map_err(failed)?,
            _ => whole |= record.kind == END,
        }
        Ok(())
    })?;
    let Some(head) = head.filter(|_| whole) else {
        return Err(Error::invalid("kept report", "it is not whole"));
    };
    let terms = Terms {
        open: head.open,
        bot: head.bot,
        partial: head.partial,
        continued: None,
    };
    match target {
        Target::Direct(store) => direct::send(&**store, &terms, report.path(), false).await?,
        Target::Http(store) => upload::send(store, &terms, report.path(), false).await?,
    };
    Ok(head.name)
}

/// Names begin with the time they were made at.
fn kept(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_kept = |path: &PathBuf| path.extension().is_some_and(|end| end == "report");
    let mut kept: Vec<_> = files.map(|file| file.path()).filter(is_kept).collect();
    kept.sort();
    kept
}

fn set_aside(folder: &Path, path: &Path) -> std::io::Result<PathBuf> {
    let refused = folder.join("refused");
    std::fs::create_dir_all(&refused)?;
    let aside = refused.join(path.file_name().unwrap_or_default());
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

fn size_of(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        bytes += if path.is_dir() {
            size_of(&path)?
        } else {
            path.metadata()?.len()
        };
    }
    Ok(bytes)
}

fn failed(error: std::io::Error) -> Error {
    Error::invalid(
        "spool directory",
        format!("the report cannot be kept: {error}"),
    )
}
