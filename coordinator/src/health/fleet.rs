//! The fleet's health with that of its tiers and bots, from what was read of it.

use std::collections::{BTreeMap, HashMap};

use fleet_worker_sdk::{Bot, BotId, Tier};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::bot::{BotFacts, Normality, Pulse, bot};
use super::{Explanation, Firing, Health, Settings, Status, Subject, explain, rollup};
use crate::lifecycle::WorkerTally;
use crate::model::{Rollup, Run, Worker};
use crate::series::{BotSeries, Judged};

/// A stored health older than this is computed anew by whoever wants it: coordinators store one
/// every five seconds at least, so three were missed.
const OUTDATED: SignedDuration = SignedDuration::from_secs(15);

/// The fleet's health, with that of its tiers and bots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetHealth {
    /// The fleet's.
    pub health: Health,
    /// Of each tier that has bots.
    pub tiers: BTreeMap<Tier, Health>,
    /// Of each registered bot.
    pub bots: BTreeMap<BotId, Health>,
    /// The sums it was made from.
    pub rollup: Rollup,
    /// Workers by what they are.
    pub workers: WorkerTally,
    /// When it was computed, by the store's clock.
    pub computed_at: Timestamp,
    /// The store is away: this is what was known last.
    pub stale: bool,
}

/// What is remembered of a bot.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Its latest runs.
    pub runs: Vec<Run>,
    /// How usual the duration of its latest complete run was.
    pub duration: Option<Normality>,
    /// The same of the number of its findings.
    pub output: Option<Normality>,
}

impl Remembered {
    /// What `runs` tell at `now`, where nothing else is remembered.
    pub fn of(runs: Vec<Run>, now: Timestamp) -> Self {
        Self::with(BotSeries::default(), runs, now)
    }

    /// What the `series`, as stored, and `runs` tell at `now`. Runs that ended since the series was
    /// stored are taken into this copy of it, so that health is of now and not of the last look at
    /// series.
    pub fn with(mut series: BotSeries, runs: Vec<Run>, now: Timestamp) -> Self {
        series.fold(&runs, now);
        let normal = |judged: &Judged| Normality {
            value: judged.normality(),
            text: format!("its latest complete run: {}", judged.text()),
        };
        Self {
            duration: series.duration().map(normal),
            output: series.findings().map(normal),
            runs,
        }
    }
}

/// The worst alerts that fire now, by what they are about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alarms {
    /// About the fleet as a whole.
    pub fleet: Option<Firing>,
    /// About a tier.
    pub tiers: BTreeMap<Tier, Firing>,
    /// About a bot.
    pub bots: BTreeMap<BotId, Firing>,
}

/// All that the fleet's health is made of.
#[derive(Clone, Copy, Debug)]
pub struct FleetFacts<'a> {
    /// Registered bots.
    pub bots: &'a [Bot],
    /// What is remembered of each.
    pub remembered: &'a HashMap<BotId, Remembered>,
    /// Workers heard of within a day.
    pub workers: &'a [Worker],
    /// Sums over the fleet.
    pub rollup: Rollup,
    /// Alerts that fire.
    pub alarms: &'a Alarms,
    /// The store's time from before the rest was read.
    pub now: Timestamp,
}

/// The fleet's health; `before` is the one stored, whose bands the new ones depend on.
pub fn fleet(
    facts: &FleetFacts<'_>,
    before: Option<&FleetHealth>,
    settings: &Settings,
) -> FleetHealth {
    let bots = bots(facts, before, settings);
    let tiers = tiers(facts, &bots, before, settings);
    let band = before.map(|before| before.health.band);
    let firing = facts.alarms.fleet.as_ref();
    FleetHealth {
        health: rollup::fleet(&bots, &tiers, &facts.rollup, firing, band, settings),
        tiers,
        bots,
        rollup: facts.rollup,
        workers: WorkerTally::of(facts.workers, facts.now, settings),
        computed_at: facts.now,
        stale: false,
    }
}

fn bots(
    facts: &FleetFacts<'_>,
    before: Option<&FleetHealth>,
    settings: &Settings,
) -> BTreeMap<BotId, Health> {
    let mut pulses: HashMap<&BotId, Pulse> = HashMap::new();
    for worker in facts.workers {
        pulses.entry(&worker.bot).or_default().hear(worker);
    }
    let nothing = Remembered::default();
    let health = |id: &BotId| {
        let remembered = facts.remembered.get(id).unwrap_or(&nothing);
        let made_of = BotFacts {
            runs: &remembered.runs,
            pulse: pulses.get(id).copied().unwrap_or_default(),
            duration: remembered.duration.as_ref(),
            output: remembered.output.as_ref(),
            firing: facts.alarms.bots.get(id),
        };
        let band = before.and_then(|before| Some(before.bots.get(id)?.band));
        bot(id, &made_of, band, facts.now, settings)
    };
    let ids = facts.bots.iter().map(|bot| &bot.id);
    ids.map(|id| (id.clone(), health(id))).collect()
}

fn tiers(
    facts: &FleetFacts<'_>,
    bots: &BTreeMap<BotId, Health>,
    before: Option<&FleetHealth>,
    settings: &Settings,
) -> BTreeMap<Tier, Health> {
    let mut members: BTreeMap<Tier, BTreeMap<BotId, &Health>> = BTreeMap::new();
    for bot in facts.bots {
        if let Some(health) = bots.get(&bot.id) {
            let tier = members.entry(bot.tier).or_default();
            tier.insert(bot.id.clone(), health);
        }
    }
    let health = |tier: Tier, members: &BTreeMap<BotId, &Health>| {
        let band = before.and_then(|before| Some(before.tiers.get(&tier)?.band));
        rollup::tier(members, facts.alarms.tiers.get(&tier), band, settings)
    };
    let tiers = members.iter();
    tiers
        .map(|(tier, members)| (*tier, health(*tier, members)))
        .collect()
}

