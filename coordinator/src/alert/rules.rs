//! What is wrong now, from what is stored and the time.
//!
//! Rules read runs, workers and counts, never a status: that takes alerts into account, and an alert
//! made of its own status would never end.

use std::collections::{BTreeMap, HashMap};

use fleet_worker_sdk::{Bot, BotId, ExecutionState, Tier};
use jiff::Timestamp;

use super::labels::{Labels, Name};
use super::settings::AlertSettings;
use crate::anomaly::{self, Anomaly};
use crate::health;
use crate::lifecycle::is_stuck;
use crate::model::{Run, Worker};
use crate::series::kind::seconds;
use crate::series::{BotSeries, Level};
use crate::store::Backlog;
use crate::store::retain::Memory;

/// Runs that a rate of failures is made of: a day's, of a bot that runs hourly.
const RATED: usize = 20;
/// Fewer runs make no rate.
const LEAST_RATED: usize = 8;

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What, and about what.
    pub labels: Labels,
    /// What was measured.
    pub value: f64,
    /// It in one sentence.
    pub summary: String,
    /// What it means and what to do.
    pub description: String,
}

impl Observation {
    /// Of two with the same labels the higher stands, whichever came first.
    pub(super) fn rank(&self) -> impl PartialOrd {
        let bits = self.value.to_bits().cast_signed();
        // The order of IEEE 754, so that even a NaN has a place.
        let ordered = bits ^ (((bits >> 63).cast_unsigned()) >> 1).cast_signed();
        (ordered, self.summary.clone(), self.description.clone())
    }
}

/// All that rules are made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Registered bots.
    pub bots: &'a [Bot],
    /// The finished executions of each.
    pub runs: &'a HashMap<BotId, Vec<Run>>,
    /// What each usually does.
    pub series: &'a BTreeMap<BotId, BotSeries>,
    /// Workers heard of within a day.
    pub workers: &'a [Worker],
    /// The latest anomalies.
    pub anomalies: &'a [Anomaly],
    /// Changes that wait for a coordinator.
    pub backlog: Backlog,
    /// The store's memory, where it has a measure.
    pub memory: Option<Memory>,
    /// Inputs and deliveries that were given up.
    pub dead: u64,
    /// Sessions whose counts do not agree.
    pub mismatched: u64,
    /// The store's time.
    pub now: Timestamp,
    /// When a worker is stuck.
    pub health: &'a health::Settings,
}

/// What is wrong now.
pub fn observe(facts: &Facts<'_>, settings: &AlertSettings) -> Vec<Observation> {
    let rules = Rules { facts, settings };
    let mut seen = Vec::new();
    let mut failing: BTreeMap<Tier, (usize, usize)> = BTreeMap::new();
    for bot in facts.bots {
        let runs = rules.runs(&bot.id);
        let in_row = failed_in_row(&runs);
        if !runs.is_empty() {
            let (fails, known) = failing.entry(bot.tier).or_default();
            *fails += usize::from(rules.severity(Name::BotFailing, in_row as f64).is_some());
            *known += 1;
        }
        seen.extend(rules.failing(bot, in_row));
        seen.extend(rules.error_rate(bot, &runs));
        seen.extend(rules.slow(bot, &runs));
        seen.extend(rules.silent(bot));
        seen.extend(rules.stuck(bot));
        seen.extend(rules.unusual(bot));
    }
    let tiers = failing.into_iter();
    seen.extend(tiers.filter_map(|(tier, (fails, known))| rules.tier(tier, fails, known)));
    seen.extend(rules.memory());
    seen.extend(rules.backlog());
    seen.extend(rules.counted());
    seen
}

/// The process's own: that it has not reached the store for so long. Raised without the store.
pub fn unreachable(
    store: &str,
    lasts: std::time::Duration,
    settings: &AlertSettings,
) -> Option<Observation> {
    let value = lasts.as_secs_f64();
    let severity = settings.limit(Name::StoreUnreachable).severity(value)?;
    Some(Observation {
        labels: Labels::new(Name::StoreUnreachable, severity),
        value,
        summary: format!("the store {store} cannot be reached"),
        description:
            "Nothing can be pushed, and what is shown is what was known last. Bots keep what \
                      they have to send. Look at the store; this resolves when it answers."
                .to_owned(),
    })
}

struct Rules<'a> {
    facts: &'a Facts<'a>,
    settings: &'a AlertSettings,
}

