//! How a finding is recognised in the next scan.
//!
//! Its fingerprint is the first 128 bits of BLAKE3 over
//! `v1 NUL repository NUL tool NUL rule NUL path NUL anchor`, and `:ordinal` where several findings
//! share all of these. An unkeyed fast hash would let a crafted snippet hide behind somebody's
//! triage. Line, column, checkout root, time, tool version and severity are never part of it.
//!
//! The same anchor in the same region is one finding, seen again. The same anchor in another region
//! is another finding, told apart by an ordinal: by (line, column) where a scan is imported whole
//! ([`Fingerprinter::identify_all`]), by arrival where a bot streams ([`Fingerprinter::observe`]).

mod anchor;

mod message;

mod path;

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::finding::{Finding, Fingerprint, Region};
use crate::ids::Repository;
use crate::push::{Again, Identified};

pub use message::normalise as normalise_message;
pub use path::normalise as normalise_path;

/// Version of the formula. Another one would lose people's triage.
const FORMULA: &str = "v1";

/// What an anchor hashes to, before ordinals.
type Base = [u8; 16];

/// Identifies the findings of one execution.
///
/// Keeps 32 bytes for each distinct finding: its base, and a hash of its region.
#[derive(Clone, Debug)]
pub struct Fingerprinter {
    /// What every fingerprint begins with.
    head: Vec<u8>,
    /// Where the repository is checked out, normalised; empty when unknown.
    root: String,
    seen: HashMap<(Base, u64), Seen, RandomState>,
    ordinals: HashMap<Base, u32, RandomState>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    ordinal: u32,
    occurrences: u32,
}

/// What a streamed finding turned out to be.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and most are new"
)]
pub enum Observed {
    /// One that this execution has not seen.
    New(Identified),
    /// One that it has, in the same region.
    Again(Again),
}

/// A finding's anchor and region, enough to identify it among the others of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    base: Base,
    region: Region,
}

impl Fingerprinter {
    /// For findings of `tool` in `repository`.
    pub fn new(repository: &Repository, tool: &str) -> Self {
        let mut head = Vec::new();
        for part in [FORMULA, repository.as_str(), tool] {
            head.extend_from_slice(part.as_bytes());
            head.push(0);
        }
        Self {
            head,
            root: String::new(),
            seen: HashMap::default(),
            ordinals: HashMap::default(),
        }
    }

    /// With the folder the repository is checked out in, as a path or `file:` URI: absolute paths
    /// below it count from there, so that two runners of one CI find the same findings.
    #[must_use]
    pub fn root(mut self, checkout: &str) -> Self {
        self.root = path::normalise(checkout);
        self
    }

    /// Normalises the finding's paths and takes its anchor and region.
    pub fn mark(&self, finding: &mut Finding) -> Mark {
        let places = finding.locations.iter_mut().chain(&mut finding.related);
        for location in places {
            let absolute = path::is_absolute(&location.uri);
            location.uri = path::normalise(&location.uri);
            if absolute {
                location.uri = path::below(&location.uri, &self.root).to_owned();
            }
        }
        // Gathered first: hashing a whole text once takes half the time of feeding it by parts.
        let mut text = Vec::with_capacity(512);
        text.extend_from_slice(&self.head);
        for part in [finding.rule_id.as_str(), finding.path()] {
            text.extend_from_slice(part.as_bytes());
            text.push(0);
        }
        anchor::write(finding, &mut text);
        Mark {
            base: first_half(&text),
            region: finding.region().unwrap_or_default(),
        }
    }

    /// Identifies a streamed finding.
    pub fn observe(&mut self, mut finding: Finding) -> Observed {
        let mark = self.mark(&mut finding);
        let ordinals = &mut self.ordinals;
        let seen = self.seen.entry((mark.base, region_hash(mark.region)));
        let seen = seen
            .and_modify(|seen| seen.occurrences += 1)
            .or_insert_with(|| {
                let next = ordinals.entry(mark.base).or_default();
                let ordinal = *next;
                *next += 1;
                Seen {
                    ordinal,
                    occurrences: 1,
                }
            });
        let (fingerprint, occurrences) = (with_ordinal(mark.base, seen.ordinal), seen.occurrences);
        if occurrences == 1 {
            Observed::New(Identified {
                fingerprint,
                finding,
            })
        } else {
            Observed::Again(Again {
                fingerprint,
                occurrences,
            })
        }
    }

    /// Identifies the findings of a whole scan, given their marks in the order of the scan: for
    /// each its fingerprint and how often it occurs, or none for one seen before.
    pub fn identify_all(marks: &[Mark]) -> Vec<Option<(Fingerprint, u32)>> {
        let mut order: Vec<usize> = (0..marks.len()).collect();
        let key = |at: &usize| marks.get(*at).map(|mark| (mark.base, mark.region));
        order.sort_by_key(key);
        let mut identities = vec![None; marks.len()];
        let mut previous: Option<(Mark, u32, usize)> = None;
        for at in order {
            let Some(&mark) = marks.get(at) else { continue };
            let (ordinal, first) = match previous {
                Some((before, ordinal, first)) if before == mark => (ordinal, first),
                Some((before, ordinal, _)) if before.base == mark.base => (ordinal + 1, at),
                _ => (0, at),
            };
            previous = Some((mark, ordinal, first));
            let fingerprint = with_ordinal(mark.base, ordinal);
            if let Some(identity) = identities.get_mut(first) {
                let (_, occurrences) = identity.get_or_insert((fingerprint, 0));
                *occurrences += 1;
            }
        }
        identities
    }
}

fn first_half(text: &[u8]) -> Base {
    let hash = blake3::hash(text);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The first of its base has the base's own fingerprint; the others hash base and ordinal.
fn with_ordinal(base: Base, ordinal: u32) -> Fingerprint {
    if ordinal == 0 {
        return Fingerprint(base);
    }
    let mut text = base.to_vec();
    text.extend_from_slice(format!(":{ordinal}").as_bytes());
    Fingerprint(first_half(&text))
}

fn region_hash(region: Region) -> u64 {
    let mut bytes = [0; 16];
    let parts = [
        region.start_line,
        region.start_column,
        region.end_line,
        region.end_column,
    ];
    for (slot, part) in bytes.chunks_exact_mut(4).zip(parts) {
        slot.copy_from_slice(&part.to_le_bytes());
    }
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

#[cfg(test)]
mod tests;
