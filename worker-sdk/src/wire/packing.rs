//! The findings of a batch, packed for the log of its session.
//!
//! Redis hashes every byte of a function's arguments, copies it into the log, writes it to the
//! append-only file and sends it to replicas. Packed by LZ4 a batch of 900 usual findings takes a
//! quarter of the bytes, for 0.3 us of a bot's processor a finding.

use std::borrow::Cow;

use super::{join, split};
use crate::error::{Error, Result};
use crate::push::{MAX_BATCH_BYTES, MAX_BATCH_FINDINGS};

/// What the entry says of findings packed by LZ4: a block after its length, four bytes, little-endian.
const LZ4: &str = "lz4";
/// Fewer bytes are left as they are: a few findings share little.
const WORTH: usize = 1024;
/// What a batch takes at most: findings, each with its length before it.
const MAX_JOINED: usize = MAX_BATCH_BYTES + 4 * MAX_BATCH_FINDINGS;

/// Packs joined findings where that makes them smaller; says how, nothing for as they are.
pub fn pack(joined: Vec<u8>) -> (Vec<u8>, &'static str) {
    if joined.len() < WORTH {
        return (joined, "");
    }
    let packed = lz4_flex::block::compress_prepend_size(&joined);
    if packed.len() < joined.len() {
        (packed, LZ4)
    } else {
        (joined, "")
    }
}

/// The joined findings that an entry of a log adds: what its field `f` has, packed as `p` says,
/// without those which `k` says were known before.
///
/// # Errors
/// [`Error::Invalid`] when they are torn, packed in a way this software does not know, or do not
/// have what is to be left out; [`Error::TooLarge`] when they would take more than any batch.
pub fn logged<'a>(field: impl Fn(&str) -> &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let joined = unpack(field("f"), field("p"))?;
    match field("k") {
        b"" => Ok(joined),
        known => without(&joined, known).map(Cow::Owned),
    }
}

fn unpack<'a>(bytes: &'a [u8], packing: &[u8]) -> Result<Cow<'a, [u8]>> {
    if packing.is_empty() {
        return Ok(Cow::Borrowed(bytes));
    }
    if packing != LZ4.as_bytes() {
        let packing = String::from_utf8_lossy(packing);
        return Err(invalid(format!(
            "it is packed by `{packing}`, which is not known"
        )));
    }
    let (size, _) = lz4_flex::block::uncompressed_size(bytes).map_err(torn)?;
    if size > MAX_JOINED {
        return Err(Error::TooLarge {
            what: "log entry".to_owned(),
            size: size as u64,
            limit: MAX_JOINED as u64,
        });
    }
    let joined = lz4_flex::block::decompress_size_prepended(bytes).map_err(torn)?;
    if joined.len() == size {
        Ok(Cow::Owned(joined))
    } else {
        Err(invalid(format!(
            "it has {} bytes, {size} were packed",
            joined.len()
        )))
    }
}

/// Leaves out those whose numbers, from 0 and ascending, `known` lists with commas between.
fn without(joined: &[u8], known: &[u8]) -> Result<Vec<u8>> {
    let parts = split(joined)?;
    let mut known = known.split(|byte| *byte == b',').map(number).peekable();
    let mut kept = Vec::with_capacity(parts.len());
    for (position, part) in parts.iter().enumerate() {
        if known.next_if_eq(&Some(position)).is_none() {
            kept.push(*part);
        }
    }
    if known.peek().is_some() {
        return Err(invalid(
            "it does not hold the findings that were known".to_owned(),
        ));
    }
    Ok(join(kept))
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn torn(error: impl std::fmt::Display) -> Error {
    invalid(format!("its findings cannot be unpacked: {error}"))
}

fn invalid(why: String) -> Error {
    Error::invalid("log entry", why)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn read<'a>(bytes: &'a [u8], packing: &'a str, known: &'a str) -> Result<Cow<'a, [u8]>> {
        logged(|name| match name {
            "f" => bytes,
            "p" => packing.as_bytes(),
            _ => known.as_bytes(),
        })
    }

    #[test]
    fn what_repeats_is_packed_and_what_is_short_is_not() {
        let (packed, packing) = pack(b"a rule, a path, a message; ".repeat(100));
        assert_eq!(packing, "lz4");
        assert!(packed.len() < 200, "{}", packed.len());
        assert_eq!(pack(vec![7; WORTH - 1]), (vec![7; WORTH - 1], ""));
    }

    #[test]
    fn what_does_not_get_smaller_stays_as_it_is() {
        let noise = std::iter::repeat_with(|| fastrand::u8(..))
            .take(4 * WORTH)
            .collect::<Vec<_>>();
        assert_eq!(pack(noise.clone()), (noise, ""));
    }

    #[test]
    fn one_that_would_fill_memory_is_refused_unread() {
        let bomb = lz4_flex::block::compress_prepend_size(&vec![0; MAX_JOINED + 1]);
        assert!(bomb.len() < 10_000);
        assert!(matches!(read(&bomb, LZ4, ""), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn a_packing_of_a_later_version_is_named() {
        let error = read(b"?", "zstd", "").unwrap_err().to_string();
        assert!(error.contains("zstd"), "{error}");
    }

    #[test]
    fn numbers_that_are_not_there_are_refused() {
        let joined = join([b"one".as_slice(), b"two"]);
        for known in ["2", "1,0", "0,0", "x", ",", "-1"] {
            assert!(read(&joined, "", known).is_err(), "{known}");
        }
        assert_eq!(*read(&joined, "", "0").unwrap(), *join([b"two".as_slice()]));
    }

    proptest! {
        #[test]
        fn what_was_new_comes_back(
            parts in vec(vec(0..4_u8, 0..200), 0..40),
            known in btree_set(0..40_usize, 0..20),
        ) {
            let (bytes, packing) = pack(join(parts.iter().map(Vec::as_slice)));
            let known: Vec<usize> = known.into_iter().filter(|at| *at < parts.len()).collect();
            let new = parts.iter().enumerate().filter(|(at, _)| !known.contains(at));
            let expected = join(new.map(|(_, part)| part.as_slice()));
            let listed = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            prop_assert_eq!(read(&bytes, packing, &listed).unwrap().into_owned(), expected);
        }

        #[test]
        fn whatever_is_read_is_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes, LZ4, "");
        }

        #[test]
        fn a_torn_one_is_refused(fill in vec(0..4_u8, WORTH..2 * WORTH), cut in any::<prop::sample::Index>()) {
            let (packed, packing) = pack(fill);
            prop_assume!(packing == LZ4);
            let kept = cut.index(packed.len());
            prop_assert!(read(packed.get(..kept).unwrap(), packing, "").is_err());
        }
    }
}
