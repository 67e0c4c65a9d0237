//! Slips in GitHub workflows.

use fleet_worker_sdk::{Level, Tier};

use crate::demo::check::{Check, Found, Look, RuleText};

pub(super) const CHECK: Check = Check {
    bot: "workflow-lint",
    tier: Tier::Specialist,
    category: "security",
    after: &["project-files"],
    description: "Finds slips in workflows; fails on purpose every third run",
    rules: &[
        RuleText {
            id: "unpinned-action",
            text: "A tag can be moved: name the commit of an action",
        },
        RuleText {
            id: "no-permissions",
            text: "The job gets every right the token has",
        },
        RuleText {
            id: "dangerous-trigger",
            text: "Strangers' code may run with your secrets",
        },
    ],
    look: Look::Text(look),
};

/// A commit's hash, in characters.
const HASH: usize = 40;

fn look(path: &str, text: &str, found: &mut Found) {
    if !path.starts_with(".github/workflows/") {
        return;
    }
    if !text
        .lines()
        .any(|line| line.trim_start().starts_with("permissions:"))
    {
        let first = text.lines().next().unwrap_or_default();
        found.at(
            Level::Warning,
            "no-permissions",
            "no permissions are named",
            (path, 1, first),
        );
    }
    found.lines(path, text, |line| {
        let code = line.trim_start().trim_start_matches("- ");
        let triggers = code.starts_with("on:") && code.contains("pull_request_target");
        if triggers || code.starts_with("pull_request_target") {
            return Some((
                Level::Error,
                "dangerous-trigger",
                "it runs on pull_request_target".to_owned(),
            ));
        }
        let action = code.strip_prefix("uses:")?.split_whitespace().next()?;
        let (name, version) = action.trim_matches(['"', '\'']).split_once('@')?;
        // An image is pinned by its digest.
        let pinned = version.len() == HASH || version.starts_with("sha256:");
        (!pinned).then(|| {
            (
                Level::Note,
                "unpinned-action",
                format!("{name} is named by a tag"),
            )
        })
    });
}

#[cfg(test)]
mod tests {
    use super::super::tests::broken;
    use super::*;

    #[test]
    fn actions_are_pinned_by_commit() {
        let hash = "a".repeat(HASH);
        let text =
            format!("permissions:\n- uses: a/b@v4\n- uses: a/b@{hash} # v4\n- uses: ./local\n");
        let expected = [("unpinned-action".to_owned(), 2)];
        assert_eq!(broken(&CHECK, ".github/workflows/ci.yml", &text), expected);
        assert_eq!(broken(&CHECK, "docs/ci.yml", &text), []);
        let quoted = format!("permissions:\n- uses: \"a/b@{hash}\"\n- uses: docker://a@sha256:0\n");
        assert_eq!(broken(&CHECK, ".github/workflows/ci.yml", &quoted), []);
    }

    #[test]
    fn a_dangerous_trigger_is_found_in_a_list_too() {
        let expected = [("dangerous-trigger".to_owned(), 2)];
        for on in ["on: [push, pull_request_target]", "  pull_request_target:"] {
            let text = format!("permissions: {{}}\n{on}\n");
            assert_eq!(broken(&CHECK, ".github/workflows/ci.yml", &text), expected);
        }
    }
}
