//! Untidy ends of lines and merges.

use fleet_worker_sdk::{Level, Tier};

use crate::demo::check::{Check, Found, Look, RuleText, is_kind};

pub(super) const CHECK: Check = Check {
    bot: "tidy-scan",
    tier: Tier::Custom,
    category: "style",
    after: &[],
    description: "Finds merges left open and untidy lines",
    rules: &[
        RuleText {
            id: "merge-conflict",
            text: "A merge was committed unfinished",
        },
        RuleText {
            id: "trailing-space",
            text: "Space at the end of a line makes noise in every change",
        },
        RuleText {
            id: "no-final-newline",
            text: "The last line has no end",
        },
    ],
    look: Look::Text(look),
};

fn look(path: &str, text: &str, found: &mut Found) {
    found.lines(path, text, |line| {
        if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
            return Some((
                Level::Error,
                "merge-conflict",
                "a merge was left open".to_owned(),
            ));
        }
        // Two spaces at the end break a line of Markdown.
        let spaces = line.ends_with([' ', '\t']) && !is_kind(path, "md");
        spaces.then(|| {
            (
                Level::Note,
                "trailing-space",
                "space at the end of the line".to_owned(),
            )
        })
    });
    if !text.is_empty() && !text.ends_with('\n') && !is_kind(path, "svg") {
        let last = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
        let line = text.lines().last().unwrap_or_default();
        found.at(
            Level::Note,
            "no-final-newline",
            "no newline at the end",
            (path, last, line),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::broken;
    use super::*;

    #[test]
    fn untidy_lines_are_found() {
        let expected = [
            ("trailing-space".to_owned(), 1),
            ("merge-conflict".to_owned(), 2),
            ("no-final-newline".to_owned(), 3),
        ];
        assert_eq!(broken(&CHECK, "a.rs", "a \n<<<<<<< ours\nb"), expected);
        assert_eq!(broken(&CHECK, "a.md", "a  \n"), []);
    }
}
