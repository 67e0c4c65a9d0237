//! A test of a channel: one alert that says that nothing is wrong, and what came back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Sender, Sent};
use crate::alert::{Alert, Delivery, Labels, Name, Phase, Severity};

/// What came of a test of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Which channel.
    pub channel: String,
    /// Whether it took it.
    pub arrived: bool,
    /// What the channel, or the way to it, said where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Sender {
    /// Sends a test through a channel, once: nothing of it is kept, and nothing tried again.
    pub async fn try_out(&self, channel: &str, now: Timestamp) -> Tried {
        let why = match self.send(&trial(channel, now), now).await {
            Sent::Arrived => None,
            Sent::Later { why, .. } | Sent::Refused(why) => Some(why),
        };
        Tried {
            channel: channel.to_owned(),
            arrived: why.is_none(),
            why,
        }
    }
}

/// A delivery that says it is a test. It resolves by itself where the channel forgets what is not
/// repeated.
fn trial(channel: &str, now: Timestamp) -> Delivery {
    Delivery {
        id: uuid::Uuid::now_v7().to_string(),
        channel: channel.to_owned(),
        group: "alertname=test".to_owned(),
        at: now,
        alerts: vec![Alert {
            labels: Labels::new(Name::Test, Severity::Info),
            phase: Phase::Firing,
            starts_at: now,
            ends_at: None,
            clear_since: None,
            value: 1.0,
            summary: "This is a test of this channel".to_owned(),
            description: "Somebody asked for it. Nothing is wrong.".to_owned(),
        }],
    }
}
