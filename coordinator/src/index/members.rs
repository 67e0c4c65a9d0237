//! Which finding has a fingerprint.

use std::hash::BuildHasher;

use fleet_worker_sdk::Fingerprint;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Fingerprints in order of arrival, and where each stands.
///
/// The table has positions only, and looks fingerprints up where they are: 5 bytes a finding in place
/// of 20. They come from bots, so the hash has a random seed.
#[derive(Debug, Default)]
pub(super) struct Members {
    table: HashTable<u32>,
    fingerprints: Vec<Fingerprint>,
    hasher: RandomState,
}

fn hash(hasher: &RandomState, fingerprint: Fingerprint) -> u64 {
    hasher.hash_one(u128::from_be_bytes(fingerprint.0))
}

impl Members {
    /// Room for `more`.
    pub(super) fn reserve(&mut self, more: usize) {
        let (fingerprints, hasher) = (&self.fingerprints, &self.hasher);
        self.table
            .reserve(more, |at| rehash(fingerprints, hasher, *at));
        self.fingerprints.reserve(more);
    }

    /// Adds one; false, and nothing changes, where it is known.
    pub(super) fn insert(&mut self, fingerprint: Fingerprint) -> bool {
        let position = self.fingerprints.len() as u32;
        let (fingerprints, hasher) = (&self.fingerprints, &self.hasher);
        let place = self.table.entry(
            hash(hasher, fingerprint),
            |at| fingerprints.get(*at as usize) == Some(&fingerprint),
            |at| rehash(fingerprints, hasher, *at),
        );
        match place {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(position);
                self.fingerprints.push(fingerprint);
                true
            }
        }
    }

    /// Where it stands.
    pub(super) fn position(&self, fingerprint: &Fingerprint) -> Option<u32> {
        let is = |at: &u32| self.fingerprints.get(*at as usize) == Some(fingerprint);
        self.table
            .find(hash(&self.hasher, *fingerprint), is)
            .copied()
    }

    /// All of them, in order of arrival.
    pub(super) fn all(&self) -> &[Fingerprint] {
        &self.fingerprints
    }

    pub(super) fn weight(&self) -> usize {
        // A position, and the byte that the table has for it.
        self.table.capacity() * 5 + self.fingerprints.capacity() * size_of::<Fingerprint>()
    }
}

fn rehash(fingerprints: &[Fingerprint], hasher: &RandomState, at: u32) -> u64 {
    let fingerprint = fingerprints.get(at as usize);
    fingerprint.map_or(0, |fingerprint| hash(hasher, *fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_known_once_and_keeps_its_place() {
        let mut members = Members::default();
        let fingerprint = |n: u32| Fingerprint(u128::from(n).to_be_bytes());
        for n in 0..10_000 {
            assert!(members.insert(fingerprint(n)));
            assert!(!members.insert(fingerprint(n / 2)));
        }
        members.reserve(100_000);
        assert_eq!(members.all().len(), 10_000);
        assert!((0..10_000).all(|n| members.position(&fingerprint(n)) == Some(n)));
        assert_eq!(members.position(&fingerprint(10_000)), None);
    }
}
