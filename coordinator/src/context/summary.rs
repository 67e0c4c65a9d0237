//! A context in a few numbers.

use fleet_worker_sdk::{ExecutionState, Repository};
use jiff::Timestamp;
use serde::Serialize;

use super::findings::OfBot;
use super::{Context, ContextId};
use crate::health::{Settings, Status};
use crate::model::Tally;

/// A context in a few numbers, borrowed from it. Its cost grows with bots and categories.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary<'a> {
    /// Whose it is.
    pub id: ContextId,
    /// Which repository.
    pub repository: &'a Repository,
    /// When it was opened.
    pub opened: Timestamp,
    /// 0-100; none when nothing is known.
    pub score: Option<f64>,
    /// How well it is.
    pub status: Status,
    /// Whether it should not be released.
    pub blocks_release: bool,
    /// All findings, suppressed ones included.
    pub total: u64,
    /// Findings by severity.
    pub tally: Tally,
    /// Each bot, in order of registration.
    pub bots: Vec<BotSummary<'a>>,
    /// Open findings by category, in order of arrival.
    pub categories: Vec<(&'a str, u32)>,
}

/// A bot in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BotSummary<'a> {
    /// Its name.
    pub bot: &'a str,
    /// How far it is.
    pub state: ExecutionState,
    /// Its open findings.
    pub open: u32,
    /// Errors among them.
    pub errors: u32,
    /// Its suppressed findings.
    pub suppressed: u32,
}

impl Context {
    /// The context in a few numbers.
    pub fn summary(&self, settings: &Settings) -> Summary<'_> {
        let standing = self.standing(settings);
        let mut bots = Vec::with_capacity(self.fleet.len());
        bots.extend(self.bot_summaries());
        let tally = self.tally();
        Summary {
            id: self.id,
            repository: &self.repository,
            opened: self.opened,
            score: standing.score,
            status: standing.status,
            blocks_release: self.blocks_release(),
            total: tally.total(),
            tally,
            bots,
            categories: self.categories().collect(),
        }
    }

    /// Each bot in a few numbers, in order of registration.
    pub fn bot_summaries(&self) -> impl Iterator<Item = BotSummary<'_>> {
        let counts = self.findings().of_bots.iter().map(OfBot::counts);
        let counts = counts.chain(std::iter::repeat(<[u32; 3]>::default()));
        let bots = self.bots().zip(counts);
        bots.map(|((_, bot, run), [open, errors, suppressed])| BotSummary {
            bot: bot.as_str(),
            state: run.state,
            open,
            errors,
            suppressed,
        })
    }

    /// Categories with their open findings, in order of arrival.
    pub fn categories(&self) -> impl Iterator<Item = (&str, u32)> {
        let findings = self.findings();
        let categories = findings.names.categories(&findings.texts);
        categories.map(|(name, entry)| (name, entry.open.first().copied().unwrap_or_default()))
    }
}
