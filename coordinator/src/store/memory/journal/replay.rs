//! From records back to the state.

use std::path::Path;
use std::sync::Arc;

use fleet_worker_sdk::spool::file::{self, Extent, Record};
use fleet_worker_sdk::{Error, Fingerprint, Partitions, Result, SessionId};
use jiff::Timestamp;

use super::entry::{Arrived, Entry, Stored, decode};
use crate::index::Index;
use crate::store::memory::state::State;

/// What was read at a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Sessions that are there.
    pub sessions: u64,
    /// Findings that are there.
    pub findings: u64,
    /// Records that were read.
    pub records: u64,
    /// Bytes cut off the end, which a crash had left of a record.
    pub torn: u64,
}

/// The partitions that a file's fleet was created with, which its first record says.
///
/// # Errors
/// As [`file::read`]'s.
pub(super) fn partitions(path: &Path) -> Result<Option<Partitions>> {
    let mut partitions = None;
    let looked = file::read(path, &mut |record| {
        if let Stored::Other(Entry::Fleet { partitions: count }) =
            decode(record.kind, &record.payload)?
        {
            partitions = Some(Partitions::new(count)?);
        }
        // The first is enough: reading all of it comes next.
        Err(Error::conflict("enough"))
    });
    match looked {
        Err(error) if error != Error::conflict("enough") => Err(error),
        _ => Ok(partitions),
    }
}

/// Applies a file's records in order.
///
/// # Errors
/// As [`file::read`]'s; a record that cannot be read names its place.
pub(super) fn apply(path: &Path, state: &mut State, replayed: &mut Replayed) -> Result<Extent> {
    let extent = file::read(path, &mut |record| {
        replayed.records += 1;
        let Record { at, kind, payload } = record;
        let stored = decode(kind, &payload).map_err(|error| placed(path, at, &error))?;
        if let Err(error) = one(state, stored) {
            // It was accepted once: the rules of this version differ, or records before it are gone.
            tracing::error!(path = %path.display(), at, %error, "a record is left out: it does not fit what was read before it");
        }
        Ok(())
    })?;
    replayed.torn += extent.torn;
    Ok(extent)
}

fn placed(path: &Path, at: u64, error: &Error) -> Error {
    let why = format!("the record at byte {at} cannot be read: {error}");
    Error::invalid(path.display().to_string(), why)
}

fn one(state: &mut State, stored: Stored) -> Result<()> {
    match stored {
        Stored::Push { batch, bodies, at } => {
            let applied = state.push(&batch, at)?;
            if applied.answer.duplicate {
                return Ok(());
            }
            let (unreadable, reason) = with_index(state, &batch.session, |index| {
                let left = super::super::add(index, &batch, &bodies, &applied.answer, at);
                index.set_rules(applied.rules);
                left
            })?;
            if !unreadable.is_empty() {
                state.quarantine(&batch.session, &batch.bot, &unreadable, reason, at);
            }
            Ok(())
        }
        Stored::Arrived(arrived, bodies) => arrive(state, &arrived, &bodies),
        Stored::Other(entry) => other(state, entry),
    }
}

fn arrive(state: &mut State, arrived: &Arrived, bodies: &[Vec<u8>]) -> Result<()> {
    let Arrived {
        session, bot, at, ..
    } = arrived;
    let members = with_index(state, session, |index| {
        let before = index.len();
        for body in bodies {
            index.add(bot, *at, body)?;
        }
        for again in &arrived.again {
            index.again(again);
        }
        let members: Vec<Fingerprint> = index.fingerprints(None).skip(before).collect();
        Ok::<_, Error>(members)
    })??;
    state.restore_members(session, members)
}

fn with_index<T>(
    state: &State,
    session: &SessionId,
    work: impl FnOnce(&mut Index) -> T,
) -> Result<T> {
    let findings = &state.session(session)?.index;
    // Nobody else has it yet.
    let index = findings.try_write();
    let mut index = index.map_err(|_| Error::conflict("the index is in use"))?;
    Ok(work(&mut index))
}

fn mend(state: &mut State, session: &SessionId, at: Timestamp) -> Result<()> {
    let findings = Arc::clone(&state.session(session)?.index);
    let index = findings.try_read();
    let index = index.map_err(|_| Error::conflict("the index is in use"))?;
    state.mend(session, &index, at, true).map(drop)
}

fn other(state: &mut State, entry: Entry) -> Result<()> {
    match entry {
        Entry::Fleet { .. } => {}
        Entry::Bot { bot } => drop(state.bots.insert(bot.id.clone(), bot)),
        Entry::Open { open, session, at } => drop(state.open_as(&open, session, at)?),
        Entry::Change { transition, at } => drop(state.transition(&transition, at)?),
        Entry::Drop { session, version } => drop(state.drop_session(&session, version)),
        Entry::Mended { session, at } => mend(state, &session, at)?,
        Entry::Derived { session, derived } => drop(state.derive(&session, &derived)?),
        Entry::Health { version, fleet } => state.standing.restore(version, *fleet),
        Entry::Worker { worker, progress } => state.workers.restore(worker, progress),
        Entry::Forgotten { worker } => state.workers.forget(&worker),
        Entry::Rules { session, rules } => {
            state.restore_rules(&session, rules.keys())?;
            with_index(state, &session, |index| index.set_rules(rules))?;
        }
        entry => state.restore(entry)?,
    }
    Ok(())
}

/// Has a coordinator look at what changed after it was last looked at.
pub(super) fn wake(state: &mut State, now: Timestamp) {
    let stale = state.stale();
    state.feed_again(&stale, now);
}
