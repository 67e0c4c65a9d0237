//! The fleet as lines: one look in full, or a line a change.

use std::sync::Arc;

use fleet_coordinator::client::Reader;
use fleet_worker_sdk::Error;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::eye::Eye;
use super::seen::{Change, Seen, Sight, changes};
use crate::exit::Stop;
use crate::look::Look;
use crate::output::say;
use crate::{health, sessions, workers};

/// One look, as text.
pub(super) fn whole(seen: &Seen, look: &Look) -> String {
    format!(
        "{}\n{}\n{}",
        health::fleet(&seen.fleet, look),
        sessions::list(&seen.sessions, look),
        workers::list(&seen.workers, look)
    )
}

/// Writes a line a change until it is ended, or nobody reads it any more.
pub(super) async fn run(reader: Arc<dyn Reader>, json: bool) -> Result<(), Stop> {
    let mut eye = Eye::open(reader);
    let mut before: Option<Sight> = None;
    while eye.sight.changed().await.is_ok() {
        let after = eye.sight.borrow_and_update().clone();
        let Some(after) = after else { continue };
        let changes = changes(before.as_ref(), &after);
        let now = Timestamp::now();
        for change in &changes {
            say(&line(change, now, json)?)?;
        }
        before = Some(after);
    }
    Ok(())
}

fn line(change: &Change, now: Timestamp, json: bool) -> Result<String, Stop> {
    if !json {
        return Ok(format!("{}  {}\n", clock(now), change.text()));
    }
    let mut value = serde_json::to_value(change).map_err(Error::protocol)?;
    if let Value::Object(members) = &mut value {
        members.insert("at".to_owned(), json!(now));
    }
    Ok(format!("{value}\n"))
}

/// The time of day here.
pub(super) fn clock(at: Timestamp) -> String {
    let zoned = at.to_zoned(TimeZone::system());
    zoned.strftime("%H:%M:%S").to_string()
}
