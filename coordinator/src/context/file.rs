//! A context in a file: whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::Context;

/// Largest file that is read: more than [`super::MAX_FINDINGS`] findings of the usual size.
const MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;

impl Context {
    /// Writes the context to `path` as JSON. It is written beside, synced and renamed, so that
    /// whenever the machine stops, `path` has what it had or all of this.
    ///
    /// What is written is the context as it is now.
    ///
    /// # Errors
    /// The file system's, naming the file; the file beside is then removed.
    pub async fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let snapshot = self.clone();
        let beside = beside(path);
        let text = blocking(move || snapshot.to_json().map_err(io::Error::other)).await;
        let saved = match text {
            Ok(text) => replace(path, &beside, text.as_bytes()).await,
            Err(error) => Err(error),
        };
        if saved.is_err() {
            let _ = fs::remove_file(&beside).await;
        }
        saved.map_err(|error| naming(path, &error))
    }

    /// Reads the context that [`Context::save`] wrote.
    ///
    /// # Errors
    /// The file system's; [`io::ErrorKind::InvalidData`] when the file is no such document, with line
    /// and column.
    pub async fn load(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        read(path).await.map_err(|error| naming(path, &error))
    }
}

async fn read(path: &Path) -> io::Result<Context> {
    let size = fs::metadata(path).await?.len();
    if size > MAX_BYTES {
        let why = format!("it has {size} bytes, the limit is {MAX_BYTES}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    let text = fs::read_to_string(path).await?;
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    blocking(move || Context::from_json(&text).map_err(invalid)).await
}

/// Runs what computes for long off the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// A name in the same folder, since a rename must not leave its file system.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.tmp", fastrand::u64(..)));
    path.with_file_name(name)
}

async fn replace(path: &Path, beside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create_new(beside).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    drop(file);
    fs::rename(beside, path).await?;
    // The new name lasts once the folder is on disk, too.
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::File::open(folder).await?.sync_all().await
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
