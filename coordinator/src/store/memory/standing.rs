//! The fleet's health in memory.

use async_trait::async_trait;
use fleet_worker_sdk::{Repository, Result, Version};
use jiff::Timestamp;

use super::MemoryStore;
use crate::health::FleetHealth;
use crate::store::{Kept, Speaker, Standing};

/// The health stored last, if any was.
#[derive(Default)]
pub(super) struct Last(Option<Kept>);

impl Last {
    fn keep(
        &mut self,
        from: Option<Version>,
        fleet: &FleetHealth,
        now: Timestamp,
    ) -> Option<Version> {
        let before = self.0.as_ref().map(|kept| kept.version);
        if before != from {
            return None;
        }
        let micros = u64::try_from(now.as_microsecond()).unwrap_or(0);
        let version = Version(micros.max(before.map_or(0, |before| before.0 + 1)));
        self.0 = Some(Kept {
            version,
            fleet: Some(fleet.clone()),
        });
        Some(version)
    }
}

#[async_trait]
impl Standing for MemoryStore {
    async fn kept(&self) -> Result<Option<Kept>> {
        Ok(self.state().standing.0.clone())
    }

    async fn keep(&self, from: Option<Version>, fleet: &FleetHealth) -> Result<Option<Version>> {
        let (mut state, now) = self.lock();
        Ok(state.standing.keep(from, fleet, now))
    }

    async fn speaker(&self, repository: &Repository) -> Result<Option<Speaker>> {
        Ok(self.state().rollup.speaker(repository))
    }
}
