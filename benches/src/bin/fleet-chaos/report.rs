//! What a run came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::checker::Verdict;

/// Times of one kind, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Spread {
    pub(crate) count: usize,
    pub(crate) p50: u64,
    pub(crate) p95: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Spread {
    /// Of some times; none of none.
    pub(crate) fn of(mut times: Vec<u64>) -> Option<Self> {
        times.sort_unstable();
        // Nearest rank: of 20 times, the 19th is the 95th percentile.
        let at = |percent: usize| {
            times
                .get((times.len() * percent).div_ceil(100).max(1) - 1)
                .copied()
        };
        Some(Self {
            count: times.len(),
            p50: at(50)?,
            p95: at(95)?,
            p99: at(99)?,
            max: times.last().copied()?,
        })
    }
}

/// A report of any mode.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// What was done, such as `chaos` or `failovers`.
    pub(crate) mode: String,
    /// What it was done with.
    pub(crate) settings: BTreeMap<&'static str, String>,
    /// How often each thing was done, or happened.
    pub(crate) counts: BTreeMap<String, u64>,
    /// How long things took.
    pub(crate) times: BTreeMap<String, Spread>,
    /// What the store holds at the end against what was sent.
    pub(crate) verdict: Option<Verdict>,
    /// Whatever else must not be.
    pub(crate) violations: Vec<String>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(mode: &str) -> Self {
        Self {
            mode: mode.to_owned(),
            ..Self::default()
        }
    }

    /// Notes a time, where there is one.
    pub(crate) fn time(&mut self, what: impl Into<String>, times: Vec<u64>) {
        if let Some(spread) = Spread::of(times) {
            self.times.insert(what.into(), spread);
        }
    }

    /// Whether all is as it must be.
    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.verdict.as_ref().is_none_or(Verdict::is_clean)
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let verdict = if self.is_clean() { "clean" } else { "VIOLATED" };
        let mut text = format!("# {}: {verdict}\n\n", self.mode);
        for (name, value) in &self.settings {
            let _ = writeln!(text, "- {name}: {value}");
        }
        if let Some(verdict) = &self.verdict {
            let _ = writeln!(text, "\n{verdict}");
        }
        for violation in &self.violations {
            let _ = writeln!(text, "\n**{violation}**");
        }
        if !self.counts.is_empty() {
            text.push_str("\n| what | times |\n|---|---:|\n");
            for (what, count) in &self.counts {
                let _ = writeln!(text, "| {what} | {count} |");
            }
        }
        if !self.times.is_empty() {
            text.push_str(
                "\n| how long (ms) | of | p50 | p95 | p99 | max |\n|---|---:|---:|---:|---:|---:|\n",
            );
            for (what, time) in &self.times {
                let _ = writeln!(
                    text,
                    "| {what} | {} | {} | {} | {} | {} |",
                    time.count, time.p50, time.p95, time.p99, time.max
                );
            }
        }
        text
    }

    /// Prints it, and writes both forms into `folder`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn deliver(&self, folder: &Path) -> Result<()> {
        let text = self.markdown();
        std::io::stdout().lock().write_all(text.as_bytes())?;
        let json = serde_json::to_vec_pretty(self)?;
        for (name, bytes) in [("report.md", text.as_bytes()), ("report.json", &json)] {
            let path = folder.join(name);
            std::fs::write(&path, bytes).with_context(|| format!("{}", path.display()))?;
        }
        Ok(())
    }
}

/// Says on standard error what is being done.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Faults;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let spread = Spread::of((1..=20).rev().collect()).unwrap();
        assert_eq!((spread.p50, spread.p95, spread.max), (10, 19, 20));
        assert_eq!(Spread::of(vec![7]).unwrap().p50, 7);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn a_fault_is_said_in_the_heading_with_its_example() {
        let mut report = Report::new("chaos");
        assert!(report.markdown().starts_with("# chaos: clean"));
        let lost = Faults {
            count: 1,
            examples: vec!["17 of bot-3 in s".to_owned()],
        };
        report.verdict = Some(Verdict {
            lost,
            ..Verdict::default()
        });
        assert!(!report.is_clean());
        let text = report.markdown();
        assert!(
            text.starts_with("# chaos: VIOLATED") && text.contains("17 of bot-3 in s"),
            "{text}"
        );
    }
}