impl Rules<'_> {
    fn severity(&self, name: Name, value: f64) -> Option<super::Severity> {
        self.settings.limit(name).severity(value)
    }

    /// An observation where `value` is beyond a limit.
    fn over(
        &self,
        name: Name,
        value: f64,
        summary: impl FnOnce() -> String,
        description: &str,
    ) -> Option<Observation> {
        Some(Observation {
            labels: Labels::new(name, self.severity(name, value)?),
            value,
            summary: summary(),
            description: description.to_owned(),
        })
    }

    /// Those that ended or failed, latest first.
    fn runs(&self, bot: &BotId) -> Vec<&Run> {
        let runs = self
            .facts
            .runs
            .get(bot)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut runs: Vec<&Run> = runs
            .iter()
            .filter(|run| crate::store::is_run(run.outcome))
            .collect();
        runs.sort_by(|a, b| {
            (b.ended, &b.session, b.attempt).cmp(&(a.ended, &a.session, a.attempt))
        });
        runs
    }

    fn failing(&self, bot: &Bot, in_row: usize) -> Option<Observation> {
        let text = || match in_row {
            1 => format!("the last run of {} failed", bot.id),
            _ => format!("the last {in_row} runs of {} failed", bot.id),
        };
        let help = "See the runs on the bot's page for the reason that each gave. It resolves with the next run that ends well.";
        about(bot, self.over(Name::BotFailing, in_row as f64, text, help))
    }

    fn error_rate(&self, bot: &Bot, runs: &[&Run]) -> Option<Observation> {
        let latest = runs.iter().take(RATED);
        let (all, failed) = (latest.len(), latest.filter(|run| failed(run)).count());
        if all < LEAST_RATED {
            return None;
        }
        let rate = failed as f64 / all as f64;
        let text = || format!("{failed} of the last {all} runs of {} failed", bot.id);
        let help = "It fails on some repositories or at some times. Compare the runs that failed with those that did not.";
        about(bot, self.over(Name::HighErrorRate, rate, text, help))
    }

    fn slow(&self, bot: &Bot, runs: &[&Run]) -> Option<Observation> {
        let complete = |run: &&&Run| run.outcome == ExecutionState::Completed && !run.partial;
        let latest = runs.iter().find(complete)?;
        let took = latest.duration_ms as f64 / 1000.0;
        let name = Name::SlowExecution;
        let z = self
            .facts
            .series
            .get(&bot.id)
            .and_then(BotSeries::duration_z);
        let text =
            |why: String| format!("the latest run of {} took {}, {why}", bot.id, seconds(took));
        let help = "Look whether the repository grew, the machine is shared, or the bot waits for something.";
        let unusual = z.and_then(|z| {
            let why = || text(format!("which is unusually long (z = {z:.1})"));
            self.over(name, z, why, help)
        });
        let limit = self
            .settings
            .slow_after
            .filter(|limit| took > limit.as_secs_f64());
        let over_limit = limit.map(|limit| {
            let severity = super::Severity::Warning;
            Observation {
                labels: Labels::new(name, severity),
                value: took,
                summary: text(format!(
                    "over the limit of {}",
                    seconds(limit.as_secs_f64())
                )),
                description: help.to_owned(),
            }
        });
        about(bot, unusual.or(over_limit))
    }

    fn silent(&self, bot: &Bot) -> Option<Observation> {
        about(
            bot,
            self.without_runs(bot).or_else(|| self.without_beats(bot)),
        )
    }

    fn without_runs(&self, bot: &Bot) -> Option<Observation> {
        let silence = self.facts.series.get(&bot.id)?.silence(self.facts.now)?;
        let text = || {
            let since = seconds(silence.observed);
            let usual = seconds(silence.verdict.expected);
            format!(
                "{} has not run for {since}; it usually does every {usual}",
                bot.id
            )
        };
        let help = "Look at what starts it: a schedule, a pipeline, a worker. A bot that is no longer wanted can be silenced.";
        self.over(Name::BotSilent, silence.verdict.z, text, help)
    }

    /// Workers that ceased to beat. From what is stored, since who has just begun to listen does not
    /// know who is dead.
    fn without_beats(&self, bot: &Bot) -> Option<Observation> {
        let mut open = self.open(bot, anomaly::Kind::Silent);
        let ceased = open.find(|anomaly| anomaly.z.is_none())?;
        let text = || format!("{}: {}", bot.id, ceased.text);
        let help = "Its processes were killed, lost their machine or cannot reach the fleet. It resolves when one of them beats or a later one ends in order.";
        self.over(Name::BotSilent, distance(ceased), text, help)
    }

    /// What lasts about `bot`.
    fn open(&self, bot: &Bot, kind: anomaly::Kind) -> impl Iterator<Item = &Anomaly> {
        let of_bot = move |one: &&Anomaly| one.bot == bot.id && one.kind == kind && one.is_open();
        self.facts.anomalies.iter().filter(of_bot)
    }

    fn stuck(&self, bot: &Bot) -> Option<Observation> {
        let (now, settings) = (self.facts.now, self.facts.health);
        let of_bot = self
            .facts
            .workers
            .iter()
            .filter(|worker| worker.bot == bot.id);
        let stuck = of_bot
            .filter(|worker| is_stuck(worker, now, settings))
            .count();
        let text = || {
            let noun = if stuck == 1 { "worker" } else { "workers" };
            let since = seconds(settings.stuck_after.as_secs_f64());
            format!("{stuck} {noun} of {} made no progress for {since}", bot.id)
        };
        let help = "It beats, so it lives; it holds an execution and gets nothing done. `fleet workers terminate` ends it.";
        about(bot, self.over(Name::WorkerStuck, stuck as f64, text, help))
    }

    /// What is unusual and has no alert of its own; of several, the one furthest from usual.
    fn unusual(&self, bot: &Bot) -> Option<Observation> {
        let recent = |anomaly: &&Anomaly| {
            anomaly.bot == bot.id
                && self.facts.now.duration_since(anomaly.at) < self.settings.anomaly_for
                && matches!(
                    anomaly.kind,
                    anomaly::Kind::Findings | anomaly::Kind::ErrorShare
                )
        };
        let found = self.facts.anomalies.iter().filter(recent);
        let found = found.chain(self.open(bot, anomaly::Kind::VersionSkew));
        let seen = found.filter_map(|anomaly| {
            let text = || format!("{}: {}", bot.id, anomaly.text);
            let help = if anomaly.kind == anomaly::Kind::VersionSkew {
                "A rollout has stopped half way, or somebody runs an old worker. `fleet workers list` shows who runs what."
            } else {
                "Something in the repository, the bot or its rules has changed. Compare the session with the one before."
            };
            self.over(Name::Anomaly, distance(anomaly), text, help)
        });
        let worst = seen.max_by(|a, b| {
            let by_value = a.value.total_cmp(&b.value);
            by_value.then_with(|| a.summary.cmp(&b.summary))
        });
        about(bot, worst)
    }

    fn tier(&self, tier: Tier, fails: usize, known: usize) -> Option<Observation> {
        let share = fails as f64 / known as f64;
        let text = || format!("{fails} of {known} bots of the tier {tier} fail");
        let help = "What they have in common is at fault: credentials, a network, a repository, an image. Their own alerts are held back meanwhile.";
        let mut seen = self.over(Name::TierDown, share, text, help)?;
        seen.labels = seen.labels.tier(tier);
        Some(seen)
    }

    fn memory(&self) -> Option<Observation> {
        let memory = self.facts.memory.filter(|memory| memory.limit > 0)?;
        let share = memory.used as f64 / memory.limit as f64;
        let text = || format!("the store uses {:.0} % of its memory", share * 100.0);
        let help = "Pushes are refused when it is full. Raise `maxmemory`, keep sessions for fewer days, or add masters.";
        self.over(Name::ResourceExhaustion, share, text, help)
    }

    fn backlog(&self) -> Option<Observation> {
        let Backlog { entries, oldest } = self.facts.backlog;
        let age = oldest.as_secs_f64();
        let text = || {
            format!(
                "{entries} changes wait for a coordinator, the oldest for {}",
                seconds(age)
            )
        };
        let help = "Scores are that much behind. Look whether coordinators run and what they log; more of them share the work.";
        self.over(Name::Backlog, age, text, help)
    }

    fn counted(&self) -> impl Iterator<Item = Observation> {
        let (dead, wrong) = (self.facts.dead, self.facts.mismatched);
        let letters = || match dead {
            1 => "1 dead letter waits to be looked at".to_owned(),
            n => format!("{n} dead letters wait to be looked at"),
        };
        let counts = || match wrong {
            1 => "the counts of 1 session do not agree".to_owned(),
            n => format!("the counts of {n} sessions do not agree"),
        };
        let help = "Each has the reason with it. Requeue or drop them: `fleet dead`, `fleet alert undelivered`.";
        let broken = "Findings were lost, counted twice or made up. `fleet conserve` names the sessions, `fleet conserve repair` makes them add up.";
        let letters = self.over(Name::DeadLetters, dead as f64, letters, help);
        let counts = self.over(Name::ConservationMismatch, wrong as f64, counts, broken);
        letters.into_iter().chain(counts)
    }
}

/// The observation, about `bot`.
fn about(bot: &Bot, seen: Option<Observation>) -> Option<Observation> {
    let mut seen = seen?;
    seen.labels = seen.labels.tier(bot.tier).bot(&bot.id);
    Some(seen)
}

/// How far from usual; where a fixed limit was passed, as far as its level stands for.
fn distance(anomaly: &Anomaly) -> f64 {
    let level = match anomaly.level {
        Level::None => 0.0,
        Level::Warning => crate::series::WARNING,
        Level::Error => crate::series::ERROR,
    };
    anomaly.z.map_or(level, f64::abs)
}

fn failed(run: &Run) -> bool {
    run.outcome == ExecutionState::Failed
}

fn failed_in_row(latest_first: &[&Run]) -> usize {
    latest_first.iter().take_while(|run| failed(run)).count()
}

#[cfg(test)]
mod tests;
