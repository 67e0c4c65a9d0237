//! Bots: kinds of analysers, as data.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::severity::words;

words!(
    /// When a bot works, relative to the others, in execution order.
    Tier, "tier" {
        /// Analyses the code itself.
        Engine = "engine",
        /// Checks what engines found.
        Verifier = "verifier",
        /// Rounds off: needs the verifiers' answer.
        Finisher = "finisher",
        /// Looks at one aspect.
        Specialist = "specialist",
        /// Changes code, on findings whose confidence allows it.
        Executor = "executor",
        /// Anything else.
        Custom = "custom",
    }
);

/// A kind of analyser: what a fleet knows of it.
///
/// ```
/// use fleet_worker_sdk::{Bot, Tier};
///
/// let bot = Bot::new("licence-check")?.tier(Tier::Verifier).version("1.2.0").depends_on(["hypatia"])?;
/// assert_eq!(bot.depends_on.len(), 1);
/// # Ok::<(), fleet_worker_sdk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bot {
    /// Its id.
    pub id: BotId,
    /// Version of the bot or its tool; empty when unknown.
    #[serde(default)]
    pub version: String,
    /// When it works.
    #[serde(default = "custom")]
    pub tier: Tier,
    /// What kinds of findings it makes.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Bots whose executions must have completed or been skipped before this one is ready.
    #[serde(default)]
    pub depends_on: Vec<BotId>,
    /// Whether it can fix what it finds.
    #[serde(default)]
    pub can_fix: bool,
    /// Run by somebody else: not part of `register_all`.
    #[serde(default)]
    pub external: bool,
    /// One line for people.
    #[serde(default)]
    pub description: String,
}

fn custom() -> Tier {
    Tier::Custom
}

/// Most categories or dependencies one bot may have.
const MAX_LIST: usize = 64;
/// Longest version or description, in bytes.
const MAX_TEXT: usize = 512;

impl Bot {
    /// A bot of the custom tier with nothing else known.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `id` is no valid bot id.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            id: BotId::new(id)?,
            version: String::new(),
            tier: Tier::Custom,
            categories: Vec::new(),
            depends_on: Vec::new(),
            can_fix: false,
            external: false,
            description: String::new(),
        })
    }

    /// In this tier.
    #[must_use]
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Of this version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Making findings of these categories.
    #[must_use]
    pub fn categories<T: Into<String>>(mut self, categories: impl IntoIterator<Item = T>) -> Self {
        self.categories = categories.into_iter().map(Into::into).collect();
        self
    }

    /// Working after these bots.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one is no valid bot id.
    pub fn depends_on<T: AsRef<str>>(mut self, bots: impl IntoIterator<Item = T>) -> Result<Self> {
        self.depends_on = bots.into_iter().map(BotId::new).collect::<Result<_>>()?;
        Ok(self)
    }

    /// Refuses what no store takes.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field.
    pub fn check(&self) -> Result<()> {
        if self.categories.len() > MAX_LIST || self.depends_on.len() > MAX_LIST {
            return Err(Error::invalid(
                "bot",
                format!("more than {MAX_LIST} categories or dependencies"),
            ));
        }
        if self.depends_on.contains(&self.id) {
            return Err(Error::invalid(
                "depends_on",
                format!("`{}` depends on itself", self.id),
            ));
        }
        let longest = self.categories.iter().map(String::len).max().unwrap_or(0);
        if longest > crate::finding::MAX_CATEGORY {
            return Err(Error::invalid(
                "categories",
                format!("one is {longest} bytes long"),
            ));
        }
        if self.version.len() > MAX_TEXT || self.description.len() > MAX_TEXT {
            return Err(Error::invalid(
                "bot",
                format!("version or description is over {MAX_TEXT} bytes"),
            ));
        }
        Ok(())
    }
}
