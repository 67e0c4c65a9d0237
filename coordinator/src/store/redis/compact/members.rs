//! The members of a session as one array.

use fleet_worker_sdk::{Error, Result};

use super::{EXPIRES, Making};
use crate::store::redis::members::{AT_ONCE, BYTES, indexed, packed};

impl Making<'_> {
    /// Writes the members, ascending; how many they are.
    pub(super) async fn write_packed(&self) -> Result<u64> {
        let mut members = packed(&self.store.link, self.session).await?;
        for member in indexed(&self.store.link, self.session).await? {
            let whole = <[u8; BYTES]>::try_from(member.as_slice());
            members.push(whole.map_err(|_| Error::protocol("a fingerprint is torn"))?);
        }
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
}
