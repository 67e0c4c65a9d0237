//! The members of a session as one array.

use fleet_worker_sdk::{Error, Result};

use super::{EXPIRES, Making};

/// Fingerprints read or written at once: 256 KiB.
const AT_ONCE: usize = 16 * 1024;
const BYTES: usize = 16;

impl Making<'_> {
    /// Writes the members, ascending; how many they are.
    pub(super) async fn write_packed(&self) -> Result<u64> {
        let mut members = self.packed_before().await?;
        self.add_indexed(&mut members).await?;
        members.sort_unstable();
        let chunks: Vec<(usize, &[[u8; BYTES]])> = (0..)
            .step_by(AT_ONCE)
            .zip(members.chunks(AT_ONCE))
            .collect();
        // The last part first: it makes the string as long as it is to be, and no longer.
        for (from, part) in chunks.into_iter().rev() {
            let mut write = redis::pipe();
            write.atomic();
            let bytes = part.as_flattened();
            write
                .setrange(&self.packed, (from * BYTES).cast_signed(), bytes)
                .ignore();
            write
                .expire(&self.packed, EXPIRES.as_secs().cast_signed())
                .ignore();
            self.store.link.pipeline::<()>(&write).await?;
        }
        Ok(members.len() as u64)
    }

    /// Those that were packed before.
    async fn packed_before(&self) -> Result<Vec<[u8; BYTES]>> {
        let mut members = Vec::new();
        loop {
            let from = members.len() * BYTES;
            let mut command = redis::cmd("GETRANGE");
            command.arg(self.store.keys().packed(self.session));
            command.arg(from).arg(from + AT_ONCE * BYTES - 1);
            let bytes: Vec<u8> = self.store.link.call(&command).await?;
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

    /// Those that came since.
    async fn add_indexed(&self, members: &mut Vec<[u8; BYTES]>) -> Result<()> {
        let mut from = 0;
        loop {
            let mut command = redis::cmd("ZRANGE");
            command.arg(self.store.keys().index(self.session));
            command.arg(from).arg(from + AT_ONCE - 1);
            let page: Vec<Vec<u8>> = self.store.link.call(&command).await?;
            from += page.len();
            let last = page.len() < AT_ONCE;
            for member in page {
                let whole = <[u8; BYTES]>::try_from(member.as_slice());
                members.push(whole.map_err(|_| Error::protocol("a fingerprint is torn"))?);
            }
            if last {
                return Ok(());
            }
        }
    }
}
