//! One Redis server: what it says of itself, judged.

use std::time::Duration;

use super::{Check, Verdict};
use crate::store::operate::Server;

/// The oldest that has functions.
const LEAST_VERSION: (u32, u32) = (7, 0);
/// A push waits for one answer: beyond this, bots feel it.
const SLOW: Duration = Duration::from_millis(50);
/// Retention makes room from here on; see [`Keep`](crate::retention::Keep).
const BUDGET: u64 = 800;
/// In thousandths of the limit: what is left takes a burst of some seconds.
const NEARLY_FULL: u64 = 950;
/// Displayed times are wrong by this much before anybody wonders.
const SKEW_MS: i64 = 1_000;
/// Tokens and certificates begin to fail about here.
const FAR_SKEW_MS: i64 = 60_000;

/// Every check of a server.
pub(super) fn checks(server: &Server) -> Vec<Check> {
    let mut checks = vec![reachable(server), version(server), role(server)];
    checks.extend(persistence(server));
    checks.push(eviction(server));
    checks.push(memory(server));
    checks.extend(cluster(server));
    checks.push(replicas(server));
    checks.push(functions(server));
    checks.push(clock(server));
    for check in &mut checks {
        check.server.clone_from(&server.address);
    }
    checks
}

fn field<'a>(server: &'a Server, name: &str) -> &'a str {
    server.info.get(name).map_or("", String::as_str)
}

fn number(server: &Server, name: &str) -> u64 {
    field(server, name).parse().unwrap_or(0)
}

fn setting<'a>(server: &'a Server, name: &str) -> Option<&'a str> {
    server.config.as_ref()?.get(name).map(String::as_str)
}

fn reachable(server: &Server) -> Check {
    let seen = format!("answers in {:.1} ms", server.latency.as_secs_f64() * 1e3);
    if server.latency > SLOW {
        let advice =
            "put the processes nearer to the server, or find what keeps it busy: SLOWLOG GET";
        return Check::warn("reachable", seen, advice);
    }
    Check::ok("reachable", seen)
}

fn version(server: &Server) -> Check {
    let version = field(server, "redis_version");
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let verdict = if found >= LEAST_VERSION {
        Verdict::Ok
    } else {
        Verdict::Fail
    };
    let advice = "run Redis 7.0 or later: it is the first with functions";
    Check::new(verdict, "version", format!("Redis {version}"), advice)
}

fn role(server: &Server) -> Check {
    match field(server, "role") {
        "slave" => Check::fail(
            "role",
            "it is a replica and takes no writes",
            "name the master, or the Sentinels or the cluster that know it",
        ),
        _ => Check::ok("role", "master"),
    }
}

fn persistence(server: &Server) -> Vec<Check> {
    let mut checks = Vec::new();
    if field(server, "aof_enabled") == "1" {
        let fsync = setting(server, "appendfsync");
        checks.push(match fsync {
            Some("no") => Check::warn(
                "append-only file",
                "on, written to disk when the system likes: power loss costs some 30 s",
                "CONFIG SET appendfsync everysec, and the same in redis.conf",
            ),
            Some(fsync) => Check::ok("append-only file", format!("on, appendfsync {fsync}")),
            None => Check::ok("append-only file", "on"),
        });
    } else {
        checks.push(Check::warn(
            "append-only file",
            "off: a restart loses what came since the last snapshot",
            "CONFIG SET appendonly yes, and the same in redis.conf",
        ));
    }
    let failed = |name: &str| matches!(field(server, name), "err");
    for (name, what) in [
        ("rdb_last_bgsave_status", "last snapshot"),
        (
            "aof_last_bgrewrite_status",
            "last rewrite of the append-only file",
        ),
        (
            "aof_last_write_status",
            "last write to the append-only file",
        ),
    ] {
        if failed(name) {
            let advice = "look for room and rights in the server's folder, and into its log; until \
                          then it may refuse writes";
            checks.push(Check::fail(what, "failed", advice));
        }
    }
    checks
}

fn eviction(server: &Server) -> Check {
    let policy = field(server, "maxmemory_policy");
    let verdict = match policy {
        "noeviction" => Verdict::Ok,
        // Nothing is evicted where there is no limit.
        _ if number(server, "maxmemory") == 0 => Verdict::Warn,
        _ => Verdict::Fail,
    };
    let advice = "CONFIG SET maxmemory-policy noeviction: eviction takes parts of sessions that were acknowledged";
    Check::new(verdict, "maxmemory-policy", policy, advice)
}

fn memory(server: &Server) -> Check {
    let (used, limit) = (number(server, "used_memory"), number(server, "maxmemory"));
    let mib = |bytes: u64| bytes / (1024 * 1024);
    if limit == 0 {
        return Check::warn(
            "memory",
            format!("{} MiB used, no limit", mib(used)),
            "CONFIG SET maxmemory to what the machine can spare: retention makes room by it, and \
             without it the system ends the server",
        );
    }
    let share = used.saturating_mul(1_000) / limit;
    let seen = format!(
        "{} of {} MiB used, {}.{} %",
        mib(used),
        mib(limit),
        share / 10,
        share % 10
    );
    let verdict = match share {
        NEARLY_FULL.. => Verdict::Fail,
        BUDGET.. => Verdict::Warn,
        _ => Verdict::Ok,
    };
    let advice = "raise maxmemory, or keep less: keep_days and keep_findings of the coordinators";
    Check::new(verdict, "memory", seen, advice)
}

