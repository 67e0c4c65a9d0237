//! One analysis of one repository, in this process: bots, their runs, their findings, what that makes.
//!
//! A [`Context`] needs no store, no runtime and no clock: time comes in as a value, one a call or a
//! batch. Everything that is asked often is kept as it changes, so that health, counts and whether a
//! release is blocked cost the same with a hundred findings and with a hundred thousand.
//!
//! ```
//! use fleet_coordinator::context::{Context, Draft, End, Format};
//! use fleet_coordinator::health::Settings;
//! use fleet_worker_sdk::{Repository, Severity};
//! use jiff::Timestamp;
//!
//! let now = Timestamp::from_second(1_700_000_000).unwrap();
//! let mut context = Context::new(Repository::new("acme/shop")?, now);
//! context.register_all()?;
//! let hypatia = context.bot("hypatia").unwrap();
//!
//! context.start(hypatia, now)?;
//! let unchecked = Draft::new("no-unwrap", Severity::Error, "`unwrap` on user input").at("src/main.rs", 12);
//! let id = context.add(hypatia, &unchecked, now)?;
//! context.end(hypatia, End::Complete, now)?;
//!
//! assert_eq!(context.find(id).unwrap().file(), "src/main.rs");
//! assert!(context.has_errors() && context.blocks_release());
//! assert_eq!(context.by_bot(hypatia).count(), 1);
//! let ready: Vec<_> = context.ready_bots().filter_map(|bot| context.name(bot)).collect();
//! assert!(ready.contains(&"echidnabot"));
//! let settings = Settings::default();
//! assert!(context.standing(&settings).score.unwrap() > 90.0);
//! assert!(context.report(Format::Markdown, &settings).starts_with("# Findings of acme/shop"));
//! # Ok::<(), fleet_worker_sdk::Error>(())
//! ```
//!
//! # Sharing
//!
//! [`Context::clone`] is a snapshot and takes no longer for many findings than for few: both share
//! what there is until one of them changes, which then copies it. Whoever writes keeps the one, and
//! hands the other to readers.
//!
//! # What it is made of
//!
//! In the order data flows: [`draft`] is what comes in; [`ids`], `texts` and `names` keep it once;
//! `findings` has its columns, posting lists and, in `load`, the sums kept; [`fleet`] and [`runs`] are
//! the bots; [`query`] and [`summary`] are what is asked; [`health`] what it is worth; [`report`] how it
//! is shown; [`document`] and [`file`](mod@file) how it is kept.

pub mod draft;

pub mod ids;

mod texts;

mod load;

mod names;

pub mod fleet;

pub mod runs;

mod findings;

pub mod query;

pub mod health;
pub mod summary;

pub mod report;

pub mod document;
pub mod file;

use std::sync::{Arc, LazyLock};

use fleet_worker_sdk::{Bot, BotId, Repository, Result, Severity};
use jiff::Timestamp;

pub use crate::report::Format;
pub use draft::{Draft, Marks};
pub use findings::MAX_FINDINGS;
pub use fleet::Handle;
pub use health::{Alert, Breakdown, Standing};
pub use ids::{ContextId, FindingId};
pub use query::Entry;
pub use runs::{End, Run};
pub use summary::Summary;

use crate::model::Tally;
use findings::Findings;
use fleet::Fleet;
use runs::Runs;

/// One analysis of one repository.
#[derive(Clone, Debug)]
pub struct Context {
    id: ContextId,
    repository: Repository,
    opened: Timestamp,
    fleet: Arc<Fleet>,
    runs: Runs,
    /// None until the first one comes.
    findings: Option<Arc<Findings>>,
}

/// What a context without findings shows.
static NOTHING: LazyLock<Findings> = LazyLock::new(Findings::default);

impl Context {
    /// A context without bots and findings, opened at `now`.
    #[inline]
    pub fn new(repository: Repository, now: Timestamp) -> Self {
        Self {
            id: ContextId::fresh(now),
            repository,
            opened: now,
            fleet: Arc::clone(Fleet::nobody()),
            runs: Runs::default(),
            findings: None,
        }
    }

    /// Its id.
    pub fn id(&self) -> ContextId {
        self.id
    }

    /// The repository that is analysed.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// When it was opened.
    pub fn opened(&self) -> Timestamp {
        self.opened
    }

    /// Registers a bot, which takes part from now on; one that is registered is described anew, and
    /// keeps its run.
    ///
    /// # Errors
    /// `Error::Invalid` when the bot is not valid, `Error::TooLarge` with the 257th bot.
    pub fn register(&mut self, bot: impl Into<Arc<Bot>>) -> Result<Handle> {
        let handle = Arc::make_mut(&mut self.fleet).register(bot.into())?;
        self.runs.join(handle);
        Ok(handle)
    }

    /// Registers the eleven classic bots; how many bots there are now.
    ///
    /// # Errors
    /// As [`Context::register`].
    #[inline]
    pub fn register_all(&mut self) -> Result<usize> {
        let classic = Fleet::classic();
        if self.fleet.len() == 0 {
            self.fleet = Arc::clone(classic);
            self.runs = Runs::pending(classic.len());
        } else {
            for bot in classic.bots() {
                self.register(Arc::clone(bot))?;
            }
        }
        Ok(self.fleet.len())
    }

