//! What is unusual for as long as it lasts: a bot that went silent, a worker that is stuck, versions
//! that run side by side.
//!
//! Each is a pure function of what is stored. Its identity and the moment it began follow from what
//! it is about (the last run, the last beat, the last progress, the versions), not from who looks or
//! when: so however many look however often, a store that takes each identity once has it once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fleet_worker_sdk::{Bot, BotId};
use jiff::{SignedDuration, Timestamp};

use super::{Anomaly, Kind, of};
use crate::health::Settings;
use crate::lifecycle::{Liveness, is_stuck, liveness};
use crate::model::Worker;
use crate::series::kind::seconds;
use crate::series::{BotSeries, Level};

/// Versions named in a text, and characters of each: a bot may call its version whatever it likes.
const NAMED: usize = 4;
const VERSION: usize = 40;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Registered bots.
    pub bots: &'a [Bot],
    /// What each usually does, up to date.
    pub series: &'a BTreeMap<BotId, BotSeries>,
    /// Workers heard of within a day.
    pub workers: &'a [Worker],
    /// Since when workers can be heard; none while the store takes no beats, and nothing is said of
    /// workers.
    pub heard_since: Option<Timestamp>,
    /// The store's time.
    pub now: Timestamp,
    /// The limits.
    pub settings: &'a Settings,
}

/// All that is unusual now, by bot.
pub fn lasting(facts: &Facts<'_>) -> Vec<Anomaly> {
    let mut workers: BTreeMap<&BotId, Vec<&Worker>> = BTreeMap::new();
    for worker in facts.workers {
        workers.entry(&worker.bot).or_default().push(worker);
    }
    let mut found = Vec::new();
    for bot in facts.bots {
        let own = workers.remove(&bot.id).unwrap_or_default();
        found.extend(facts.without_runs(&bot.id));
        let Some(heard_since) = facts.heard_since else {
            continue;
        };
        let is = |worker: &&Worker| liveness(worker, heard_since, facts.now, facts.settings);
        found.extend(facts.without_beats(&bot.id, &own, is));
        found.extend(facts.stuck(&bot.id, &own));
        let lives = |worker: &&&Worker| matches!(is(worker), Liveness::Alive | Liveness::Stale);
        let alive: Vec<&Worker> = own.iter().filter(lives).copied().collect();
        found.extend(facts.version_skew(&bot.id, &alive));
    }
    found
}

