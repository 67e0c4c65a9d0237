//! What processes and Redis used: processor time and memory, read before and after.

use std::collections::BTreeMap;

use fleet_worker_sdk::redis;
use serde::Serialize;

/// One reading of everything that is watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// Processor seconds and resident bytes of each process.
    processes: BTreeMap<String, (f64, u64)>,
}

/// What one process took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Used {
    /// Processor time, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Growth of its memory, in bytes: a process's resident set, Redis's own count.
    pub(crate) grown_bytes: i64,
    /// Its memory afterwards.
    pub(crate) bytes: u64,
}

/// Reads `name=pid`.
pub(crate) fn parse(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("write it as name=pid")?;
    let pid = pid
        .parse()
        .map_err(|_| format!("`{pid}` is not a process id"))?;
    Ok((name.to_owned(), pid))
}

impl Reading {
    pub(crate) async fn take(processes: &[(String, u32)], store: &str) -> Self {
        let mut read = BTreeMap::new();
        let own = ("load".to_owned(), std::process::id());
        for (name, pid) in processes.iter().chain([&own]) {
            if let Some(one) = process(*pid) {
                read.insert(name.clone(), one);
            }
        }
        if store.starts_with("redis://") {
            read.insert("redis".to_owned(), redis_server(store).await);
        }
        Self { processes: read }
    }

    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self) -> BTreeMap<String, Used> {
        let used = self.processes.iter().filter_map(|(name, (cpu, bytes))| {
            let (cpu_before, bytes_before) = before.processes.get(name)?;
            let used = Used {
                cpu_seconds: cpu - cpu_before,
                grown_bytes: bytes.cast_signed() - bytes_before.cast_signed(),
                bytes: *bytes,
            };
            Some((name.clone(), used))
        });
        used.collect()
    }
}

fn process(pid: u32) -> Option<(f64, u64)> {
    const TICKS: f64 = 100.0; // a second, on every Linux
    const PAGE: u64 = 4096;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything: the fields are counted from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let pages: u64 = fields.get(21)?.parse().ok()?;
    Some((ticks / TICKS, pages * PAGE))
}

async fn redis_server(store: &str) -> (f64, u64) {
    let client = redis::Client::open(store).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let text: String = redis::cmd("INFO")
        .query_async(&mut connection)
        .await
        .unwrap();
    let field = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse().unwrap()
    };
    let cpu = field("used_cpu_user:") + field("used_cpu_sys:");
    (cpu, field("used_memory:") as u64)
}
