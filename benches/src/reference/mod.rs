//! What the local path is measured against: a context as one writes it first.
//!
//! Findings own their texts and lie in one list. Every id is a random UUID from the system's
//! generator, every time a look at the clock. Whoever asks gets the list looked through, and reports
//! are put together from small texts. It is written to be plain and not to be slow: nothing is done
//! twice that a plain program would do once. Only the benches use it.

mod bots;

mod findings;

mod health;

mod reports;

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use bots::{Bot, BotInfo, Execution, Progress, Tier};
pub use findings::Finding;
pub use health::{Health, TierHealth};
pub use reports::Summary;

/// One analysis: bots, their executions, their findings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Context {
    /// Its id.
    pub id: Uuid,
    /// The repository's name.
    pub name: String,
    /// Where it is checked out.
    pub path: PathBuf,
    /// When the analysis began.
    pub opened: Timestamp,
    /// How far each bot is.
    pub executions: HashMap<Bot, Execution>,
    /// Everything that was found.
    pub findings: Vec<Finding>,
}

/// The time, which the rest of this workspace takes as a value.
fn now() -> Timestamp {
    Timestamp::now()
}

/// A random id from the system's generator, as `Uuid::new_v4` makes one.
fn random_id() -> Uuid {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

impl Context {
    /// Without bots and findings.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            id: random_id(),
            name: name.into(),
            path: path.into(),
            opened: now(),
            executions: HashMap::new(),
            findings: Vec::new(),
        }
    }

    /// Lets a bot take part.
    pub fn register(&mut self, bot: Bot) {
        self.executions.insert(bot, Execution::pending(bot));
    }

    /// Lets all eleven take part.
    pub fn register_all(&mut self) {
        for bot in Bot::ALL {
            self.register(bot);
        }
    }

    /// A bot begins.
    pub fn start(&mut self, bot: Bot) {
        if let Some(execution) = self.executions.get_mut(&bot) {
            execution.progress = Progress::Running;
            execution.started = Some(now());
        }
    }

    /// A bot has ended well.
    pub fn complete(&mut self, bot: Bot, files: usize) {
        let found = self.by_bot(bot).len();
        let errors = self
            .findings
            .iter()
            .filter(|finding| finding.bot == bot && finding.is_error());
        let errors = errors.count();
        if let Some(execution) = self.executions.get_mut(&bot) {
            execution.progress = Progress::Completed;
            execution.ended = Some(now());
            (execution.findings, execution.errors, execution.files) = (found, errors, files);
        }
    }

    /// Bots that wait for nobody.
    pub fn ready_bots(&self) -> Vec<Bot> {
        let pending = self.executions.values();
        let pending = pending.filter(|execution| execution.progress == Progress::Pending);
        let ready = pending.filter(|execution| {
            let info = BotInfo::of(execution.bot);
            info.depends_on.iter().all(|needed| {
                let needed = self.executions.get(needed);
                needed.is_none_or(|needed| needed.progress == Progress::Completed)
            })
        });
        ready.map(|execution| execution.bot).collect()
    }

    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The finding with this id.
    pub fn find(&self, id: Uuid) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.id == id)
    }

    /// Findings of a bot.
    pub fn by_bot(&self, bot: Bot) -> Vec<&Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.bot == bot)
            .collect()
    }

    /// Findings in a category.
    pub fn by_category(&self, category: &str) -> Vec<&Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.category == category)
            .collect()
    }

    /// Findings, worst first.
    pub fn sorted(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.findings.iter().collect();
        all.sort_by_key(|finding| finding.severity);
        all
    }

    /// Whether an error is open.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }

    /// Whether this should not be released.
    pub fn blocks_release(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.is_error() && !finding.fixed)
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap()
    }

    /// From JSON.
    pub fn from_json(text: &str) -> Self {
        serde_json::from_str(text).unwrap()
    }
}
