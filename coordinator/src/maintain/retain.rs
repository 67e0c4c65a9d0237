//! Sessions that nobody needs any more are removed, whole.

use fleet_worker_sdk::{ExecutionState, Result};

use super::Coordinator;
use crate::model::Session;
use crate::retention::Need;
use crate::store::SessionCursor;

/// Sessions read by one step of it.
const PAGE: usize = 100;
/// Sessions looked at in one go: the rest is the next one's, so that other work gets its turn.
const MOST: usize = 5_000;

impl Coordinator {
    /// Removes what is too old, and as much more as room is needed for; answers how many sessions.
    /// Any number of coordinators may do so: one that has changed since is left alone.
    ///
    /// # Errors
    /// As the store's.
    pub async fn retain(&self) -> Result<usize> {
        let need = self.need().await?;
        let mut dropped = self.sweep(need, false).await?;
        if dropped.left != Need::None {
            let more = self.sweep(dropped.left, true).await?;
            dropped.sessions += more.sessions;
            if more.left != Need::None {
                tracing::warn!(
                    "the store holds more than it should, and nothing is left that may go"
                );
            }
        }
        if dropped.sessions > 0 {
            tracing::info!(
                sessions = dropped.sessions,
                "sessions were removed by retention"
            );
        }
        self.counters.dropped(dropped.sessions);
        Ok(dropped.sessions)
    }

    async fn need(&self) -> Result<Need> {
        let (rollup, memory) = tokio::try_join!(self.store.rollup(), self.store.memory())?;
        Ok(self.settings.keep.need(&rollup, memory))
    }

    /// One walk from the longest unchanged session on; `all`: baselines may go, too.
    async fn sweep(&self, need: Need, all: bool) -> Result<Swept> {
        let now = self.store.now().await?;
        let mut swept = Swept {
            sessions: 0,
            left: need,
        };
        let mut after: Option<SessionCursor> = None;
        for _ in 0..MOST / PAGE {
            let page = self.store.oldest(after.as_ref(), PAGE).await?;
            for session in &page {
                let keep = &self.settings.keep;
                let old = keep.is_old(session, now);
                if swept.left == Need::None && !old {
                    // What follows changed later still.
                    return Ok(swept);
                }
                let goes =
                    !keep.is_at_work(session, now) && (all || !self.is_baseline(session).await?);
                if goes
                    && self
                        .store
                        .drop_session(&session.id, session.version)
                        .await?
                {
                    swept.sessions += 1;
                    swept.left = match swept.left {
                        Need::Room(0) => self.need().await?,
                        Need::Room(findings) if findings > session.total => {
                            Need::Room(findings - session.total)
                        }
                        Need::Room(_) | Need::None => Need::None,
                    };
                }
            }
            let Some(last) = page.last().filter(|_| page.len() == PAGE) else {
                return Ok(swept);
            };
            after = Some(SessionCursor::from(last));
        }
        Ok(swept)
    }

