//! Files of records: appended to, and read back up to where a crash cut them off.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record::{self, HEAD, MAGIC};
use crate::error::{Error, Result};

/// A record as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it begins in its file.
    pub at: u64,
    /// What the payload is.
    pub kind: u8,
    /// What was written.
    pub payload: Vec<u8>,
}

/// How reading a file ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Where the whole records end: the place to append at.
    pub end: u64,
    /// Bytes after it that are no whole record: what a crash left of the last one.
    pub torn: u64,
}

/// A file that records are appended to.
#[derive(Debug)]
pub struct Appender {
    file: File,
    path: PathBuf,
    end: u64,
    /// Kept for its room.
    buffer: Vec<u8>,
}

impl Appender {
    /// A new file.
    ///
    /// # Errors
    /// As the file system's; [`ErrorKind::AlreadyExists`] where there is one.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).open(path)?;
        file.write_all(MAGIC)?;
        Ok(Self::of(file, path, MAGIC.len() as u64))
    }

    /// A file that was read up to `end`; what stands after it is cut off.
    ///
    /// # Errors
    /// As the file system's.
    pub fn go_on(path: &Path, end: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.set_len(end)?;
        if end == 0 {
            file.write_all(MAGIC)?;
        }
        let end = file.seek(SeekFrom::End(0))?;
        Ok(Self::of(file, path, end))
    }

    fn of(file: File, path: &Path, end: u64) -> Self {
        Self {
            file,
            path: path.to_owned(),
            end,
            buffer: Vec::new(),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length, in bytes.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Appends a record; answers where it begins.
    ///
    /// # Errors
    /// As [`append_all`](Self::append_all).
    pub fn append(&mut self, kind: u8, payload: &[u8]) -> io::Result<u64> {
        let at = self.end;
        self.append_all([(kind, payload)])?;
        Ok(at)
    }

    /// Appends records in one write, all or, as far as can be, none.
    ///
    /// # Errors
    /// As the file system's, such as a full disk; what was written of them is cut off again.
    pub fn append_all<'a>(
        &mut self,
        records: impl IntoIterator<Item = (u8, &'a [u8])>,
    ) -> io::Result<()> {
        /// Room that is kept between two writes: one full batch.
        const KEPT: usize = 512 * 1024;
        self.buffer.clear();
        for (kind, payload) in records {
            if payload.len() > record::MAX_PAYLOAD {
                return Err(io::Error::new(
                    ErrorKind::FileTooLarge,
                    "a record is too long",
                ));
            }
            let at = self.end + self.buffer.len() as u64;
            record::encode(at, kind, payload, &mut self.buffer);
        }
        let written = self.file.write_all(&self.buffer);
        if written.is_err() {
            // Reading cuts a torn tail off too, should this not work either.
            self.file.set_len(self.end)?;
            self.file.seek(SeekFrom::Start(self.end))?;
        } else {
            self.end += self.buffer.len() as u64;
        }
        self.buffer.clear();
        self.buffer.shrink_to(KEPT);
        written
    }

    /// Makes what was written survive a loss of power.
    ///
    /// # Errors
    /// As the file system's.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// A second handle of the file, to be synced while others append.
    ///
    /// # Errors
    /// As the file system's.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

/// Reads a file of records, one after the other, up to its torn tail if it has one.
///
/// # Errors
/// [`Error::Invalid`] naming file and place when it is no such file, cannot be read, or is damaged
/// before its last record; and whatever `each` refuses.
pub fn read(path: &Path, each: &mut dyn FnMut(Record) -> Result<()>) -> Result<Extent> {
    let failed = |error: io::Error| unreadable(path, &error);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut from = BufReader::with_capacity(256 * 1024, file);
    let mut magic = Vec::new();
    let start = MAGIC.len() as u64;
    (&mut from)
        .take(start)
        .read_to_end(&mut magic)
        .map_err(failed)?;
    if magic != MAGIC {
        // A crash between making the file and its first bytes leaves fewer of them, or zeros.
        if length <= start && (MAGIC.starts_with(&magic) || magic.iter().all(|byte| *byte == 0)) {
            return Ok(Extent {
                end: 0,
                torn: length,
            });
        }
        return Err(damaged(
            path,
            0,
            "it does not begin as a file of records of this version",
        ));
    }
    let mut at = start;
    while at < length {
        match next(&mut from, at, length).map_err(failed)? {
            Next::Record(record) => {
                at += (HEAD + record.payload.len()) as u64;
                each(record)?;
            }
            Next::Torn => break,
            Next::Wrong(why) => {
                refuse_middle(path, at, why)?;
                break;
            }
        }
    }
    Ok(Extent {
        end: at,
        torn: length - at,
    })
}

enum Next {
    Record(Record),
    /// It runs past the end of the file.
    Torn,
    /// A check fails.
    Wrong(&'static str),
}

fn next(from: &mut impl Read, at: u64, length: u64) -> io::Result<Next> {
    let left = length - at;
    if left < HEAD as u64 {
        return Ok(Next::Torn);
    }
    let mut bytes = [0; HEAD];
    from.read_exact(&mut bytes)?;
    let Some(head) = record::head(at, &bytes) else {
        return Ok(Next::Wrong("the head of a record is damaged"));
    };
    if head.length as u64 > left - HEAD as u64 {
        return Ok(Next::Torn);
    }
    let mut payload = vec![0; head.length];
    from.read_exact(&mut payload)?;
    Ok(if head.fits(at, &payload) {
        Next::Record(Record {
            at,
            kind: head.kind,
            payload,
        })
    } else {
        Next::Wrong("the payload of a record is damaged")
    })
}

/// What fails its check at the end was cut off, or half written, by a crash; before a whole record
/// it was damaged later, and nobody knows what else was.
fn refuse_middle(path: &Path, at: u64, why: &str) -> Result<()> {
    let failed = |error: io::Error| unreadable(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(at + 1)).map_err(failed)?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).map_err(failed)?;
    match record::find(at + 1, &rest) {
        None => Ok(()),
        Some(next) => Err(damaged(
            path,
            at,
            &format!("{why}, and a whole one follows at byte {next}"),
        )),
    }
}

/// Reads the record at `at` again.
///
/// # Errors
/// [`Error::Invalid`] when it is not there any more.
pub fn read_at(path: &Path, at: u64) -> Result<Record> {
    let failed = |error: io::Error| unreadable(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    file.seek(SeekFrom::Start(at)).map_err(failed)?;
    match next(&mut file, at.min(length), length).map_err(failed)? {
        Next::Record(record) => Ok(record),
        Next::Torn => Err(damaged(path, at, "the file ends in a record")),
        Next::Wrong(why) => Err(damaged(path, at, why)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::invalid(
        path.display().to_string(),
        format!("it cannot be read: {error}"),
    )
}

fn damaged(path: &Path, at: u64, why: &str) -> Error {
    Error::invalid(
        path.display().to_string(),
        format!(
            "{why} (byte {at}). Restore the file from a copy, or move it away to go on without \
             what it holds; cut to {at} bytes, it gives what came before"
        ),
    )
}

#[cfg(test)]
mod tests;
