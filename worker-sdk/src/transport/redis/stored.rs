//! How executions look in a session's hash.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::ids::{BotId, WorkerId};
use crate::session::{Execution, ExecutionState};

/// An execution as the functions write it; times in milliseconds since 1970.
#[derive(Debug, Deserialize)]
struct StoredExecution {
    bot: BotId,
    state: ExecutionState,
    attempt: u32,
    #[serde(default)]
    worker: Option<WorkerId>,
    #[serde(default)]
    started: Option<u64>,
    #[serde(default)]
    ended: Option<u64>,
    #[serde(default)]
    pushed: u64,
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    reason: Option<String>,
}

/// A time from milliseconds since 1970, as Redis keeps it.
///
/// # Errors
/// [`Error::Protocol`] outside the years a timestamp can hold.
pub fn timestamp(milliseconds: u64) -> Result<Timestamp> {
    let milliseconds = i64::try_from(milliseconds).map_err(Error::protocol)?;
    Timestamp::from_millisecond(milliseconds).map_err(Error::protocol)
}

/// Reads one execution.
///
/// # Errors
/// [`Error::Protocol`] when it is not one.
pub fn execution(json: &[u8]) -> Result<Execution> {
    let stored: StoredExecution = serde_json::from_slice(json).map_err(Error::protocol)?;
    Ok(Execution {
        bot: stored.bot,
        state: stored.state,
        attempt: stored.attempt,
        worker: stored.worker,
        started: stored.started.map(timestamp).transpose()?,
        ended: stored.ended.map(timestamp).transpose()?,
        pushed: stored.pushed,
        partial: stored.partial,
        reason: stored.reason,
    })
}

/// Reads the executions out of a session's hash, in order of bot id.
///
/// # Errors
/// [`Error::Protocol`] when one cannot be read.
pub fn executions<S: std::hash::BuildHasher>(
    fields: &HashMap<String, Vec<u8>, S>,
) -> Result<Vec<Execution>> {
    let mut all = Vec::new();
    for (name, value) in fields {
        let Some(bot) = name.strip_prefix("x:") else {
            continue;
        };
        let mut execution = execution(value)?;
        if let Some(received) = fields.get(&format!("xp:{bot}")) {
            execution.pushed = number(received)?;
        }
        all.push(execution);
    }
    all.sort_by(|a, b| a.bot.cmp(&b.bot));
    Ok(all)
}

/// Reads a whole number that Redis keeps as text.
///
/// # Errors
/// [`Error::Protocol`] when it is none.
pub fn number(text: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(text).map_err(Error::protocol)?;
    text.parse()
        .map_err(|_| Error::protocol(format!("`{text}` is not a whole number")))
}
