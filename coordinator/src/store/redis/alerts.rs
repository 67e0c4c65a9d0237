//! Alerts in Redis.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::transport::redis::{fcall, fcall_ro, stored};
use fleet_worker_sdk::{Error, Result, Version};
use jiff::Timestamp;
use redis::Cmd;
use serde::de::DeserializeOwned;

use super::RedisStore;
use crate::alert::{Board, Delivery, Silence};
use crate::store::alerts::{
    Alerting, Alerts, Audit, Claimed, Outcome, Undelivered, no_delivery, no_silence, outbox_full,
    too_many_silences,
};

/// An entry of a stream: its id, and its values by field.
type StreamEntry = (String, HashMap<String, Vec<u8>>);

#[async_trait]
impl Alerting for RedisStore {
    async fn alerts(&self) -> Result<Alerts> {
        let keys = self.keys();
        let keys = [
            keys.alerts(),
            keys.silences(),
            keys.outbox(),
            keys.undelivered(),
        ];
        let stored: (String, Vec<u8>, Vec<Vec<u8>>, Vec<String>, u64) =
            self.link.call(&fcall_ro("fleet_alerts_1", &keys)).await?;
        let (version, board, silences, waiting, undelivered) = stored;
        let version = match version.as_str() {
            "" => None,
            number => Some(Version(number.parse().map_err(Error::protocol)?)),
        };
        let silences = silences.iter().map(|stored| silence(stored));
        let mut silences = silences.collect::<Result<Vec<_>>>()?;
        silences.sort_by(|a, b| (b.ends_at, &b.id).cmp(&(a.ends_at, &a.id)));
        Ok(Alerts {
            version,
            board: board_of(&board),
            silences,
            waiting,
            undelivered,
        })
    }

    async fn raise(
        &self,
        from: Option<Version>,
        board: &Board,
        deliveries: &[Delivery],
    ) -> Result<bool> {
        let keys = self.keys();
        let keys = [keys.alerts(), keys.outbox(), keys.undelivered()];
        let mut command = fcall("fleet_raise_1", &keys);
        command
            .arg(from.map_or(String::new(), |version| version.0.to_string()))
            .arg(serde_json::to_vec(board).map_err(Error::protocol)?);
        for delivery in deliveries {
            command
                .arg(&delivery.channel)
                .arg(serde_json::to_vec(delivery).map_err(Error::protocol)?);
        }
        let raised: u8 = self.link.call(&command).await?;
        Ok(raised == 1)
    }

    async fn claim(
        &self,
        claimer: &str,
        channels: &[String],
        lease: Duration,
    ) -> Result<Vec<Claimed>> {
        let mut command = self.outbox_call("fleet_claim_1");
        command.arg(claimer).arg(millis(lease)).arg(channels);
        let taken: Vec<(String, u32, Vec<u8>)> = self.link.call(&command).await?;
        let taken = taken.into_iter();
        taken
            .map(|(receipt, attempts, json)| {
                Ok(Claimed {
                    receipt,
                    attempts,
                    delivery: read(&json)?,
                })
            })
            .collect()
    }

    async fn settle_delivery(
        &self,
        claimer: &str,
        claimed: &Claimed,
        outcome: &Outcome,
    ) -> Result<bool> {
        let (word, rest, why) = match outcome {
            Outcome::Done => ("done", Duration::ZERO, ""),
            Outcome::Again(rest) => ("again", *rest, ""),
            Outcome::Dead(why) => ("dead", Duration::ZERO, why.as_str()),
        };
        let mut command = self.outbox_call("fleet_delivered_1");
        command
            .arg(claimer)
            .arg(&claimed.delivery.channel)
            .arg(&claimed.receipt)
            .arg(word)
            .arg(millis(rest))
            .arg(why);
        let settled: u8 = self.link.call(&command).await?;
        Ok(settled == 1)
    }

