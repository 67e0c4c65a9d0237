//! What `fleet-load push --json` wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// One run under load.
#[derive(Debug, Deserialize)]
pub(crate) struct Load {
    /// Its file, without the ending.
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) findings: u64,
    pub(crate) workers: usize,
    pub(crate) sessions: usize,
    pub(crate) acknowledged_per_second: f64,
    pub(crate) visible_per_second: f64,
    #[serde(default)]
    pub(crate) acknowledged: Option<Latency>,
    #[serde(default)]
    pub(crate) visible: Option<Latency>,
    #[serde(default)]
    pub(crate) read: Option<Latency>,
    #[serde(default)]
    used: BTreeMap<String, Used>,
}

/// What a process used.
#[derive(Debug, Deserialize)]
struct Used {
    cpu_seconds: f64,
    grown_bytes: i64,
}

impl Load {
    /// Processor time a finding of the process whose name begins so, in microseconds.
    pub(crate) fn cpu_us(&self, process: &str) -> Option<f64> {
        let used = self.used_by(process)?;
        Some(used.cpu_seconds * 1e6 / self.findings as f64)
    }

    /// Memory a finding that the process whose name begins so has taken, in bytes.
    pub(crate) fn bytes(&self, process: &str) -> Option<f64> {
        let used = self.used_by(process)?;
        Some(used.grown_bytes as f64 / self.findings as f64)
    }

    fn used_by(&self, process: &str) -> Option<&Used> {
        let named = self.used.iter().find(|(name, _)| name.starts_with(process));
        named.map(|(_, used)| used)
    }
}

/// A spread of times, in microseconds.
#[derive(Debug, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
    /// Percentiles and their times, for a chart.
    #[serde(default)]
    pub(crate) curve: Vec<(f64, u64)>,
}

/// The runs whose JSON lies in `folder`, by name; none when there is no folder.
pub(crate) fn read(folder: &Path) -> Result<Vec<Load>> {
    let mut all = Vec::new();
    if !folder.is_dir() {
        return Ok(all);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let text = fs::read_to_string(&path)?;
            let mut load: Load =
                serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            load.name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            all.push(load);
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}
