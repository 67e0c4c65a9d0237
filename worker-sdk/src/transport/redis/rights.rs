//! What a Redis user must be allowed to run, as commands to be asked about before the first call.
//!
//! One missing right would leave a function half applied, since Redis checks each of a function's
//! commands when it comes to it and undoes nothing. So a client hands these to `fleet_hello`, which
//! asks Redis about each and refuses with the first that is missing.

use crate::ids::{BotId, Partition, ProducerId, SessionId, WorkerId};
use crate::keys::Keys;

/// A command with arguments, as it would be sent.
pub type Probe = Vec<String>;

/// Makes probes of rows: a command with its words, in which the names of keys stand for keys.
pub fn probes(rows: &[(&str, &str)], key: impl Fn(&str) -> Option<String>) -> Vec<Probe> {
    let word = |text: &str| key(text).unwrap_or_else(|| text.to_owned());
    let row = |(command, words): &(&str, &str)| {
        let words = words.split_whitespace().map(word);
        std::iter::once((*command).to_owned())
            .chain(words)
            .collect()
    };
    rows.iter().map(row).collect()
}

/// Each command that a worker's calls run, on each kind of key they run it on. The words in
/// capitals are keys, see [`sample`].
const WORKER: &[(&str, &str)] = &[
    ("TIME", ""),
    ("HMGET", "META f"),
    ("HSET", "BOTS f v"),
    ("HGETALL", "BOTS"),
    ("HMGET", "WORKER f"),
    ("HSET", "WORKER f v"),
    ("HDEL", "WORKER f"),
    ("EXPIRE", "WORKER 1"),
    ("ZADD", "WORKERS 1 m"),
    ("ZREMRANGEBYSCORE", "WORKERS 0 0"),
    ("GET", "OPEN"),
    ("SET", "OPEN v"),
    ("EXISTS", "SESSION"),
    ("HGET", "SESSION f"),
    ("HMGET", "SESSION f"),
    ("HGETALL", "SESSION"),
    ("HEXISTS", "SESSION f"),
    ("HSET", "SESSION f v"),
    ("HINCRBY", "SESSION f 1"),
    ("XADD", "LOG * f v"),
    ("ZMSCORE", "INDEX m"),
    ("ZADD", "INDEX 1 m"),
    ("ZREM", "INDEX m"),
    ("GETRANGE", "PACKED 0 0"),
    ("STRLEN", "PACKED"),
    ("HMGET", "COUNTS f"),
    ("HLEN", "COUNTS"),
    ("HSET", "COUNTS f v"),
    ("HINCRBY", "COUNTS f 1"),
    ("HDEL", "COUNTS f"),
    ("HLEN", "RULES"),
    ("HSETNX", "RULES f v"),
    ("ZADD", "SESSIONS 1 m"),
    ("XADD", "FEED * f v"),
    ("HINCRBY", "ROLLUP f 1"),
    ("HGET", "PRODUCER f"),
    ("HMGET", "PRODUCER f"),
    ("HSET", "PRODUCER f v"),
    ("EXPIRE", "PRODUCER 1"),
    ("XADD", "RUNS * f v"),
    ("HSET", "BASELINES f v"),
    ("PUBLISH", "UPDATES m"),
];

/// What a worker must be allowed to run.
pub fn worker(keys: &Keys) -> Vec<Probe> {
    probes(WORKER, |name| sample(keys, name))
}

/// A key or channel of the kind that `name` says, of nothing that exists.
pub fn sample(keys: &Keys, name: &str) -> Option<String> {
    let partition = Partition(0);
    let session = SessionId::new("p0-00000000-0000-7000-8000-000000000000").ok()?;
    let of_session = || keys.of_session(&session);
    Some(match name {
        "META" => keys.meta(),
        "BOTS" => keys.bots(),
        "WORKERS" => keys.workers(),
        "WORKER" => keys.worker(&WorkerId::new("none:none:1:none").ok()?),
        "OPEN" => keys.opened(partition, "none"),
        "SESSION" => of_session().session,
        "LOG" => of_session().log,
        "INDEX" => of_session().index,
        "PACKED" => of_session().packed,
        "COUNTS" => of_session().counts,
        "RULES" => of_session().rules,
        "SESSIONS" => keys.sessions(partition),
        "FEED" => keys.feed(partition),
        "ROLLUP" => keys.rollup(partition),
        "PRODUCER" => keys.producer(partition, &ProducerId::new("none").ok()?),
        "RUNS" => keys.runs(partition, &BotId::new("none").ok()?),
        "BASELINES" => keys.baselines(partition),
        "UPDATES" => keys.updates(),
        "DEAD" => keys.dead(partition),
        "PROBE" => keys.probe(partition),
        "HEALTH" => keys.fleet_health(),
        "SERIES" => keys.series(),
        "CONSERVATION" => keys.conservation(),
        "ANOMALIES" => keys.anomalies(),
        "BODIES" => keys.anomaly_bodies(),
        "HISTORY" => keys.fleet_history(),
        "QUALITY" => keys.repository_quality(partition, &"none/none".parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_capitals_is_a_key() {
        let keys = Keys::default();
        for probe in worker(&keys) {
            let left = probe
                .iter()
                .skip(1)
                .find(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()));
            assert_eq!(left, None, "{probe:?}");
        }
        assert_eq!(sample(&keys, "NOTHING"), None);
    }
}
