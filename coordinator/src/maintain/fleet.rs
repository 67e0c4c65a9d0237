//! The fleet's health is stored, and announced when it changes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use fleet_worker_sdk::Result;
use jiff::{SignedDuration, Timestamp};

use super::Coordinator;
use crate::model::{Update, Worker};
use crate::view::fleet_with;

/// Age up to which the list of workers is good enough for the fleet's health.
const WORKERS_AGE: SignedDuration = SignedDuration::from_secs(1);

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
        let (store, health) = (&*self.store, &self.settings.health);
        let now = store.now().await?;
        let workers = self.workers(now).await?;
        let alarms = self
            .alarms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let fleet = fleet_with(store, &workers, &alarms, now, before.as_ref(), health).await?;
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

    /// The workers as they were at `now` or a second before: 5,000 are the dearest part of a look,
    /// and what is made of them changes over fifteen seconds.
    pub(super) async fn workers(&self, now: Timestamp) -> Result<Arc<Vec<Worker>>> {
        let mut listed = self.listed.lock().await;
        if let Some((at, workers)) = &*listed
            && now.duration_since(*at).abs() < WORKERS_AGE
        {
            return Ok(Arc::clone(workers));
        }
        let workers = Arc::new(self.store.workers().await?);
        *listed = Some((now, Arc::clone(&workers)));
        Ok(workers)
    }
}
