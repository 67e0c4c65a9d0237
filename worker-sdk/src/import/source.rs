//! Where a report is read from: a file that can be read several times, from its beginning.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// Largest report taken, unpacked, in bytes. 1 GiB: ten times the largest report seen, and what a
/// temporary folder can be expected to hold.
pub const MAX_REPORT_BYTES: u64 = 1024 * 1024 * 1024;

/// Up to so many bytes a report is held in memory, where it is parsed several times as fast: most are
/// smaller. 8 MiB: an eighth of what the largest import may take.
const MAX_HELD: u64 = 8 * 1024 * 1024;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// A report on disk, unpacked.
#[derive(Debug)]
pub struct Source {
    file: File,
    name: String,
    /// All of it, where it is small.
    held: Option<Vec<u8>>,
}

impl Source {
    /// Opens a file; a gzipped one is unpacked into a temporary file.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it cannot be read or unpacked, [`Error::TooLarge`] over
    /// [`MAX_REPORT_BYTES`].
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Error::invalid(&name, error.to_string()))?;
        Self::of(file, &name)
    }

    /// Takes a file that is open, called `name` in messages.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn of(mut file: File, name: &str) -> Result<Self> {
        let unreadable = |error: std::io::Error| Error::invalid(name, error.to_string());
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(Error::invalid(name, "it is a folder, not a report"));
        }
        let mut magic = [0; 2];
        file.rewind().map_err(unreadable)?;
        let read = file.read(&mut magic).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        if read == 2 && magic == GZIP {
            return Self::spool(file, name);
        }
        if metadata.len() > MAX_REPORT_BYTES {
            return Err(too_large(name));
        }
        Self::on_disk(file, name)
    }

    /// What is in `file`, which is not too large, from its beginning.
    fn on_disk(mut file: File, name: &str) -> Result<Self> {
        let unreadable = |error: std::io::Error| Error::invalid(name, error.to_string());
        let size = file.metadata().map_err(unreadable)?.len();
        let mut held = None;
        if size <= MAX_HELD {
            file.rewind().map_err(unreadable)?;
            let mut bytes = Vec::with_capacity(size as usize);
            // No more than that of a file that grows meanwhile.
            let mut input = (&mut file).take(size);
            held = Some(input.read_to_end(&mut bytes).map(|_| bytes));
        }
        let name = name.to_owned();
        Ok(Self {
            held: held
                .transpose()
                .map_err(|error| Error::invalid(&name, error.to_string()))?,
            file,
            name,
        })
    }

    /// Reads all of `input`, gzipped or not, into a temporary file, so that it can be read again.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn spool(input: impl Read, name: &str) -> Result<Self> {
        let unreadable = |error: std::io::Error| Error::invalid(name, error.to_string());
        let mut input = BufReader::new(input);
        let packed = input.fill_buf().map_err(unreadable)?.starts_with(&GZIP);
        let mut file = tempfile::tempfile().map_err(unreadable)?;
        let input: Box<dyn Read + '_> = if packed {
            Box::new(MultiGzDecoder::new(input))
        } else {
            Box::new(input)
        };
        let copied = std::io::copy(&mut input.take(MAX_REPORT_BYTES + 1), &mut file);
        let size = copied.map_err(|error| {
            let kind = if packed {
                "it cannot be unpacked: "
            } else {
                ""
            };
            Error::invalid(name, format!("{kind}{error}"))
        })?;
        if size > MAX_REPORT_BYTES {
            return Err(too_large(name));
        }
        file.flush().map_err(unreadable)?;
        Self::on_disk(file, name)
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it after a byte order mark, where it is small enough to be held in memory.
    pub(super) fn held(&self) -> Option<&[u8]> {
        let held = self.held.as_deref()?;
        Some(held.strip_prefix(&BOM).unwrap_or(held))
    }

    /// Reads from the beginning, after a byte order mark.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the file cannot be read.
    pub fn read(&self) -> Result<BufReader<File>> {
        let unreadable =
            |error: std::io::Error| Error::invalid(self.name.clone(), error.to_string());
        let mut file = self.file.try_clone().map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        if reader.fill_buf().map_err(unreadable)?.starts_with(&BOM) {
            reader.consume(BOM.len());
        }
        Ok(reader)
    }
}

fn too_large(name: &str) -> Error {
    Error::TooLarge {
        what: name.to_owned(),
        size: MAX_REPORT_BYTES + 1,
        limit: MAX_REPORT_BYTES,
    }
}