fn cluster(server: &Server) -> Option<Check> {
    let info = server.cluster.as_ref()?;
    let state = info.get("cluster_state").map_or("", String::as_str);
    let advice = "see CLUSTER NODES for masters that failed without a replica, and for slots that nobody has";
    let verdict = if state == "ok" {
        Verdict::Ok
    } else {
        Verdict::Fail
    };
    Some(Check::new(verdict, "cluster", state, advice))
}

fn replicas(server: &Server) -> Check {
    let connected = number(server, "connected_slaves");
    let wanted: u64 = setting(server, "min-replicas-to-write")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let seen = format!("{connected} connected, {wanted} needed for writes");
    if connected < wanted {
        let advice = "bring replicas back: until then the server refuses writes";
        return Check::fail("replicas", seen, advice);
    }
    if connected == 0 {
        let advice = "none is fine where a restart from the append-only file will do; else add one";
        return Check::ok("replicas", format!("{seen} ({advice})"));
    }
    if wanted == 0 {
        let advice = "CONFIG SET min-replicas-to-write 1: else a master that was cut off goes on \
                      taking what will be lost";
        return Check::warn("replicas", seen, advice);
    }
    Check::ok("replicas", seen)
}

fn functions(server: &Server) -> Check {
    match server.foreign_functions.as_deref() {
        None => Check::warn(
            "functions",
            "this user may not list them",
            "ask as the admin user: fleet acl admin",
        ),
        Some([]) => Check::ok("functions", "loaded, of this version"),
        Some(foreign) => Check::fail(
            "functions",
            format!("missing or of another version: {}", foreign.join(", ")),
            "start a coordinator of this version, which loads them; if there is one, update it or \
             this command",
        ),
    }
}

fn clock(server: &Server) -> Check {
    let ahead = server.clock.as_millisecond() - server.asked.as_millisecond();
    let verdict = match ahead.abs() {
        FAR_SKEW_MS.. => Verdict::Fail,
        SKEW_MS.. => Verdict::Warn,
        _ => Verdict::Ok,
    };
    let seen = format!("{:+.3} s from this machine's", ahead as f64 / 1e3);
    Check::new(verdict, "clock", seen, "set both by NTP: chronyc tracking")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn good() -> Server {
        Server {
            info: map(&[
                ("redis_version", "7.0.15"),
                ("role", "master"),
                ("aof_enabled", "1"),
                ("maxmemory_policy", "noeviction"),
                ("used_memory", "100"),
                ("maxmemory", "1000"),
                ("connected_slaves", "1"),
            ]),
            config: Some(map(&[
                ("appendfsync", "everysec"),
                ("min-replicas-to-write", "1"),
            ])),
            foreign_functions: Some(Vec::new()),
            clock: Timestamp::UNIX_EPOCH,
            asked: Timestamp::UNIX_EPOCH,
            ..Server::default()
        }
    }

    /// What is not well with a server.
    fn found(server: &Server) -> Vec<(String, Verdict)> {
        let checks = checks(server).into_iter();
        checks
            .filter(|check| {
                assert_eq!(check.verdict == Verdict::Ok, check.advice.is_empty());
                check.verdict != Verdict::Ok
            })
            .map(|check| (check.name, check.verdict))
            .collect()
    }

    #[test]
    fn a_good_server_has_nothing_to_do() {
        assert_eq!(found(&good()), []);
    }

    #[test]
    fn every_fault_is_found_and_only_that() {
        let info: &[(&str, &str, &str, Verdict)] = &[
            ("redis_version", "6.2.14", "version", Verdict::Fail),
            ("role", "slave", "role", Verdict::Fail),
            ("aof_enabled", "0", "append-only file", Verdict::Warn),
            (
                "rdb_last_bgsave_status",
                "err",
                "last snapshot",
                Verdict::Fail,
            ),
            (
                "maxmemory_policy",
                "allkeys-lru",
                "maxmemory-policy",
                Verdict::Fail,
            ),
            ("used_memory", "800", "memory", Verdict::Warn),
            ("used_memory", "951", "memory", Verdict::Fail),
            ("maxmemory", "0", "memory", Verdict::Warn),
            ("connected_slaves", "0", "replicas", Verdict::Fail),
        ];
        for (name, value, check, verdict) in info {
            let mut server = good();
            server.info.insert((*name).to_owned(), (*value).to_owned());
            assert_eq!(found(&server), [((*check).to_owned(), *verdict)], "{name}");
        }
        let mut server = good();
        server.cluster = Some(map(&[("cluster_state", "fail")]));
        assert_eq!(found(&server), [("cluster".to_owned(), Verdict::Fail)]);
        let mut server = good();
        server.foreign_functions = Some(vec!["fleet_worker_1".to_owned()]);
        assert_eq!(found(&server), [("functions".to_owned(), Verdict::Fail)]);
        let mut server = good();
        server.latency = Duration::from_millis(51);
        assert_eq!(found(&server), [("reachable".to_owned(), Verdict::Warn)]);
        for (ms, verdict) in [(-1_500, Verdict::Warn), (60_000, Verdict::Fail)] {
            let mut server = good();
            server.clock = Timestamp::from_millisecond(ms).unwrap();
            assert_eq!(found(&server), [("clock".to_owned(), verdict)]);
        }
    }
}
