//! Files of records, such as a bot's spool: what is read back of a damaged one is a beginning of what was
//! written, and what stands in the file before the damage is all of it.

use std::path::Path;

use fleet_worker_sdk::spool::file::{Appender, Record, read};

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

/// The first byte says how many records are written, their lengths follow; the rest is their content and
/// then, three bytes each, damage: a place and what to write there.
pub(crate) fn check(data: &[u8]) {
    FOLDER.with(|folder| {
        let path = folder.path().join("records");
        raw(&path, data);
        written(&path, data);
    });
}

/// A file of these bytes.
fn raw(path: &Path, data: &[u8]) {
    std::fs::write(path, data).expect("a file");
    let mut end = 0;
    let extent = read(path, &mut |record| {
        assert!(record.at >= end);
        end = record.at + record.payload.len() as u64;
        Ok(())
    });
    if let Ok(extent) = extent {
        assert!(extent.end >= end && extent.end + extent.torn == data.len() as u64);
    }
}

fn written(path: &Path, data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let Some((lengths, mut rest)) = rest.split_at_checked(usize::from(*count % 8)) else {
        return;
    };
    std::fs::remove_file(path).expect("the file of before");
    let mut file = Appender::create(path).expect("a file");
    let mut all = Vec::new();
    for length in lengths {
        let (payload, left) = rest.split_at(usize::from(*length).min(rest.len()));
        rest = left;
        let at = file.append(*length, payload).expect("a record");
        all.push(Record {
            at,
            kind: *length,
            payload: payload.to_vec(),
        });
    }
    drop(file);
    let mut bytes = std::fs::read(path).expect("the file");
    let mut first = bytes.len();
    for damage in rest.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([damage[0], damage[1]])) % bytes.len();
        if bytes[at] != damage[2] {
            bytes[at] = damage[2];
            first = first.min(at);
        }
    }
    std::fs::write(path, &bytes).expect("the damaged file");
    let mut found = Vec::new();
    let _ = read(path, &mut |record| {
        found.push(record);
        Ok(())
    });
    assert!(found.len() <= all.len() && found == all[..found.len()]);
    let whole = all
        .iter()
        .filter(|record| record.at as usize + HEAD + record.payload.len() <= first);
    let before = whole.count();
    // One that is damaged in its magic is no such file.
    assert!(
        found.len() >= before || first < 8,
        "{} of {before}",
        found.len()
    );
}

const HEAD: usize = fleet_worker_sdk::spool::record::HEAD;
