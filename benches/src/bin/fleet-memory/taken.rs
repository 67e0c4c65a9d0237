//! Memory of a session's keys, as Redis tells it.

use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::{SessionId, redis};

use crate::say;

/// What each key of a session takes, in bytes.
pub(crate) struct Taken(Vec<(&'static str, u64)>);

impl Taken {
    pub(crate) async fn read(address: &str, session: &SessionId) -> Self {
        let client = redis::Client::open(address).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let keys = Keys::default().of_session(session);
        let mut taken = Vec::new();
        for (name, key) in [
            ("log", keys.log),
            ("index", keys.index),
            ("packed", keys.packed),
            ("counts", keys.counts),
            ("rules", keys.rules),
            ("session", keys.session),
        ] {
            let mut command = redis::cmd("MEMORY");
            // All of it, not an estimate from five elements.
            command.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
            let bytes: Option<u64> = command.query_async(&mut connection).await.unwrap();
            taken.push((name, bytes.unwrap_or_default()));
        }
        Self(taken)
    }

    /// All of them.
    pub(crate) fn whole(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Says what they take for each of so many findings.
    pub(crate) fn show(&self, name: &str, findings: u64, body: f64) {
        let each = |bytes: u64| bytes as f64 / findings.max(1) as f64;
        let parts: Vec<_> = self
            .0
            .iter()
            .map(|(key, bytes)| format!("{key} {:.1}", each(*bytes)))
            .collect();
        say(&format!(
            "{name}: {findings} findings, body {body:.0}, whole {:.0} (body {:+.0}): {}",
            each(self.whole()),
            each(self.whole()) - body,
            parts.join(", ")
        ));
    }
}
