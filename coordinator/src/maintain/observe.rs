//! How bots usually run, what was unusual, and how scores went.

use std::collections::{BTreeMap, BTreeSet};

use fleet_worker_sdk::{Bot, BotId, Result, SessionState};
use jiff::Timestamp;

use super::Coordinator;
use crate::anomaly::{self, Anomaly, lasting, of_run};
use crate::history::{Point, Scope, Take};
use crate::model::SessionFacts;
use crate::series::BotSeries;
use crate::view::{SessionHealth, fleet_health};

/// The points that this coordinator has written last: what says nothing new is not written again.
pub(super) type Recorded = BTreeMap<Scope, Point>;

/// Anomalies that lasted at this coordinator's last look, by identity: the store has them.
pub(super) type Noted = BTreeSet<String>;

/// Scores remembered so; beyond, all are forgotten, and written once more for nothing.
const MAX_RECORDED: usize = 10_000;

impl Coordinator {
    /// Takes the runs that ended since into the bots' series, keeps what was unusual about them and
    /// what is unusual now, and the fleet's and bots' scores as they are; answers how many anomalies
    /// were found. Each run is taken once, however many coordinators look: a series is stored only
    /// over the one it was made from. What lasts is stored once by its identity.
    ///
    /// # Errors
    /// As the store's.
    pub async fn observe(&self) -> Result<usize> {
        // Before the rest: what ends later is the next look's.
        let until = self.store.now().await?;
        let (bots, mut series) = tokio::try_join!(self.store.bots(), self.store.series())?;
        let mut found = 0;
        for bot in &bots {
            let series = series.entry(bot.id.clone()).or_default();
            found += self.observe_bot(&bot.id, series, until).await?;
        }
        found += self.observe_lasting(&bots, &series, until).await?;
        self.record_scores(until).await?;
        Ok(found)
    }

