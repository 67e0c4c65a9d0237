//! The format of a record: a head with a check of its own, and a payload with another.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the payload, little-endian |
//! | 1 | kind, which the payload's owner gives a meaning |
//! | 4 | check of the five bytes before |
//! | 8 | check of the payload |
//! | … | payload |
//!
//! Checks are XXH3 seeded with the record's place in the file, so that a record copied elsewhere,
//! or bytes of a record inside of another one's payload, are none. The head's own check tells a
//! record that was cut off, whose length can be trusted, from one whose length is wrong.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a file of records begins with: what it is, and the version of the format.
pub const MAGIC: &[u8; 8] = b"FLEETR1\n";
/// Bytes before a record's payload.
pub const HEAD: usize = 17;
/// Longest payload, in bytes: a batch of 512 KiB with the texts of its rules is far below, and a
/// reader may take this much memory for one record.
pub const MAX_PAYLOAD: usize = 16 * 1024 * 1024;

/// The head of a record, found whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Length of the payload, in bytes.
    pub length: usize,
    /// What the payload is.
    pub kind: u8,
    check: u64,
}

/// Appends a record that will stand at `at` of its file. A payload over [`MAX_PAYLOAD`] makes a
/// record that no reader takes: whoever calls this has checked.
pub fn encode(at: u64, kind: u8, payload: &[u8], into: &mut Vec<u8>) {
    let [a, b, c, d] = (payload.len() as u32).to_le_bytes();
    let head = [a, b, c, d, kind];
    into.reserve(HEAD + payload.len());
    into.extend_from_slice(&head);
    into.extend_from_slice(&head_check(at, head));
    into.extend_from_slice(&xxh3_64_with_seed(payload, at).to_le_bytes());
    into.extend_from_slice(payload);
}

/// The low half of the hash: 1 in 4,000 million wrong heads passes, and the payload's check follows.
fn head_check(at: u64, head: [u8; 5]) -> [u8; 4] {
    (xxh3_64_with_seed(&head, !at) as u32).to_le_bytes()
}

/// The head at `at`, if there is one.
pub fn head(at: u64, bytes: &[u8; HEAD]) -> Option<Head> {
    let (start, rest) = bytes.split_first_chunk::<5>()?;
    let (check, rest) = rest.split_first_chunk::<4>()?;
    let payload_check = rest.first_chunk::<8>()?;
    let [a, b, c, d, kind] = *start;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    (*check == head_check(at, *start) && length <= MAX_PAYLOAD).then(|| Head {
        length,
        kind,
        check: u64::from_le_bytes(*payload_check),
    })
}

impl Head {
    /// Whether `payload` is the one that was written at `at` under this head.
    pub fn fits(&self, at: u64, payload: &[u8]) -> bool {
        payload.len() == self.length && xxh3_64_with_seed(payload, at) == self.check
    }
}

/// Where the first whole record begins in `bytes`, which stand at `at` of their file: tells a torn
/// tail, after which there is none, from damage in the middle.
pub fn find(at: u64, bytes: &[u8]) -> Option<u64> {
    bytes
        .windows(HEAD)
        .zip(0_usize..)
        .find_map(|(window, offset)| {
            let place = at + offset as u64;
            let head = head(place, window.first_chunk::<HEAD>()?)?;
            let payload = bytes.get(offset + HEAD..offset + HEAD + head.length)?;
            head.fits(place, payload).then_some(place)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_bound_to_its_place() {
        let mut bytes = Vec::new();
        encode(8, 3, b"payload", &mut bytes);
        let found = head(8, bytes.first_chunk().unwrap()).unwrap();
        assert_eq!((found.length, found.kind), (7, 3));
        assert!(found.fits(8, b"payload"));
        assert!(!found.fits(8, b"Payload"));
        assert!(head(9, bytes.first_chunk().unwrap()).is_none());
        assert_eq!(find(8, &bytes), Some(8));
        assert_eq!(find(9, &bytes), None);
    }

    #[test]
    fn a_record_inside_a_payload_is_none() {
        let (mut inner, mut outer) = (Vec::new(), Vec::new());
        encode(0, 1, b"inner", &mut inner);
        encode(0, 1, &inner, &mut outer);
        assert_eq!(find(1, &outer[1..]), None);
    }
}
