//! Ids that are made in nanoseconds and found by arithmetic.

use std::fmt;
use std::str::FromStr;

use fleet_worker_sdk::Error;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A context's id: a UUID of version 7 whose last 32 bits are 0, which number its findings.
///
/// 42 bits of it are random: of a thousand contexts made in the same millisecond, two have the same
/// id once in nine million times. It is a name, not a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(u128);

/// A finding's id: its context's, and the finding's number there. So an id is made by an addition,
/// found by a subtraction, and sorts by time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FindingId(u128);

/// The bits that number findings.
const NUMBER: u128 = u32::MAX as u128;

impl ContextId {
    /// An id unlike any other, made at `now`.
    #[inline]
    pub(super) fn fresh(now: Timestamp) -> Self {
        let milliseconds = now.as_millisecond().max(0) as u64;
        let random = fastrand::u64(..);
        let high = (milliseconds << 16) | 0x7000 | (random & 0x0fff);
        let low = (0b10 << 62) | ((random >> 2) & !u64::from(u32::MAX));
        Self((u128::from(high) << 64) | u128::from(low))
    }

    /// The id of the finding at `position`, which is numbered from 1.
    #[inline]
    pub(super) fn finding(self, position: u32) -> FindingId {
        FindingId(self.0 + 1 + u128::from(position))
    }
}

impl FindingId {
    /// Whose finding it is.
    pub fn context(self) -> ContextId {
        ContextId(self.0 & !NUMBER)
    }

    /// Where it stands in `context`; none when it is not one of its findings.
    #[inline]
    pub(super) fn position(self, context: ContextId) -> Option<u32> {
        let number = self.0.checked_sub(context.0 + 1)?;
        u32::try_from(number).ok()
    }
}

macro_rules! uuid_text {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut buffer = Uuid::encode_buffer();
                f.pad(
                    Uuid::from_u128(self.0)
                        .hyphenated()
                        .encode_lower(&mut buffer),
                )
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl $name {
            fn read(text: &str) -> Result<Self, Error> {
                match Uuid::try_parse(text) {
                    Ok(uuid) => Ok(Self(uuid.as_u128())),
                    Err(error) => Err(Error::invalid($what, format!("`{text}`: {error}"))),
                }
            }
        }
    };
}

uuid_text!(ContextId, "context id");
uuid_text!(FindingId, "finding id");

impl FromStr for ContextId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let id = Self::read(text)?;
        if id.0 & NUMBER == 0 {
            return Ok(id);
        }
        let why = format!("`{text}` does not end in eight zeros: is it a finding's?");
        Err(Error::invalid("context id", why))
    }
}

impl FromStr for FindingId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::read(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_leads_to_its_finding_only(second in 0..4_000_000_000_i64, position in 0..u32::MAX) {
            let now = Timestamp::from_second(second).unwrap();
            let (one, other) = (ContextId::fresh(now), ContextId::fresh(now));
            let finding = one.finding(position);
            prop_assert_eq!(finding.position(one), Some(position));
            prop_assert_eq!(finding.position(other), None);
            prop_assert_eq!(finding.context(), one);
            prop_assert_eq!(finding.to_string().parse::<FindingId>().unwrap(), finding);
            prop_assert_eq!(one.to_string().parse::<ContextId>().unwrap(), one);
            prop_assert!(finding.to_string().parse::<ContextId>().is_err());
        }
    }

    #[test]
    fn an_id_is_a_uuid_of_version_7_with_its_time() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let uuid = Uuid::from_u128(ContextId::fresh(now).finding(7).0);
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(uuid.get_timestamp().unwrap().to_unix().0, 1_700_000_000);
    }
}