    async fn observe_bot(
        &self,
        bot: &BotId,
        series: &mut BotSeries,
        until: Timestamp,
    ) -> Result<usize> {
        let from = series.last.clone();
        let since = from
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |last| last.ended);
        let runs = self.store.runs_since(bot, since).await?;
        let folded = series.fold(&runs, until);
        if folded.is_empty() {
            return Ok(0);
        }
        let unusual = folded
            .iter()
            .flat_map(|(run, judged)| judged.iter().map(|judged| of_run(bot, run, judged)));
        let unusual: Vec<_> = unusual.collect();
        let stored = self
            .store
            .advance(bot, from.as_ref(), series, &unusual)
            .await?;
        if !stored {
            // Another coordinator was faster; it says so, too.
            return Ok(0);
        }
        for anomaly in &unusual {
            tracing::info!(%bot, text = %anomaly.text, "a run was unusual");
        }
        Ok(unusual.len())
    }

    /// What lasts is looked at anew each time. Only what this coordinator has not seen at its last
    /// look is handed to the store, which says how much of it nobody had seen.
    async fn observe_lasting(
        &self,
        bots: &[Bot],
        series: &BTreeMap<BotId, BotSeries>,
        now: Timestamp,
    ) -> Result<usize> {
        let heard_since = self.heard_since().await;
        let workers = self.workers(now).await?;
        let lasting = lasting(&anomaly::Facts {
            bots,
            series,
            workers: &workers,
            heard_since,
            now,
            settings: &self.settings.health,
        });
        let mut noted = self.noted.lock().await;
        let fresh: Vec<Anomaly> = lasting
            .iter()
            .filter(|anomaly| !noted.contains(&anomaly.id))
            .cloned()
            .collect();
        let new = self.store.note(&fresh).await?;
        // As many as last: what is over may come again, and is then looked up in the store.
        *noted = lasting.into_iter().map(|anomaly| anomaly.id).collect();
        for anomaly in fresh.iter().filter(|_| new > 0) {
            tracing::info!(bot = %anomaly.bot, text = %anomaly.text, "something unusual lasts");
        }
        Ok(usize::try_from(new).unwrap_or(usize::MAX))
    }

    async fn record_scores(&self, now: Timestamp) -> Result<()> {
        let fleet = fleet_health(&*self.store, &self.settings.health).await?;
        self.record(Scope::Fleet, Point::of(&fleet.health, now))
            .await?;
        for (bot, health) in &fleet.bots {
            self.record(Scope::Bot(bot.clone()), Point::of(health, now))
                .await?;
        }
        Ok(())
    }

    async fn record(&self, scope: Scope, point: Point) -> Result<()> {
        let mut recorded = self.recorded.lock().await;
        if point.after(recorded.get(&scope)) == Take::Ignore {
            return Ok(());
        }
        self.store.record(&scope, &point, None).await?;
        if recorded.len() >= MAX_RECORDED {
            recorded.clear();
        }
        recorded.insert(scope, point);
        Ok(())
    }

    /// Keeps the quality that a session's findings give its repository, where it speaks for it.
    pub(super) async fn record_quality(
        &self,
        facts: &SessionFacts,
        scores: &SessionHealth,
    ) -> Result<()> {
        let session = &facts.session;
        if session.state == SessionState::Open {
            // Half a scan says half of it.
            return Ok(());
        }
        let scope = Scope::Repository(session.repository.clone());
        let point = Point::of(&scores.quality, session.changed);
        self.store.record(&scope, &point, Some(&session.id)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use fleet_worker_sdk::{
        Beat, Bot, Change, OpenSession, Partitions, ProducerId, Transition, WorkerState, Write,
    };

    use super::*;
    use crate::anomaly::Kind;
    use crate::maintain::CoordinatorSettings;
    use crate::store::memory::MemoryStore;
    use crate::store::{Observe, SharedStore};

    /// A fleet in which `bot` runs once an hour, for as many seconds as the test says.
    struct Hours {
        store: Arc<MemoryStore>,
        second: Arc<AtomicI64>,
        coordinator: Coordinator,
    }

    impl Hours {
        async fn new() -> Self {
            let second = Arc::new(AtomicI64::new(0));
            let clock = Arc::clone(&second);
            let now = move || {
                Timestamp::from_second(1_700_000_000 + clock.load(Ordering::Relaxed)).unwrap()
            };
            let store = Arc::new(MemoryStore::with_clock(Partitions::DEFAULT, Box::new(now)));
            store.register(&Bot::new("bot").unwrap()).await.unwrap();
            let shared: SharedStore = store.clone();
            let coordinator = Coordinator::new(shared, CoordinatorSettings::default());
            Self {
                store,
                second,
                coordinator,
            }
        }

        async fn run(&self, hour: i64, seconds: i64) {
            self.second.store(hour * 3_600, Ordering::Relaxed);
            let open = OpenSession::new("acme/shop").unwrap().run(hour.to_string());
            let session = self.store.open(&open).await.unwrap().session;
            let producer = ProducerId::fresh();
            let changes = [
                Change::Start {
                    worker: None,
                    reopen: false,
                },
                Change::Complete {
                    pushed: 0,
                    partial: false,
                },
            ];
            for (number, change) in (0..).zip(changes) {
                let transition = Transition {
                    session: session.clone(),
                    bot: "bot".parse().unwrap(),
                    producer: producer.clone(),
                    sequence: u64::from(number) + 1,
                    attempt: number,
                    change,
                };
                self.store.transition(&transition).await.unwrap();
                self.second.fetch_add(seconds, Ordering::Relaxed);
            }
        }
    }

    #[tokio::test]
    async fn a_run_that_takes_far_longer_is_found_once() {
        let fleet = Hours::new().await;
        for hour in 0..20 {
            fleet.run(hour, 60 + hour % 3).await;
            assert_eq!(fleet.coordinator.observe().await.unwrap(), 0, "hour {hour}");
        }
        fleet.run(20, 1_200).await;
        assert!(fleet.coordinator.observe().await.unwrap() > 0);
        let found = fleet.store.anomalies().await.unwrap();
        assert!(
            found
                .iter()
                .any(|anomaly| anomaly.text.contains("expected")),
            "{found:?}"
        );
        let other: SharedStore = fleet.store.clone();
        let other = Coordinator::new(other, CoordinatorSettings::default());
        assert_eq!(
            other.observe().await.unwrap(),
            0,
            "another coordinator finds nothing new"
        );
        assert_eq!(fleet.store.anomalies().await.unwrap().len(), found.len());
    }

    impl Hours {
        /// A heartbeat of a worker at the given second, with as much progress.
        async fn beat(&self, name: &str, version: &str, second: i64, progress: u64) {
            self.second.store(second, Ordering::Relaxed);
            let open = OpenSession::new("acme/shop").unwrap();
            let session = self.store.open(&open).await.unwrap().session;
            let beat = Beat {
                worker: format!("bot:h:1:{name}").parse().unwrap(),
                bot: "bot".parse().unwrap(),
                version: version.to_owned(),
                host: "h".to_owned(),
                pid: 1,
                started: Timestamp::from_second(1_700_000_000).unwrap(),
                state: WorkerState::Running,
                sessions: vec![session],
                progress,
            };
            self.store.beat(&beat).await.unwrap();
        }

        fn other(&self) -> Coordinator {
            let store: SharedStore = self.store.clone();
            Coordinator::new(store, CoordinatorSettings::default())
        }

        /// The kinds of what is kept, latest first.
        async fn kinds(&self) -> Vec<Kind> {
            let found = self.store.anomalies().await.unwrap();
            found.into_iter().map(|anomaly| anomaly.kind).collect()
        }
    }

    #[tokio::test]
    async fn a_bot_that_goes_silent_is_found_once_by_however_many_look() {
        let fleet = Hours::new().await;
        for hour in 0..20 {
            fleet.run(hour, 60).await;
            fleet.coordinator.observe().await.unwrap();
        }
        fleet.second.store(100 * 3_600, Ordering::Relaxed);
        let other = fleet.other();
        let found = [&fleet.coordinator, &other, &fleet.coordinator, &other];
        let mut count = Vec::new();
        for coordinator in found {
            count.push(coordinator.observe().await.unwrap());
        }
        assert_eq!(count, [1, 0, 0, 0]);
        assert_eq!(fleet.kinds().await, [Kind::Silent]);
        fleet.run(101, 60).await;
        fleet.second.store(300 * 3_600, Ordering::Relaxed);
        assert_eq!(other.observe().await.unwrap(), 1, "it is silent again");
    }

    #[tokio::test]
    async fn stuck_workers_mixed_versions_and_ceased_beats_are_found_once() {
        let fleet = Hours::new().await;
        let other = fleet.other();
        for coordinator in [&fleet.coordinator, &other] {
            coordinator.watch_workers().await.unwrap();
        }
        fleet.beat("a", "1.2.0", 0, 1).await;
        fleet.beat("a", "1.2.0", 1_000, 1).await;
        let mut count = Vec::new();
        for coordinator in [&fleet.coordinator, &other, &fleet.coordinator] {
            count.push(coordinator.observe().await.unwrap());
        }
        assert_eq!(
            (&count[..], &fleet.kinds().await[..]),
            (&[1, 0, 0][..], &[Kind::Stuck][..])
        );

        fleet.beat("a", "1.2.0", 2_000, 2).await;
        fleet.beat("b", "1.3.0", 2_001, 1).await;
        assert_eq!(other.observe().await.unwrap(), 1);
        assert_eq!(fleet.coordinator.observe().await.unwrap(), 0);
        assert_eq!(fleet.kinds().await, [Kind::VersionSkew, Kind::Stuck]);

        fleet.second.store(2_100, Ordering::Relaxed);
        assert_eq!(fleet.coordinator.observe().await.unwrap(), 1);
        assert_eq!(other.observe().await.unwrap(), 0);
        let kinds = fleet.kinds().await;
        assert_eq!(kinds, [Kind::Silent, Kind::VersionSkew, Kind::Stuck]);
    }

    #[tokio::test]
    async fn scores_leave_a_trace_while_they_change() {
        let fleet = Hours::new().await;
        fleet.run(0, 60).await;
        fleet.coordinator.observe().await.unwrap();
        fleet.coordinator.observe().await.unwrap();
        let bot = Scope::Bot("bot".parse().unwrap());
        assert_eq!(fleet.store.history(&bot, 10).await.unwrap().len(), 1);
        assert_eq!(
            fleet.store.history(&Scope::Fleet, 10).await.unwrap().len(),
            1
        );
    }
}
