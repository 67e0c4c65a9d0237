//! Hashes and streams of Redis, read back into the model.

use std::collections::{BTreeMap, HashMap};

use fleet_worker_sdk::keys::count::{self, Field};
use fleet_worker_sdk::session::SessionState;
use fleet_worker_sdk::transport::redis::stored::{executions, number, timestamp};
use fleet_worker_sdk::{
    Beat, BotId, Error, ExecutionState, Repository, Result, SessionId, Severity, Version,
};
use jiff::Timestamp;

use crate::health::Weights;
use crate::model::{Counts, Derived, Run, Session, Tally, Worker};

/// A hash as Redis answers it.
pub(super) type Fields = HashMap<String, Vec<u8>>;

/// A hash as Redis answers it, in its order: where every field is looked at once.
pub(super) type Pairs = Vec<(String, u64)>;

fn text(fields: &Fields, name: &str) -> Result<String> {
    let bytes = fields.get(name).cloned().unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| Error::protocol(format!("`{name}` is not UTF-8")))
}

fn count_of(fields: &Fields, name: &str) -> Result<u64> {
    fields.get(name).map_or(Ok(0), |value| number(value))
}

fn time(fields: &Fields, name: &str) -> Result<Timestamp> {
    timestamp(count_of(fields, name)?)
}

/// Reads a session's hash; an empty one means that there is no such session.
pub(super) fn session(id: &SessionId, fields: &Fields) -> Result<Session> {
    if fields.is_empty() {
        return Err(Error::not_found("session", id));
    }
    let executions = executions(fields)?;
    let derived: Option<Derived> = match fields.get("derived") {
        Some(json) => Some(serde_json::from_slice(json).map_err(Error::protocol)?),
        None => None,
    };
    Ok(Session {
        id: id.clone(),
        repository: Repository::new(text(fields, "repo")?).map_err(Error::protocol)?,
        git_ref: text(fields, "ref")?,
        commit: text(fields, "commit")?,
        run: text(fields, "run")?,
        state: SessionState::of(&executions),
        opened: time(fields, "opened")?,
        changed: time(fields, "changed")?,
        version: Version(count_of(fields, "version")?),
        generation: count_of(fields, "generation")?,
        total: count_of(fields, "total")?,
        quarantined: count_of(fields, "quarantined")?,
        tally: tally(fields)?,
        executions,
        derived,
    })
}

fn tally(fields: &Fields) -> Result<Tally> {
    let mut tally = Tally {
        suppressed: count_of(fields, "t:suppressed")?,
        ..Tally::default()
    };
    for &severity in Severity::ALL {
        *tally.of_mut(severity) = count_of(fields, &format!("t:{severity}"))?;
    }
    Ok(tally)
}

/// Reads what a session's findings weigh; nothing where no push has kept it.
pub(super) fn weights(fields: &Fields) -> Result<Weights> {
    text(fields, "weights")?.parse()
}

/// Reads a session's counts. Maps are made from whole lists: sorted once, not inserted into.
pub(super) fn counts(fields: Pairs) -> Result<Counts> {
    let mut by_bot = BTreeMap::<BotId, Tally>::new();
    let (mut by_category, mut by_rule) = (Vec::new(), Vec::with_capacity(fields.len()));
    for (name, value) in fields {
        match count::parse(&name) {
            Some(Field::Bot(bot, severity)) => {
                let bot = BotId::new(bot).map_err(Error::protocol)?;
                let tally = by_bot.entry(bot).or_default();
                match severity {
                    Some(severity) => *tally.of_mut(severity) += value,
                    None => tally.suppressed += value,
                }
            }
            Some(Field::Category(category)) => by_category.push((category.to_owned(), value)),
            Some(Field::Rule(class, rule)) => by_rule.push(((class, rule.to_owned()), value)),
            None => return Err(Error::protocol(format!("unknown count `{name}`"))),
        }
    }
    Ok(Counts {
        by_bot,
        by_category: by_category.into_iter().collect(),
        by_rule: by_rule.into_iter().collect(),
    })
}

/// Reads a worker's hash, last heard of at `last_beat`; none if it has expired meanwhile.
pub(super) fn worker(fields: &Fields, last_beat: Timestamp) -> Result<Option<Worker>> {
    let Some(json) = fields.get("beat") else {
        return Ok(None);
    };
    let beat: Beat = serde_json::from_slice(json).map_err(Error::protocol)?;
    let command = text(fields, "command")?;
    Ok(Some(Worker {
        id: beat.worker,
        bot: beat.bot,
        version: beat.version,
        sdk: beat.sdk,
        host: beat.host,
        pid: beat.pid,
        started: beat.started,
        state: text(fields, "state")?.parse().map_err(Error::protocol)?,
        sessions: beat.sessions,
        last_beat,
        last_progress: time(fields, "progressed")?,
        command: if command.is_empty() {
            None
        } else {
            Some(command.parse()?)
        },
    }))
}

/// Reads a finished execution from a bot's stream; the entry's id holds the time.
pub(super) fn run(id: &str, fields: &Fields) -> Result<Run> {
    // The entry's own id may be a millisecond later; runs written by older functions have only that.
    let milliseconds = if fields.contains_key("t") {
        Some(count_of(fields, "t")?)
    } else {
        id.split('-').next().and_then(|ms| ms.parse().ok())
    };
    let milliseconds = milliseconds.ok_or_else(|| Error::protocol(format!("stream id `{id}`")))?;
    let outcome: ExecutionState = text(fields, "o")?.parse().map_err(Error::protocol)?;
    Ok(Run {
        session: SessionId::new(text(fields, "s")?).map_err(Error::protocol)?,
        attempt: count_of(fields, "a")? as u32,
        outcome,
        partial: count_of(fields, "p")? == 1,
        ended: timestamp(milliseconds)?,
        duration_ms: count_of(fields, "d")?,
        findings: count_of(fields, "n")?,
        tally: Tally {
            error: count_of(fields, "e")?,
            warning: count_of(fields, "w")?,
            info: count_of(fields, "i")?,
            suggestion: count_of(fields, "g")?,
            suppressed: count_of(fields, "u")?,
        },
    })
}
