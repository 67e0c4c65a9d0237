//! Files and lines too long to be read.

use fleet_worker_sdk::{Level, Tier};

use crate::demo::check::{Check, Found, Look, RuleText};

pub(super) const CHECK: Check = Check {
    bot: "size-scan",
    tier: Tier::Engine,
    category: "readability",
    after: &[],
    description: "Finds files and lines that are too long to be read",
    rules: &[
        RuleText {
            id: "long-file",
            text: "The file has more lines than a person keeps in mind",
        },
        RuleText {
            id: "long-line",
            text: "The line is wider than any screen",
        },
    ],
    look: Look::Text(look),
};

const MAX_LINES: usize = 400;
const MAX_COLUMNS: usize = 160;

fn look(path: &str, text: &str, found: &mut Found) {
    if is_made(path) {
        return;
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        let message = format!("{lines} lines, {MAX_LINES} are a reason to split");
        let first = text.lines().next().unwrap_or_default();
        found.at(Level::Warning, "long-file", message, (path, 1, first));
    }
    found.lines(path, text, |line| {
        let columns = line.chars().count();
        let message = format!("{columns} columns, {MAX_COLUMNS} fit a screen");
        (columns > MAX_COLUMNS).then_some((Level::Note, "long-line", message))
    });
}

/// Files that tools write and nobody reads.
fn is_made(path: &str) -> bool {
    const ENDINGS: [&str; 6] = [".lock", "-lock.json", ".min.js", ".svg", ".snap", ".map"];
    ENDINGS.iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::super::tests::broken;
    use super::*;

    #[test]
    fn length_counts_in_lines_and_columns() {
        let wide = format!("x\n{}\n", "é".repeat(MAX_COLUMNS + 1));
        assert_eq!(broken(&CHECK, "a.md", &wide), [("long-line".to_owned(), 2)]);
        let long = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(broken(&CHECK, "a.rs", &long), [("long-file".to_owned(), 1)]);
        assert_eq!(broken(&CHECK, "Cargo.lock", &long), []);
    }
}
