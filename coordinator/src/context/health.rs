//! What a context is worth: the score of [`crate::health::rollup::session`], from sums kept as they
//! come, and its reasons as values.
//!
//! Half is the mean of the executions (100 for one that ended well, 75 partly, 0 badly), half the
//! quality of the findings, Q = 100 H / (H + L). What is unknown is left out: executions until one is
//! finished, quality until one has completed.

use std::fmt;

use fleet_worker_sdk::{ExecutionState, Tier, WeightClass};
use jiff::{SignedDuration, Timestamp};

use super::{Context, Handle};
use crate::health::{Settings, Status, quality};

/// Worth of an execution that ended well without looking at everything.
const PARTLY: f64 = 75.0;
/// Rules named in a breakdown; the others are one sum.
const NAMED: usize = 20;
/// Open findings from which on the share of errors says something.
const SHARE_FROM: u64 = 20;
/// A bot with so many times the median of the bots' findings has run away, or its rules have.
const FLOOD: u32 = 10;
/// And with at least so many.
const FLOOD_FROM: u32 = 1_000;

/// A score and its status, at a cost that grows with nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// 0-100; none when nothing is known.
    pub score: Option<f64>,
    /// The band of the score; critical where everything that ran failed.
    pub status: Status,
    /// The mean of the finished executions, 0-100.
    pub executions: Option<f64>,
    /// Quality of the findings, 0-100.
    pub quality: Option<f64>,
}

/// Where the points of a score went; they sum to 100 less the score.
#[derive(Clone, Debug, PartialEq)]
pub struct Breakdown<'a> {
    /// The score.
    pub standing: Standing,
    /// Finished executions, in order of registration.
    pub executions: Vec<ExecutionPart>,
    /// The rules that take most, most first.
    pub rules: Vec<RulePart<'a>>,
    /// How many more pairs of rule and class there are.
    pub others: usize,
    /// Points that those take together.
    pub others_lost: f64,
}

/// What an execution takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExecutionPart {
    /// Whose.
    pub bot: Handle,
    /// Its worth, 0-100.
    pub value: f64,
    /// Points it takes from the score.
    pub points_lost: f64,
}

/// What the findings of a rule and class take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RulePart<'a> {
    /// The rule.
    pub rule: &'a str,
    /// The class.
    pub class: WeightClass,
    /// Open findings.
    pub open: u32,
    /// What they weigh: weight x (1 + log2 open).
    pub load: f64,
    /// Points they take from the score.
    pub points_lost: f64,
}

/// Something that somebody should look at. Shown, it is one sentence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alert<'a> {
    /// Everything that ran failed.
    AllFailed,
    /// Every bot of a tier that ran failed.
    TierFailed(Tier),
    /// A bot failed.
    BotFailed {
        /// Which.
        bot: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// A bot waits for one that failed.
    Blocked {
        /// Which.
        bot: &'a str,
        /// For whom.
        on: &'a str,
    },
    /// A bot has run for longer than a worker may go without progress.
    Slow {
        /// Which.
        bot: &'a str,
        /// For how long.
        running: SignedDuration,
    },
    /// Errors are open.
    ErrorsOpen(u64),
    /// More than half of the open findings are errors.
    MostlyErrors {
        /// Open errors.
        errors: u64,
        /// Open findings.
        open: u64,
    },
    /// A bot has many more findings than the others.
    Flood {
        /// Which.
        bot: &'a str,
        /// How many.
        findings: u32,
        /// The median of the bots that have any.
        median: u32,
    },
}

impl fmt::Display for Alert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllFailed => f.write_str("everything that ran failed"),
            Self::TierFailed(tier) => write!(f, "every {tier} that ran failed"),
            Self::BotFailed { bot, reason } => write!(f, "{bot} failed: {reason}"),
            Self::Blocked { bot, on } => write!(f, "{bot} waits for {on}, which failed"),
            Self::Slow { bot, running } => {
                write!(f, "{bot} has been running for {} s", running.as_secs())
            }
            Self::ErrorsOpen(count) => write!(f, "{count} errors are open"),
            Self::MostlyErrors { errors, open } => {
                write!(f, "{errors} of {open} open findings are errors")
            }
            Self::Flood {
                bot,
                findings,
                median,
            } => write!(
                f,
                "{bot} has {findings} findings, where the median is {median}"
            ),
        }
    }
}

/// The mean of the known halves, as [`crate::health::parts::weigh`] makes it.
fn mean(halves: [Option<f64>; 2]) -> Option<f64> {
    let known = halves.iter().flatten().count();
    let lost: f64 = halves.iter().flatten().map(|value| 100.0 - value).sum();
    (known > 0).then(|| (100.0 - lost / known as f64).clamp(0.0, 100.0))
}

impl Context {
    /// The score and its status, the band alone: a context remembers none before.
    #[inline]
    pub fn standing(&self, settings: &Settings) -> Standing {
        let ended = self.runs.ended;
        let ran = ended.well + ended.partly + ended.failed;
        let worth = 100.0 * f64::from(ended.well) + PARTLY * f64::from(ended.partly);
        let executions = (ran > 0).then(|| worth / f64::from(ran));
        let completed = ended.well + ended.partly > 0;
        let quality =
            completed.then(|| quality::score(self.findings().sums.load(settings), settings));
        let score = mean([executions, quality]);
        let band = score.map(|score| Status::of(score, None, settings));
        Standing {
            score,
            status: match band {
                None => Status::Unknown,
                Some(_) if ran == ended.failed => Status::Critical,
                Some(band) => band,
            },
            executions,
            quality,
        }
    }

