//! The folder of a journal: a snapshot, and the journals since.
//!
//! `journal-3` holds what came after `snapshot-3`, which holds what `journal-2` led to. A snapshot
//! gets its name when it is whole and on disk; then what is older goes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fleet_worker_sdk::{Error, Result};

const JOURNAL: &str = "journal-";
const SNAPSHOT: &str = "snapshot-";
/// A snapshot that is being written.
const UNFINISHED: &str = ".unfinished";

/// The files to read, in order.
pub(super) struct Files {
    pub(super) snapshot: Option<(u64, PathBuf)>,
    pub(super) journals: Vec<(u64, PathBuf)>,
}

impl Files {
    /// Those in `folder`; what an interrupted compaction left is removed.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the folder cannot be read, or a journal is missing.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let failed = |error: io::Error| unusable(folder, &error);
        let (mut snapshots, mut journals) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name else { continue };
            if name.ends_with(UNFINISHED) {
                std::fs::remove_file(&path).map_err(failed)?;
            } else if let Some(number) = number(name, SNAPSHOT) {
                snapshots.push((number, path));
            } else if let Some(number) = number(name, JOURNAL) {
                journals.push((number, path));
            }
        }
        snapshots.sort();
        journals.sort();
        let snapshot = snapshots.pop();
        let from = snapshot.as_ref().map_or(1, |(number, _)| *number);
        journals.retain(|(number, _)| *number >= from);
        let files = Self { snapshot, journals };
        files.complete(folder, from)?;
        Ok(files)
    }

    /// A journal in the middle that is gone takes what came after it along.
    fn complete(&self, folder: &Path, from: u64) -> Result<()> {
        let missing = (from..)
            .zip(&self.journals)
            .find(|(wanted, (there, _))| wanted != there);
        match missing {
            None => Ok(()),
            Some((wanted, _)) => {
                let path = journal(folder, wanted);
                let why = "it is missing, and later ones are there; restore it from a copy";
                Err(Error::invalid(path.display().to_string(), why))
            }
        }
    }
}

fn number(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.parse().ok()
}

/// The path of a journal.
pub(super) fn journal(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{JOURNAL}{number}"))
}

/// The path of a snapshot that is being written.
pub(super) fn unfinished(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{SNAPSHOT}{number}{UNFINISHED}"))
}

/// Gives a snapshot that is whole and on disk its name, and removes what it takes the place of.
///
/// # Errors
/// As the file system's; what is older is then still there, and read.
pub(super) fn finish(folder: &Path, number: u64) -> io::Result<()> {
    std::fs::rename(
        unfinished(folder, number),
        folder.join(format!("{SNAPSHOT}{number}")),
    )?;
    sync_folder(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let old = |prefix| name.and_then(|name| self::number(name, prefix));
        if old(JOURNAL)
            .or(old(SNAPSHOT))
            .is_some_and(|old| old < number)
        {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Makes names in a folder survive a loss of power.
///
/// # Errors
/// As the file system's.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder that cannot be used, and what to do.
pub(super) fn unusable(folder: &Path, error: &io::Error) -> Error {
    let why = format!(
        "{}: it cannot be used: {error}; name a folder that this process may write to",
        folder.display()
    );
    Error::invalid("data directory", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, names: &[&str]) {
        for name in names {
            std::fs::write(folder.join(name), "").unwrap();
        }
    }

    #[test]
    fn the_latest_snapshot_and_what_came_after_it_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "journal-1",
            "journal-2",
            "journal-3",
            "snapshot-2",
            "snapshot-3.unfinished",
            "lock",
        ];
        touch(folder.path(), &names);
        let files = Files::of(folder.path()).unwrap();
        assert_eq!(files.snapshot.unwrap().0, 2);
        let journals: Vec<_> = files.journals.iter().map(|(number, _)| *number).collect();
        assert_eq!(journals, [2, 3]);
        assert!(!folder.path().join("snapshot-3.unfinished").exists());
    }

    #[test]
    fn a_missing_journal_is_named() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), &["journal-3", "journal-4", "snapshot-2"]);
        let error = Files::of(folder.path()).err().unwrap().to_string();
        assert!(error.contains("journal-2"), "{error}");
    }

    #[test]
    fn a_finished_snapshot_takes_the_place_of_what_is_older() {
        let folder = tempfile::tempdir().unwrap();
        touch(
            folder.path(),
            &[
                "journal-1",
                "journal-2",
                "snapshot-1",
                "snapshot-2.unfinished",
            ],
        );
        finish(folder.path(), 2).unwrap();
        let files = Files::of(folder.path()).unwrap();
        assert_eq!((files.snapshot.unwrap().0, files.journals.len()), (2, 1));
        assert!(!folder.path().join("journal-1").exists());
    }
}
