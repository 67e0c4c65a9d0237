//! The classic bots, as a preset, and what an executor may do by a finding's confidence.
//!
//! Nothing else in the crate knows these names: a fleet of other bots registers its own.

use serde::{Deserialize, Serialize};

use crate::bot::{Bot, Tier};
use crate::error::Result;
use crate::severity::words;
use crate::write::Write;

struct Row {
    id: &'static str,
    tier: Tier,
    categories: &'static [&'static str],
    depends_on: &'static [&'static str],
    can_fix: bool,
    external: bool,
    description: &'static str,
}

const fn row(
    id: &'static str,
    tier: Tier,
    categories: &'static [&'static str],
    depends_on: &'static [&'static str],
    description: &'static str,
) -> Row {
    Row {
        id,
        tier,
        categories,
        depends_on,
        can_fix: false,
        external: false,
        description,
    }
}

impl Row {
    const fn fixing(mut self) -> Self {
        self.can_fix = true;
        self
    }

    const fn external(mut self) -> Self {
        self.external = true;
        self
    }

    fn bot(&self) -> Result<Bot> {
        let mut bot = Bot::new(self.id)?
            .tier(self.tier)
            .categories(self.categories.iter().copied())
            .depends_on(self.depends_on)?;
        bot.can_fix = self.can_fix;
        bot.external = self.external;
        self.description.clone_into(&mut bot.description);
        Ok(bot)
    }
}

/// In execution order. Finishers wait for every verifier through their tier's gate, so that they
/// need not name them; the executor names the finishers, for its tier has no gate.
const ROSTER: &[Row] = &[
    row(
        "hypatia",
        Tier::Engine,
        &["security", "correctness", "patterns"],
        &[],
        "Neurosymbolic engine: the analysis that the others build on",
    ),
    row(
        "sustainabot",
        Tier::Engine,
        &["sustainability", "efficiency"],
        &[],
        "Ecological and economic cost of the code",
    ),
    row(
        "oikosbot",
        Tier::Engine,
        &["ecology", "economy"],
        &[],
        "Ecological and economic analysis, run by another organisation",
    )
    .external(),
    row(
        "rhodibot",
        Tier::Verifier,
        &["structure", "compliance"],
        &["hypatia"],
        "Structure of the repository against its standard",
    ),
    row(
        "echidnabot",
        Tier::Verifier,
        &["formal-verification", "proof"],
        &["hypatia"],
        "Formal verification: checks proofs and contracts",
    ),
    row(
        "panicbot",
        Tier::Verifier,
        &["robustness", "safety"],
        &["hypatia"],
        "Robustness: what can crash, hang or leak",
    ),
    row(
        "glambot",
        Tier::Finisher,
        &["presentation", "documentation"],
        &["hypatia"],
        "Presentation: readme, documents, look",
    )
    .fixing(),
    row(
        "seambot",
        Tier::Finisher,
        &["integration", "interfaces"],
        &["hypatia"],
        "Seams: where components meet",
    )
    .fixing(),
    row(
        "finishbot",
        Tier::Finisher,
        &["completeness", "release"],
        &["hypatia"],
        "Completeness: placeholders, licences, release readiness",
    )
    .fixing(),
    row(
        "accessibilitybot",
        Tier::Specialist,
        &["accessibility"],
        &["hypatia"],
        "Accessibility of what people see and hear",
    ),
    row(
        "cipherbot",
        Tier::Specialist,
        &["cryptography", "privacy"],
        &["hypatia"],
        "Cryptography and secrets",
    ),
    row(
        "robot-repo-automaton",
        Tier::Executor,
        &["fix"],
        &["hypatia", "glambot", "seambot", "finishbot"],
        "Applies fixes whose confidence allows it",
    )
    .fixing(),
];

/// The classic bots, in execution order; external ones included.
///
/// # Errors
/// None in practice: every name is a valid id, which a test holds it to.
pub fn all() -> Result<Vec<Bot>> {
    ROSTER.iter().map(Row::bot).collect()
}

/// Registers every classic bot that is not external; answers with how many.
///
/// # Errors
/// Those of [`Write::register`]; bots before the failing one stay registered.
pub async fn register_all(store: &dyn Write) -> Result<usize> {
    let mut registered = 0;
    for bot in all()?.iter().filter(|bot| !bot.external) {
        store.register(bot).await?;
        registered += 1;
    }
    Ok(registered)
}

words!(
    /// What an executor may do about a finding.
    Strategy, "strategy" {
        /// Confidence of 0.95 or more: the fix is applied automatically.
        Eliminate = "eliminate",
        /// 0.85 or more: a fix is proposed, a person reviews it.
        Substitute = "substitute",
        /// Anything less, or unknown: a person decides.
        Control = "control",
    }
);

impl Strategy {
    /// Least confidence of [`Strategy::Eliminate`].
    pub const ELIMINATE: f32 = 0.95;
    /// Least confidence of [`Strategy::Substitute`].
    pub const SUBSTITUTE: f32 = 0.85;

    /// The strategy that a confidence allows; what is not a number allows nothing.
    ///
    /// ```
    /// use fleet_worker_sdk::roster::Strategy;
    ///
    /// assert_eq!(Strategy::of(0.97), Strategy::Eliminate);
    /// assert_eq!(Strategy::of(0.9), Strategy::Substitute);
    /// assert_eq!(Strategy::of(f32::NAN), Strategy::Control);
    /// ```
    pub fn of(confidence: f32) -> Self {
        if confidence >= Self::ELIMINATE {
            Self::Eliminate
        } else if confidence >= Self::SUBSTITUTE {
            Self::Substitute
        } else {
            Self::Control
        }
    }

    /// Whether it may be applied without asking a person.
    pub fn is_automatic(self) -> bool {
        self == Self::Eliminate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roster_is_valid_and_names_no_stranger() {
        let bots = all().unwrap();
        assert_eq!(bots.len(), 12);
        assert_eq!(bots.iter().filter(|bot| !bot.external).count(), 11);
        for bot in &bots {
            bot.check().unwrap();
            for needed in &bot.depends_on {
                let needed = bots.iter().find(|other| other.id == *needed).unwrap();
                assert!(
                    needed.tier <= bot.tier,
                    "{} runs before {}",
                    bot.id,
                    needed.id
                );
                assert!(!needed.external, "{} waits for an external bot", bot.id);
            }
        }
    }

    #[test]
    fn the_executor_follows_every_finisher() {
        let bots = all().unwrap();
        let executor = bots.iter().find(|bot| bot.tier == Tier::Executor).unwrap();
        assert!(executor.can_fix);
        for finisher in bots.iter().filter(|bot| bot.tier == Tier::Finisher) {
            assert!(
                executor.depends_on.contains(&finisher.id),
                "{}",
                finisher.id
            );
        }
    }

    #[test]
    fn strategies_turn_at_their_bounds() {
        assert_eq!(Strategy::of(0.95), Strategy::Eliminate);
        assert_eq!(Strategy::of(0.949), Strategy::Substitute);
        assert_eq!(Strategy::of(0.85), Strategy::Substitute);
        assert_eq!(Strategy::of(0.849), Strategy::Control);
        assert_eq!(Strategy::of(-1.0), Strategy::Control);
    }
}