impl Facts<'_> {
    /// Whether workers could be heard for long enough to know which of them are dead.
    pub(super) fn can_tell_ends(&self) -> bool {
        let heard = |since: Timestamp| self.now.duration_since(since) >= self.settings.dead_after;
        self.heard_since.is_some_and(heard)
    }

    /// No run follows the last for much longer than the gaps between them suggest.
    fn without_runs(&self, bot: &BotId) -> Option<Anomaly> {
        let series = self.series.get(bot)?;
        let silence = series.silence(self.now)?;
        let last = series.last.as_ref()?;
        let began = series.silent_from().unwrap_or(self.now);
        Some(Anomaly {
            id: format!("silent:{bot}:{}:{}", last.session, last.attempt),
            ..of(Kind::Silent, bot, &silence, began.min(self.now))
        })
    }

    /// Its workers have ceased to beat without saying that they end, all of them.
    fn without_beats(
        &self,
        bot: &BotId,
        workers: &[&Worker],
        is: impl Fn(&&Worker) -> Liveness,
    ) -> Option<Anomaly> {
        let is: Vec<Liveness> = workers.iter().map(is).collect();
        if is
            .iter()
            .any(|is| matches!(is, Liveness::Alive | Liveness::Stale))
        {
            return None;
        }
        let of = |wanted: Liveness| {
            let both = workers.iter().zip(&is);
            both.filter(move |(_, is)| **is == wanted)
                .map(|(worker, _)| worker.last_beat)
        };
        let last = of(Liveness::Dead).max()?;
        // Whoever ended in order after that was the last, and nobody is missed.
        if of(Liveness::Stopped).any(|beat| beat > last) {
            return None;
        }
        let limit = self.settings.dead_after;
        let whose = match of(Liveness::Dead).count() {
            1 => "its one worker".to_owned(),
            n => format!("any of its {n} workers"),
        };
        let text = format!(
            "no heartbeat for {} of {whose}, expected within {}; none has said that it ends",
            seconds(self.now.duration_since(last).as_secs_f64()),
            seconds(limit.as_secs_f64()),
        );
        Some(Anomaly {
            id: format!("silent:{bot}:beat:{}", last.as_millisecond()),
            ..self.over(Kind::Silent, bot, last, limit, text)
        })
    }

    /// Workers that beat, hold executions, and get nothing done; longest first.
    fn stuck(&self, bot: &BotId, workers: &[&Worker]) -> Vec<Anomaly> {
        let limit = self.settings.stuck_after;
        let mut stuck: Vec<&Worker> = workers.to_vec();
        stuck.retain(|worker| is_stuck(worker, self.now, self.settings));
        stuck.sort_by(|a, b| (a.last_progress, &a.id).cmp(&(b.last_progress, &b.id)));
        let anomaly = |worker: &&Worker| {
            let (id, since) = (&worker.id, worker.last_progress);
            let held = match worker.sessions.len() {
                1 => "1 session".to_owned(),
                n => format!("{n} sessions"),
            };
            let text = format!(
                "no progress for {} of worker {id}, expected within {}; it beats and holds {held}",
                seconds(self.now.duration_since(since).as_secs_f64()),
                seconds(limit.as_secs_f64()),
            );
            Anomaly {
                id: format!("stuck:{id}:{}", since.as_millisecond()),
                session: worker.sessions.first().cloned(),
                worker: Some(id.clone()),
                ..self.over(Kind::Stuck, bot, since, limit, text)
            }
        };
        stuck.iter().map(anomaly).collect()
    }

    /// Living workers have run several versions, of the bot or of its SDK, for longer than a rollout
    /// takes. Those that do not say which they run are not counted.
    fn version_skew(&self, bot: &BotId, alive: &[&Worker]) -> Option<Anomaly> {
        let sdks = alive.iter().map(|worker| worker.sdk.as_str());
        let sdks: BTreeSet<&str> = sdks.filter(|sdk| !sdk.is_empty()).collect();
        let mut versions: BTreeMap<String, (Timestamp, usize)> = BTreeMap::new();
        for worker in alive {
            let version = match (worker.version.as_str(), worker.sdk.as_str()) {
                (version, sdk) if sdk.is_empty() || sdks.len() < 2 => version.to_owned(),
                ("", sdk) => format!("SDK {sdk}"),
                (version, sdk) => format!("{version} with SDK {sdk}"),
            };
            if version.is_empty() {
                continue;
            }
            let (began, count) = versions.entry(version).or_insert((worker.started, 0));
            *began = (*began).min(worker.started);
            *count += 1;
        }
        // They run side by side since the first worker of the last version to appear started. That
        // is by its own clock, which may be ahead.
        let together = versions.values().map(|(began, _)| *began).max()?;
        let together = together.min(self.now);
        let limit = self.settings.skew_after;
        let lasts = self.now.duration_since(together);
        if versions.len() < 2 || lasts < limit {
            return None;
        }
        let text = format!(
            "{} versions at once for {}, expected 1 after {}: {}",
            versions.len(),
            seconds(lasts.as_secs_f64()),
            seconds(limit.as_secs_f64()),
            named(&versions),
        );
        let which = versions
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n");
        let hash = xxhash_rust::xxh3::xxh3_64(which.as_bytes());
        Some(Anomaly {
            id: format!("version_skew:{bot}:{hash:016x}"),
            observed: versions.len() as f64,
            expected: 1.0,
            ..self.over(Kind::VersionSkew, bot, together, limit, text)
        })
    }

    /// A fixed limit passed by what has lasted since `since`.
    fn over(
        &self,
        kind: Kind,
        bot: &BotId,
        since: Timestamp,
        limit: SignedDuration,
        text: String,
    ) -> Anomaly {
        Anomaly {
            id: String::new(),
            kind,
            bot: bot.clone(),
            session: None,
            worker: None,
            observed: self.now.duration_since(since).as_secs_f64(),
            expected: limit.as_secs_f64(),
            spread: 0.0,
            z: None,
            samples: 0,
            level: Level::Error,
            text,
            ended: None,
            at: since
                .checked_add(limit)
                .map_or(self.now, |at| at.min(self.now)),
        }
    }
}

/// Versions with how many workers run each, the most used first.
fn named(versions: &BTreeMap<String, (Timestamp, usize)>) -> String {
    let mut most_first: Vec<(&str, usize)> = versions
        .iter()
        .map(|(version, (_, count))| (version.as_str(), *count))
        .collect();
    most_first.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let shown = most_first.iter().take(NAMED).map(|(version, count)| {
        let mut name: String = version.chars().take(VERSION).collect();
        if name.len() < version.len() {
            name.push('…');
        }
        let noun = if *count == 1 { "worker" } else { "workers" };
        format!("{name} ({count} {noun})")
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if most_first.len() > NAMED {
        let _ = write!(text, " and {} more", most_first.len() - NAMED);
    }
    text
}

#[cfg(test)]
mod tests;