    /// Where the points of the score went; its cost grows with bots and rules.
    pub fn breakdown(&self, settings: &Settings) -> Breakdown<'_> {
        let standing = self.standing(settings);
        let known = [standing.executions, standing.quality];
        let half = 1.0 / known.iter().flatten().count().max(1) as f64;
        let lost = standing
            .quality
            .map_or(0.0, |quality| half * (100.0 - quality));
        let mut rules = self.rules(settings);
        rules.sort_unstable_by(|a, b| {
            b.load
                .total_cmp(&a.load)
                .then_with(|| (a.class, a.rule).cmp(&(b.class, b.rule)))
        });
        let load: f64 = rules.iter().map(|rule| rule.load).sum();
        for rule in &mut rules {
            rule.points_lost = if load > 0.0 {
                lost * rule.load / load
            } else {
                0.0
            };
        }
        let others = rules.get(NAMED..).unwrap_or_default();
        let others_lost = others.iter().map(|rule| rule.points_lost).sum();
        let others = others.len();
        rules.truncate(NAMED);
        Breakdown {
            standing,
            executions: self.executions(half),
            rules,
            others,
            others_lost,
        }
    }

    /// Finished executions; all of them together have the weight `half`.
    fn executions(&self, half: f64) -> Vec<ExecutionPart> {
        let ended = self.runs.ended;
        let ran = f64::from(ended.well + ended.partly + ended.failed);
        let runs = self.runs.all().enumerate();
        let parts = runs.filter_map(|(place, run)| {
            let value = match run.state {
                ExecutionState::Completed if run.partial => PARTLY,
                ExecutionState::Completed => 100.0,
                ExecutionState::Failed => 0.0,
                _ => return None,
            };
            Some(ExecutionPart {
                bot: Handle::at(place),
                value,
                points_lost: half / ran * (100.0 - value),
            })
        });
        parts.collect()
    }

    /// Rules and classes with open findings of weight, their points not yet known.
    fn rules(&self, settings: &Settings) -> Vec<RulePart<'_>> {
        let findings = self.findings();
        let mut all = Vec::with_capacity(2 * NAMED);
        for (rule, entry) in findings.names.rules(&findings.texts) {
            for (class, open) in WeightClass::ALL.iter().zip(entry.open) {
                if open > 0 && settings.weight(*class) > 0.0 {
                    all.push(RulePart {
                        rule,
                        class: *class,
                        open,
                        load: quality::load(*class, u64::from(open), settings),
                        points_lost: 0.0,
                    });
                }
            }
        }
        all
    }

    /// What somebody should look at, at `now`; its cost grows with bots only.
    pub fn alerts(&self, now: Timestamp, settings: &Settings) -> Vec<Alert<'_>> {
        let mut alerts = Vec::new();
        if self.runs.ended.failed > 0 {
            self.failures(&mut alerts);
        }
        alerts.extend(self.slow(now, settings));
        let tally = self.tally();
        let (errors, open) = (tally.error, tally.total() - tally.suppressed);
        if errors > 0 {
            alerts.push(Alert::ErrorsOpen(errors));
        }
        if open >= SHARE_FROM && errors * 2 > open {
            alerts.push(Alert::MostlyErrors { errors, open });
        }
        alerts.extend(self.flood());
        alerts
    }

    fn failures<'a>(&'a self, alerts: &mut Vec<Alert<'a>>) {
        let ended = self.runs.ended;
        if ended.well + ended.partly == 0 {
            alerts.push(Alert::AllFailed);
        }
        let failed = Tier::ALL.iter().filter(|tier| self.tier_failed(**tier));
        alerts.extend(failed.map(|tier| Alert::TierFailed(*tier)));
        for (_, bot, run) in self.bots() {
            if run.state == ExecutionState::Failed {
                let (bot, reason) = (bot.as_str(), run.reason.as_deref().unwrap_or_default());
                alerts.push(Alert::BotFailed { bot, reason });
            }
        }
        let name = |bot| self.name(bot).unwrap_or_default();
        let blocked = self.runs.blocked(&self.fleet);
        alerts.extend(blocked.map(|(bot, on)| Alert::Blocked {
            bot: name(bot),
            on: name(on),
        }));
    }

    /// Whether bots of a tier ran, and all of them failed.
    fn tier_failed(&self, tier: Tier) -> bool {
        let runs = self.fleet.bots().iter().zip(self.runs.all());
        let runs = runs.filter(|(bot, _)| bot.tier == tier);
        let mut failed = 0;
        for (_, run) in runs {
            match run.state {
                ExecutionState::Completed => return false,
                ExecutionState::Failed => failed += 1,
                _ => {}
            }
        }
        failed > 0
    }

    fn slow(&self, now: Timestamp, settings: &Settings) -> impl Iterator<Item = Alert<'_>> {
        let limit = settings.stuck_after;
        self.bots().filter_map(move |(_, bot, run)| {
            let started = run
                .started
                .filter(|_| run.state == ExecutionState::Running)?;
            let running = now.duration_since(started);
            (running >= limit).then(|| Alert::Slow {
                bot: bot.as_str(),
                running,
            })
        })
    }

    fn flood(&self) -> Option<Alert<'_>> {
        let counts = self.findings().of_bots.iter().enumerate();
        let mut counts: Vec<(u32, usize)> = counts
            .map(|(place, of_bot)| (of_bot.open + of_bot.suppressed, place))
            .filter(|(count, _)| *count > 0)
            .collect();
        let &(findings, place) = counts.iter().max()?;
        if findings < FLOOD_FROM {
            return None;
        }
        let middle = (counts.len() - 1) / 2;
        let (_, &mut (median, _), _) = counts.select_nth_unstable(middle);
        (findings / FLOOD >= median).then(|| Alert::Flood {
            bot: self.name(Handle::at(place)).unwrap_or_default(),
            findings,
            median,
        })
    }
}