    /// Whether the next scan of one of its scopes is compared with it.
    async fn is_baseline(&self, session: &Session) -> Result<bool> {
        for execution in &session.executions {
            if execution.state == ExecutionState::Completed && !execution.partial {
                let (repository, git_ref) = (&session.repository, &session.git_ref);
                let baseline = self
                    .store
                    .baseline(repository, &execution.bot, git_ref)
                    .await?;
                if baseline.as_ref() == Some(&session.id) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// What a walk came to.
struct Swept {
    sessions: usize,
    left: Need,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::{Arc, LazyLock};

    use fleet_worker_sdk::{
        Batch, Change, Finding, Fingerprint, Identified, OpenSession, Partitions, ProducerId,
        SessionId, Transition, Write,
    };
    use jiff::{SignedDuration, Timestamp};

    use super::super::{Coordinator, CoordinatorSettings};
    use crate::retention::Keep;
    use crate::store::memory::MemoryStore;
    use crate::store::{Read, SharedStore};

    const DAY: i64 = 86_400;
    static BOT: LazyLock<fleet_worker_sdk::BotId> = LazyLock::new(|| "bot".parse().unwrap());

    /// A store whose days the test counts.
    struct Fleet {
        store: Arc<MemoryStore>,
        second: Arc<AtomicI64>,
    }

    impl Fleet {
        fn new() -> Self {
            let second = Arc::new(AtomicI64::new(0));
            let clock = Arc::clone(&second);
            let now = move || {
                Timestamp::from_second(1_700_000_000 + clock.load(Ordering::Relaxed)).unwrap()
            };
            Self {
                store: Arc::new(MemoryStore::with_clock(Partitions::DEFAULT, Box::new(now))),
                second,
            }
        }

        fn day(&self, day: i64) {
            self.second.store(day * DAY, Ordering::Relaxed);
        }

        /// A session of `git_ref` with `findings`, ended unless it is to stay open.
        async fn scan(&self, git_ref: &str, commit: &str, findings: u8, ends: bool) -> SessionId {
            let open = OpenSession::new("acme/shop")
                .unwrap()
                .git_ref(git_ref)
                .commit(commit);
            let session = self.store.open(&open).await.unwrap().session;
            let producer = ProducerId::fresh();
            let transition = |sequence, attempt, change| Transition {
                session: session.clone(),
                bot: BOT.clone(),
                producer: producer.clone(),
                sequence,
                attempt,
                change,
            };
            let start = Change::Start {
                worker: None,
                reopen: false,
            };
            self.store
                .transition(&transition(1, 0, start))
                .await
                .unwrap();
            let identified = |n: u8| Identified {
                fingerprint: Fingerprint([n; 16]),
                finding: Finding::new("rule", "found"),
            };
            let batch = Batch {
                session: session.clone(),
                bot: BOT.clone(),
                producer: producer.clone(),
                sequence: 2,
                attempt: 1,
                findings: (0..findings).map(identified).collect(),
                again: Vec::new(),
                rules: std::collections::BTreeMap::new(),
            };
            self.store.push(&batch).await.unwrap();
            if ends {
                let complete = Change::Complete {
                    pushed: u64::from(findings),
                    partial: false,
                };
                self.store
                    .transition(&transition(3, 1, complete))
                    .await
                    .unwrap();
            }
            session
        }

        async fn retain(&self, keep: Keep) -> usize {
            let store: SharedStore = self.store.clone();
            let settings = CoordinatorSettings {
                keep,
                ..CoordinatorSettings::default()
            };
            Coordinator::new(store, settings).retain().await.unwrap()
        }

        async fn has(&self, session: &SessionId) -> bool {
            self.store.facts(session).await.is_ok()
        }
    }

    #[tokio::test]
    async fn old_sessions_go_but_for_baselines_and_what_is_at_work() {
        let fleet = Fleet::new();
        let first = fleet.scan("main", "1", 3, true).await;
        let baseline = fleet.scan("main", "2", 3, true).await;
        fleet.day(28);
        let working = fleet.scan("side", "3", 3, false).await;
        fleet.day(31);
        let keep = Keep {
            age: Some(SignedDuration::from_hours(30 * 24)),
            ..Keep::default()
        };
        assert_eq!(fleet.retain(keep.clone()).await, 1);
        assert!(!fleet.has(&first).await);
        assert!(fleet.has(&baseline).await && fleet.has(&working).await);
        assert_eq!(fleet.retain(keep.clone()).await, 0);
        fleet.day(62);
        assert_eq!(fleet.retain(keep).await, 1, "its bots have left it behind");
        assert!(fleet.has(&baseline).await && !fleet.has(&working).await);
    }

    #[tokio::test]
    async fn for_room_the_longest_unchanged_go_first_and_baselines_last() {
        let fleet = Fleet::new();
        let lone = fleet.scan("side", "0", 10, true).await;
        fleet.day(1);
        let old = fleet.scan("main", "1", 10, true).await;
        fleet.day(2);
        let new = fleet.scan("main", "2", 10, true).await;
        let working = fleet.scan("work", "3", 10, false).await;
        let most = |findings| Keep {
            findings: Some(findings),
            ..Keep::default()
        };
        assert_eq!(fleet.retain(most(40)).await, 0);
        assert_eq!(fleet.retain(most(34)).await, 1);
        assert!(
            !fleet.has(&old).await && fleet.has(&lone).await,
            "a baseline stays while others may go"
        );
        assert_eq!(fleet.retain(most(24)).await, 1);
        assert!(!fleet.has(&lone).await && fleet.has(&new).await);
        assert_eq!(fleet.retain(most(1)).await, 1);
        assert!(fleet.has(&working).await, "never one that is at work");
    }
}
