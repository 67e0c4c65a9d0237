//! Consumers that coordinators left behind are forgotten.

use fleet_worker_sdk::Result;

use super::Coordinator;

impl Coordinator {
    /// Forgets consumers of the feeds that were not heard of for long and hold nothing; answers how
    /// many. What they held has been taken over before. Any number of coordinators may do so.
    ///
    /// # Errors
    /// As the store's.
    pub async fn reap(&self) -> Result<u64> {
        let reaped = self.store.reap(self.settings.reap_idle).await?;
        if reaped > 0 {
            tracing::info!(
                reaped,
                "consumers that coordinators left behind were forgotten"
            );
        }
        Ok(reaped)
    }
}
