//! The whole state as records, taken at one moment and written while the fleet goes on.
//!
//! Findings are never taken out of an index, so that those that were in it at that moment are the
//! first so many of it at any later one. Their occurrences and the texts of rules may be later
//! than the moment: both only grow, and hearing them again changes nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use fleet_worker_sdk::spool::file::Appender;
use fleet_worker_sdk::{Error, Result, wire};

use super::entry::{Arrived, Encoded, Entry, FINDINGS, RULES};
use super::files;
use crate::index::{Arrival, Index};
use crate::model::Session;
use crate::store::Findings;

/// Records in one write: a few MiB of findings.
const TOGETHER: usize = 64;

/// The state at one moment.
pub(crate) struct Image {
    /// Everything but what belongs to sessions.
    pub(crate) entries: Vec<Entry>,
    /// Each session with its findings.
    pub(crate) sessions: Vec<(Entry, Findings)>,
}

/// Writes an image as the snapshot `number` of `folder`; answers its size in bytes.
///
/// # Errors
/// [`Error::Full`] when the disk does not take it; what was there before is then still read.
pub(super) fn write(folder: &Path, number: u64, image: Image) -> Result<u64> {
    let failed = |error: io::Error| Error::Full {
        why: format!(
            "the snapshot in {} cannot be written: {error}",
            folder.display()
        ),
    };
    let path = files::unfinished(folder, number);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let appender = Appender::create(&path).map_err(failed)?;
    let mut out = Out {
        appender,
        waiting: Vec::new(),
    };
    for entry in image.entries {
        out.add(entry.encode()?).map_err(failed)?;
    }
    for (entry, findings) in image.sessions {
        let encoded = entry.encode()?;
        out.add(encoded).map_err(failed)?;
        if let Entry::Session { session, .. } = entry {
            // Whoever waits for the index waits for one session of a snapshot, not for all of it.
            let index = findings.blocking_read();
            of_index(&session, &index, &mut |record| {
                out.add(record).map_err(failed)
            })?;
        }
    }
    out.flush().map_err(failed)?;
    out.appender.sync().map_err(failed)?;
    let size = out.appender.end();
    files::finish(folder, number).map_err(failed)?;
    Ok(size)
}

struct Out {
    appender: Appender,
    waiting: Vec<Encoded>,
}

impl Out {
    fn add(&mut self, record: Encoded) -> io::Result<()> {
        self.waiting.push(record);
        if self.waiting.len() < TOGETHER {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let slices = self.waiting.iter();
        let slices = slices.map(|(kind, payload)| (*kind, payload.as_slice()));
        self.appender.append_all(slices)?;
        self.waiting.clear();
        Ok(())
    }
}

/// The rules of a session, and its findings as they came: those of one bot and time together.
fn of_index(
    session: &Session,
    index: &Index,
    out: &mut dyn FnMut(Encoded) -> Result<()>,
) -> Result<()> {
    let mut rules = index.rules().iter().peekable();
    while rules.peek().is_some() {
        let some = rules.by_ref().take(RULES);
        let rules: BTreeMap<_, _> = some.map(|(id, rule)| (id.clone(), rule.clone())).collect();
        let session = session.id.clone();
        out(Entry::Rules { session, rules }.encode()?)?;
    }
    let indexed = session.total.saturating_sub(session.quarantined) as usize;
    let mut arrivals = index.arrivals().take(indexed).peekable();
    while let Some(first) = arrivals.next() {
        let mut together = vec![first];
        let like = |next: &Arrival<'_>| next.bot == first.bot && next.at == first.at;
        while together.len() < FINDINGS
            && let Some(next) = arrivals.next_if(like)
        {
            together.push(next);
        }
        let mut arrived = Arrived {
            session: session.id.clone(),
            bot: first.bot.clone(),
            at: first.at,
            again: Vec::new(),
        };
        for arrival in &together {
            let columns = wire::columns(arrival.body)?;
            if arrival.again.occurrences > columns.occurrence_count {
                arrived.again.push(arrival.again);
            }
        }
        out(arrived.encode(together.iter().map(|arrival| arrival.body))?)?;
    }
    Ok(())
}
