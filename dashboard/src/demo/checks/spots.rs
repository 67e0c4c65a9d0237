//! Files that several bots complain about: the finisher's look at what the others have found.

use std::collections::{BTreeMap, BTreeSet};

use fleet_worker_sdk::{BotId, Finding, Level, Tier};

use crate::demo::check::{Check, Found, Look, RuleText};

pub(super) const CHECK: Check = Check {
    bot: "hot-spots",
    tier: Tier::Finisher,
    category: "maintenance",
    after: &["marker-scan", "size-scan"],
    description: "Sums up: files that several bots complain about",
    rules: &[RuleText {
        id: "hot-spot",
        text: "Several bots complain about this file: begin here",
    }],
    look: Look::Others,
};

/// A finding for each file that at least two bots name in `findings`.
pub(in crate::demo) fn hot_spots<'a>(
    findings: impl Iterator<Item = (&'a BotId, &'a str)>,
) -> Found {
    let mut bots: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (bot, path) in findings {
        if !path.is_empty() && bot.as_str() != CHECK.bot {
            bots.entry(path).or_default().insert(bot.as_str());
        }
    }
    let mut found = Found::of(CHECK.category);
    for (path, bots) in bots.into_iter().filter(|(_, bots)| bots.len() > 1) {
        let names: Vec<&str> = bots.into_iter().collect();
        let message = format!("{} bots complain: {}", names.len(), names.join(", "));
        let finding = Finding::new("hot-spot", message).level(Level::Warning);
        found.add(finding.category(CHECK.category).at(path, 1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hot_when_two_bots_name_it() {
        let (one, two) = (BotId::new("one").unwrap(), BotId::new("two").unwrap());
        let findings = [
            (&one, "a"),
            (&one, "a"),
            (&two, "a"),
            (&two, "b"),
            (&one, ""),
        ];
        let found = hot_spots(findings.into_iter());
        let paths: Vec<_> = found.findings.iter().map(Finding::path).collect();
        assert_eq!(paths, ["a"]);
    }
}
