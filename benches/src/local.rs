//! What the local benches work on: the same findings for a context and for the reference.

use fleet_coordinator::context::{Context, Draft, End, Handle};
use fleet_worker_sdk::{Repository, Severity};
use jiff::Timestamp;

use crate::reference;

/// Sizes at which the local path is measured where it can grow.
pub const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
/// Bots that the findings are of, in turn: each has a third.
pub const FINDERS: usize = 3;
/// The bot whose findings are asked for.
pub const ASKED: usize = 0;
/// The category whose findings are asked for.
pub const CATEGORY: &str = "security";

/// A finding that is in neither yet.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Which of the bots has it.
    pub bot: usize,
    /// The rule that was broken.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem.
    pub category: String,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub file: String,
    /// In which line.
    pub line: u32,
}

impl Sample {
    /// As a context takes it.
    pub fn draft(&self) -> Draft<'_> {
        Draft::new(&self.rule, self.severity, &self.message)
            .category(&self.category)
            .at(&self.file, self.line)
    }

    /// As the reference takes it, which owns it.
    pub fn owned(&self) -> reference::Finding {
        let bot = reference::Bot::ALL[self.bot];
        reference::Finding::new(bot, &self.rule, self.severity, &self.message)
            .category(&self.category)
            .at(&self.file, self.line as usize)
    }
}

/// Of a hundred findings, so many are in the file of the one before. Scanners go file by file: in
/// reports of Semgrep, gosec, `SpotBugs` and Trivy it was 53 to 95.
const SAME_FILE: u64 = 70;
/// And so many are of its rule, where it was 0 to 97.
const SAME_RULE: u64 = 45;

/// So many findings, the same in every run: lengths, rules and files as in [`crate::findings`], in
/// an order as scanners have it.
pub fn samples(count: usize) -> Vec<Sample> {
    let mut samples = scattered(count);
    let mut seeded = crate::Seeded::new(11);
    for at in 1..samples.len() {
        let (before, after) = samples.split_at_mut(at);
        let (last, sample) = (&before[at - 1], &mut after[0]);
        if seeded.number() % 100 < SAME_FILE {
            sample.file.clone_from(&last.file);
        }
        if seeded.number() % 100 < SAME_RULE {
            (sample.severity, sample.rule) = (last.severity, last.rule.clone());
            sample.category.clone_from(&last.category);
        }
    }
    samples
}

/// Each with a rule and a file of its own.
fn scattered(count: usize) -> Vec<Sample> {
    let found = crate::findings(count).into_iter().enumerate();
    let sample = |(number, identified): (usize, fleet_worker_sdk::Identified)| {
        let finding = identified.finding;
        Sample {
            bot: number % FINDERS,
            severity: finding.severity(),
            file: finding.path().to_owned(),
            line: finding.region().map_or(0, |region| region.start_line),
            rule: finding.rule_id,
            category: finding.category,
            message: finding.message,
        }
    };
    found.map(sample).collect()
}

/// The repository of all local benches.
pub fn repository() -> Repository {
    Repository::new("acme/shop").unwrap()
}

/// A context of eleven bots with these findings; the first bots have completed.
pub fn context(samples: &[Sample]) -> Context {
    let now = Timestamp::UNIX_EPOCH;
    let mut context = Context::new(repository(), now);
    context.register_all().unwrap();
    let bots = bots(&context);
    for bot in bots.iter().take(FINDERS) {
        context.start(*bot, now).unwrap();
    }
    for sample in samples {
        context.add(bots[sample.bot], &sample.draft(), now).unwrap();
    }
    for bot in bots.iter().take(FINDERS) {
        context.end(*bot, End::Complete, now).unwrap();
    }
    context
}

/// The bots of a context.
pub fn bots(context: &Context) -> Vec<Handle> {
    context.bots().map(|(bot, ..)| bot).collect()
}

/// The reference with the same.
pub fn reference(samples: &[Sample]) -> reference::Context {
    let mut context = reference::Context::new("acme/shop", "/srv/shop");
    context.register_all();
    let finders = &reference::Bot::ALL[..FINDERS];
    for bot in finders {
        context.start(*bot);
    }
    for sample in samples {
        context.add(sample.owned());
    }
    for bot in finders {
        context.complete(*bot, 100);
    }
    context
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_and_reference_hold_the_same_and_say_the_same() {
        let samples = samples(1_000);
        let (ours, theirs) = (context(&samples), reference(&samples));
        assert_eq!(ours.len(), theirs.findings.len());
        let asked = bots(&ours)[ASKED];
        let bot = reference::Bot::ALL[ASKED];
        assert_eq!(ours.by_bot(asked).len(), theirs.by_bot(bot).len());
        let category = theirs.by_category(CATEGORY).len();
        assert_eq!(ours.by_category(CATEGORY).len(), category);
        assert!(category > 100 && ours.has_errors() && theirs.has_errors());
        let back = reference::Context::from_json(&theirs.to_json());
        assert_eq!(back.findings.len(), 1_000);
        assert!(theirs.health().score.abs() < 101.0);
        for report in [theirs.markdown(), theirs.json(), theirs.html()] {
            assert!(report.contains("security"));
        }
    }
}
