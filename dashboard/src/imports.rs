//! Reports taken along at start: `--import PATH…`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet_coordinator::import::import;
use fleet_coordinator::place::Place;
use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::Result;
use fleet_worker_sdk::import::{ImportOptions, Source};

/// Endings of the files taken from a folder.
const ENDINGS: [&str; 4] = [".sarif", ".sarif.gz", ".sarif.json", ".jsonl"];

/// Imports each report at `paths`, those of folders too, as scans of the checkout at `root`. A report
/// that is refused is said and holds up no other; answers how many were taken.
pub async fn take_along(store: &SharedStore, paths: &[PathBuf], root: &Path) -> usize {
    let place = Place::of_checkout(root);
    let mut taken = 0;
    for path in paths.iter().flat_map(|path| reports(path)) {
        match one(store, &path, &place).await {
            Ok(received) => {
                taken += 1;
                tracing::info!(path = %path.display(), received, "a report was imported");
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a report was not imported");
            }
        }
    }
    taken
}

async fn one(store: &SharedStore, path: &Path, place: &Place) -> Result<u64> {
    let source = Arc::new(Source::open(path)?);
    let options = ImportOptions {
        open: place.session(None)?,
        bot: None,
        partial: false,
        worker: None,
    };
    let summary = import(&**store, source, options, &|_, _| {}).await?;
    Ok(summary.received)
}

/// The path, or the reports in the folder that it is, in order of their names.
fn reports(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = path.read_dir() else {
        return vec![path.to_owned()];
    };
    let is_report = |path: &PathBuf| {
        let name = path.to_string_lossy();
        ENDINGS.iter().any(|ending| name.ends_with(ending))
    };
    let mut paths: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(is_report)
        .collect();
    paths.sort();
    paths
}
