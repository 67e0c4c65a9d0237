//! Which commands each function runs: Redis checks every one of them against the calling user.

/// A function, and the commands it runs; a subcommand follows a `|`.
pub type Function = (&'static str, &'static [&'static str]);

/// What workers call.
pub const WORKER: &[Function] = &[
    ("fleet_hello_1", &["hmget"]),
    ("fleet_beat_1", BEAT),
    ("fleet_hail_1", BEAT),
    (
        "fleet_open_1",
        &[
            "exists", "get", "hincrby", "hset", "set", "time", "xadd", "zadd",
        ],
    ),
    (
        "fleet_expect_1",
        &[
            "hexists", "hincrby", "hmget", "hset", "time", "xadd", "zadd",
        ],
    ),
    (
        "fleet_execution_1",
        &["expire", "hincrby", "hmget", "hset", "time", "xadd", "zadd"],
    ),
    ("fleet_push_3", PUSH),
    ("fleet_push_4", PUSH),
];

const PUSH: &[&str] = &[
    "expire", "getrange", "hdel", "hincrby", "hlen", "hmget", "hset", "hsetnx", "strlen", "time",
    "xadd", "zadd", "zmscore", "zrem",
];

const BEAT: &[&str] = &[
    "expire",
    "hdel",
    "hmget",
    "hset",
    "publish",
    "time",
    "zadd",
    "zremrangebyscore",
];

/// What dashboards call beyond that.
pub const DASHBOARD: &[Function] = &[
    ("fleet_now_1", &["time"]),
    ("fleet_tail_1", &["hlen", "hmget", "xrange"]),
    ("fleet_anomalies_1", &["hmget", "zrevrange"]),
    ("fleet_letters_1", &["xrevrange"]),
    (
        "fleet_quarantine_1",
        &[
            "hget", "hincrby", "hset", "time", "xadd", "xdel", "xrange", "zadd",
        ],
    ),
    ("fleet_command_1", &["exists", "hset", "publish"]),
    ("fleet_alerts_1", &["hmget", "hvals", "xlen", "xrange"]),
    ("fleet_raise_1", &["hget", "hset", "time", "xadd", "xlen"]),
    ("fleet_revive_1", &["xadd", "xdel", "xlen", "xrange"]),
    (
        "fleet_silence_1",
        &["hdel", "hget", "hgetall", "hset", "time", "xadd"],
    ),
];

/// What coordinators and operators call beyond that.
pub const COORDINATOR: &[Function] = &[
    ("fleet_derive_1", &["hincrby", "hmget", "hset", "publish"]),
    ("fleet_give_up_1", &["xack", "xadd", "xpending", "xrange"]),
    (
        "fleet_requeue_1",
        &[
            "hget", "hincrby", "hset", "time", "xadd", "xdel", "xrange", "zadd",
        ],
    ),
    ("fleet_reap_1", &["xgroup|delconsumer", "xinfo|consumers"]),
    (
        "fleet_drop_1",
        &[
            "del", "get", "hdel", "hget", "hincrby", "hmget", "publish", "unlink", "zrem",
        ],
    ),
    (
        "fleet_compact_1",
        &[
            "del",
            "hgetall",
            "hincrby",
            "hlen",
            "hmget",
            "hset",
            "memory|usage",
            "persist",
            "rename",
            "strlen",
            "unlink",
            "xlen",
            "zcard",
        ],
    ),
    (
        "fleet_account_1",
        &["exists", "hgetall", "strlen", "xlen", "xrange", "zcard"],
    ),
    (
        "fleet_repair_1",
        &[
            "hdel", "hincrby", "hlen", "hmget", "hset", "persist", "rename", "time", "unlink",
            "xadd", "zadd", "zcard",
        ],
    ),
    ("fleet_mismatch_1", &["hexists", "hlen", "hset"]),
    ("fleet_keep_1", &["hget", "hset", "time"]),
    (
        "fleet_claim_1",
        &["hget", "hset", "time", "xadd", "xdel", "xrange"],
    ),
    (
        "fleet_delivered_1",
        &["hdel", "hget", "hset", "time", "xadd", "xdel", "xrange"],
    ),
    ("fleet_advance_1", KEEP_AND_LAST),
    ("fleet_note_1", &["hdel", "hset", "zadd", "zrange", "zrem"]),
    ("fleet_amend_1", &["hget", "hset", "zadd"]),
    (
        "fleet_point_1",
        &["hget", "lindex", "lset", "ltrim", "rpush"],
    ),
];

const KEEP_AND_LAST: &[&str] = &["hdel", "hget", "hset", "zadd", "zrange", "zrem"];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::store::redis::library;

    type Commands = BTreeSet<String>;

    /// A Lua function of the first level: its text.
    type Bodies = BTreeMap<String, String>;

    /// Splits a library into its functions. `changes.start` and its like count as one, `changes`,
    /// for which of them runs is known at run time only.
    fn bodies(source: &str) -> (Bodies, String) {
        let (mut bodies, mut rest, mut inside) = (Bodies::new(), String::new(), None);
        for line in source.lines() {
            let line = line.split(" -- ").next().unwrap_or_default();
            if line.starts_with("--") {
                continue;
            }
            let head = line.strip_prefix("local ").unwrap_or(line);
            if let Some(named) = head.strip_prefix("function ") {
                let end = named.find(['(', '.']).unwrap();
                inside = Some(named[..end].to_owned());
            }
            let text = match &inside {
                Some(name) => bodies.entry(name.clone()).or_default(),
                None => &mut rest,
            };
            text.push_str(line);
            text.push('\n');
            if line == "end" {
                inside = None;
            }
        }
        (bodies, rest)
    }

    fn commands(text: &str) -> Commands {
        let mut found = Commands::new();
        for call in ["redis.call('", "redis.pcall('"] {
            for part in text.split(call).skip(1) {
                let mut words = part.split('\'');
                let command = words.next().unwrap().to_lowercase();
                let sub = words
                    .nth(1)
                    .filter(|_| ["memory", "xinfo", "xgroup"].contains(&&*command));
                found.insert(match sub {
                    Some(sub) => format!("{command}|{}", sub.to_lowercase()),
                    None => command,
                });
            }
        }
        found
    }

    /// Whether `text` calls or picks from `name`.
    fn mentions(text: &str, name: &str) -> bool {
        text.match_indices(name).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + name.len()..].chars().next();
            let joins = |c: char| c.is_alphanumeric() || "_.'".contains(c);
            !before.is_some_and(joins) && matches!(after, Some('(' | '['))
        })
    }

    fn all_commands(name: &str, bodies: &Bodies, seen: &mut BTreeSet<String>) -> Commands {
        if !seen.insert(name.to_owned()) {
            return Commands::new();
        }
        let body = &bodies[name];
        let mut found = commands(body);
        for other in bodies.keys().filter(|other| mentions(body, other)) {
            found.extend(all_commands(other, bodies, seen));
        }
        found
    }

    /// What the functions that a part of a library registers run.
    fn registered(part: &str) -> BTreeMap<String, Commands> {
        let (bodies, rest) = bodies(part);
        let mut found = BTreeMap::new();
        for registration in rest.split("redis.register_function{").skip(1) {
            let name = registration.split('\'').nth(1).unwrap().to_owned();
            let callback = registration.split("callback = ").nth(1).unwrap();
            let mut seen = BTreeSet::new();
            let mut of = Commands::new();
            for body in bodies.keys() {
                let plain = callback.split([',', '}', '\n']).next() == Some(body);
                if plain || (callback.starts_with("function") && mentions(callback, body)) {
                    of.extend(all_commands(body, &bodies, &mut seen));
                }
            }
            found.insert(name, of);
        }
        found
    }

    /// The libraries, cut after each group of registrations: two parts may use one name for
    /// functions of their own. Each is read with what all share.
    fn sources() -> BTreeMap<String, Commands> {
        use fleet_worker_sdk::transport::redis::{COMMON, LIBRARY};
        let mut found = BTreeMap::new();
        for library in [LIBRARY.to_owned(), library()] {
            let own = library.split_once(COMMON).unwrap().1;
            let mut part = String::from(COMMON);
            let mut registers = false;
            for line in own.lines() {
                if registers && (line.starts_with("local ") || line.starts_with("-- ")) {
                    found.extend(registered(&part));
                    part = COMMON.to_owned();
                    registers = false;
                }
                registers |= line.starts_with("redis.register_function");
                part.push_str(line);
                part.push('\n');
            }
            found.extend(registered(&part));
        }
        found
    }

    #[test]
    fn the_table_names_what_the_functions_run() {
        let table = [WORKER, DASHBOARD, COORDINATOR].concat();
        let table: BTreeMap<String, Commands> = table
            .iter()
            .map(|(name, commands)| {
                let commands = commands.iter().map(|command| (*command).to_owned());
                ((*name).to_owned(), commands.collect())
            })
            .collect();
        assert_eq!(sources(), table);
    }

    #[test]
    fn a_worker_is_asked_about_every_command_it_runs() {
        use fleet_worker_sdk::keys::Keys;
        use fleet_worker_sdk::transport::redis::rights;
        let probes = rights::worker(&Keys::default());
        let asked: BTreeSet<String> = probes.iter().map(|p| p[0].to_lowercase()).collect();
        for (function, commands) in WORKER {
            for command in *commands {
                assert!(asked.contains(*command), "{function} runs {command}");
            }
        }
    }

    #[test]
    fn a_coordinator_is_asked_about_every_command_it_runs() {
        use fleet_worker_sdk::keys::Keys;
        let probes = crate::store::redis::rights::coordinator(&Keys::default());
        let asked: BTreeSet<String> = probes.iter().map(|p| p[0].to_lowercase()).collect();
        for (function, commands) in [DASHBOARD, COORDINATOR].concat() {
            for command in commands {
                let command = command.split('|').next().unwrap();
                assert!(asked.contains(command), "{function} runs {command}");
            }
        }
    }
}
