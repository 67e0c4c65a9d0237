//! What is kept of a fleet, as written and checked.

use jiff::SignedDuration;

use super::ConfigError;
use crate::retention::Keep;

/// A year: longer is never.
const MAX_MINUTES: f64 = 365.0 * 24.0 * 60.0;

/// What `days` (0: for ever), `findings` and `compact` (minutes, 0: never) come to, over `default`.
///
/// # Errors
/// [`ConfigError::Invalid`] naming the value that cannot be kept to.
pub fn checked(
    days: Option<u32>,
    findings: Option<u64>,
    compact: Option<f64>,
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
        Some(minutes) => after(minutes)?,
    };
    Ok(Keep {
        age,
        compact_after,
        findings: findings.or(default.findings),
        ..default
    })
}

/// How long so many minutes are; none for 0.
fn after(minutes: f64) -> Result<Option<SignedDuration>, ConfigError> {
    if !(0.0..=MAX_MINUTES).contains(&minutes) {
        return Err(ConfigError::invalid(
            "compact-after-minutes",
            format!("{minutes} is not between 0 and {MAX_MINUTES}"),
        ));
    }
    let milliseconds = (minutes * 60_000.0).round() as i64;
    Ok((milliseconds > 0).then(|| SignedDuration::from_millis(milliseconds)))
}

/// The days that would give the age again.
pub fn days(keep: &Keep) -> Option<u32> {
    let days = keep.age.map_or(0, |age| age.as_hours() / 24);
    u32::try_from(days).ok()
}

/// The minutes that would give the time of compaction again.
pub fn compact_minutes(keep: &Keep) -> f64 {
    let milliseconds = keep.compact_after.map_or(0, |after| after.as_millis());
    milliseconds as f64 / 60_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_shown_as_they_were_written() {
        for (written, findings, minutes) in [(Some(7), Some(5), 7.0), (Some(0), None, 0.0)] {
            let keep = checked(written, findings, Some(minutes), Keep::default()).unwrap();
            assert_eq!((days(&keep), keep.findings), (written, findings));
            assert_eq!(compact_minutes(&keep).to_bits(), minutes.to_bits());
        }
        let default = checked(None, None, None, Keep::default()).unwrap();
        assert_eq!(default, Keep::default());
        assert!(checked(None, Some(0), None, Keep::default()).is_err());
    }

    #[test]
    fn a_part_of_a_minute_can_be_written_and_nonsense_not() {
        let checked = |minutes| checked(None, None, Some(minutes), Keep::default());
        let half = checked(0.5).unwrap();
        assert_eq!(half.compact_after, Some(SignedDuration::from_secs(30)));
        assert_eq!(compact_minutes(&half).to_bits(), 0.5_f64.to_bits());
        for minutes in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(checked(minutes).is_err(), "{minutes}");
        }
    }
}
