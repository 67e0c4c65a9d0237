//! Limits: from which value on one kind of thing is an alert.

use serde::{Deserialize, Serialize};

use super::{refuse, seconds, whole};
use crate::alert::Name;
use crate::alert::settings::Limit;
use crate::config::ConfigError;

/// Limits of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RawLimit {
    /// Never raised.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// From this value on it is a warning.
    pub warning: Option<f64>,
    /// From this value on it is critical.
    pub critical: Option<f64>,
    /// Time in seconds that it must last.
    pub hold_s: Option<u32>,
}

impl RawLimit {
    /// What gives `limit`.
    pub(super) fn of(limit: Limit) -> Self {
        Self {
            off: limit.warning.or(limit.critical).is_none(),
            warning: limit.warning,
            critical: limit.critical,
            hold_s: whole(limit.hold),
        }
    }

    pub(super) fn checked(&self, name: Name) -> Result<Limit, ConfigError> {
        let usual = Limit::of(name);
        let hold = seconds("hold-s", self.hold_s, usual.hold)?;
        if self.off {
            return Ok(Limit {
                warning: None,
                critical: None,
                hold,
            });
        }
        // Who gives one limit wants that one: the other default may lie on its wrong side.
        let (warning, critical) = match (self.warning, self.critical) {
            (None, None) => (usual.warning, usual.critical),
            given => given,
        };
        let sound = |limit: Option<f64>| limit.is_none_or(|limit| limit.is_finite() && limit > 0.0);
        let ordered = warning
            .zip(critical)
            .is_none_or(|(warning, critical)| warning <= critical);
        if sound(warning) && sound(critical) && ordered {
            Ok(Limit {
                warning,
                critical,
                hold,
            })
        } else {
            Err(refuse(format!(
                "limits.{name}: a limit is a number above 0, and critical not below warning"
            )))
        }
    }
}
