//! Fields of a log entry: many encoded values in one.

use crate::error::{Error, Result};
use crate::finding::Fingerprint;
use crate::push::Again;

/// Joins encoded values into one field of a log entry: each is preceded by its length, four
/// bytes, big-endian.
pub fn join<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        joined.extend_from_slice(&(part.len() as u32).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

/// Takes apart what [`join`] made.
///
/// # Errors
/// [`Error::Invalid`] when a length points past the end.
pub fn split(mut joined: &[u8]) -> Result<Vec<&[u8]>> {
    let torn = || Error::invalid("log entry", "a length points past its end");
    let mut parts = Vec::new();
    while !joined.is_empty() {
        let (length, rest) = joined.split_first_chunk::<4>().ok_or_else(torn)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (part, rest) = rest.split_at_checked(length).ok_or_else(torn)?;
        parts.push(part);
        joined = rest;
    }
    Ok(parts)
}

/// Encodes a repeat: the fingerprint, then its occurrences, four bytes, big-endian.
pub fn encode_again(again: &Again) -> [u8; 20] {
    let mut bytes = [0; 20];
    let (fingerprint, occurrences) = bytes.split_at_mut(16);
    fingerprint.copy_from_slice(&again.fingerprint.0);
    occurrences.copy_from_slice(&again.occurrences.to_be_bytes());
    bytes
}

/// Decodes a field of repeats, 20 bytes each.
///
/// # Errors
/// [`Error::Invalid`] when the length is no multiple of 20.
pub fn decode_again(bytes: &[u8]) -> Result<Vec<Again>> {
    let (chunks, rest) = bytes.as_chunks::<20>();
    if !rest.is_empty() {
        return Err(Error::invalid(
            "log entry",
            "repeats are not a multiple of 20 bytes",
        ));
    }
    Ok(chunks.iter().map(again).collect())
}

fn again(chunk: &[u8; 20]) -> Again {
    let mut fingerprint = [0; 16];
    let mut occurrences = [0; 4];
    let (head, tail) = chunk.split_at(16);
    fingerprint.copy_from_slice(head);
    occurrences.copy_from_slice(tail);
    Again {
        fingerprint: Fingerprint(fingerprint),
        occurrences: u32::from_be_bytes(occurrences),
    }
}
