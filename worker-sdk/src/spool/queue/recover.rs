//! What a spool still holds, read at a start.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use super::{DONE, Left, Outcome, Place, SUFFIX, Segment, State, segment_path};
use crate::error::{Error, Result};
use crate::ids::ProducerId;
use crate::spool::file::{self, Appender, Record};
use crate::spool::parcel::Label;

impl State {
    /// Reads every file, oldest first.
    pub(super) fn recover(&mut self, folder: &Path) -> Result<Vec<Left>, Wrong> {
        let mut found = Found::default();
        for number in numbers(folder).map_err(Wrong::Disk)? {
            let path = segment_path(folder, number);
            let extent = file::read(&path, &mut |record| found.take(number, &record))?;
            if extent.torn > 0 {
                tracing::warn!(path = %path.display(), bytes = extent.torn,
                    "the last record of a spool was cut off by a crash, and is left out");
            }
            self.segments.push_back(Segment {
                number,
                path: path.clone(),
                bytes: extent.end,
                open: 0,
            });
            self.bytes += extent.end;
            self.next = number + 1;
            // Cut at once, so that what is appended after it can be read.
            drop(Appender::go_on(&path, extent.end).map_err(Wrong::Disk)?);
        }
        for place in found.open.keys() {
            let segment = self.segments.iter_mut().find(|s| s.number == place.segment);
            if let Some(segment) = segment {
                segment.open += 1;
            }
        }
        let left = found.left();
        // The files are as they were: new parcels go into new ones.
        self.tidy(0);
        Ok(left)
    }
}

/// Why a spool cannot be taken up.
pub(super) enum Wrong {
    Disk(io::Error),
    Content(Error),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Content(error)
    }
}

impl Wrong {
    pub(super) fn map(self, disk: impl FnOnce(io::Error) -> Error) -> Error {
        match self {
            Self::Disk(error) => disk(error),
            Self::Content(error) => error,
        }
    }
}

/// What was found while reading.
#[derive(Default)]
struct Found {
    /// Parcels not done, in order, with their number and how many of their producer's were
    /// refused by then.
    open: BTreeMap<Place, (Label, u64, u64)>,
    refused: HashMap<ProducerId, u64>,
}

impl Found {
    fn take(&mut self, segment: u64, record: &Record) -> Result<()> {
        if record.kind == DONE {
            return self.mark(&record.payload);
        }
        let (sequence, payload) = split(record)?;
        // A kind of a later version is left alone.
        if let Some(label) = Label::of(record.kind, payload)? {
            let at = record.at;
            let refused = self.refused.get(&label.producer).copied().unwrap_or(0);
            self.open
                .insert(Place { segment, at }, (label, sequence, refused));
        }
        Ok(())
    }

    fn mark(&mut self, payload: &[u8]) -> Result<()> {
        let (place, producer, outcome) = unmark(payload)?;
        self.open.remove(&place);
        if outcome == Outcome::Refused {
            *self.refused.entry(producer).or_insert(0) += 1;
        }
        Ok(())
    }

    fn left(self) -> Vec<Left> {
        let mut left: Vec<Left> = Vec::new();
        let mut position: HashMap<ProducerId, usize> = HashMap::new();
        for (place, (label, sequence, refused_by_then)) in self.open {
            let at = *position.entry(label.producer.clone()).or_insert(left.len());
            if let Some(known) = left.get_mut(at) {
                known.places.push(place);
                continue;
            }
            let refused = self.refused.get(&label.producer).copied().unwrap_or(0);
            left.push(Left {
                session: label.session,
                producer: label.producer,
                first: sequence.saturating_sub(refused - refused_by_then).max(1),
                places: vec![place],
                refused: refused > 0,
            });
        }
        left
    }
}

pub(super) fn split(record: &Record) -> Result<(u64, &[u8])> {
    let parts = record.payload.split_first_chunk::<8>();
    let (sequence, payload) =
        parts.ok_or_else(|| Error::invalid("spool", "a record is too short"))?;
    Ok((u64::from_le_bytes(*sequence), payload))
}

/// Segment and place, eight bytes each, the outcome in one, the producer.
pub(super) fn mark(place: Place, producer: &ProducerId, outcome: Outcome) -> Vec<u8> {
    let mut mark = place.segment.to_le_bytes().to_vec();
    mark.extend_from_slice(&place.at.to_le_bytes());
    mark.push(u8::from(outcome == Outcome::Refused));
    mark.extend_from_slice(producer.as_str().as_bytes());
    mark
}

fn unmark(payload: &[u8]) -> Result<(Place, ProducerId, Outcome)> {
    let short = || Error::invalid("spool", "a mark is too short");
    let (segment, rest) = payload.split_first_chunk::<8>().ok_or_else(short)?;
    let (at, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    let (refused, producer) = rest.split_first().ok_or_else(short)?;
    let place = Place {
        segment: u64::from_le_bytes(*segment),
        at: u64::from_le_bytes(*at),
    };
    let outcome = match refused {
        0 => Outcome::Settled,
        _ => Outcome::Refused,
    };
    let producer = ProducerId::new(String::from_utf8_lossy(producer))?;
    Ok((place, producer, outcome))
}

/// Numbers of the files that are there, ascending.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
