//! What criterion left in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Folders are nested this deep: group, name, size, and criterion's own.
const DEPTH: usize = 6;

/// One benchmark.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    /// Nanoseconds an iteration.
    pub(crate) time: f64,
    /// The 95 % confidence interval of it.
    pub(crate) between: (f64, f64),
    /// What an iteration works through.
    pub(crate) throughput: Option<Throughput>,
    /// Nanoseconds an iteration in the baseline.
    pub(crate) before: Option<f64>,
}

/// What an iteration works through.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(crate) enum Throughput {
    /// Findings, messages, readers.
    Elements(u64),
    /// Bytes.
    Bytes(u64),
    /// Bytes, shown in powers of ten.
    BytesDecimal(u64),
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
struct Estimates {
    mean: Estimate,
    slope: Option<Estimate>,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

impl Estimates {
    /// The slope where there is one, as criterion itself prints.
    fn best(&self) -> &Estimate {
        self.slope.as_ref().unwrap_or(&self.mean)
    }
}

/// Benchmarks by id, as criterion left them in `folder`; `baseline` names what to compare with.
pub(crate) fn read(folder: &Path, baseline: &str) -> Result<BTreeMap<String, Measured>> {
    let mut all = BTreeMap::new();
    walk(folder, baseline, DEPTH, &mut all)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    Ok(all)
}

fn walk(
    folder: &Path,
    baseline: &str,
    depth: usize,
    all: &mut BTreeMap<String, Measured>,
) -> Result<()> {
    let new = folder.join("new");
    if new.join("benchmark.json").is_file() {
        let benchmark: Benchmark = json(&new.join("benchmark.json"))?;
        let estimates: Estimates = json(&new.join("estimates.json"))?;
        let before = folder.join(baseline).join("estimates.json");
        let before: Option<Estimates> = before.is_file().then(|| json(&before)).transpose()?;
        let (best, interval) = (estimates.best(), &estimates.best().confidence_interval);
        let measured = Measured {
            time: best.point_estimate,
            between: (interval.lower_bound, interval.upper_bound),
            throughput: benchmark.throughput,
            before: before.map(|before| before.best().point_estimate),
        };
        all.insert(benchmark.full_id, measured);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if depth > 0 && path.is_dir() {
            walk(&path, baseline, depth - 1, all)?;
        }
    }
    Ok(())
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_found_with_their_baseline_however_deep() {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("findings/add_bulk/100");
        let write = |name: &str, file: &str, text: &str| {
            fs::create_dir_all(one.join(name)).unwrap();
            fs::write(one.join(name).join(file), text).unwrap();
        };
        let estimate = |ns: u32| {
            format!(
                r#"{{"mean":{{"point_estimate":{ns}.5,"confidence_interval":{{"lower_bound":1.0,"upper_bound":2.0}}}},"slope":null}}"#
            )
        };
        let id = r#"{"full_id":"findings/add_bulk/100","throughput":{"Elements":100}}"#;
        write("new", "benchmark.json", id);
        write("new", "estimates.json", &estimate(10));
        write("old", "estimates.json", &estimate(20));
        let all = read(folder.path(), "old").unwrap();
        let measured = &all["findings/add_bulk/100"];
        assert_eq!((measured.time, measured.before), (10.5, Some(20.5)));
        assert_eq!(measured.throughput, Some(Throughput::Elements(100)));
        let all = read(folder.path(), "another").unwrap();
        assert_eq!(all["findings/add_bulk/100"].before, None);
        write("new", "estimates.json", "{");
        let error = format!("{:#}", read(folder.path(), "old").unwrap_err());
        assert!(error.contains("estimates.json"), "{error}");
    }
}
