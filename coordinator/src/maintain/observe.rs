//! How bots usually run, what was unusual, and how scores went.

use std::collections::BTreeMap;

use fleet_worker_sdk::{Bot, BotId, Result, SessionState};
use jiff::Timestamp;

use super::Coordinator;
use crate::anomaly::{self, Changes, changes, lasting, of_run};
use crate::history::{Point, Scope, Take};
use crate::model::Session;
use crate::series::BotSeries;
use crate::view::{SessionHealth, fleet_health};

/// The points that this coordinator has written last: what says nothing new is not written again.
pub(super) type Recorded = BTreeMap<Scope, Point>;

/// Scores remembered so; beyond, all are forgotten, and written once more for nothing.
const MAX_RECORDED: usize = 10_000;

impl Coordinator {
    /// Takes the runs that ended since into the bots' series, keeps what was unusual about them and
    /// what is unusual now, and the fleet's and bots' scores as they are; answers how many anomalies
    /// were found. Each run is taken once, however many coordinators look: a series is stored only
    /// over the one it was made from. What lasts is stored once, by its identity, and ended when it is over.
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

    /// What lasts is looked at anew each time, and compared with what is stored of it.
    async fn observe_lasting(
        &self,
        bots: &[Bot],
        series: &BTreeMap<BotId, BotSeries>,
        now: Timestamp,
    ) -> Result<usize> {
        let heard_since = self.heard_since().await;
        let workers = self.workers(now).await?;
        let facts = anomaly::Facts {
            bots,
            series,
            workers: &workers,
            heard_since,
            now,
            settings: &self.settings.health,
        };
        let stored = self.store.anomalies().await?;
        let Changes { new, amended } = changes(&stored, lasting(&facts), &facts);
        let noted = self.store.note(&new).await?;
        if noted > 0 {
            for anomaly in &new {
                tracing::info!(bot = %anomaly.bot, text = %anomaly.text, "something unusual lasts");
            }
        }
        let again = amended.iter().filter(|anomaly| anomaly.is_open()).count();
        if self.store.amend(&amended).await? == 0 {
            return Ok(usize::try_from(noted).unwrap_or(usize::MAX));
        }
        for anomaly in &amended {
            let (bot, text) = (&anomaly.bot, &anomaly.text);
            if anomaly.is_open() {
                tracing::info!(%bot, %text, "something unusual has begun again");
            } else {
                tracing::info!(%bot, %text, "something unusual is over");
            }
        }
        Ok(usize::try_from(noted)
            .unwrap_or(usize::MAX)
            .saturating_add(again))
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
        session: &Session,
        scores: &SessionHealth,
    ) -> Result<()> {
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
mod tests;
