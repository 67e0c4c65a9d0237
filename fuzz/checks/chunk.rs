//! Compacted logs: whatever bytes an entry holds, taking it apart ends, and what can be taken apart is
//! put together again.

use fleet_coordinator::store::redis::chunk::{Chunk, expand, records};

pub(crate) fn check(data: &[u8]) {
    let _ = expand(data);
    // The checksum of a frame keeps most damage from what is inside.
    let Ok(parts) = records(data) else { return };
    let mut chunk = Chunk::default();
    for record in &parts {
        chunk.add(record, 1).expect("no more than was read");
    }
    if chunk.is_empty() {
        assert!(data.is_empty());
        return;
    }
    let compressed = chunk.compress().expect("a chunk");
    assert_eq!(expand(&compressed).expect("what was compressed"), data);
}
