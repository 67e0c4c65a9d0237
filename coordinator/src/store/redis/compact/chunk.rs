//! The compact form of a log: entries that were pushed, many in one compressed chunk. Pure.
//!
//! A chunk is a row of records, each of one entry: milliseconds of its arrival (8 bytes), wire version
//! (4), length of the bot's name (2), of the bodies (4) and of the repeats (4), all big-endian, then
//! these three. Bodies and repeats are the bytes that were pushed. A chunk is compressed by zstd.

use std::borrow::Cow;

use fleet_worker_sdk::push::MAX_BATCH_BYTES;
use fleet_worker_sdk::{Error, Result};

/// A chunk is closed when it has so many bytes, 256 KiB: about a thousand findings. Four times as
/// many make it 4 % smaller, and a reader needs the room for it.
const CHUNK: usize = 256 * 1024;
/// What one entry takes at most: a batch, and as many lengths and repeats as it may have, with room.
const MAX_ENTRY: usize = 4 * MAX_BATCH_BYTES;
/// What a chunk takes at most when it is not compressed. One that says more is refused unread.
const MAX_CHUNK: usize = CHUNK + MAX_ENTRY;
/// zstd's own default: higher levels gain 5 % and take three times as long.
const LEVEL: i32 = 3;
const HEAD: usize = 22;

/// An entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Milliseconds since 1970 of its arrival.
    pub ms: u64,
    /// Version of its bodies' encoding.
    pub wire: u32,
    /// Whose findings they are.
    pub bot: &'a str,
    /// Its findings, joined and not packed.
    pub bodies: Cow<'a, [u8]>,
    /// Its repeats, joined.
    pub again: &'a [u8],
}

/// A chunk that is complete and not compressed yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    bytes: Vec<u8>,
    /// Findings in it.
    pub findings: u64,
}

impl Chunk {
    /// Adds an entry of so many findings.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for one that no push can have made.
    pub fn add(&mut self, record: &Record<'_>, findings: u64) -> Result<()> {
        let size = HEAD + record.bot.len() + record.bodies.len() + record.again.len();
        if size > MAX_ENTRY {
            return Err(too_large(size, MAX_ENTRY));
        }
        self.bytes.extend_from_slice(&record.ms.to_be_bytes());
        self.bytes.extend_from_slice(&record.wire.to_be_bytes());
        let name = record.bot.len() as u16;
        self.bytes.extend_from_slice(&name.to_be_bytes());
        for part in [&*record.bodies, record.again] {
            self.bytes
                .extend_from_slice(&(part.len() as u32).to_be_bytes());
        }
        self.bytes.extend_from_slice(record.bot.as_bytes());
        self.bytes.extend_from_slice(&record.bodies);
        self.bytes.extend_from_slice(record.again);
        self.findings += findings;
        Ok(())
    }

    /// Whether it has as much as it should.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK
    }

    /// Whether it has nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Its compressed form.
    ///
    /// # Errors
    /// [`Error::Protocol`] when there is no memory for it.
    pub fn compress(&self) -> Result<Vec<u8>> {
        zstd::bulk::compress(&self.bytes, LEVEL).map_err(Error::protocol)
    }
}

/// Takes apart what [`Chunk::compress`] made.
///
/// # Errors
/// [`Error::Invalid`] when it is none, [`Error::TooLarge`] when it would take more than any chunk.
pub fn expand(compressed: &[u8]) -> Result<Vec<u8>> {
    let invalid = |why: String| Error::invalid("compacted log entry", why);
    let size = zstd::zstd_safe::get_frame_content_size(compressed)
        .ok()
        .flatten()
        .ok_or_else(|| invalid("it does not say how long it is".to_owned()))?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > MAX_CHUNK {
        return Err(too_large(size, MAX_CHUNK));
    }
    zstd::bulk::decompress(compressed, size).map_err(|error| invalid(error.to_string()))
}

/// The entries of an expanded chunk, in the order in which they came.
///
/// # Errors
/// [`Error::Invalid`] when it is torn.
pub fn records(mut bytes: &[u8]) -> Result<Vec<Record<'_>>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let torn = || Error::invalid("compacted log entry", "a record points past its end");
        records.push(record(&mut bytes).ok_or_else(torn)?);
    }
    Ok(records)
}

fn record<'a>(bytes: &mut &'a [u8]) -> Option<Record<'a>> {
    let ms = u64::from_be_bytes(array(bytes)?);
    let wire = u32::from_be_bytes(array(bytes)?);
    let name = u16::from_be_bytes(array(bytes)?);
    let bodies = u32::from_be_bytes(array(bytes)?);
    let again = u32::from_be_bytes(array(bytes)?);
    Some(Record {
        ms,
        wire,
        bot: std::str::from_utf8(take(bytes, usize::from(name))?).ok()?,
        bodies: Cow::Borrowed(take(bytes, bodies as usize)?),
        again: take(bytes, again as usize)?,
    })
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(first)
}

fn too_large(size: usize, limit: usize) -> Error {
    Error::TooLarge {
        what: "compacted log entry".to_owned(),
        size: size as u64,
        limit: limit as u64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Parts = (u64, u32, String, Vec<u8>, Vec<u8>);

    fn parts() -> impl Strategy<Value = Vec<Parts>> {
        let bytes = || vec(any::<u8>(), 0..300);
        vec(
            (any::<u64>(), any::<u32>(), ".{0,40}", bytes(), bytes()),
            0..20,
        )
    }

    fn chunk(all: &[Parts]) -> Chunk {
        let mut chunk = Chunk::default();
        for parts in all {
            chunk.add(&of(parts), 1).unwrap();
        }
        chunk
    }

    fn of((ms, wire, bot, bodies, again): &Parts) -> Record<'_> {
        Record {
            ms: *ms,
            wire: *wire,
            bot,
            bodies: Cow::Borrowed(bodies),
            again,
        }
    }

    proptest! {
        #[test]
        fn entries_come_back_in_order(all in parts()) {
            let chunk = chunk(&all);
            let bytes = expand(&chunk.compress().unwrap()).unwrap();
            let expected: Vec<_> = all.iter().map(of).collect();
            prop_assert_eq!(records(&bytes).unwrap(), expected);
            prop_assert_eq!(chunk.findings, all.len() as u64);
        }

        #[test]
        fn whatever_is_read_is_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
            let _ = expand(&bytes);
            let _ = records(&bytes);
        }

        #[test]
        fn a_torn_one_is_refused(all in parts(), cut in any::<prop::sample::Index>()) {
            let whole = chunk(&all);
            prop_assume!(!whole.is_empty());
            let compressed = whole.compress().unwrap();
            let kept = cut.index(compressed.len());
            prop_assert!(expand(compressed.get(..kept).unwrap()).is_err());
            let mut bytes = expand(&compressed).unwrap();
            bytes.pop();
            prop_assert!(records(&bytes).is_err());
        }
    }

    #[test]
    fn one_that_would_fill_memory_is_refused_unread() {
        let bomb = zstd::bulk::compress(&vec![0; MAX_CHUNK + 1], LEVEL).unwrap();
        assert!(bomb.len() < 10_000);
        assert!(matches!(expand(&bomb), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn an_entry_that_no_push_makes_is_refused() {
        let bodies = vec![0; MAX_ENTRY];
        let record = Record {
            ms: 1,
            wire: 1,
            bot: "bot",
            bodies: Cow::Borrowed(&bodies),
            again: &[],
        };
        let mut chunk = Chunk::default();
        assert!(chunk.add(&record, 1).is_err());
        assert!(chunk.is_empty());
    }
}
