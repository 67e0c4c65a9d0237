//! Looks at the fleet whenever something may have changed, and says what it saw or why it cannot.

use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::client::Reader;
use fleet_coordinator::store::SessionQuery;
use fleet_worker_sdk::{Error, Result};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::seen::{SESSIONS, Seen, Sight};

/// Time between two looks however much changes: what a person can follow.
const PACE: Duration = Duration::from_millis(250);
/// Longest time between two looks: silence makes workers stale without a hint of it.
const QUIET: Duration = Duration::from_secs(5);
/// Time between two attempts while the store is away.
const RETRY: Duration = Duration::from_secs(1);
/// After which a store that does not answer is away.
const PATIENCE: Duration = Duration::from_secs(6);

/// One look.
///
/// # Errors
/// As the reader's; `Error::Unavailable` where it takes too long.
pub(super) async fn look(reader: &dyn Reader) -> Result<Seen> {
    let query = SessionQuery {
        limit: SESSIONS,
        ..SessionQuery::default()
    };
    let all = async {
        let (fleet, page, workers) =
            tokio::try_join!(reader.health(), reader.sessions(&query), reader.workers())?;
        Ok(Seen {
            fleet,
            sessions: page.sessions,
            workers: workers.workers,
        })
    };
    timeout(PATIENCE, all).await.unwrap_or_else(|_| {
        Err(Error::Unavailable {
            store: reader.address(),
            why: format!("no answer within {} s", PATIENCE.as_secs()),
        })
    })
}

/// A task that looks until it is dropped; the channel holds what it saw last, so that a slow
/// terminal skips looks and never queues them.
pub(super) struct Eye {
    task: JoinHandle<()>,
    /// None until the first look.
    pub(super) sight: watch::Receiver<Option<Sight>>,
}

impl Eye {
    pub(super) fn open(reader: Arc<dyn Reader>) -> Self {
        let (to, sight) = watch::channel(None);
        let task = tokio::spawn(async move {
            while !to.is_closed() {
                let seen = look(&*reader).await;
                let away = seen.is_err();
                to.send_modify(|sight| {
                    *sight = Some(Sight::after(sight.take(), seen, jiff::Timestamp::now()));
                });
                if away {
                    sleep(RETRY).await;
                } else {
                    sleep(PACE).await;
                    // Either way it is time to look again.
                    let _ = timeout(QUIET, reader.changed()).await;
                }
            }
        });
        Self { task, sight }
    }
}

impl Drop for Eye {
    fn drop(&mut self) {
        self.task.abort();
    }
}
