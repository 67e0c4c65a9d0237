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
    let program = first.strip_prefix("#!").unwrap_or_default();
    if !program.split_whitespace().any(is_shell) && !is_kind(path, "sh") {
        return;
    }
    let sets = |line: &str| {
        line.trim_start()
            .strip_prefix("set ")
            .is_some_and(ends_early)
    };
    if !ends_early(program) && !text.lines().any(sets) {
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
        if downloads && is_piped_to_shell(code) {
            return Some((
                Level::Error,
                "piped-download",
                "a download is run unread".to_owned(),
            ));
        }
        if is_unquoted(code, " $@") || is_unquoted(code, " $*") {
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

/// Whether a word of a command is a shell, wherever it lies.
fn is_shell(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    ["sh", "bash", "dash", "ksh", "zsh"].contains(&name)
}

/// Whether options make a shell end with the first error: `-euo pipefail`, not `-uo pipefail`.
fn ends_early(options: &str) -> bool {
    options.split_whitespace().any(|word| {
        let letters = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        word == "errexit" || letters.is_some_and(|letters| letters.contains('e'))
    })
}

fn is_piped_to_shell(code: &str) -> bool {
    // What stands after `||` reads nothing.
    let commands = code.replace("||", ";");
    commands.split('|').skip(1).any(|command| {
        let mut words = command.split_whitespace();
        words.find(|word| *word != "sudo").is_some_and(is_shell)
    })
}

/// Whether `arguments` stands outside of double quotes.
fn is_unquoted(code: &str, arguments: &str) -> bool {
    code.match_indices(arguments).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default();
        before.matches('"').count().is_multiple_of(2)
    })
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

    #[test]
    fn a_script_ends_early_by_its_options_only() {
        let lax = [("no-errexit".to_owned(), 1)];
        for text in ["set -uo pipefail", "set -u # before", "#!/bin/bash -u\n"] {
            assert_eq!(broken(&CHECK, "a.sh", text), lax, "{text}");
        }
        for text in ["set -o errexit", "#!/usr/bin/env -S bash -e\n", "  set -ue"] {
            assert_eq!(broken(&CHECK, "a.sh", text), [], "{text}");
        }
    }

    #[test]
    fn what_is_quoted_or_not_piped_is_no_slip() {
        let fine = "set -e\necho \"all: $@\"\ncurl x || bash y\ncurl x | shuf\n";
        assert_eq!(broken(&CHECK, "a.sh", fine), []);
        let piped = [("piped-download".to_owned(), 2)];
        assert_eq!(
            broken(&CHECK, "a.sh", "set -e\ncurl x | sudo /bin/bash -s"),
            piped
        );
    }
}
