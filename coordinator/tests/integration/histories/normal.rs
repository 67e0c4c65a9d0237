//! What two stores cannot share, taken out of their answers: ids, times and versions.

use fleet_worker_sdk::SessionId;
use serde_json::Value;

/// Values that are compared only for being there.
const OWN: &[&str] = &[
    "version",
    "generation",
    "opened",
    "changed",
    "started",
    "ended",
    "last_beat",
    "last_progress",
    "first_seen",
    "duration_ms",
];

/// `value` with sessions named by their number, and times and versions by whether they are there.
pub(super) fn normal(value: Value, sessions: &[SessionId]) -> Value {
    match value {
        Value::String(text) => Value::String(named(text, sessions)),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| normal(value, sessions));
            values.collect()
        }
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                // A bot has a version too: a text.
                let text = name == "version" && value.is_string();
                let own = OWN.contains(&name.as_str()) && !value.is_null() && !text;
                let value = if own {
                    Value::Bool(true)
                } else {
                    normal(value, sessions)
                };
                (name, value)
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}

fn named(mut text: String, sessions: &[SessionId]) -> String {
    for (number, session) in sessions.iter().enumerate() {
        if text.contains(session.as_str()) {
            text = text.replace(session.as_str(), &format!("session {number}"));
        }
    }
    text
}
