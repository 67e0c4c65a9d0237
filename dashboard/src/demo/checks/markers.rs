//! Markers left open: `TODO` and its like.

use fleet_worker_sdk::{Level, Tier};

use crate::demo::check::{Check, Found, Look, RuleText};

pub(super) const CHECK: Check = Check {
    bot: "marker-scan",
    tier: Tier::Engine,
    category: "maintenance",
    after: &[],
    description: "Finds markers that were left open in the text",
    rules: &[
        RuleText {
            id: "fixme",
            text: "Somebody knew that this is wrong",
        },
        RuleText {
            id: "xxx",
            text: "Somebody had doubts here",
        },
        RuleText {
            id: "todo",
            text: "Something is left to do",
        },
    ],
    look: Look::Text(look),
};

const MARKERS: [(&str, Level, &str); 4] = [
    ("FIXME", Level::Error, "fixme"),
    ("XXX", Level::Warning, "xxx"),
    ("HACK", Level::Warning, "xxx"),
    ("TODO", Level::Note, "todo"),
];

fn look(path: &str, text: &str, found: &mut Found) {
    found.lines(path, text, |line| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let (marker, level, rule) =
            words.find_map(|word| MARKERS.iter().find(|(marker, ..)| *marker == word))?;
        Some((*level, *rule, format!("{marker} was left open")))
    });
}

#[cfg(test)]
mod tests {
    use super::super::tests::broken;
    use super::*;

    #[test]
    fn whole_words_are_markers() {
        let text = "let todo = 1;\n// TODO: more\n// MY_TODO_LIST\n/* FIXME */";
        let expected = [("todo".to_owned(), 2), ("fixme".to_owned(), 4)];
        assert_eq!(broken(&CHECK, "a.rs", text), expected);
    }
}
