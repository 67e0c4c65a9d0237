//! What a person or a program reads of it. Strings from reports are escaped for the terminal:
//! a message must not move the cursor, change colours or turn the text around.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

use serde::Deserialize;
use serde_json::Value;

/// Most rejected results listed for people; JSON has them all.
const MAX_LISTED: usize = 20;

/// What became of a report, as far as people are told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    received: u64,
    new: u64,
    unchanged: u64,
    updated: u64,
    reopened: u64,
    repeats: u64,
    suppressed: u64,
    closed: u64,
    rejected: Vec<Rejected>,
    session: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rejected {
    #[serde(rename = "where")]
    place: String,
    why: String,
}

impl Counts {
    pub(crate) fn of(summary: &Value) -> Self {
        serde_json::from_value(summary.clone()).unwrap_or_default()
    }

    pub(crate) fn all_accepted(&self) -> bool {
        self.rejected.is_empty()
    }

    /// The summary for people.
    pub(crate) fn text(&self, name: &str) -> String {
        let mut text = format!("{}: {} results", plain(name), self.received);
        for (count, word) in [
            (self.new, "new"),
            (self.unchanged, "unchanged"),
            (self.updated, "updated"),
            (self.reopened, "reopened"),
            (self.repeats, "repeats"),
            (self.suppressed, "suppressed"),
            (self.closed, "closed"),
            (self.rejected.len() as u64, "rejected"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {word}");
            }
        }
        if let Some(Value::String(session)) = &self.session {
            let _ = write!(text, "\n  session {}", plain(session));
        }
        for rejected in self.rejected.iter().take(MAX_LISTED) {
            let (place, why) = (plain(&rejected.place), plain(&rejected.why));
            let _ = write!(text, "\n  rejected {place}: {why}");
        }
        if let Some(more) = self.rejected.len().checked_sub(MAX_LISTED + 1) {
            let _ = write!(text, "\n  and {} more; --json lists all", more + 1);
        }
        text
    }
}

/// Whether answers go to a person.
pub(crate) fn for_people() -> bool {
    std::io::stdout().is_terminal()
}

/// Writes an answer. A closed pipe is the reader's choice, not an error.
pub(crate) fn answer(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes a part of an answer, whole lines of it.
///
/// # Errors
/// When it cannot be written, as into a pipe whose reader has seen enough.
pub(crate) fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes what is good to know beside an answer; it comes escaped.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "fleet: {text}");
}

/// Writes a complaint.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "fleet: {}", plain(text));
}

/// The text with everything escaped that acts on a terminal or on the direction of text.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Marks, embeddings, overrides and isolates of the bidirectional algorithm, and invisible
/// characters that hide text.
fn turns(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_from_outside_acts_on_the_terminal() {
        let text = plain("a\x1b[31m\u{202e}b\r\n\u{9b}c\u{200b}é");
        assert_eq!(text, "a\\u{1b}[31m\\u{202e}b\\u{d}\\u{a}\\u{9b}c\\u{200b}é");
    }

    #[test]
    fn a_summary_tells_what_happened_and_where_it_was_refused() {
        let summary = json!({
            "received": 5, "new": 3, "unchanged": 1, "updated": 0, "closed": 2,
            "rejected": [{"where": "runs[0].results[4]", "why": "bad \u{1b}level"}],
            "session": "p1-x", "added_later": true,
        });
        let counts = Counts::of(&summary);
        assert!(!counts.all_accepted());
        assert_eq!(
            counts.text("scan.sarif"),
            "scan.sarif: 5 results, 3 new, 1 unchanged, 2 closed, 1 rejected\n  \
             session p1-x\n  rejected runs[0].results[4]: bad \\u{1b}level"
        );
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let rejected: Vec<_> = (0..25)
            .map(|n| json!({"where": n.to_string(), "why": "x"}))
            .collect();
        let text = Counts::of(&json!({ "rejected": rejected })).text("f");
        assert!(text.ends_with("and 5 more; --json lists all"), "{text}");
    }
}
