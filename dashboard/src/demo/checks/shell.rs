//! Slips in shell scripts.

use fleet_worker_sdk::{Level, Tier};

use crate::demo::check::{Check, Found, Look, RuleText, is_kind};

pub(super) const CHECK: Check = Check {
    bot: "shell-lint",
    tier: Tier::Specialist,
    category: "correctness",
    after: &["project-files"],
    description: "Finds slips in shell scripts",
    rules: &[
        RuleText {
            id: "no-errexit",
            text: "The script goes on after an error: begin with `set -e`",
        },
        RuleText {
            id: "unquoted-arguments",
            text: "Arguments with spaces fall apart: write \"$@\"",
        },
        RuleText {
            id: "piped-download",
            text: "What was downloaded runs unread",
        },
        RuleText {
            id: "backticks",
            text: "Backticks do not nest: write $(…)",
        },
    ],
    look: Look::Text(look),
};

fn look(path: &str, text: &str, found: &mut Found) {
    let first = text.lines().next().unwrap_or_default();
    let is_shell = first.starts_with("#!") && first.ends_with("sh");
    if !is_shell && !is_kind(path, "sh") {
        return;
    }
    let sets = |line: &str| line.trim_start().starts_with("set -") && line.contains('e');
    if !text.lines().any(sets) {
        found.at(
            Level::Warning,
            "no-errexit",
            "errors do not end the script",
            (path, 1, first),
        );
    }
    found.lines(path, text, |line| {
        let code = line.trim_start();
        if code.starts_with('#') {
            return None;
        }
        let downloads = code.contains("curl ") || code.contains("wget ");
        if downloads && (code.contains("| sh") || code.contains("| bash")) {
            return Some((
                Level::Error,
                "piped-download",
                "a download is run unread".to_owned(),
            ));
        }
        if code.contains(" $@") || code.contains(" $*") {
            return Some((
                Level::Warning,
                "unquoted-arguments",
                "arguments without quotes".to_owned(),
            ));
        }
        let quoted = code.contains('\'');
        let ticks = code.matches('`').count() >= 2 && !quoted;
        ticks.then(|| {
            (
                Level::Note,
                "backticks",
                "backticks for a command".to_owned(),
            )
        })
    });
}

#[cfg(test)]
mod tests {
    use super::super::tests::broken;
    use super::*;

    #[test]
    fn slips_are_found_in_shell_scripts_only() {
        let text = "#!/bin/sh\ncurl x | sh\nrun $@\n# `x`\nv=`date`\n";
        let rules = [
            "no-errexit",
            "piped-download",
            "unquoted-arguments",
            "backticks",
        ];
        let lines = [1, 2, 3, 5];
        let expected: Vec<_> = rules.iter().map(ToString::to_string).zip(lines).collect();
        assert_eq!(broken(&CHECK, "run", text), expected);
        assert_eq!(broken(&CHECK, "run.py", "curl x | sh"), []);
        assert_eq!(broken(&CHECK, "a.sh", "set -euo pipefail\nrun \"$@\""), []);
    }
}
