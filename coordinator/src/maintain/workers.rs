//! The dead are noticed, and what they held is failed, so that nobody waits for it.

use std::sync::atomic::Ordering;

use fleet_worker_sdk::{Change, Error, ProducerId, Result, Transition, WorkerId};
use jiff::Timestamp;

use super::{Coordinator, Watch};
use crate::lifecycle::{Liveness, held_by, is_forgotten, liveness};
use crate::model::{Update, Worker};
use crate::store::{SessionCursor, SessionQuery};

/// Sessions searched for executions of a dead worker: those that changed last.
const SEARCHED: usize = 2_000;
/// Sessions read by one step of the search.
const PAGE: usize = 200;

impl Coordinator {
    /// Looks at every worker once.
    ///
    /// # Errors
    /// As the store's; while it takes no writes, nobody is declared dead.
    pub async fn watch_workers(&self) -> Result<()> {
        let mut watch = self.watch.lock().await;
        if let Err(error) = self.store.check().await {
            watch.heard_since = None;
            return Err(error);
        }
        let now = self.store.now().await?;
        let heard_since = *watch.heard_since.get_or_insert(now);
        let workers = self.store.workers().await?;
        let mut changed = false;
        for worker in &workers {
            if is_forgotten(worker, now) {
                self.store.forget(&worker.id).await?;
                changed = true;
                continue;
            }
            let is = liveness(worker, heard_since, now, &self.settings.health);
            changed |= self.look_at(&mut watch, worker, is).await?;
        }
        watch.keep_only(&workers);
        if changed {
            self.dirty.store(true, Ordering::Relaxed);
            self.store.announce(Update::Workers).await?;
        }
        Ok(())
    }

    /// Notes what a worker is; says whether that is news.
    async fn look_at(&self, watch: &mut Watch, worker: &Worker, is: Liveness) -> Result<bool> {
        if is == Liveness::Dead && !watch.buried.contains(&worker.id) {
            let failed = self.bury(&worker.id).await?;
            watch.buried.insert(worker.id.clone());
            self.counters.lost_worker();
            tracing::warn!(worker = %worker.id, executions = failed, "a worker is dead; what it held has failed");
        }
        if is != Liveness::Dead {
            watch.buried.remove(&worker.id);
        }
        Ok(watch.seen.insert(worker.id.clone(), is) != Some(is))
    }

    /// Fails the executions that a dead worker holds; answers how many.
    async fn bury(&self, worker: &WorkerId) -> Result<usize> {
        let mut failed = 0;
        let mut after: Option<SessionCursor> = None;
        let mut searched = 0;
        while searched < SEARCHED {
            let query = SessionQuery {
                repository: None,
                after,
                limit: PAGE,
            };
            let sessions = self.store.sessions(&query).await?;
            for session in &sessions {
                for bot in held_by(session, worker) {
                    let transition = Transition {
                        session: session.id.clone(),
                        bot: bot.clone(),
                        attempt: 0,
                        producer: ProducerId::fresh(),
                        sequence: 0,
                        change: Change::Lost {
                            worker: worker.clone(),
                        },
                    };
                    match self.store.transition(&transition).await {
                        Ok(_) => failed += 1,
                        Err(Error::NotFound { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            searched += sessions.len();
            let Some(last) = sessions.last().filter(|_| sessions.len() == PAGE) else {
                break;
            };
            after = Some(SessionCursor {
                changed_ms: last.changed.as_millisecond(),
                session: last.id.clone(),
            });
        }
        Ok(failed)
    }

    /// Since when workers could be heard, as this coordinator knows it.
    pub async fn heard_since(&self) -> Option<Timestamp> {
        self.watch.lock().await.heard_since
    }
}

impl Watch {
    /// Forgets workers that are no longer listed.
    fn keep_only(&mut self, workers: &[Worker]) {
        let listed: std::collections::HashSet<&WorkerId> = workers.iter().map(|w| &w.id).collect();
        self.seen.retain(|id, _| listed.contains(id));
        self.buried.retain(|id| listed.contains(id));
    }
}
