//! Conservation: nothing that was acknowledged is lost, counted twice or made up.
//!
//! Of each session the members of its index, the sums of its counters, its total, and the findings
//! in its log with the quarantined ones are the same number. Of each execution that has ended, what
//! it stated is what was received of it; and an execution's first attempt is counted with no more
//! than was received. [`Account`] holds the numbers, read at one moment, and [`Account::faults`] says
//! what is wrong with them. Pure: stores read accounts, coordinators go round with them.

use std::collections::BTreeMap;
use std::fmt;

use fleet_worker_sdk::{
    BotId, Error, Execution, ExecutionState, Repository, Result, SessionId, Version,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Counts;

/// Sessions of which a mismatch is kept: who has more has one fault with many faces, and finds them
/// with `fleet conserve check --all`.
pub const MAX_MISMATCHES: usize = 256;

/// The numbers of a session, at one moment. Signed: what is damaged may be below 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Which session.
    pub session: SessionId,
    /// Of which repository.
    pub repository: Repository,
    /// The version at which it was read.
    pub version: Version,
    /// The generation of its log.
    pub generation: u64,
    /// Members of its index.
    pub indexed: i64,
    /// Sums of its counters.
    pub counted: Sums,
    /// The total that it states.
    pub total: i64,
    /// Findings in its log, each once.
    pub logged: i64,
    /// Findings whose batch could not be read: they are counted, and no longer in the log.
    pub quarantined: i64,
    /// Its executions, by bot.
    pub executions: Vec<Received>,
}

/// Sums of a session's counters, suppressed findings included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Over bots and severities.
    pub by_bot: i64,
    /// Over the severities that a list of sessions shows.
    pub by_severity: i64,
    /// Over categories.
    pub by_category: i64,
    /// Over rules and weight classes.
    pub by_rule: i64,
}

/// What was received of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Of which bot.
    pub bot: BotId,
    /// Which attempt; 0 of one that has not started.
    pub attempt: u32,
    /// What it stated at its end; none while it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<i64>,
    /// Findings received in this attempt, those that the session had among them.
    pub received: i64,
    /// Findings that the session counts for the bot, of all attempts.
    pub counted: i64,
}

impl Received {
    /// The account of an execution that stated `stated` when it ended, if it has.
    pub fn of(execution: &Execution, stated: i64, received: i64, counted: i64) -> Self {
        let ended = matches!(
            execution.state,
            ExecutionState::Completed | ExecutionState::Failed | ExecutionState::Skipped
        );
        Self {
            bot: execution.bot.clone(),
            attempt: execution.attempt,
            stated: ended.then_some(stated),
            received,
            counted,
        }
    }

    fn faults(&self) -> impl Iterator<Item = Fault> {
        let fault = |number, found, expected| Fault {
            number,
            bot: Some(self.bot.clone()),
            found,
            expected,
        };
        let stated = self.stated.filter(|stated| *stated != self.received);
        let stated = stated.map(|stated| fault(Number::Received, self.received, stated));
        // What an earlier attempt pushed stays counted, and is no longer known here.
        let over = self.attempt <= 1 && self.counted > self.received;
        let over = over.then(|| fault(Number::OfBot, self.counted, self.received));
        stated.into_iter().chain(over)
    }
}

/// A number that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// Members of the index.
    Index,
    /// The sum over bots.
    Bots,
    /// The sum over severities.
    Severities,
    /// The sum over categories.
    Categories,
    /// The sum over rules.
    Rules,
    /// The total.
    Total,
    /// The log, with what is quarantined: all others agree.
    Log,
    /// What was received of an execution, against what it stated when it ended.
    Received,
    /// What is counted for a bot on its first attempt, against what was received of it.
    OfBot,
}

impl Number {
    /// It in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "members of the index",
            Self::Bots => "the sum over bots",
            Self::Severities => "the sum over severities",
            Self::Categories => "the sum over categories",
            Self::Rules => "the sum over rules",
            Self::Total => "the total",
            Self::Log => "findings in the log",
            Self::Received => "findings received of",
            Self::OfBot => "findings counted for",
        }
    }
}

/// A number that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which number.
    pub number: Number,
    /// Of which bot, where it is one bot's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<BotId>,
    /// What it is.
    pub found: i64,
    /// What it must be, or may be at most.
    pub expected: i64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, found, expected) = (self.number.as_str(), self.found, self.expected);
        match (&self.bot, self.number) {
            (Some(bot), Number::OfBot) => {
                write!(f, "{number} {bot} are {found}, received were {expected}")
            }
            (Some(bot), _) => write!(f, "{number} {bot} are {found}, it stated {expected}"),
            (None, _) => write!(f, "{number}: {found}, expected {expected}"),
        }
    }
}

impl Account {
    /// What every number must be: each finding is in the log once, or quarantined.
    pub fn truth(&self) -> i64 {
        self.logged + self.quarantined
    }

    /// What is wrong, nothing where all agree.
    pub fn faults(&self) -> Vec<Fault> {
        let fault = |number, found, expected| Fault {
            number,
            bot: None,
            found,
            expected,
        };
        let numbers = self.numbers();
        let truth = self.truth();
        let mut faults: Vec<Fault> = if numbers.iter().all(|(_, found)| *found == self.total) {
            let log = (truth != self.total).then(|| fault(Number::Log, truth, self.total));
            log.into_iter().collect()
        } else {
            let wrong = numbers.into_iter().filter(|(_, found)| *found != truth);
            wrong
                .map(|(number, found)| fault(number, found, truth))
                .collect()
        };
        faults.extend(self.executions.iter().flat_map(Received::faults));
        faults
    }

