//! Reports taken along at start: `--import PATH…`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet_coordinator::import::import;
use fleet_coordinator::place::Place;
use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::import::{ImportOptions, Source};
use fleet_worker_sdk::{Repository, Result};

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
    let named = Place {
        repository: place.repository.clone().or_else(|| named_after(path)),
        ..place.clone()
    };
    let options = ImportOptions {
        open: named.session(None)?,
        bot: None,
        partial: false,
        worker: None,
    };
    let summary = import(&**store, source, options, &|_, _| {}).await?;
    Ok(summary.received)
}

/// The repository of a report that stands in no checkout: `shop` of `shop.sarif`.
fn named_after(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let name = Repository::new(name.split('.').next()?).ok()?;
    Some(name.to_string())
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

#[cfg(test)]
mod tests {
    use fleet_coordinator::store::SessionQuery;
    use fleet_coordinator::store::memory::MemoryStore;

    use super::*;

    const REPORT: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint"}},
        "results":[{"ruleId":"r","message":{"text":"m"}}]}]}"#;

    #[tokio::test]
    async fn a_report_that_is_refused_holds_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.sarif", "{"),
            ("b.sarif", REPORT),
            ("c.txt", "not looked at"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let one = folder.path().join("one.json");
        std::fs::write(&one, REPORT.replace("lint", "other")).unwrap();
        let store: SharedStore = Arc::new(MemoryStore::new(fleet_worker_sdk::Partitions::DEFAULT));
        let paths = [folder.path().join("nowhere"), folder.path().to_owned(), one];
        let unnamed = folder.path().join("no\u{1b}name");
        std::fs::create_dir(&unnamed).unwrap();
        assert_eq!(take_along(&store, &paths, &unnamed).await, 2);
        let bots = |name| fleet_worker_sdk::BotId::new(name).unwrap();
        let query = SessionQuery {
            limit: 10,
            ..SessionQuery::default()
        };
        let sessions = store.sessions(&query).await.unwrap();
        let taken = |bot| {
            let executions = sessions.iter().flat_map(|session| &session.executions);
            executions
                .filter(|execution| execution.bot == bots(bot))
                .count()
        };
        assert_eq!((taken("lint"), taken("other")), (1, 1));
        // The folder's name cannot be that of a repository: the files name theirs.
        let mut names: Vec<_> = sessions
            .iter()
            .map(|session| session.repository.to_string())
            .collect();
        names.sort();
        assert_eq!(names, ["b", "one"]);
    }
}
