//! What a demo bot looks for: lines of text files, or which files there are.

use fleet_worker_sdk::{Finding, Level, Rule, Tier};

/// Findings reported of one check in one run: a demonstration has to stay readable, and its fleet
/// small. A check that finds more ends as partial.
pub(super) const MAX_FINDINGS: usize = 250;
/// Longest snippet shown, in bytes.
const MAX_SNIPPET: usize = 200;

/// A check, as a bot.
pub(super) struct Check {
    /// Id of the bot.
    pub(super) bot: &'static str,
    /// When it works.
    pub(super) tier: Tier,
    /// What kind of findings it makes.
    pub(super) category: &'static str,
    /// Bots that have to be done before.
    pub(super) after: &'static [&'static str],
    /// One line for people.
    pub(super) description: &'static str,
    /// Its rules.
    pub(super) rules: &'static [RuleText],
    /// How it looks.
    pub(super) look: Look,
}

/// A rule with what it means.
pub(super) struct RuleText {
    pub(super) id: &'static str,
    pub(super) text: &'static str,
}

impl RuleText {
    pub(super) fn rule(&self) -> Rule {
        Rule {
            name: self.id.to_owned(),
            short_description: self.text.to_owned(),
            ..Rule::default()
        }
    }
}

/// How a check looks at a checkout.
#[derive(Clone, Copy)]
pub(super) enum Look {
    /// At each text file: its path and its text.
    Text(fn(&str, &str, &mut Found)),
    /// At the paths of all files.
    Paths(fn(&[String], &mut Found)),
    /// At what the others have found.
    Others,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    /// Whether there was more than is reported.
    pub(super) cut: bool,
    pub(super) category: &'static str,
}

impl Found {
    pub(super) fn of(category: &'static str) -> Self {
        Self {
            category,
            ..Self::default()
        }
    }

    /// Adds a finding at a line of a file.
    pub(super) fn at(
        &mut self,
        level: Level,
        rule: &str,
        message: impl Into<String>,
        place: (&str, u32, &str),
    ) {
        let (path, line, text) = place;
        let text = text.trim();
        let end = text.floor_char_boundary(MAX_SNIPPET);
        let finding = Finding::new(rule, message)
            .level(level)
            .category(self.category);
        self.add(
            finding
                .at(path, line)
                .snippet(text.get(..end).unwrap_or_default()),
        );
    }

    /// Adds a finding.
    pub(super) fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.cut = true;
        }
    }

    /// Adds a finding for each line that `wrong` objects to.
    pub(super) fn lines(
        &mut self,
        path: &str,
        text: &str,
        wrong: impl Fn(&str) -> Option<(Level, &'static str, String)>,
    ) {
        for (number, line) in (1..).zip(text.lines()) {
            if let Some((level, rule, message)) = wrong(line) {
                self.at(level, rule, message, (path, number, line));
            }
        }
    }
}

/// Whether a path ends so, as `a.rs` ends with `rs`.
pub(super) fn is_kind(path: &str, ending: &str) -> bool {
    let found = std::path::Path::new(path).extension();
    found.is_some_and(|found| found.eq_ignore_ascii_case(ending))
}