    fn numbers(&self) -> [(Number, i64); 6] {
        let sums = self.counted;
        [
            (Number::Index, self.indexed),
            (Number::Bots, sums.by_bot),
            (Number::Severities, sums.by_severity),
            (Number::Categories, sums.by_category),
            (Number::Rules, sums.by_rule),
            (Number::Total, self.total),
        ]
    }

    /// How many findings the numbers are apart.
    pub fn difference(&self) -> u64 {
        let numbers = self.numbers().into_iter().map(|(_, found)| found);
        let (low, high) = numbers.fold((self.truth(), self.truth()), |(low, high), found| {
            (low.min(found), high.max(found))
        });
        high.abs_diff(low)
    }

    /// What the fleet's sums hold of the session: they are kept with each push, and so are the numbers
    /// of which most agree; where none do, what the counters say.
    pub fn contributed(&self) -> i64 {
        let told = [self.counted.by_bot, self.total, self.indexed, self.truth()];
        let agreeing = |number: i64| told.iter().filter(|other| **other == number).count();
        // Of equals the last is taken, so the order is turned round.
        let most = told
            .into_iter()
            .rev()
            .max_by_key(|number| agreeing(*number));
        most.unwrap_or(self.total)
    }

    /// Whether `strangers`, members of the index that are not in the log, are the findings that are
    /// quarantined, and counted as such: then they stay, with the counters as they are. False where
    /// nothing is quarantined.
    ///
    /// # Errors
    /// `Error::Conflict` when it cannot be told which findings are quarantined.
    pub fn held_back(&self, strangers: u64) -> Result<bool> {
        let truth = self.truth();
        let Sums {
            by_bot,
            by_severity,
            by_category,
            by_rule,
        } = self.counted;
        let counted = [by_bot, by_severity, by_category, by_rule];
        if self.quarantined == 0 {
            return Ok(false);
        }
        if i64::try_from(strangers) == Ok(self.quarantined) && counted.iter().all(|n| *n == truth) {
            return Ok(true);
        }
        Err(Error::conflict(format!(
            "{} findings of session {} are quarantined, and its index or counters do not tell which; \
             requeue them with software that can read them (fleet dead), then repair it",
            self.quarantined, self.session
        )))
    }

    /// The four numbers in one line.
    pub fn text(&self) -> String {
        format!(
            "index {}, counts {}, total {}, log {} with {} quarantined",
            self.indexed, self.counted.by_bot, self.total, self.logged, self.quarantined
        )
    }
}

impl Sums {
    /// The sums of counters.
    pub fn of(counts: &Counts, by_severity: u64) -> Self {
        let tally = counts.tally();
        let suppressed = tally.suppressed;
        let sum = |open: u64| (open + suppressed).cast_signed();
        Self {
            by_bot: tally.total().cast_signed(),
            by_severity: by_severity.cast_signed(),
            by_category: sum(counts.by_category.values().sum()),
            by_rule: sum(counts.by_rule.values().sum()),
        }
    }
}

/// A session whose numbers do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// Its numbers.
    pub account: Account,
    /// What is wrong with them.
    pub faults: Vec<Fault>,
    /// When it was noticed (the store's clock).
    pub since: Timestamp,
}

impl Mismatch {
    /// The mismatch that an account is, if it is one.
    pub fn of(account: Account, since: Timestamp) -> Option<Self> {
        let faults = account.faults();
        (!faults.is_empty()).then_some(Self {
            account,
            faults,
            since,
        })
    }

    /// What is wrong, in one line.
    pub fn text(&self) -> String {
        let faults: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
        faults.join("; ")
    }
}

/// What a fleet knows of its mismatches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conservation {
    /// How many sessions do not add up, as far as they were looked at.
    pub mismatched: u64,
    /// By how many findings in all.
    pub difference: u64,
    /// Those sessions, longest known first; at most [`MAX_MISMATCHES`].
    pub sessions: Vec<Mismatch>,
}

impl Conservation {
    /// The sum of what is known.
    pub fn of(mut sessions: Vec<Mismatch>) -> Self {
        sessions.sort_by(|a, b| (a.since, &a.account.session).cmp(&(b.since, &b.account.session)));
        Self {
            mismatched: sessions.len() as u64,
            difference: sessions.iter().map(|m| m.account.difference()).sum(),
            sessions,
        }
    }
}

/// What a repair did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// Whether it was made.
    pub applied: bool,
    /// The numbers before.
    pub before: Account,
    /// The numbers after; the same as before where nothing was wrong.
    pub after: Account,
    /// Findings put into the index.
    pub added: u64,
    /// Members taken out of it, of which there is no finding.
    pub removed: u64,
    /// Counters with another number than before.
    pub counters: u64,
    /// Findings that the log has more than once: they count once.
    pub duplicates: u64,
    /// Findings that were counted and are nowhere: they were acknowledged, and are lost.
    pub lost: u64,
}

impl Repair {
    /// Whether nothing was wrong.
    pub fn is_whole(&self) -> bool {
        self.before.faults().is_empty() && self.added + self.removed + self.counters == 0
    }
}

/// How many counters have another number in `after`.
pub fn changed_counters(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> u64 {
    let of = |map: &BTreeMap<String, i64>, field: &String| map.get(field).copied().unwrap_or(0);
    let fields: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = fields
        .into_iter()
        .filter(|field| of(before, field) != of(after, field));
    changed.count() as u64
}

#[cfg(test)]
mod tests;
