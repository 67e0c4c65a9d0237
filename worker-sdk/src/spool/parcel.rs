//! What is put away of a bot's work: batches and changes, as they are sent.
//!
//! A batch is its head as JSON and its findings as they are stored, so that the journal of the
//! embedded store, which has them encoded already, writes the same form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::{BotId, ProducerId, SessionId};
use crate::push::{Again, Batch, Rule};
use crate::session::{Change, Transition};
use crate::wire;

/// One thing that a producer sends, under its next number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parcel {
    /// Findings.
    Batch(Batch),
    /// A change of the execution.
    Change(Transition),
}

/// Kind of a record that holds a batch.
const BATCH: u8 = 1;
/// Kind of a record that holds a change.
const CHANGE: u8 = 2;

impl Parcel {
    /// Its number.
    pub(crate) fn sequence(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.sequence,
            Self::Change(transition) => transition.sequence,
        }
    }

    /// Who sends it.
    pub(crate) fn producer(&self) -> &ProducerId {
        match self {
            Self::Batch(batch) => &batch.producer,
            Self::Change(transition) => &transition.producer,
        }
    }

    /// Gives it another sender and number.
    pub(crate) fn renumber(&mut self, by: &ProducerId, to: u64) {
        let (producer, sequence) = match self {
            Self::Batch(batch) => (&mut batch.producer, &mut batch.sequence),
            Self::Change(transition) => (&mut transition.producer, &mut transition.sequence),
        };
        *producer = by.clone();
        *sequence = to;
    }

    /// Names the attempt that it is for, where such a parcel names one.
    pub(crate) fn set_attempt(&mut self, attempt: u32) {
        match self {
            Self::Batch(batch) => batch.attempt = attempt,
            Self::Change(transition) => {
                let names = matches!(
                    transition.change,
                    Change::Complete { .. } | Change::Fail { .. }
                );
                transition.attempt = if names { attempt } else { 0 };
            }
        }
    }

    /// Findings in it, repeats not counted.
    pub(crate) fn findings(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.findings.len(),
            Self::Change(_) => 0,
        }
    }

    /// The kind and payload of its record.
    pub(crate) fn encode(&self) -> Result<(u8, Vec<u8>)> {
        match self {
            Self::Batch(batch) => {
                let bodies = batch.findings.iter().map(wire::encode);
                let bodies = bodies.collect::<Result<Vec<_>>>()?;
                Ok((BATCH, encode_batch(batch, &bodies)?))
            }
            Self::Change(transition) => Ok((CHANGE, encode_transition(transition)?)),
        }
    }

    /// What a record holds; none when it is of another kind.
    pub(crate) fn decode(kind: u8, payload: &[u8]) -> Result<Option<Self>> {
        Ok(match kind {
            BATCH => Some(Self::Batch(decode_batch(payload)?)),
            CHANGE => Some(Self::Change(decode_transition(payload)?)),
            _ => None,
        })
    }

    /// It as JSON, for people.
    pub(crate) fn to_json(&self) -> Result<serde_json::Value> {
        match self {
            Self::Batch(batch) => serde_json::to_value(batch),
            Self::Change(transition) => serde_json::to_value(transition),
        }
        .map_err(Error::protocol)
    }
}

/// Whose a parcel is, read without its findings.
#[derive(Debug, Deserialize)]
pub(crate) struct Label {
    /// Which session.
    pub(crate) session: SessionId,
    /// Who sends it.
    pub(crate) producer: ProducerId,
}

impl Label {
    /// The label of a record; none when it holds no parcel.
    pub(crate) fn of(kind: u8, payload: &[u8]) -> Result<Option<Self>> {
        let head = match kind {
            BATCH => wire::split(payload)?.first().copied().unwrap_or_default(),
            CHANGE => payload,
            _ => return Ok(None),
        };
        let label = serde_json::from_slice(head);
        label
            .map(Some)
            .map_err(|error| Error::invalid("stored parcel", error.to_string()))
    }
}

