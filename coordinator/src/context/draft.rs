//! A finding as it is given: borrowed, so that giving one allocates nothing.

use fleet_worker_sdk::finding::UNCATEGORISED;
use fleet_worker_sdk::{Finding, Severity, WeightClass};

/// A finding to add.
///
/// It holds what is listed, filtered and scored. Snippets, fixes and other properties of SARIF belong
/// to a store; of a [`Finding`], [`Draft::of`] takes the rest.
///
/// ```
/// use fleet_coordinator::context::Draft;
/// use fleet_worker_sdk::Severity;
///
/// let draft = Draft::new("no-unwrap", Severity::Error, "`unwrap` on user input").at("src/main.rs", 12);
/// assert_eq!(draft.file, "src/main.rs");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draft<'a> {
    /// The rule that was broken.
    pub rule: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem.
    pub category: &'a str,
    /// What is wrong.
    pub message: &'a str,
    /// Path from the repository's root; empty where there is none.
    pub file: &'a str,
    /// Line, counting from 1; 0 where there is none.
    pub line: u32,
    /// Name of the function, class or package; empty where there is none.
    pub element: &'a str,
    /// CVSS-like score 0-10.
    pub security_severity: Option<f32>,
    /// How sure the bot is, 0-1.
    pub confidence: Option<f32>,
    /// What else is so of it.
    pub marks: Marks,
}

/// What is so of a finding, yes or no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// A suppression holds: it is not open.
    pub suppressed: bool,
    /// A bot knows how to fix it.
    pub fixable: bool,
    /// A bot has fixed it.
    pub fixed: bool,
}

impl<'a> Draft<'a> {
    /// A finding of `rule` without category or place.
    #[inline]
    pub const fn new(rule: &'a str, severity: Severity, message: &'a str) -> Self {
        Self {
            rule,
            severity,
            category: UNCATEGORISED,
            message,
            file: "",
            line: 0,
            element: "",
            security_severity: None,
            confidence: None,
            marks: Marks {
                suppressed: false,
                fixable: false,
                fixed: false,
            },
        }
    }

    /// What a context keeps of `finding`.
    pub fn of(finding: &'a Finding) -> Self {
        Self {
            rule: &finding.rule_id,
            severity: finding.severity(),
            category: &finding.category,
            message: &finding.message,
            file: finding.path(),
            line: finding.region().map_or(0, |region| region.start_line),
            element: finding.element.as_deref().unwrap_or_default(),
            security_severity: finding.security_severity,
            confidence: finding.confidence,
            marks: Marks {
                suppressed: finding.is_suppressed(),
                fixable: finding.fixable,
                fixed: finding.fixed,
            },
        }
    }

    /// In this category.
    #[inline]
    #[must_use]
    pub const fn category(mut self, category: &'a str) -> Self {
        self.category = category;
        self
    }

    /// At `line` (from 1) of `file`.
    #[inline]
    #[must_use]
    pub const fn at(mut self, file: &'a str, line: u32) -> Self {
        self.file = file;
        self.line = line;
        self
    }

    /// In this function, class or package.
    #[inline]
    #[must_use]
    pub const fn element(mut self, element: &'a str) -> Self {
        self.element = element;
        self
    }

    /// With a CVSS-like score, 0-10.
    #[inline]
    #[must_use]
    pub const fn security_severity(mut self, score: f32) -> Self {
        self.security_severity = Some(score);
        self
    }

    /// With the bot's confidence, 0-1.
    #[inline]
    #[must_use]
    pub const fn confidence(mut self, confidence: f32) -> Self {
        self.confidence = Some(confidence);
        self
    }

    /// Suppressed: not open.
    #[inline]
    #[must_use]
    pub const fn suppressed(mut self) -> Self {
        self.marks.suppressed = true;
        self
    }

    /// The class that its load is made of.
    #[inline]
    pub fn class(&self) -> WeightClass {
        WeightClass::of(self.severity, self.security_severity)
    }
}
