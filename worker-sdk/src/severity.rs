//! How bad a finding is: SARIF's level and kind, the four severities shown, the weight classes
//! scores are made of.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value's word in every format.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;
            fn from_str(text: &str) -> Result<Self, $crate::Error> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::Error::invalid($what, format!("`{text}` is not one of {}", [$($text),+].join(", ")))),
                }
            }
        }
    };
}
pub(crate) use words;

words!(
    /// SARIF's `level`.
    Level, "level" {
        /// A problem.
        Error = "error",
        /// Something to look at.
        Warning = "warning",
        /// A remark.
        Note = "note",
        /// No severity: carries no weight.
        None = "none",
    }
);

words!(
    /// SARIF's `kind`. Only `fail` carries weight.
    Kind, "kind" {
        /// The rule was violated.
        Fail = "fail",
        /// The rule was satisfied.
        Pass = "pass",
        /// Could not be decided.
        Open = "open",
        /// A person must look.
        Review = "review",
        /// For information.
        Informational = "informational",
        /// The rule does not apply.
        NotApplicable = "notApplicable",
    }
);

words!(
    /// The severity shown to people, worst first. Maps one to one to [`Level`].
    Severity, "severity" {
        /// SARIF `error`.
        Error = "error",
        /// SARIF `warning`.
        Warning = "warning",
        /// SARIF `note`.
        Info = "info",
        /// SARIF `none`, and whatever is no failure.
        Suggestion = "suggestion",
    }
);

words!(
    /// What a finding weighs in a quality score, worst first.
    WeightClass, "weight class" {
        /// `security-severity` of 9 or more.
        Critical = "critical",
        /// Severity error.
        Error = "error",
        /// Severity warning.
        Warning = "warning",
        /// Severity info.
        Info = "info",
        /// Severity suggestion: weighs nothing.
        Suggestion = "suggestion",
    }
);

impl WeightClass {
    /// Critical from a security severity of 9, else the severity; a suggestion stays one.
    pub fn of(severity: Severity, security_severity: Option<f32>) -> Self {
        match severity {
            Severity::Suggestion => Self::Suggestion,
            _ if security_severity.is_some_and(|s| s >= 9.0) => Self::Critical,
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
            Severity::Info => Self::Info,
        }
    }
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warning => Self::Warning,
            Level::Note => Self::Info,
            Level::None => Self::Suggestion,
        }
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
            Severity::Info => Self::Note,
            Severity::Suggestion => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_and_level_map_both_ways() {
        for &level in Level::ALL {
            assert_eq!(Level::from(Severity::from(level)), level);
        }
        for &severity in Severity::ALL {
            assert_eq!(severity.as_str().parse::<Severity>().unwrap(), severity);
        }
    }
}
