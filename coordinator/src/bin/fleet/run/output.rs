//! What a tool writes to its standard output: kept as its report, and passed on.

use std::io::{Seek, SeekFrom, Write};

use fleet_worker_sdk::{Error, Result};
use serde::Deserialize;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use crate::upload::MAX_INPUT;

/// Bytes passed on at once.
const CHUNK: usize = 64 * 1024;

/// What is done with the standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// It is not touched.
    None,
    /// It is the report, and passed on as it is.
    Copy,
    /// Cargo's messages are the report; people are shown what Cargo would have shown them.
    Cargo,
}

/// What was kept.
pub(super) struct Kept {
    file: NamedTempFile,
    bytes: u64,
}

impl Kept {
    fn new() -> Result<Self> {
        let file = NamedTempFile::new().map_err(failed)?;
        Ok(Self { file, bytes: 0 })
    }

    /// Keeps as much as [`MAX_INPUT`]; what comes after is passed on all the same.
    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes <= MAX_INPUT {
            self.file.write_all(bytes).map_err(failed)?;
        }
        Ok(())
    }

    /// The report, to be read from its start.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when not all of it was kept.
    pub(super) fn report(mut self) -> Result<NamedTempFile> {
        if self.bytes > MAX_INPUT {
            return Err(Error::TooLarge {
                what: "standard output".to_owned(),
                size: self.bytes,
                limit: MAX_INPUT,
            });
        }
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(self.file)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::invalid("standard output", format!("it cannot be kept: {error}"))
}

/// Keeps and passes on all of `from`. A reader of ours that has gone away stops the passing on, not
/// the tool.
pub(super) async fn take(capture: Capture, from: impl AsyncRead + Unpin) -> Result<Kept> {
    let mut kept = Kept::new()?;
    if capture == Capture::Cargo {
        take_messages(from, &mut kept).await?;
        return Ok(kept);
    }
    let mut from = from;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await.map_err(failed)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(kept);
        };
        kept.keep(bytes)?;
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }
}

/// A message as far as it is shown.
#[derive(Deserialize)]
struct Message {
    message: Option<Shown>,
}

#[derive(Deserialize)]
struct Shown {
    rendered: Option<String>,
}

async fn take_messages(from: impl AsyncRead + Unpin, kept: &mut Kept) -> Result<()> {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines)
            .take(MAX_INPUT)
            .read_until(b'\n', &mut line)
            .await;
        if read.map_err(failed)? == 0 {
            return Ok(());
        }
        let is_message = line.starts_with(b"{");
        if is_message {
            kept.keep(&line)?;
        } else {
            // What the program writes that was built: `cargo run` and build scripts do.
            let _ = std::io::stdout().lock().write_all(&line);
        }
        let message: Option<Message> = serde_json::from_slice(&line).ok();
        let shown = message.and_then(|message| message.message?.rendered);
        if let Some(rendered) = shown {
            // The tool's own words: as Cargo would have written them.
            let _ = std::io::stderr().lock().write_all(rendered.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_kept_and_other_lines_are_not() {
        let text =
            "{\"reason\":\"x\"}\nplain\n{\"reason\":\"y\",\"message\":{\"rendered\":null}}\n";
        let kept = take(Capture::Cargo, text.as_bytes()).await.unwrap();
        let file = kept.report().unwrap();
        let read = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(read.lines().count(), 2, "{read}");
        assert!(!read.contains("plain"));
    }
}
