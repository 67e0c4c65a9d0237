//! A finding that owns what it is made of.

use std::path::PathBuf;

use fleet_worker_sdk::Severity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Bot, now, random_id};

/// One finding.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Its id.
    pub id: Uuid,
    /// Who found it.
    pub bot: Bot,
    /// The rule that was broken.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What kind of problem.
    pub category: String,
    /// Where.
    pub file: Option<PathBuf>,
    /// In which line.
    pub line: Option<usize>,
    /// In which function.
    pub element: Option<String>,
    /// What to do.
    pub suggestion: Option<String>,
    /// A bot can fix it.
    pub fixable: bool,
    /// A bot has.
    pub fixed: bool,
    /// When it was found.
    pub found: Timestamp,
}

impl Finding {
    /// One without a place.
    pub fn new(bot: Bot, rule: &str, severity: Severity, message: &str) -> Self {
        Self {
            id: random_id(),
            bot,
            rule: rule.to_owned(),
            severity,
            message: message.to_owned(),
            category: String::new(),
            file: None,
            line: None,
            element: None,
            suggestion: None,
            fixable: false,
            fixed: false,
            found: now(),
        }
    }

    /// In this category.
    #[must_use]
    pub fn category(mut self, category: &str) -> Self {
        category.clone_into(&mut self.category);
        self
    }

    /// At this place.
    #[must_use]
    pub fn at(mut self, file: &str, line: usize) -> Self {
        self.file = Some(file.into());
        self.line = Some(line);
        self
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
