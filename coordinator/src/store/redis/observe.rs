//! Series, anomalies and histories in Redis.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use fleet_worker_sdk::transport::redis::{fcall, fcall_ro, stored};
use fleet_worker_sdk::{BotId, Error, Result, SessionId};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use redis::Cmd;

use super::{RedisStore, parse};
use crate::anomaly::Anomaly;
use crate::history::{Point, Scope};
use crate::model::Run;
use crate::series::{BotSeries, Marker};
use crate::store::{MAX_ANOMALIES, Observe};

#[async_trait]
impl Observe for RedisStore {
    async fn series(&self) -> Result<BTreeMap<BotId, BotSeries>> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys().series());
        let fields: HashMap<String, Vec<u8>> = self.link.call(&command).await?;
        // A bot's id has no colon; the field of its last run has one.
        let series = fields.iter().filter(|(field, _)| !field.contains(':'));
        series
            .map(|(bot, bytes)| {
                let series = rmp_serde::from_slice(bytes).map_err(Error::protocol)?;
                Ok((BotId::new(bot).map_err(Error::protocol)?, series))
            })
            .collect()
    }

    async fn runs_since(&self, bot: &BotId, since: Timestamp) -> Result<Vec<Run>> {
        let partitions = self.link.partitions().await?;
        let from = since.as_millisecond().max(0);
        let read = partitions.iter().map(|partition| async move {
            let mut command = redis::cmd("XRANGE");
            command
                .arg(self.keys().runs(partition, bot))
                .arg(from)
                .arg("+");
            self.link
                .call::<Vec<(String, parse::Fields)>>(&command)
                .await
        });
        let entries = try_join_all(read).await?.concat();
        let runs = entries.iter().map(|(id, fields)| parse::run(id, fields));
        let mut runs = runs.collect::<Result<Vec<_>>>()?;
        // An entry is written a moment after what it tells of, maybe within the next millisecond.
        runs.retain(|run| run.ended.as_millisecond() >= from);
        runs.sort_by_cached_key(Marker::of);
        Ok(runs)
    }

    async fn advance(
        &self,
        bot: &BotId,
        from: Option<&Marker>,
        to: &BotSeries,
        found: &[Anomaly],
    ) -> Result<bool> {
        let keys = self.keys();
        let keys = [keys.series(), keys.anomalies(), keys.anomaly_bodies()];
        let mut command = fcall("fleet_advance_1", &keys);
        command
            .arg(bot.as_str())
            .arg(from.map(text).unwrap_or_default())
            .arg(to.last.as_ref().map(text).unwrap_or_default())
            .arg(rmp_serde::to_vec_named(to).map_err(Error::protocol)?);
        anomalies(&mut command, found)?;
        let stored: u8 = self.link.call(&command).await?;
        Ok(stored == 1)
    }

    async fn note(&self, found: &[Anomaly]) -> Result<u64> {
        if found.is_empty() {
            return Ok(0);
        }
        let keys = [self.keys().anomalies(), self.keys().anomaly_bodies()];
        let mut command = fcall("fleet_note_1", &keys);
        anomalies(&mut command, found)?;
        self.link.call(&command).await
    }

    async fn amend(&self, changed: &[Anomaly]) -> Result<u64> {
        if changed.is_empty() {
            return Ok(0);
        }
        let keys = [self.keys().anomalies(), self.keys().anomaly_bodies()];
        let mut command = fcall("fleet_amend_1", &keys);
        anomalies(&mut command, changed)?;
        self.link.call(&command).await
    }

    async fn anomalies(&self) -> Result<Vec<Anomaly>> {
        let keys = [self.keys().anomalies(), self.keys().anomaly_bodies()];
        let command = fcall_ro("fleet_anomalies_1", &keys);
        let bodies: Vec<Vec<u8>> = self.link.call(&command).await?;
        let read = |json: &Vec<u8>| serde_json::from_slice(json).map_err(Error::protocol);
        bodies.iter().map(read).collect()
    }

    async fn record(&self, scope: &Scope, point: &Point, of: Option<&SessionId>) -> Result<bool> {
        let mut keys = vec![self.history_key(scope).await?];
        if let Scope::Repository(repository) = scope {
            let partition = self.link.partitions().await?.of(repository);
            keys.push(self.keys().repository_quality(partition, repository));
        }
        let mut command = fcall("fleet_point_1", &keys);
        command
            .arg(point.at.as_millisecond())
            .arg(point.score.map_or("-".to_owned(), |s| format!("{s:.1}")))
            .arg(point.status.as_str())
            .arg(of.map(SessionId::as_str).unwrap_or_default());
        let taken: u8 = self.link.call(&command).await?;
        Ok(taken == 1)
    }

    async fn history(&self, scope: &Scope, limit: usize) -> Result<Vec<Point>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("LRANGE");
        command
            .arg(self.history_key(scope).await?)
            .arg(-i64::try_from(limit).unwrap_or(i64::MAX))
            .arg(-1);
        let points: Vec<String> = self.link.call(&command).await?;
        points.iter().map(|text| point(text)).collect()
    }
}

impl RedisStore {
    async fn history_key(&self, scope: &Scope) -> Result<String> {
        Ok(match scope {
            Scope::Fleet => self.keys().fleet_history(),
            Scope::Bot(bot) => self.keys().bot_history(bot),
            Scope::Repository(repository) => {
                let partition = self.link.partitions().await?.of(repository);
                self.keys().repository_history(partition, repository)
            }
        })
    }
}

/// The last run applied, as it is compared.
fn text(marker: &Marker) -> String {
    let ended = marker.ended.as_millisecond();
    format!("{ended} {} {}", marker.session, marker.attempt)
}

/// Adds the latest anomalies to a command.
fn anomalies(command: &mut Cmd, found: &[Anomaly]) -> Result<()> {
    let skipped = found.len().saturating_sub(MAX_ANOMALIES);
    for anomaly in found.iter().skip(skipped) {
        command
            .arg(&anomaly.id)
            .arg(anomaly.at.as_millisecond())
            .arg(serde_json::to_vec(anomaly).map_err(Error::protocol)?);
    }
    Ok(())
}

/// Reads a point back: milliseconds, score or `-`, status.
fn point(text: &str) -> Result<Point> {
    let wrong = || Error::protocol(format!("point of a history `{text}`"));
    let mut parts = text.splitn(3, ' ');
    let mut next = || parts.next().ok_or_else(wrong);
    let at = next()?.parse::<u64>().map_err(|_| wrong())?;
    let score = match next()? {
        "-" => None,
        score => Some(score.parse().map_err(|_| wrong())?),
    };
    let status = serde_json::from_value(next()?.into()).map_err(|_| wrong())?;
    Ok(Point {
        at: stored::timestamp(at)?,
        score,
        status,
    })
}
