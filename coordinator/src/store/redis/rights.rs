//! What a coordinator's Redis user must be allowed to run, beyond what a worker's must.

use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::transport::redis::rights::{self, Probe};

/// Commands on each kind of key; see [`rights::sample`] for the words in capitals.
const COORDINATOR: &[(&str, &str)] = &[
    ("HSETNX", "META f v"),
    ("HVALS", "BOTS"),
    ("ZRANGEBYSCORE", "WORKERS 0 0"),
    ("ZREM", "WORKERS m"),
    ("HGETALL", "WORKER"),
    ("EXISTS", "WORKER"),
    ("DEL", "WORKER"),
    ("HGET", "HEALTH f"),
    ("HMGET", "HEALTH f"),
    ("HSET", "HEALTH f v"),
    ("HGET", "SERIES f"),
    ("HGETALL", "SERIES"),
    ("HSET", "SERIES f v"),
    ("ZADD", "ANOMALIES 1 m"),
    ("ZRANGE", "ANOMALIES 0 0"),
    ("ZREVRANGE", "ANOMALIES 0 0"),
    ("ZREM", "ANOMALIES m"),
    ("HSET", "BODIES f v"),
    ("HMGET", "BODIES f"),
    ("HDEL", "BODIES f"),
    ("LINDEX", "HISTORY 0"),
    ("LSET", "HISTORY 0 v"),
    ("RPUSH", "HISTORY v"),
    ("LTRIM", "HISTORY 0 0"),
    ("LRANGE", "HISTORY 0 0"),
    ("HGET", "QUALITY f"),
    ("HMGET", "QUALITY f"),
    ("HGETALL", "QUALITY"),
    ("HSET", "QUALITY f v"),
    ("DEL", "QUALITY"),
    ("HGETALL", "ROLLUP"),
    ("ZREVRANGEBYSCORE", "SESSIONS 0 0"),
    ("ZRANGEBYSCORE", "SESSIONS 0 0"),
    ("ZREM", "SESSIONS m"),
    ("HGETALL", "COUNTS"),
    ("ZCARD", "INDEX"),
    ("UNLINK", "SESSION"),
    ("DEL", "OPEN"),
    ("HGET", "BASELINES f"),
    ("HDEL", "BASELINES f"),
    ("XRANGE", "LOG - +"),
    ("XDEL", "LOG 0-1"),
    ("HGETALL", "RULES"),
    ("XRANGE", "RUNS - +"),
    ("XREVRANGE", "RUNS + -"),
    ("XGROUP", "CREATE FEED g 0"),
    ("XGROUP", "DELCONSUMER FEED g c"),
    ("XREADGROUP", "GROUP g c STREAMS FEED >"),
    ("XAUTOCLAIM", "FEED g c 0 0-0"),
    ("XPENDING", "FEED g"),
    ("XACK", "FEED g 0-1"),
    ("XINFO", "GROUPS FEED"),
    ("XINFO", "CONSUMERS FEED g"),
    ("XLEN", "FEED"),
    ("EXISTS", "FEED"),
    ("XRANGE", "FEED - +"),
    ("XADD", "DEAD * f v"),
    ("XDEL", "DEAD 0-1"),
    ("XLEN", "DEAD"),
    ("XRANGE", "DEAD - +"),
    ("XREVRANGE", "DEAD + -"),
    ("SET", "PROBE v"),
    ("PING", ""),
    ("INFO", ""),
    ("FUNCTION", "LOAD c"),
    ("SUBSCRIBE", "UPDATES"),
];

/// What a coordinator must be allowed to run.
pub(crate) fn coordinator(keys: &Keys) -> Vec<Probe> {
    let sample = |name: &str| rights::sample(keys, name);
    let mut all = rights::worker(keys);
    all.extend(rights::probes(COORDINATOR, sample));
    all
}
