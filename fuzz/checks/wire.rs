//! Stored findings: whatever bytes a log holds, reading them ends, and what can be read is written
//! back the same.

use fleet_worker_sdk::wire::{columns, decode, decode_again, encode, logged, pack, split};

pub(crate) fn check(data: &[u8]) {
    let _ = decode_again(data);
    packed(data);
    for part in split(data).unwrap_or_default() {
        finding(part);
    }
    finding(data);
}

/// A batch as a log has it: packed or not, with the numbers of those that were known.
fn packed(data: &[u8]) {
    let (known, bytes) = data.split_at(data.len().min(8));
    for (bytes, known) in [(data, &b""[..]), (data, b"0,2"), (bytes, known)] {
        for packing in ["", "lz4"] {
            let entry = |name: &str| match name {
                "f" => bytes,
                "p" => packing.as_bytes(),
                _ => known,
            };
            if let Ok(joined) = logged(entry) {
                for part in split(&joined).unwrap_or_default() {
                    finding(part);
                }
            }
        }
    }
    let (bytes, packing) = pack(data.to_vec());
    let entry = |name: &str| match name {
        "f" => bytes.as_slice(),
        "p" => packing.as_bytes(),
        _ => b"",
    };
    assert_eq!(*logged(entry).expect("what was packed"), *data);
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
