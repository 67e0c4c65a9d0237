//! One process a folder: two that append to the same files would destroy both their records.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// The file that is locked.
const NAME: &str = "lock";

/// A folder held by this process until this is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the folder where there is none, and takes it. `what` names it for people, such as
    /// `spool directory`.
    ///
    /// # Errors
    /// [`Error::Invalid`] saying what to do, when it cannot be written or another process holds it.
    pub fn take(folder: &Path, what: &str) -> Result<Self> {
        let refuse = |why: String| Error::invalid(what, format!("{}: {why}", folder.display()));
        let failed = |error: std::io::Error| {
            let advice = "name a folder that this process may write to";
            refuse(format!("it cannot be used: {error}; {advice}"))
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(folder.join(NAME)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message: it may be empty for a moment.
                let _ = (&mut file).take(32).read_to_string(&mut holder);
                return Err(refuse(format!(
                    "the process {} uses it; stop that one, or name another folder for this one",
                    holder.trim().escape_default()
                )));
            }
        }
        let named = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        named.map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_once_and_free_again_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/deep");
        let held = Lock::take(&path, "spool directory").unwrap();
        let error = Lock::take(&path, "spool directory")
            .unwrap_err()
            .to_string();
        let holder = format!("the process {} uses it", std::process::id());
        assert!(error.contains(&holder), "{error}");
        drop(held);
        Lock::take(&path, "spool directory").unwrap();
    }

    #[test]
    fn what_cannot_be_a_folder_is_refused_with_advice() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Lock::take(file.path(), "data directory")
            .unwrap_err()
            .to_string();
        assert!(error.contains("may write to"), "{error}");
    }
}
