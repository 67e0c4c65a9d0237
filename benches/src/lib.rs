//! What the benches work on: findings as real scanners make them, the same in every run.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fixture that is wrong should stop the bench"
)]

pub mod health;

pub mod reference;

pub mod local;

mod sampling;

pub use sampling::sampling;

use fleet_coordinator::health::{Health, Status};
use fleet_coordinator::index::Index;
use fleet_coordinator::model::{Session, SessionFacts};
use fleet_coordinator::report::ReportHead;
use fleet_worker_sdk::session::SessionState;
use fleet_worker_sdk::{
    BotId, Finding, Fingerprint, Identified, Level, Repository, Suppression, Version, wire,
};
use jiff::Timestamp;

/// Findings a batch brings, all received at one time.
pub const BATCH: usize = 256;

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, small ones more often: a few rules and files have most of the findings.
    pub fn skewed(&mut self, end: usize) -> usize {
        let share = (self.number() >> 11) as f64 / (1u64 << 53) as f64;
        (share * share * end as f64) as usize
    }
}

const BOTS: [&str; 11] = [
    "semgrep",
    "codeql",
    "clippy",
    "gitleaks",
    "hypatia",
    "licence-check",
    "eslint",
    "trivy",
    "bandit",
    "spellcheck",
    "doc-links",
];
const CATEGORIES: [&str; 6] = [
    "security",
    "style",
    "correctness",
    "licence",
    "performance",
    "docs",
];
const TEXTS: [&str; 5] = [
    "Detected user input that reaches `exec` without being checked; this may run any command.",
    "Called `unwrap` on a value that can be absent, which ends the process.",
    "Possible hard-coded credential in an assignment.",
    "The function is too long to follow; consider taking it apart.",
    "Unused import.",
];

/// The bot of the finding with this number.
pub fn bot(number: usize) -> BotId {
    BotId::new(BOTS[number % BOTS.len()]).unwrap()
}

/// Findings of 11 bots, 600 rules and 5,000 files, about 260 bytes each when encoded.
pub fn findings(count: usize) -> Vec<Identified> {
    let mut seeded = Seeded::new(7);
    (0..count)
        .map(|number| finding(&mut seeded, number))
        .collect()
}

fn finding(seeded: &mut Seeded, number: usize) -> Identified {
    let rule = seeded.skewed(600);
    let file = seeded.skewed(5_000);
    let line = seeded.skewed(900) as u32 + 1;
    let level = [Level::Error, Level::Warning, Level::Warning, Level::Note][rule % 4];
    let text = TEXTS[rule % TEXTS.len()];
    let mut finding = Finding::new(format!("lang.{}.rule-{rule}", CATEGORIES[rule % 6]), "")
        .level(level)
        .category(CATEGORIES[rule % CATEGORIES.len()])
        .at(
            format!("services/part-{}/src/module_{file}.rs", file % 40),
            line,
        )
        .snippet(format!(
            "    let value_{number} = input.get(\"key-{file}\").unwrap();"
        ))
        .confidence(0.5 + (rule % 50) as f32 / 100.0);
    finding.message = format!("{text} Seen in module_{file} near line {line}.");
    if rule.is_multiple_of(40) {
        finding.security_severity = Some(9.1);
    }
    if seeded.number().is_multiple_of(20) {
        finding.suppressions.push(Suppression::default());
    }
    let fingerprint = u128::from(seeded.number()) << 64 | u128::from(seeded.number());
    Identified {
        fingerprint: Fingerprint(fingerprint.to_be_bytes()),
        finding,
    }
}

/// The same findings in the wire encoding.
pub fn bodies(count: usize) -> Vec<Vec<u8>> {
    let findings = findings(count);
    findings.iter().map(|f| wire::encode(f).unwrap()).collect()
}

/// Folds encoded findings, bot by bot in batches.
pub fn fold(bodies: &[Vec<u8>]) -> Index {
    let mut index = Index::new();
    for (batch, bodies) in bodies.chunks(BATCH).enumerate() {
        let (bot, at) = (
            bot(batch),
            Timestamp::from_second(i64::from(batch as u32)).unwrap(),
        );
        for body in bodies {
            index.add(&bot, at, body).unwrap();
        }
    }
    index
}

/// What stands at the head of a report about `index`.
pub fn report_head(index: &Index) -> ReportHead {
    let session = Session {
        id: "p3-0190a3c4-0000-7000-8000-000000000001".parse().unwrap(),
        repository: Repository::new("acme/shop").unwrap(),
        git_ref: "main".to_owned(),
        commit: "4f5e2c1".to_owned(),
        run: "0".to_owned(),
        state: SessionState::Complete,
        opened: Timestamp::UNIX_EPOCH,
        changed: Timestamp::UNIX_EPOCH,
        version: Version(1),
        generation: 1,
        total: index.len() as u64,
        quarantined: 0,
        tally: index.tally(),
        executions: Vec::new(),
        derived: None,
    };
    ReportHead {
        facts: SessionFacts {
            session,
            counts: index.counts(),
            indexed: index.len() as u64,
        },
        health: Some(Health {
            score: Some(71.2),
            status: Status::Degraded,
            band: Status::Degraded,
            reason: "errors are open".to_owned(),
            coverage: 1.0,
            breakdown: Vec::new(),
        }),
        filter: String::new(),
        total: index.len() as u64,
        generated: Timestamp::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixtures_are_the_same_in_every_run_and_distinct() {
        assert_eq!(findings(50), findings(50));
        let index = fold(&bodies(1_000));
        assert_eq!(index.len(), 1_000);
        let tally = index.tally();
        assert!(tally.error > 0 && tally.warning > 0 && tally.suppressed > 0);
    }
}
