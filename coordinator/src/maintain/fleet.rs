//! The fleet's health is stored, and announced when it changes.

use std::sync::atomic::Ordering;

use fleet_worker_sdk::Result;

use super::Coordinator;
use crate::model::Update;
use crate::view::compute_fleet;

impl Coordinator {
    /// Computes the fleet's health from the one stored, stores it in its place, and announces it if
    /// people would see another picture; says whether it did. Where another coordinator was faster,
    /// what that stored stands, and this one looks again at its next turn.
    ///
    /// # Errors
    /// As the store's.
    pub async fn watch_fleet(&self) -> Result<bool> {
        let kept = self.store.kept().await?;
        let version = kept.as_ref().map(|kept| kept.version);
        let before = kept.and_then(|kept| kept.fleet);
        let fleet = compute_fleet(&*self.store, before.as_ref(), &self.settings.health).await?;
        if self.store.keep(version, &fleet).await?.is_none() {
            self.dirty.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        let changed = before.is_none_or(|before| before.differs(&fleet));
        if changed {
            self.store.announce(Update::Fleet).await?;
        }
        Ok(changed)
    }
}
