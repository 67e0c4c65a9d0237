//! Names that reach key names, paths and labels, each checked once, when it is made.
//!
//! An id that exists is valid: nothing downstream escapes or checks it again.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::error::Error;

/// Longest bot, session, producer or run id, in bytes.
pub const MAX_ID: usize = 64;
/// Longest worker id, in bytes: a bot id, a host name, a pid and a boot id.
pub const MAX_WORKER_ID: usize = 320;
/// Longest repository name, in bytes.
pub const MAX_REPOSITORY: usize = 255;

fn check(what: &'static str, text: &str, max: usize, extra: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || extra.contains(c);
    let why = if text.is_empty() {
        "it is empty".to_owned()
    } else if text.len() > max {
        format!("it is {} bytes long, the limit is {max}", text.len())
    } else if let Some(c) = text.chars().find(|c| !allowed(*c)) {
        format!("it contains {c:?}; letters, digits and any of `._-{extra}` are allowed")
    } else if text == "." || text == ".." || text.split('/').any(|part| part == "..") {
        "it names a parent directory".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::invalid(what, why))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr, $extra:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes `text`.
            ///
            /// # Errors
            /// [`Error::Invalid`] naming the character or the length that is not allowed.
            pub fn new(text: impl AsRef<str>) -> Result<Self, Error> {
                let text = text.as_ref();
                check($what, text, $max, $extra)?;
                Ok(Self(text.into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A kind of analyser, such as `hypatia` or `semgrep`: `[A-Za-z0-9._-]{1,64}`.
    BotId, "bot id", MAX_ID, ""
);
id!(
    /// One client instance that pushes: its sequence numbers make retries harmless.
    ProducerId, "producer id", MAX_ID, ""
);
id!(
    /// A running process of a bot, `bot:host:pid:boot-id`; made by the SDK, never by the user.
    WorkerId, "worker id", MAX_WORKER_ID, ":"
);
id!(
    /// A code repository, such as `acme/shop`: `[A-Za-z0-9._/-]{1,255}`.
    Repository, "repository", MAX_REPOSITORY, "/"
);
id!(
    /// One analysis of one repository, `p7-<uuid v7>`: whoever holds one can find its slot.
    SessionText, "session id", MAX_ID, ""
);

impl ProducerId {
    /// A fresh producer, unlike any other.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7().simple().to_string().into())
    }
}

impl BotId {
    /// A bot id made from a tool's display name: `Semgrep OSS` becomes `semgrep-oss`.
    /// What the rules for ids do not allow becomes a dash; nothing left becomes `unknown`.
    pub fn from_tool_name(name: &str) -> Self {
        let mut id = String::with_capacity(name.len());
        for c in name.chars().flat_map(char::to_lowercase) {
            if id.len() >= MAX_ID {
                break;
            }
            match c {
                'a'..='z' | '0'..='9' | '.' | '_' => id.push(c),
                _ if id.ends_with('-') || id.is_empty() => {}
                _ => id.push('-'),
            }
        }
        let id = id.trim_matches(['-', '.']);
        Self(if id.is_empty() { "unknown" } else { id }.into())
    }
}

/// One analysis of one repository at one ref and commit, by several bots.
///
/// Its text is `p7-<uuid v7>`: the partition it lives in, and a time-ordered unique id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    text: SessionText,
    partition: Partition,
}

impl SessionId {
    /// A fresh session id in `partition`.
    pub fn fresh(partition: Partition) -> Self {
        let text = format!("p{}-{}", partition.0, Uuid::now_v7());
        Self {
            text: SessionText(text.into()),
            partition,
        }
    }

    /// Reads a session id.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not `p<partition>-<uuid>`.
    pub fn new(text: impl AsRef<str>) -> Result<Self, Error> {
        let text = SessionText::new(text)?;
        let malformed = || {
            Error::invalid(
                "session id",
                format!("`{text}` is not of the form p<partition>-<uuid>"),
            )
        };
        let (partition, uuid) = text.0.split_once('-').ok_or_else(malformed)?;
        let digits = partition.strip_prefix('p').ok_or_else(malformed)?;
        let number: u16 = digits.parse().map_err(|_| malformed())?;
        let canonical = number.to_string() == digits && uuid.len() == 36;
        let uuid = Uuid::try_parse(uuid).map_err(|_| malformed())?;
        if !canonical || !text.0.ends_with(&uuid.to_string()) {
            return Err(malformed());
        }
        Ok(Self {
            partition: Partition(number),
            text,
        })
    }

    /// The partition, hence the slot, that holds this session.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }
}

impl FromStr for SessionId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

/// The part of a fleet, and the Redis Cluster slot, that a repository belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub u16);

/// How many partitions a fleet has: fixed when the fleet is created, the same for every client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions(u16);

impl Partitions {
    /// 16: enough to spread over a cluster of 16 masters, few enough that one
    /// coordinator reads them all.
    pub const DEFAULT: Self = Self(16);

    /// A count of 1 to 1,024 partitions.
    ///
    /// # Errors
    /// [`Error::Invalid`] outside that range.
    pub fn new(count: u16) -> Result<Self, Error> {
        if (1..=1024).contains(&count) {
            Ok(Self(count))
        } else {
            Err(Error::invalid(
                "partitions",
                format!("{count} is not between 1 and 1024"),
            ))
        }
    }

    /// The number of partitions.
    pub fn count(self) -> u16 {
        self.0
    }

    /// Every partition, in order.
    pub fn iter(self) -> impl Iterator<Item = Partition> {
        (0..self.0).map(Partition)
    }

    /// Where `repository` belongs: `xxh3(repository) % count`.
    pub fn of(self, repository: &Repository) -> Partition {
        let hash = xxhash_rust::xxh3::xxh3_64(repository.as_str().as_bytes());
        Partition((hash % u64::from(self.0)) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outside_string_cannot_move_a_slot_or_a_path() {
        for bad in [
            "",
            "a{b}",
            "a b",
            "a/b",
            "a\nb",
            "🦀",
            "..",
            &"x".repeat(65),
        ] {
            assert!(BotId::new(bad).is_err(), "{bad:?} must be refused");
        }
        for bad in ["", "a{p1}", "../etc", "a/../b", "a:b", "é"] {
            assert!(Repository::new(bad).is_err(), "{bad:?} must be refused");
        }
        assert!(Repository::new("acme/shop.web_2-x").is_ok());
        assert!(WorkerId::new("semgrep:host-1.local:42:0a1b").is_ok());
    }

    #[test]
    fn a_session_id_carries_its_partition() {
        let id = SessionId::fresh(Partition(7));
        assert!(id.as_str().starts_with("p7-"));
        assert_eq!(SessionId::new(id.as_str()).unwrap(), id);
        for bad in [
            "p7",
            "p7-",
            "p07-0190b3c6-7a11-7000-8000-000000000000",
            "7-x",
            "p7-zz",
        ] {
            assert!(SessionId::new(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn tool_names_become_bot_ids() {
        assert_eq!(BotId::from_tool_name("Semgrep OSS").as_str(), "semgrep-oss");
        assert_eq!(BotId::from_tool_name("ECLAIR™ / C").as_str(), "eclair-c");
        assert_eq!(BotId::from_tool_name("检查").as_str(), "unknown");
    }

    #[test]
    fn the_reason_names_the_character() {
        let error = BotId::new("a{b").unwrap_err().to_string();
        assert!(error.contains("'{'"), "{error}");
    }
}