    /// The registered bot of this name.
    pub fn bot(&self, name: &str) -> Option<Handle> {
        let mut bots = self.fleet.bots().iter();
        let place = bots.position(|bot| bot.id.as_str() == name)?;
        Some(Handle::at(place))
    }

    /// The name of a bot.
    pub fn name(&self, bot: Handle) -> Option<&str> {
        self.fleet.bot(bot).map(|bot| bot.id.as_str())
    }

    /// What is known of a bot.
    pub fn description(&self, bot: Handle) -> Option<&Bot> {
        self.fleet.bot(bot)
    }

    /// The registered bots with their runs, in order of registration.
    pub fn bots(&self) -> impl Iterator<Item = (Handle, &BotId, &Run)> {
        let bots = self.fleet.bots().iter().zip(self.runs.all());
        let bots = bots.enumerate();
        bots.map(|(place, (bot, run))| (Handle::at(place), &bot.id, run))
    }

    /// A bot's run.
    pub fn run(&self, bot: Handle) -> Option<&Run> {
        self.runs.get(bot)
    }

    /// Bots that have not begun and wait for nobody: all that they depend on and that takes part has
    /// completed or was skipped; finishers also wait for the verifiers.
    #[inline]
    pub fn ready_bots(&self) -> impl Iterator<Item = Handle> + '_ {
        self.runs.ready(&self.fleet)
    }

    /// Starts a bot's first attempt.
    ///
    /// # Errors
    /// `Error::Conflict` when it has begun, `Error::NotFound` for a bot of another context.
    pub fn start(&mut self, bot: Handle, now: Timestamp) -> Result<()> {
        self.runs.start(bot, now, false)
    }

    /// Starts the next attempt, whatever became of the one before; its findings stay.
    ///
    /// # Errors
    /// `Error::NotFound` for a bot of another context.
    pub fn restart(&mut self, bot: Handle, now: Timestamp) -> Result<()> {
        self.runs.start(bot, now, true)
    }

    /// Ends a bot's run.
    ///
    /// # Errors
    /// `Error::Conflict` when it does not run (a pending one may be skipped), `Error::NotFound` for a
    /// bot of another context.
    pub fn end(&mut self, bot: Handle, end: End<'_>, now: Timestamp) -> Result<()> {
        self.runs.end(bot, now, end)
    }

    /// Adds a finding of `bot`.
    ///
    /// # Errors
    /// `Error::Invalid` for one without rule or category, `Error::TooLarge` for one over 64 KiB or
    /// beyond [`MAX_FINDINGS`], `Error::NotFound` for a bot of another context; nothing changes then.
    #[inline]
    pub fn add(&mut self, bot: Handle, draft: &Draft<'_>, now: Timestamp) -> Result<FindingId> {
        self.check(bot)?;
        let position = self.findings_mut().add_at(bot, draft, now)?;
        Ok(self.id.finding(position))
    }

    /// Adds findings of `bot` that came at `now`; how many. It is faster than one by one.
    ///
    /// # Errors
    /// As [`Context::add`]; the findings before the one at fault stay.
    pub fn add_all<'a>(
        &mut self,
        bot: Handle,
        drafts: impl IntoIterator<Item = Draft<'a>>,
        now: Timestamp,
    ) -> Result<usize> {
        self.check(bot)?;
        let drafts = drafts.into_iter();
        let findings = self.findings_mut();
        findings.reserve(drafts.size_hint().0.min(MAX_FINDINGS));
        let mut added = 0;
        for draft in drafts {
            findings.add_at(bot, &draft, now)?;
            added += 1;
        }
        Ok(added)
    }

    #[inline]
    fn check(&self, bot: Handle) -> Result<()> {
        if bot.place() < self.fleet.len() {
            Ok(())
        } else {
            Err(fleet::stranger(bot))
        }
    }

    #[inline]
    fn findings(&self) -> &Findings {
        self.findings.as_deref().unwrap_or(&NOTHING)
    }

    /// To change them: those of snapshots are copied first.
    #[inline]
    fn findings_mut(&mut self) -> &mut Findings {
        Arc::make_mut(self.findings.get_or_insert_default())
    }

    /// Number of findings.
    #[inline]
    pub fn len(&self) -> usize {
        self.findings().rows.len()
    }

    /// Whether there is no finding.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Findings by severity.
    pub fn tally(&self) -> Tally {
        self.findings().sums.tally()
    }

    /// Whether an error is open.
    #[inline]
    pub fn has_errors(&self) -> bool {
        self.findings().sums.of(Severity::Error) > 0
    }

    /// Whether this should not be released: an error is open, or a bot failed, and nobody knows what
    /// it would have found.
    #[inline]
    pub fn blocks_release(&self) -> bool {
        self.has_errors() || self.runs.ended.failed > 0
    }

    /// Bytes its findings take, about.
    pub fn weight(&self) -> usize {
        self.findings().weight()
    }
}

#[cfg(test)]
mod tests;
