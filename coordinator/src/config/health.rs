//! The `[health]` table of a configuration file: how scores are made. Coordinators and dashboards
//! of a fleet are given the same one, or they disagree.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::health::Settings;
use jiff::SignedDuration;

/// The table as written; what is left out is as specified.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RawHealth {
    /// Weight of a bot's recent success [default: 0.5].
    pub success: Option<f64>,
    /// Weight of its heartbeats [default: 0.2].
    pub freshness: Option<f64>,
    /// Weight of how usual the duration of its latest run was [default: 0.15].
    pub duration: Option<f64>,
    /// Weight of how usual its findings were [default: 0.15].
    pub output: Option<f64>,
    /// Weight of the latest run in the success average, 0-1 [default: 0.2].
    pub alpha: Option<f64>,
    /// What one finding weighs, critical to suggestion [default: 10, 5, 3, 1, 0].
    pub classes: Option<[f64; 5]>,
    /// H: the load of findings at which quality is 50 [default: 50].
    pub half: Option<f64>,
    /// Where healthy, degraded and unhealthy begin [default: 85, 60, 30].
    pub bands: Option<[f64; 3]>,
    /// Points above its edge at which a bad band is left [default: 3].
    pub hysteresis: Option<f64>,
    /// Age in seconds up to which a heartbeat is fresh [default: 15].
    pub stale_after_s: Option<u32>,
    /// Silence in seconds after which a worker is dead [default: 60].
    pub dead_after_s: Option<u32>,
    /// Time in seconds without progress after which a worker is stuck [default: 600].
    pub stuck_after_s: Option<u32>,
    /// Time in seconds after which workers of one bot in different versions are no rollout any more
    /// [default: 1800].
    pub skew_after_s: Option<u32>,
}

impl RawHealth {
    /// The settings that result.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] naming the setting and what is allowed.
    pub fn checked(&self) -> Result<Settings, ConfigError> {
        let usual = Settings::default();
        let seconds = |value: Option<u32>, usual| {
            value.map_or(usual, |s| SignedDuration::from_secs(i64::from(s)))
        };
        let settings = Settings {
            success: self.success.unwrap_or(usual.success),
            freshness: self.freshness.unwrap_or(usual.freshness),
            duration: self.duration.unwrap_or(usual.duration),
            output: self.output.unwrap_or(usual.output),
            alpha: self.alpha.unwrap_or(usual.alpha),
            classes: self.classes.unwrap_or(usual.classes),
            half: self.half.unwrap_or(usual.half),
            bands: self.bands.unwrap_or(usual.bands),
            hysteresis: self.hysteresis.unwrap_or(usual.hysteresis),
            stale_after: seconds(self.stale_after_s, usual.stale_after),
            dead_after: seconds(self.dead_after_s, usual.dead_after),
            stuck_after: seconds(self.stuck_after_s, usual.stuck_after),
            skew_after: seconds(self.skew_after_s, usual.skew_after),
        };
        match settings.fault() {
            None => Ok(settings),
            Some((setting, allowed)) => {
                let why = format!("{setting} is out of range: {allowed}");
                Err(ConfigError::invalid("health", why))
            }
        }
    }

    /// The table that gives `settings`.
    pub fn shown(settings: &Settings) -> Self {
        let seconds = |duration: SignedDuration| u32::try_from(duration.as_secs()).ok();
        Self {
            success: Some(settings.success),
            freshness: Some(settings.freshness),
            duration: Some(settings.duration),
            output: Some(settings.output),
            alpha: Some(settings.alpha),
            classes: Some(settings.classes),
            half: Some(settings.half),
            bands: Some(settings.bands),
            hysteresis: Some(settings.hysteresis),
            stale_after_s: seconds(settings.stale_after),
            dead_after_s: seconds(settings.dead_after),
            stuck_after_s: seconds(settings.stuck_after),
            skew_after_s: seconds(settings.skew_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_gives_the_same_settings() {
        let written = "half = 80.0\nbands = [90.0, 70.0, 40.0]\nstale-after-s = 20\n";
        let settings = toml::from_str::<RawHealth>(written).unwrap();
        let settings = settings.checked().unwrap();
        assert!((settings.half - 80.0).abs() < f64::EPSILON);
        assert_eq!(settings.stale_after, SignedDuration::from_secs(20));
        let shown = toml::to_string(&RawHealth::shown(&settings)).unwrap();
        let again = toml::from_str::<RawHealth>(&shown).unwrap();
        assert_eq!(again.checked().unwrap(), settings);
    }

    #[test]
    fn what_makes_no_scores_is_refused_by_name() {
        for (wrong, name) in [
            ("half = 0.0", "half"),
            ("success = nan", "success"),
            ("bands = [60.0, 85.0, 30.0]", "bands"),
            ("classes = [1.0, 5.0, 3.0, 1.0, 0.0]", "classes"),
            ("dead-after-s = 15", "dead-after-s"),
            ("hysteresis = 21.0", "hysteresis"),
            ("stuck-after-s = 0", "stuck-after-s"),
            ("skew-after-s = 0", "skew-after-s"),
        ] {
            let raw: RawHealth = toml::from_str(wrong).unwrap();
            let refused = raw.checked().unwrap_err().to_string();
            assert!(
                refused.starts_with("health: ") && refused.contains(name),
                "{wrong}: {refused}"
            );
        }
        assert!(toml::from_str::<RawHealth>("hlaf = 1.0").is_err());
    }
}
