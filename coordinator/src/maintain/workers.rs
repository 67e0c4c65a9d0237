//! The dead are noticed, and what they held is failed, so that nobody waits for it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use fleet_worker_sdk::{Change, Error, ProducerId, Result, SessionId, Transition, WorkerId};
use jiff::Timestamp;

use super::{Coordinator, Watch};
use crate::lifecycle::{Liveness, has_left, held_by, is_forgotten, liveness};
use crate::model::{Session, Update, Worker};
use crate::store::{SessionCursor, SessionQuery};

/// Sessions searched for executions of workers that left: those that changed last.
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
        let (mut changed, mut left) = (false, Vec::new());
        for worker in &workers {
            let is = liveness(worker, heard_since, now, &self.settings.health);
            changed |= watch.seen.insert(worker.id.clone(), is) != Some(is);
            if !has_left(worker, is, now, &self.settings.health) {
                watch.buried.remove(&worker.id);
            } else if !watch.buried.contains(&worker.id) {
                left.push((worker, is));
            }
        }
        self.bury(&left).await?;
        watch
            .buried
            .extend(left.iter().map(|(worker, _)| worker.id.clone()));
        // After the burials: a worker forgotten first would take its executions' holder with it.
        for worker in workers.iter().filter(|worker| is_forgotten(worker, now)) {
            self.store.forget(&worker.id).await?;
            changed = true;
        }
        watch.keep_only(&workers);
        if changed {
            self.dirty.store(true, Ordering::Relaxed);
            self.store.announce(Update::Workers).await?;
        }
        Ok(())
    }

    /// Fails the executions of workers that have left, in one walk however many they are.
    async fn bury(&self, left: &[(&Worker, Liveness)]) -> Result<()> {
        if left.is_empty() {
            return Ok(());
        }
        let mut failed = self.release(left).await?;
        for (worker, is) in left {
            let executions = failed.remove(&worker.id).unwrap_or_default();
            if *is == Liveness::Dead {
                self.counters.lost_worker();
                tracing::warn!(worker = %worker.id, executions, "a worker is dead; what it held has failed");
            } else if executions > 0 {
                tracing::warn!(worker = %worker.id, executions, "a worker stopped and left executions running; they have failed");
            }
        }
        Ok(())
    }

    /// Looks through the sessions that changed last, and those that the workers named, for
    /// executions they hold; answers how many each held.
    async fn release(&self, left: &[(&Worker, Liveness)]) -> Result<HashMap<WorkerId, usize>> {
        let mut failed = HashMap::new();
        let mut named: HashSet<&SessionId> = left
            .iter()
            .flat_map(|(worker, _)| &worker.sessions)
            .collect();
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
                named.remove(&session.id);
                self.release_in(session, left, &mut failed).await?;
            }
            searched += sessions.len();
            let Some(last) = sessions.last().filter(|_| sessions.len() == PAGE) else {
                break;
            };
            after = Some(SessionCursor::from(last));
        }
        for id in named {
            match self.store.facts(id).await {
                Ok(facts) => self.release_in(&facts.session, left, &mut failed).await?,
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(failed)
    }

    async fn release_in(
        &self,
        session: &Session,
        left: &[(&Worker, Liveness)],
        failed: &mut HashMap<WorkerId, usize>,
    ) -> Result<()> {
        for (worker, _) in left {
            for bot in held_by(session, &worker.id) {
                let transition = Transition {
                    session: session.id.clone(),
                    bot: bot.clone(),
                    attempt: 0,
                    producer: ProducerId::fresh(),
                    sequence: 0,
                    change: Change::Lost {
                        worker: worker.id.clone(),
                    },
                };
                match self.store.transition(&transition).await {
                    Ok(_) => *failed.entry(worker.id.clone()).or_default() += 1,
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Since when workers could be heard, as this coordinator knows it.
    pub async fn heard_since(&self) -> Option<Timestamp> {
        self.watch.lock().await.heard_since
    }
}

impl Watch {
    /// Forgets workers that are no longer listed.
    fn keep_only(&mut self, workers: &[Worker]) {
        let listed: HashSet<&WorkerId> = workers.iter().map(|w| &w.id).collect();
        self.seen.retain(|id, _| listed.contains(id));
        self.buried.retain(|id| listed.contains(id));
    }
}
