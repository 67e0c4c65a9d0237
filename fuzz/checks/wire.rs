//! Stored findings: whatever bytes a log holds, reading them ends, and what can be read is written
//! back the same.

use fleet_worker_sdk::wire::{columns, decode, decode_again, encode, split};

pub(crate) fn check(data: &[u8]) {
    let _ = decode_again(data);
    for part in split(data).unwrap_or_default() {
        finding(part);
    }
    finding(data);
}

fn finding(body: &[u8]) {
    let columns = columns(body);
    let Ok(identified) = decode(body) else { return };
    // What a list shows and what a page shows must be the same finding.
    let columns = columns.expect("a finding that can be read has columns");
    assert_eq!(columns.severity(), identified.finding.severity());
    let Ok(again) = encode(&identified) else {
        return;
    };
    // A NaN equals nothing, so that bytes are compared.
    let read = decode(&again).expect("what was written can be read");
    assert_eq!(encode(&read).expect("and written"), again);
}
