//! The fleet's health in memory.

use async_trait::async_trait;
use fleet_worker_sdk::{Repository, Result, Version};
use jiff::Timestamp;

use super::MemoryStore;
use super::journal::Entry;
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

impl Last {
    /// The record of it, if there is one.
    pub(super) fn entry(&self) -> Option<Entry> {
        let Kept { version, fleet } = self.0.as_ref()?;
        Some(Entry::Health {
            version: *version,
            fleet: Box::new(fleet.clone()?),
        })
    }

    /// Takes it back.
    pub(super) fn restore(&mut self, version: Version, fleet: FleetHealth) {
        let fleet = Some(fleet);
        self.0 = Some(Kept { version, fleet });
    }
}

#[async_trait]
impl Standing for MemoryStore {
    async fn kept(&self) -> Result<Option<Kept>> {
        Ok(self.state().standing.0.clone())
    }

    async fn keep(&self, from: Option<Version>, fleet: &FleetHealth) -> Result<Option<Version>> {
        let (mut state, now) = self.lock();
        let kept = state.standing.keep(from, fleet, now);
        if let Some(version) = kept {
            self.log(|| Entry::Health {
                version,
                fleet: Box::new(fleet.clone()),
            });
        }
        Ok(kept)
    }

    async fn speaker(&self, repository: &Repository) -> Result<Option<Speaker>> {
        Ok(self.state().rollup.speaker(repository))
    }
}
