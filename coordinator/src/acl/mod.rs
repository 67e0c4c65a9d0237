//! Access lists of Redis: one user a kind of client, with the keys it touches and the commands it
//! runs, and no more.
//!
//! What this cannot do: a command that a function runs is allowed to its user outside of the function
//! too, so whoever holds a worker's password can write nonsense into sessions. Bots that are not
//! trusted go through the HTTP API, which checks what they say.

pub mod functions;

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use fleet_worker_sdk::keys::{Keys, Touches};
use fleet_worker_sdk::{Error, Result};

use sha2::{Digest, Sha256};

use functions::Function;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A bot's process: pushes, and hears nothing.
    Worker,
    /// A coordinator: everything of its fleet.
    Coordinator,
    /// A dashboard: reads everything, takes findings for bots, writes no score.
    Dashboard,
    /// An operator: as a coordinator, and asks servers how they are.
    Admin,
}

/// Every role, in the order of [`Role`].
pub const ROLES: [Role; 4] = [
    Role::Worker,
    Role::Coordinator,
    Role::Dashboard,
    Role::Admin,
];

/// Greeting, and what a client of a cluster needs. `CLIENT SETINFO`, which clients send too, is not
/// here: Redis 7.0 does not start with a list that names it, and nobody minds its refusal.
const CONNECTION: &[&str] = &[
    "hello",
    "auth",
    "ping",
    "select",
    "asking",
    "readonly",
    "cluster|slots",
    "fcall",
    "fcall_ro",
];
/// What a worker sends outside of functions.
const WORKER: &[&str] = &["hget", "hgetall", "hset", "publish"];
/// What a dashboard sends beyond that.
const DASHBOARD: &[&str] = &[
    "exec",
    "exists",
    "hmget",
    "hvals",
    "info",
    "lrange",
    "multi",
    "set",
    "subscribe",
    "time",
    "unsubscribe",
    "xinfo|groups",
    "xlen",
    "xpending",
    "xrange",
    "xrevrange",
    "zcard",
    "zrangebyscore",
    "zrevrangebyscore",
];
/// What a coordinator sends beyond that.
const COORDINATOR: &[&str] = &[
    "del",
    "function|list",
    "function|load",
    "hsetnx",
    "setrange",
    "xack",
    "xautoclaim",
    "xdel",
    "xgroup|create",
    "xinfo|consumers",
    "xreadgroup",
    "zrange",
    "zrem",
];
/// What an operator asks beyond that: how servers are, and nothing of other fleets on them.
const ADMIN: &[&str] = &[
    "acl|whoami",
    "cluster|info",
    "cluster|nodes",
    "cluster|shards",
    "config|get",
    "function|stats",
    "latency|latest",
    "slowlog|get",
    "ttl",
    "type",
    "xinfo|stream",
];

/// SHA-256 of a password, as Redis takes it: 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hash(String);

impl Hash {
    /// A hash made elsewhere, such as by `ACL GENPASS` and `sha256sum`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not of 64 hexadecimal digits.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim().to_lowercase();
        if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(Self(text));
        }
        let why = "it is not the SHA-256 of a password, which has 64 hexadecimal digits";
        Err(Error::invalid("hash", why))
    }

    /// The hash of `password`.
    pub fn of(password: &str) -> Self {
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(password.as_bytes()) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

impl Role {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Coordinator => "coordinator",
            Self::Dashboard => "dashboard",
            Self::Admin => "admin",
        }
    }

    /// The commands it may run, those within functions too.
    pub fn commands(self) -> BTreeSet<&'static str> {
        let (direct, functions): (&[&[&str]], &[&[Function]]) = match self {
            Self::Worker => (&[WORKER], &[functions::WORKER]),
            Self::Dashboard => (
                &[WORKER, DASHBOARD],
                &[functions::WORKER, functions::DASHBOARD],
            ),
            Self::Coordinator => (
                &[WORKER, DASHBOARD, COORDINATOR],
                &[
                    functions::WORKER,
                    functions::DASHBOARD,
                    functions::COORDINATOR,
                ],
            ),
            Self::Admin => (
                &[WORKER, DASHBOARD, COORDINATOR, ADMIN],
                &[
                    functions::WORKER,
                    functions::DASHBOARD,
                    functions::COORDINATOR,
                ],
            ),
        };
        let direct = direct.iter().copied().flatten();
        let within = functions.iter().copied().flatten();
        CONNECTION
            .iter()
            .chain(direct)
            .chain(within.flat_map(|(_, commands)| commands.iter()))
            .copied()
            .collect()
    }

    /// The rules of its user: what follows the name in an access list, and in `ACL SETUSER`. Without
    /// a password the user is off.
    pub fn rules(self, keys: &Keys, password: Option<&Hash>) -> Vec<String> {
        let mut rules = vec!["reset".to_owned()];
        match password {
            Some(Hash(hash)) => rules.extend(["on".to_owned(), format!("#{hash}")]),
            None => rules.push("off".to_owned()),
        }
        let (reads, writes): (&[Touches], &[Touches]) = match self {
            Self::Worker => (&[Touches::Meta], &[Touches::Pushed]),
            Self::Dashboard => (&[Touches::Everything], &[Touches::Pushed, Touches::Served]),
            Self::Coordinator | Self::Admin => (&[], &[Touches::Everything]),
        };
        let patterns = |touches: &[Touches]| {
            let of = touches.iter().flat_map(|touches| keys.patterns(*touches));
            of.collect::<Vec<_>>()
        };
        rules.extend(patterns(reads).iter().map(|key| format!("%R~{key}")));
        rules.extend(patterns(writes).iter().map(|key| format!("~{key}")));
        rules.push(format!("&{}", keys.updates()));
        rules.extend(self.commands().iter().map(|command| format!("+{command}")));
        rules
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The line of an access list file that makes `user` a client of this kind.
pub fn line(user: &str, role: Role, keys: &Keys, password: Option<&Hash>) -> String {
    format!("user {user} {}", role.rules(keys, password).join(" "))
}

/// The line that keeps out whoever gives no name. Being off does that; its rights are for Redis itself,
/// which reads its append-only file as this user: without them Redis 7.0 starts, logs `NOPERM` for every
/// transaction, a function's writes among them, and comes up empty.
pub const DEFAULT_OFF: &str = "user default reset off ~* &* +@all";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hashed_as_redis_does() {
        // SHA-256 of "abc", from FIPS 180-2.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Hash::of("abc"), Hash::new(abc).unwrap());
        assert!(Hash::new("abc").is_err());
    }

    #[test]
    fn without_a_password_a_user_is_off() {
        let keys = Keys::new("other").unwrap();
        for role in ROLES {
            let line = line("x", role, &keys, None);
            assert!(line.starts_with("user x reset off "), "{line}");
            assert!(
                !line.contains("fleet:") && !line.contains("nopass"),
                "{line}"
            );
            assert!(
                !line.contains("client|setinfo") && !line.contains("@all"),
                "{line}"
            );
        }
    }
}
