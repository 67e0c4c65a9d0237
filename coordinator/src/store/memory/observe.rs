//! Series, anomalies and histories in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use async_trait::async_trait;
use fleet_worker_sdk::{BotId, Result, SessionId};
use jiff::Timestamp;

use super::MemoryStore;
use super::image::misplaced;
use super::journal::Entry;
use crate::anomaly::Anomaly;
use crate::conserve::Mismatch;
use crate::history::{MAX_POINTS, Point, Scope, Take};
use crate::model::Run;
use crate::series::{BotSeries, Marker};
use crate::store::{MAX_ANOMALIES, Observe};

/// What is remembered beyond single sessions.
#[derive(Default)]
pub(super) struct Observed {
    series: BTreeMap<BotId, BotSeries>,
    anomalies: BTreeMap<String, Anomaly>,
    /// Milliseconds and id of each, oldest first.
    by_time: BTreeSet<(i64, String)>,
    histories: HashMap<Scope, VecDeque<Point>>,
    /// Sessions whose numbers do not agree.
    pub(super) mismatches: BTreeMap<SessionId, Mismatch>,
}

impl Observed {
    fn advance(
        &mut self,
        bot: &BotId,
        from: Option<&Marker>,
        to: &BotSeries,
        found: &[Anomaly],
    ) -> bool {
        let stored = self.series.get(bot).and_then(|series| series.last.as_ref());
        if stored != from {
            return false;
        }
        self.series.insert(bot.clone(), to.clone());
        self.note(found);
        true
    }

    fn note(&mut self, found: &[Anomaly]) -> u64 {
        let mut fresh = BTreeSet::new();
        for anomaly in found {
            if !self.anomalies.contains_key(&anomaly.id) {
                self.by_time.insert(place(anomaly));
                self.anomalies.insert(anomaly.id.clone(), anomaly.clone());
                fresh.insert(anomaly.id.clone());
            }
        }
        while self.by_time.len() > MAX_ANOMALIES
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.anomalies.remove(&oldest);
            fresh.remove(&oldest);
        }
        fresh.len() as u64
    }

    fn amend(&mut self, changed: &[Anomaly]) -> u64 {
        let mut amended = 0;
        for anomaly in changed {
            let Some(stored) = self.anomalies.get_mut(&anomaly.id) else {
                continue;
            };
            if stored != anomaly {
                self.by_time.remove(&place(stored));
                self.by_time.insert(place(anomaly));
                stored.clone_from(anomaly);
                amended += 1;
            }
        }
        amended
    }

    fn latest(&self) -> Vec<Anomaly> {
        let latest_first = self.by_time.iter().rev();
        latest_first
            .filter_map(|(_, id)| self.anomalies.get(id))
            .cloned()
            .collect()
    }

    fn record(&mut self, scope: &Scope, point: &Point) -> bool {
        let points = self.histories.entry(scope.clone()).or_default();
        match point.after(points.back()) {
            Take::Ignore => return false,
            Take::Replace => drop(points.pop_back()),
            Take::Append => {}
        }
        points.push_back(point.clone());
        if points.len() > MAX_POINTS {
            points.pop_front();
        }
        true
    }

    /// The records of it.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let series = self.series.iter().map(|(bot, series)| Entry::Series {
            bot: bot.clone(),
            to: Box::new(series.clone()),
        });
        let found = self.anomalies.values().cloned().collect();
        let histories = self.histories.iter().map(|(scope, points)| Entry::History {
            scope: scope.to_string(),
            points: points.iter().cloned().collect(),
        });
        let anomalies = std::iter::once(Entry::Anomalies { found });
        series.chain(anomalies).chain(histories)
    }

    /// Takes a record back.
    pub(super) fn restore(&mut self, entry: Entry) -> Result<()> {
        match entry {
            Entry::Series { bot, to } => drop(self.series.insert(bot, *to)),
            Entry::Anomalies { found } => drop(self.note(&found)),
            Entry::Amended { changed } => drop(self.amend(&changed)),
            Entry::Point { scope, point } => drop(self.record(&scope.parse()?, &point)),
            Entry::History { scope, points } => {
                self.histories
                    .insert(scope.parse()?, VecDeque::from(points));
            }
            other => return Err(misplaced(&other)),
        }
        Ok(())
    }

    fn history(&self, scope: &Scope, limit: usize) -> Vec<Point> {
        let points = self.histories.get(scope);
        let skipped = points.map_or(0, |points| points.len().saturating_sub(limit));
        points
            .into_iter()
            .flatten()
            .skip(skipped)
            .cloned()
            .collect()
    }
}

fn place(anomaly: &Anomaly) -> (i64, String) {
    (anomaly.at.as_millisecond(), anomaly.id.clone())
}

impl MemoryStore {
    /// Journals anomalies, under the lock.
    fn log_anomalies(&self, found: &[Anomaly]) {
        if !found.is_empty() {
            self.log(|| Entry::Anomalies {
                found: found.to_vec(),
            });
        }
    }
}

#[async_trait]
impl Observe for MemoryStore {
    async fn series(&self) -> Result<BTreeMap<BotId, BotSeries>> {
        Ok(self.state().observed.series.clone())
    }

    async fn runs_since(&self, bot: &BotId, since: Timestamp) -> Result<Vec<Run>> {
        let mut runs = self.state().runs(bot);
        runs.retain(|run| run.ended >= since);
        runs.sort_by_cached_key(Marker::of);
        Ok(runs)
    }

    async fn advance(
        &self,
        bot: &BotId,
        from: Option<&Marker>,
        to: &BotSeries,
        found: &[Anomaly],
    ) -> Result<bool> {
        let mut state = self.state();
        let advanced = state.observed.advance(bot, from, to, found);
        if advanced {
            self.log(|| Entry::Series {
                bot: bot.clone(),
                to: Box::new(to.clone()),
            });
            self.log_anomalies(found);
        }
        Ok(advanced)
    }

    async fn note(&self, found: &[Anomaly]) -> Result<u64> {
        let mut state = self.state();
        let fresh = state.observed.note(found);
        if fresh > 0 {
            self.log_anomalies(found);
        }
        Ok(fresh)
    }

    async fn amend(&self, changed: &[Anomaly]) -> Result<u64> {
        let mut state = self.state();
        let amended = state.observed.amend(changed);
        if amended > 0 {
            self.log(|| Entry::Amended {
                changed: changed.to_vec(),
            });
        }
        Ok(amended)
    }

    async fn anomalies(&self) -> Result<Vec<Anomaly>> {
        Ok(self.state().observed.latest())
    }

    async fn record(&self, scope: &Scope, point: &Point, of: Option<&SessionId>) -> Result<bool> {
        let mut state = self.state();
        if let Scope::Repository(repository) = scope
            && (of.is_none()
                || state
                    .rollup
                    .speaker(repository)
                    .map(|speaker| speaker.session)
                    .as_ref()
                    != of)
        {
            return Ok(false);
        }
        let taken = state.observed.record(scope, point);
        if taken {
            self.log(|| Entry::Point {
                scope: scope.to_string(),
                point: point.clone(),
            });
        }
        Ok(taken)
    }

    async fn history(&self, scope: &Scope, limit: usize) -> Result<Vec<Point>> {
        Ok(self.state().observed.history(scope, limit))
    }
}
