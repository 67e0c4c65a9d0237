use super::recover::numbers;
use super::*;
use crate::finding::{Finding, Fingerprint};
use crate::ids::Partition;
use crate::push::{Batch, Identified};

fn bot() -> BotId {
    BotId::new("bot").unwrap()
}

fn batch(producer: &ProducerId, n: u8, bytes: usize) -> Parcel {
    Parcel::Batch(Batch {
        session: SessionId::fresh(Partition(0)),
        bot: bot(),
        attempt: 1,
        producer: producer.clone(),
        sequence: 0,
        findings: vec![Identified {
            fingerprint: Fingerprint([n; 16]),
            finding: Finding::new("r", "x".repeat(bytes)),
        }],
        again: Vec::new(),
        rules: std::collections::BTreeMap::new(),
    })
}

fn files(folder: &Path) -> usize {
    numbers(&folder.join("bot")).unwrap().len()
}

#[test]
fn what_is_not_done_is_left_for_the_next_process_with_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (ProducerId::fresh(), ProducerId::fresh());
    {
        let (spool, left) = Spool::open(folder.path(), &bot(), SPOOL_BYTES).unwrap();
        assert!(left.is_empty());
        let first = spool.put(&batch(&one, 1, 10)).unwrap();
        let poison = spool.put(&batch(&one, 2, 10)).unwrap();
        spool.put(&batch(&other, 3, 10)).unwrap();
        spool.put(&batch(&one, 4, 10)).unwrap();
        spool.done(first, &one, Outcome::Settled).unwrap();
        let (refused, _) = spool.read(poison).unwrap();
        let path = spool
            .refuse(poison, &refused, &Error::conflict("fenced"))
            .unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.contains("conflict: fenced") && text.contains("\"batch\""),
            "{text}"
        );
        spool.put(&batch(&one, 5, 10)).unwrap();
        std::mem::forget(spool.clone()); // as a process that is killed
    }
    let lock = folder.path().join("bot/lock");
    std::fs::remove_file(lock).unwrap();

    let (spool, left) = Spool::open(folder.path(), &bot(), SPOOL_BYTES).unwrap();
    assert_eq!(left.len(), 2);
    let of = |producer: &ProducerId| left.iter().find(|left| left.producer == *producer).unwrap();
    // The refused one used no number: the one behind it has its own.
    assert_eq!(
        (of(&one).first, of(&one).places.len(), of(&one).refused),
        (2, 2, true)
    );
    assert_eq!((of(&other).first, of(&other).places.len()), (1, 1));
    let (read, _) = spool.read(of(&one).places[1]).unwrap();
    assert!(matches!(read, Parcel::Batch(b) if b.findings[0].fingerprint.0[0] == 5));
    for left in &left {
        for place in &left.places {
            spool
                .done(*place, &left.producer, Outcome::Settled)
                .unwrap();
        }
    }
    assert_eq!(spool.open_parcels(), 0);
    drop(spool);
    assert_eq!(files(folder.path()), 0);
}

#[test]
fn a_full_spool_takes_nothing_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let producer = ProducerId::fresh();
    let (spool, _) = Spool::open(folder.path(), &bot(), MIN_SPOOL_BYTES).unwrap();
    let mut places = Vec::new();
    let error = loop {
        match spool.put(&batch(&producer, 1, 60_000)) {
            Ok(place) => places.push(place),
            Err(error) => break error,
        }
    };
    assert!(
        error.is_retryable() && error.to_string().contains("limit is 4194304"),
        "{error}"
    );
    assert!(places.len() > 60, "{}", places.len());
    assert!(files(folder.path()) > 4);
    for place in &places[..20] {
        spool.done(*place, &producer, Outcome::Settled).unwrap();
    }
    places.push(spool.put(&batch(&producer, 1, 60_000)).unwrap());
    for place in &places[20..] {
        spool.done(*place, &producer, Outcome::Settled).unwrap();
    }
    assert!(files(folder.path()) <= 1, "{}", files(folder.path()));
}

#[test]
fn one_process_a_bot() {
    let folder = tempfile::tempdir().unwrap();
    let held = Spool::open(folder.path(), &bot(), SPOOL_BYTES).unwrap();
    let error = Spool::open(folder.path(), &bot(), SPOOL_BYTES).unwrap_err();
    assert!(error.to_string().contains("name another folder"), "{error}");
    let another = BotId::new("another").unwrap();
    Spool::open(folder.path(), &another, SPOOL_BYTES).unwrap();
    drop(held);
    Spool::open(folder.path(), &bot(), SPOOL_BYTES).unwrap();
}
