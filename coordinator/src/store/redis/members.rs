//! The members of a session: those of its index, and those that compaction packed into an array.

use fleet_worker_sdk::transport::redis::RedisLink;
use fleet_worker_sdk::{Error, Result, SessionId};

/// Fingerprints read or written at once: 256 KiB.
pub(super) const AT_ONCE: usize = 16 * 1024;
/// Bytes of a fingerprint.
pub(super) const BYTES: usize = 16;

/// Those that are packed, ascending.
///
/// # Errors
/// `Error::Protocol` when the array ends within a fingerprint.
pub(super) async fn packed(link: &RedisLink, session: &SessionId) -> Result<Vec<[u8; BYTES]>> {
    let mut members = Vec::new();
    loop {
        let from = members.len() * BYTES;
        let mut command = redis::cmd("GETRANGE");
        command.arg(link.keys().packed(session));
        command.arg(from).arg(from + AT_ONCE * BYTES - 1);
        let bytes: Vec<u8> = link.call(&command).await?;
        let (whole, rest) = bytes.as_chunks::<BYTES>();
        if !rest.is_empty() {
            return Err(Error::protocol("packed fingerprints are torn"));
        }
        members.extend_from_slice(whole);
        if whole.len() < AT_ONCE {
            return Ok(members);
        }
    }
}

/// Those of the index, as they are there: each should be a fingerprint.
pub(super) async fn indexed(link: &RedisLink, session: &SessionId) -> Result<Vec<Vec<u8>>> {
    let mut members = Vec::new();
    loop {
        let from = members.len();
        let mut command = redis::cmd("ZRANGE");
        command.arg(link.keys().index(session));
        command.arg(from).arg(from + AT_ONCE - 1);
        let page: Vec<Vec<u8>> = link.call(&command).await?;
        let last = page.len() < AT_ONCE;
        members.extend(page);
        if last {
            return Ok(members);
        }
    }
}
