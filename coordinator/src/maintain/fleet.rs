//! The fleet's health is announced when it changes.

use fleet_worker_sdk::Result;

use super::Coordinator;
use crate::model::Update;
use crate::view::fleet_health;

impl Coordinator {
    /// Computes the fleet's health, and announces it if score (to a tenth) or status changed;
    /// says whether it did.
    ///
    /// # Errors
    /// As the store's.
    pub async fn watch_fleet(&self) -> Result<bool> {
        let fleet = fleet_health(&*self.store, &self.settings.health).await?;
        let tenths = fleet
            .health
            .score
            .map_or(-1, |score| (score * 10.0).round() as i64);
        let is = (tenths, fleet.health.status);
        let mut announced = self.announced.lock().await;
        if *announced == Some(is) {
            return Ok(false);
        }
        self.store.announce(Update::Fleet).await?;
        *announced = Some(is);
        Ok(true)
    }
}