/// All of a batch but its findings.
#[derive(Serialize, Deserialize)]
struct Head {
    session: SessionId,
    bot: BotId,
    attempt: u32,
    producer: ProducerId,
    sequence: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    again: Vec<Again>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rules: BTreeMap<String, Rule>,
}

/// Encodes a batch whose findings are encoded already, in order.
///
/// # Errors
/// [`Error::Protocol`] when its head cannot be written as JSON.
pub fn encode_batch<B: AsRef<[u8]>>(batch: &Batch, bodies: &[B]) -> Result<Vec<u8>> {
    let head = Head {
        session: batch.session.clone(),
        bot: batch.bot.clone(),
        attempt: batch.attempt,
        producer: batch.producer.clone(),
        sequence: batch.sequence,
        again: batch.again.clone(),
        rules: batch.rules.clone(),
    };
    let head = serde_json::to_vec(&head).map_err(Error::protocol)?;
    let parts = std::iter::once(head.as_slice()).chain(bodies.iter().map(AsRef::as_ref));
    Ok(wire::join(parts))
}

/// Decodes a batch.
///
/// # Errors
/// [`Error::Invalid`] when it is none.
pub fn decode_batch(bytes: &[u8]) -> Result<Batch> {
    let parts = wire::split(bytes)?;
    let (head, bodies) = parts
        .split_first()
        .ok_or_else(|| Error::invalid("stored batch", "it is empty"))?;
    let head: Head = serde_json::from_slice(head)
        .map_err(|error| Error::invalid("stored batch", error.to_string()))?;
    let findings = bodies.iter().map(|body| wire::decode(body));
    Ok(Batch {
        session: head.session,
        bot: head.bot,
        attempt: head.attempt,
        producer: head.producer,
        sequence: head.sequence,
        findings: findings.collect::<Result<_>>()?,
        again: head.again,
        rules: head.rules,
    })
}

/// Encodes a change of an execution.
///
/// # Errors
/// [`Error::Protocol`] when it cannot be written as JSON.
pub fn encode_transition(transition: &Transition) -> Result<Vec<u8>> {
    serde_json::to_vec(transition).map_err(Error::protocol)
}

/// Decodes a change of an execution.
///
/// # Errors
/// [`Error::Invalid`] when it is none.
pub fn decode_transition(bytes: &[u8]) -> Result<Transition> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::invalid("stored change", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, Fingerprint};
    use crate::ids::Partition;
    use crate::push::Identified;

    #[test]
    fn a_batch_and_a_change_come_back_as_they_were() {
        let identified = |n: u8| Identified {
            fingerprint: Fingerprint([n; 16]),
            finding: Finding::new("r", format!("message {n}")).at("a.rs", 3),
        };
        let batch = Batch {
            session: SessionId::fresh(Partition(3)),
            bot: BotId::new("b").unwrap(),
            attempt: 2,
            producer: ProducerId::fresh(),
            sequence: 7,
            findings: vec![identified(1), identified(2)],
            again: vec![Again {
                fingerprint: Fingerprint([1; 16]),
                occurrences: 4,
            }],
            rules: BTreeMap::from([("r".to_owned(), Rule::default())]),
        };
        let bodies: Vec<_> = batch
            .findings
            .iter()
            .map(|f| wire::encode(f).unwrap())
            .collect();
        let encoded = encode_batch(&batch, &bodies).unwrap();
        assert_eq!(decode_batch(&encoded).unwrap(), batch);
        assert!(decode_batch(&encoded[1..]).is_err());
        assert!(decode_batch(&[]).is_err());

        let transition = Transition {
            session: batch.session,
            bot: batch.bot,
            attempt: 2,
            producer: batch.producer,
            sequence: 8,
            change: Change::Complete {
                pushed: 2,
                partial: true,
            },
        };
        let encoded = encode_transition(&transition).unwrap();
        assert_eq!(decode_transition(&encoded).unwrap(), transition);
    }
}
