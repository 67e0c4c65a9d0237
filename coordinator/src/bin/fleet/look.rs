//! What the terminal takes: its width, colours, and how much room text needs in it.

use std::io::IsTerminal;

use fleet_coordinator::health::{Health, Status};
use fleet_worker_sdk::Severity;
use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::asking::Colour;
use crate::output::plain;

/// Narrowest terminal that is written for; narrower ones wrap.
const MIN_WIDTH: usize = 20;

/// How to write for people.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Cells in a line; none where lines may be of any length, as in a file or a pipe.
    pub(crate) width: Option<usize>,
    /// Whether colours are shown.
    pub(crate) colour: bool,
}

/// What a text is, which decides its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Strong,
    Faint,
    Good,
    Fair,
    Bad,
    Worst,
    Note,
}

impl Look {
    /// What standard output takes.
    pub(crate) fn here(colour: Colour) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let columns = || {
            let text = set("COLUMNS")?;
            text.to_str()?.parse::<usize>().ok().filter(|n| *n > 0)
        };
        let asked = || {
            crossterm::terminal::size()
                .ok()
                .map(|(width, _)| width.into())
        };
        let width = terminal.then(|| columns().or_else(asked)).flatten();
        Self {
            width: width.map(|width| width.max(MIN_WIDTH)),
            colour: match colour {
                Colour::Always => true,
                Colour::Never => false,
                Colour::Auto => {
                    let dumb = set("TERM").is_some_and(|term| term == "dumb");
                    terminal && !dumb && set("NO_COLOR").is_none()
                }
            },
        }
    }

    /// `text` in the colour of its tone.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        match tone.code() {
            Some(code) if self.colour => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        Some(match self {
            Self::Plain => return None,
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Fair => "33",
            Self::Bad => "31",
            Self::Worst => "1;31",
            Self::Note => "36",
        })
    }

    /// The tone of a status.
    pub(crate) fn of_status(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Good,
            Status::Degraded => Self::Fair,
            Status::Unhealthy => Self::Bad,
            Status::Critical => Self::Worst,
            Status::Unknown => Self::Faint,
        }
    }

    /// The tone of a severity.
    pub(crate) fn of_severity(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Bad,
            Severity::Warning => Self::Fair,
            Severity::Info => Self::Note,
            Severity::Suggestion => Self::Faint,
        }
    }
}

/// Cells that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text in at most `cells`, cut with `…` where it is longer.
pub(crate) fn cut(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut left = cells.saturating_sub(1);
    let mut out = String::new();
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        out.push(c);
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

/// The text in at most `cells`, its end kept, cut with `…` where it is longer.
pub(crate) fn cut_start(text: &str, cells: usize) -> String {
    let turned: String = text.chars().rev().collect();
    cut(&turned, cells).chars().rev().collect()
}

/// The first line of a text from outside, harmless; `…` where there is more.
pub(crate) fn line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = plain(lines.next().unwrap_or_default());
    match lines.next() {
        Some(_) => format!("{first} …"),
        None => first,
    }
}

/// A score to one decimal, or a dash.
pub(crate) fn score(health: &Health) -> String {
    let text = health.score.map(|score| format!("{score:.1}"));
    text.unwrap_or_else(|| "-".to_owned())
}

/// How long before `now` it was, in the largest whole unit.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_characters_take_two_cells() {
        assert_eq!(width("日本"), 4);
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(cut_start("src/日本語.rs:7", 9), "…語.rs:7");
    }

    #[test]
    fn a_message_is_shown_by_its_first_line() {
        assert_eq!(line("\n  one\n two"), "one …");
        assert_eq!(line("one\x1b[31m\n"), "one\\u{1b}[31m");
        assert_eq!(line(""), "");
    }

    #[test]
    fn times_are_told_in_the_largest_unit() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        for (seconds, text) in [
            (-5, "0 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7_199, "1 h ago"),
            (172_800, "2 d ago"),
        ] {
            assert_eq!(ago(at(0), at(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_cut_fits(text in "\\PC{0,40}", cells in 0_usize..30) {
            prop_assert!(width(&cut(&text, cells)) <= cells);
            prop_assert!(width(&cut_start(&text, cells)) <= cells);
        }
    }
}
