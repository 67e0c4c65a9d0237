//! The checks of the demonstration. Each is a handful of looks at lines: enough to find something
//! real in most repositories, no more.

mod files;

mod markers;

mod secrets;

mod shell;

mod sizes;

mod spots;

mod tidy;

mod workflows;

pub(super) use spots::hot_spots;

use super::check::Check;

/// The check that fails now and then, and the one that is killed.
pub(super) const FAILING: &str = workflows::CHECK.bot;
pub(super) const KILLED: &str = secrets::CHECK.bot;

/// All checks, in execution order of their tiers.
pub(super) const ALL: &[Check] = &[
    markers::CHECK,
    sizes::CHECK,
    files::CHECK,
    secrets::CHECK,
    spots::CHECK,
    shell::CHECK,
    workflows::CHECK,
    tidy::CHECK,
];

#[cfg(test)]
mod tests {
    use super::super::check::{Found, Look};
    use super::*;

    /// The rules that `check` finds broken in one file, with their lines.
    #[track_caller]
    pub(super) fn broken(check: &Check, path: &str, text: &str) -> Vec<(String, u32)> {
        let mut found = Found::of(check.category);
        match check.look {
            Look::Text(look) => look(path, text, &mut found),
            Look::Paths(look) => look(&[path.to_owned()], &mut found),
            Look::Others => {}
        }
        let line =
            |finding: &fleet_worker_sdk::Finding| finding.region().map_or(0, |r| r.start_line);
        let rules: Vec<_> = found
            .findings
            .iter()
            .map(|finding| (finding.rule_id.clone(), line(finding)))
            .collect();
        for (rule, _) in &rules {
            let known = check.rules.iter().any(|known| known.id == rule);
            assert!(known, "`{rule}` has no description");
        }
        rules
    }

    #[test]
    fn bots_have_ids_of_their_own_and_wait_for_bots_there_are() {
        for (n, check) in ALL.iter().enumerate() {
            let before = ALL.get(..n).unwrap();
            assert!(before.iter().all(|other| other.bot != check.bot));
            let there = |bot: &str| ALL.iter().any(|other| other.bot == bot);
            assert!(check.after.iter().all(|bot| there(bot)), "{}", check.bot);
        }
    }
}
