//! The fleet's health in Redis.

use std::collections::HashMap;

use async_trait::async_trait;
use fleet_worker_sdk::transport::redis::fcall;
use fleet_worker_sdk::{Error, Repository, Result, SessionId, Version};

use super::RedisStore;
use crate::health::{FleetHealth, Status};
use crate::store::{Basis, Kept, Speaker, Standing};

#[async_trait]
impl Standing for RedisStore {
    async fn kept(&self) -> Result<Option<Kept>> {
        let mut command = redis::cmd("HMGET");
        command
            .arg(self.keys().fleet_health())
            .arg("version")
            .arg("health");
        let stored: (Option<u64>, Option<Vec<u8>>) = self.link.call(&command).await?;
        let (Some(version), Some(json)) = stored else {
            return Ok(None);
        };
        let fleet = serde_json::from_slice(&json)
            .inspect_err(|error| tracing::warn!(%error, "the fleet's stored health is of another version; it is computed anew"));
        Ok(Some(Kept {
            version: Version(version),
            fleet: fleet.ok(),
        }))
    }

    async fn keep(&self, from: Option<Version>, fleet: &FleetHealth) -> Result<Option<Version>> {
        let mut command = fcall("fleet_keep_1", &[self.keys().fleet_health()]);
        command
            .arg(from.map_or(String::new(), |version| version.0.to_string()))
            .arg(serde_json::to_vec(fleet).map_err(Error::protocol)?);
        let version: u64 = self.link.call(&command).await?;
        Ok((version > 0).then_some(Version(version)))
    }

    async fn speaker(&self, repository: &Repository) -> Result<Option<Speaker>> {
        let partition = self.link.partitions().await?.of(repository);
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys().repository_quality(partition, repository));
        let fields: HashMap<String, String> = self.link.call(&command).await?;
        read_speaker(&fields)
    }

    async fn basis(&self, session: &SessionId) -> Result<Basis> {
        self.basis_of(session).await
    }
}

pub(super) fn read_speaker(fields: &HashMap<String, String>) -> Result<Option<Speaker>> {
    let Some(session) = fields.get("session") else {
        return Ok(None);
    };
    let band = fields.get("band").and_then(|word| Status::parse(word));
    Ok(Some(Speaker {
        session: SessionId::new(session).map_err(Error::protocol)?,
        band,
    }))
}