impl FleetHealth {
    /// Whether it may still be shown at `now`. One from the future was written before the store
    /// failed over to a server whose clock is behind.
    pub fn is_current(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.computed_at);
        age.abs() <= OUTDATED
    }

    /// Whether people would see another picture: a score that differs by a tenth, a status, a bot
    /// or tier more or less, a worker that is something else.
    pub fn differs(&self, other: &Self) -> bool {
        self.picture() != other.picture()
    }

    fn picture(&self) -> impl PartialEq + use<> {
        let seen = |health: &Health| {
            let tenths = health.score.map(|score| (score * 10.0).round() as i64);
            (tenths, health.status)
        };
        let tiers = self
            .tiers
            .iter()
            .map(|(tier, health)| (*tier, seen(health)));
        let bots = self.bots.iter();
        let bots = bots.map(|(bot, health)| (bot.clone(), seen(health)));
        let (tiers, bots): (Vec<_>, Vec<_>) = (tiers.collect(), bots.collect());
        (seen(&self.health), tiers, bots, self.workers)
    }

    /// How its scores were made; `settings` are those that made them.
    pub fn explain(&self, settings: &Settings) -> FleetExplanation {
        let of = |subject| move |health: &Health| explain(health, subject, settings);
        let (tier, bot) = (of(Subject::Tier), of(Subject::Bot));
        let (tiers, bots) = (self.tiers.iter(), self.bots.iter());
        FleetExplanation {
            fleet: explain(&self.health, Subject::Fleet, settings),
            tiers: tiers.map(|(id, health)| (*id, tier(health))).collect(),
            bots: bots.map(|(id, health)| (id.clone(), bot(health))).collect(),
        }
    }
}

/// How the fleet's scores were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetExplanation {
    /// The fleet's.
    pub fleet: Explanation,
    /// Each tier's.
    pub tiers: BTreeMap<Tier, Explanation>,
    /// Each bot's.
    pub bots: BTreeMap<BotId, Explanation>,
}

impl Health {
    /// The quality of the session that speaks for a repository, in the repository's own band: the
    /// one that the sessions before it led to.
    #[must_use]
    pub fn in_band(mut self, band: Option<Status>, settings: &Settings) -> Self {
        if let Some(band) = band.filter(|band| *band != self.band) {
            self.reason = format!(
                "{band}, since a bad band is left only {} points above its edge; by the number {}",
                settings.hysteresis, self.reason
            );
            self.band = band;
            self.status = self.status.worse(band);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "these values are exact")]

    use fleet_worker_sdk::ExecutionState;
    use jiff::ToSpan;

    use super::*;
    use crate::model::Tally;

    fn runs(count: usize, last_findings: u64) -> Vec<Run> {
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let run = |number: usize| Run {
            session: "p1-01a20714-b637-7054-9cfa-b65a4c1fd8f8".parse().unwrap(),
            attempt: number as u32 + 1,
            outcome: ExecutionState::Completed,
            partial: false,
            ended: start + i64::try_from(number).unwrap().minutes(),
            duration_ms: 10_000,
            findings: if number + 1 == count {
                last_findings
            } else {
                100
            },
            tally: Tally::default(),
        };
        (0..count).map(run).collect()
    }

    fn later() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    /// A series goes back further than the runs that are kept, and is up to date with those that
    /// ended since it was stored.
    #[test]
    fn what_is_stored_and_what_came_since_count_once_each() {
        let all = runs(40, 10_000);
        let mut stored = BotSeries::default();
        stored.fold(&all[..30], later());
        let whole = Remembered::of(all.clone(), later());
        for kept in [25, 30, 5] {
            let seen = Remembered::with(stored.clone(), all[kept..].to_vec(), later());
            assert_eq!(seen.output, whole.output.clone().filter(|_| kept <= 30));
        }
        let same = Remembered::with(stored.clone(), all[..30].to_vec(), later());
        assert_eq!(same.output.unwrap().value, 100.0);
    }

    #[test]
    fn what_is_unusual_costs_a_bot_points_once_it_is_learned() {
        let young = Remembered::of(runs(5, 10_000), later());
        assert_eq!((young.duration, young.output), (None, None));
        let usual = Remembered::of(runs(30, 100), later());
        assert_eq!(usual.output.map(|n| n.value), Some(100.0));
        let odd = Remembered::of(runs(30, 10_000), later());
        let output = odd.output.as_ref().unwrap();
        assert_eq!(output.value, 0.0);
        assert_eq!(
            output.text,
            "its latest complete run: findings 10000, expected 100 +- 5.1 (z = 91.9, 29 samples)"
        );
        let facts = BotFacts {
            runs: &odd.runs,
            duration: odd.duration.as_ref(),
            output: odd.output.as_ref(),
            ..BotFacts::default()
        };
        let health = bot(
            &"a".parse().unwrap(),
            &facts,
            None,
            later(),
            &Settings::default(),
        );
        // (0.5 x 100 + 0.15 x 100 + 0.15 x 0) / 0.8
        assert!((health.score.unwrap() - 81.25).abs() < 1e-9, "{health:?}");
        assert!((health.coverage - 0.8).abs() < 1e-9);
    }
}
