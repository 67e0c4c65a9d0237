//! The eleven bots and how far they are.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

macro_rules! bots {
    ($($bot:ident $name:literal $tier:ident [$($needs:ident)*] $about:literal,)*) => {
        /// A bot, known by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[expect(missing_docs, reason = "names of bots mean the bots")]
        pub enum Bot {
            $($bot,)*
        }

        impl Bot {
            /// All of them.
            pub const ALL: [Self; 11] = [$(Self::$bot),*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bot => $name,)*
                }
            }
        }

        impl BotInfo {
            /// What is known of a bot.
            pub fn of(bot: Bot) -> Self {
                match bot {
                    $(Bot::$bot => Self {
                        bot,
                        name: $name.to_owned(),
                        description: $about.to_owned(),
                        version: "1.0.0".to_owned(),
                        tier: Tier::$tier,
                        depends_on: vec![$(Bot::$needs),*],
                    },)*
                }
            }
        }
    };
}

bots! {
    Patterns "patterns" Engine [] "Looks for patterns of known faults",
    Licences "licences" Verifier [Patterns] "Checks licences and their texts",
    Proofs "proofs" Verifier [Patterns] "Verifies what is claimed to be proven",
    Leaks "leaks" Verifier [Patterns] "Looks for credentials",
    Docs "docs" Verifier [Patterns] "Checks links and examples of documentation",
    Style "style" Verifier [Patterns] "Checks the style of the code",
    Accessible "accessible" Finisher [Patterns Docs] "Checks pages for accessibility",
    Joins "joins" Finisher [Patterns Proofs] "Checks where parts meet",
    Releases "releases" Finisher [Patterns Licences] "Checks what is to be released",
    Reviews "reviews" Specialist [Patterns] "Reviews changes",
    Fixes "fixes" Executor [Patterns Accessible Joins Releases] "Applies fixes",
}

/// When a bot works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the rest of the workspace")]
pub enum Tier {
    Engine,
    Verifier,
    Finisher,
    Specialist,
    Executor,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Engine,
        Self::Verifier,
        Self::Finisher,
        Self::Specialist,
        Self::Executor,
    ];
}

/// What is known of a bot.
#[derive(Clone, Debug)]
pub struct BotInfo {
    /// Which.
    pub bot: Bot,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Its version.
    pub version: String,
    /// When it works.
    pub tier: Tier,
    /// Bots that must have completed before.
    pub depends_on: Vec<Bot>,
}

/// How far a bot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the rest of the workspace")]
pub enum Progress {
    Pending,
    Running,
    Completed,
    Failed,
}

/// One bot's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Execution {
    /// Whose.
    pub bot: Bot,
    /// How far it is.
    pub progress: Progress,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Findings it has.
    pub findings: usize,
    /// Errors among them.
    pub errors: usize,
    /// Files it looked at.
    pub files: usize,
    /// What went wrong.
    pub error: Option<String>,
}

impl Execution {
    /// One that has not begun.
    pub fn pending(bot: Bot) -> Self {
        Self {
            bot,
            progress: Progress::Pending,
            started: None,
            ended: None,
            findings: 0,
            errors: 0,
            files: 0,
            error: None,
        }
    }
}
