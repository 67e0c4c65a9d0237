//! What is kept of a fleet, as written and checked.

use jiff::SignedDuration;

use super::ConfigError;
use crate::retention::Keep;

/// What `days` (0: for ever), `findings` and `compact` (minutes, 0: never) come to, over `default`.
///
/// # Errors
/// [`ConfigError::Invalid`] naming the value that cannot be kept to.
pub fn checked(
    days: Option<u32>,
    findings: Option<u64>,
    compact: Option<u32>,
    default: Keep,
) -> Result<Keep, ConfigError> {
    let age = match days {
        None => default.age,
        Some(0) => None,
        Some(days) => Some(SignedDuration::from_hours(24 * i64::from(days))),
    };
    if findings == Some(0) {
        let why = "it is 0, which would keep nothing";
        return Err(ConfigError::invalid("keep-findings", why));
    }
    let compact_after = match compact {
        None => default.compact_after,
        Some(0) => None,
        Some(minutes) => Some(SignedDuration::from_mins(i64::from(minutes))),
    };
    Ok(Keep {
        age,
        compact_after,
        findings: findings.or(default.findings),
        ..default
    })
}

/// The days that would give the age again.
pub fn days(keep: &Keep) -> Option<u32> {
    let days = keep.age.map_or(0, |age| age.as_hours() / 24);
    u32::try_from(days).ok()
}

/// The minutes that would give the time of compaction again.
pub fn compact_minutes(keep: &Keep) -> Option<u32> {
    let minutes = keep.compact_after.map_or(0, |after| after.as_mins());
    u32::try_from(minutes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_shown_as_they_were_written() {
        for (written, findings) in [(Some(7), Some(5)), (Some(0), None)] {
            let keep = checked(written, findings, written, Keep::default()).unwrap();
            assert_eq!((days(&keep), keep.findings), (written, findings));
            assert_eq!(compact_minutes(&keep), written);
        }
        let default = checked(None, None, None, Keep::default()).unwrap();
        assert_eq!(default, Keep::default());
        assert!(checked(None, Some(0), None, Keep::default()).is_err());
    }
}