    async fn undelivered(&self) -> Result<Vec<Undelivered>> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.keys().undelivered()).arg("-").arg("+");
        let entries: Vec<StreamEntry> = self.link.call(&command).await?;
        let entries = entries.into_iter();
        entries
            .map(|(id, fields)| {
                Ok(Undelivered {
                    id,
                    attempts: text(&fields, "n")?.parse().map_err(Error::protocol)?,
                    why: text(&fields, "w")?,
                    delivery: read(fields.get("d").map(Vec::as_slice).unwrap_or_default())?,
                })
            })
            .collect()
    }

    async fn requeue_delivery(&self, id: &str, author: &str) -> Result<()> {
        self.revive(id, author, "requeue").await
    }

    async fn discard_delivery(&self, id: &str, author: &str) -> Result<()> {
        self.revive(id, author, "discard").await
    }

    async fn silence(&self, silence: &Silence) -> Result<()> {
        match self
            .put_silence(silence, &silence.author, "silence")
            .await?
        {
            -1 => Err(too_many_silences()),
            _ => Ok(()),
        }
    }

    async fn unsilence(&self, id: &str, author: &str) -> Result<()> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys().silences()).arg(id);
        let stored: Option<Vec<u8>> = self.link.call(&command).await?;
        let mut ended = silence(&stored.ok_or_else(|| no_silence(id))?)?;
        ended.ends_at = super::super::Read::now(self).await?;
        match self.put_silence(&ended, author, "unsilence").await? {
            0 => Err(no_silence(id)),
            _ => Ok(()),
        }
    }

    async fn audit(&self, limit: usize) -> Result<Vec<Audit>> {
        let mut command = redis::cmd("XREVRANGE");
        command.arg(self.keys().audit()).arg("+").arg("-");
        command.arg("COUNT").arg(limit.max(1));
        let entries: Vec<StreamEntry> = self.link.call(&command).await?;
        let entries = entries.iter().take(limit);
        entries
            .map(|(id, fields)| {
                Ok(Audit {
                    at: came(id)?,
                    author: text(fields, "by")?,
                    action: text(fields, "did")?,
                    subject: text(fields, "to")?,
                })
            })
            .collect()
    }
}

impl RedisStore {
    fn outbox_call(&self, function: &str) -> Cmd {
        let keys = self.keys();
        fcall(
            function,
            &[keys.outbox(), keys.claims(), keys.undelivered()],
        )
    }

    async fn put_silence(&self, silence: &Silence, author: &str, action: &str) -> Result<i8> {
        let keys = self.keys();
        let keys = [keys.silences(), keys.alerts(), keys.audit()];
        let mut command = fcall("fleet_silence_1", &keys);
        command
            .arg(&silence.id)
            .arg(serde_json::to_vec(silence).map_err(Error::protocol)?)
            .arg(silence.ends_at.as_millisecond())
            .arg(author)
            .arg(action);
        self.link.call(&command).await
    }

    async fn revive(&self, id: &str, author: &str, action: &str) -> Result<()> {
        // What is no id of a stream, Redis would refuse with words of its own.
        let digits = |part: &str| {
            !part.is_empty() && part.len() < 20 && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !id
            .split_once('-')
            .is_some_and(|(ms, number)| digits(ms) && digits(number))
        {
            return Err(no_delivery(id));
        }
        let keys = self.keys();
        let keys = [keys.outbox(), keys.undelivered(), keys.audit()];
        let mut command = fcall("fleet_revive_1", &keys);
        command.arg(id).arg(author).arg(action);
        match self.link.call::<i8>(&command).await? {
            0 => Err(no_delivery(id)),
            -1 => Err(outbox_full()),
            _ => Ok(()),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(Error::protocol)
}

/// The board, or an empty one where another version of this software wrote it.
fn board_of(json: &[u8]) -> Board {
    if json.is_empty() {
        return Board::default();
    }
    serde_json::from_slice(json)
        .inspect_err(|error| tracing::warn!(%error, "the stored alerts are of another version; they begin anew"))
        .unwrap_or_default()
}

/// Reads a silence, kept as its end in milliseconds and itself.
fn silence(stored: &[u8]) -> Result<Silence> {
    let json = stored
        .iter()
        .position(|byte| *byte == b' ')
        .and_then(|at| stored.get(at + 1..));
    read(json.unwrap_or_default())
}

fn text(fields: &HashMap<String, Vec<u8>>, name: &str) -> Result<String> {
    let value = fields
        .get(name)
        .ok_or_else(|| Error::protocol(format!("no field `{name}`")))?;
    Ok(String::from_utf8_lossy(value).into_owned())
}

/// When a stream's entry was added.
fn came(id: &str) -> Result<Timestamp> {
    let ms = id.split_once('-').map_or(id, |(ms, _)| ms);
    stored::timestamp(ms.parse().map_err(Error::protocol)?)
}
