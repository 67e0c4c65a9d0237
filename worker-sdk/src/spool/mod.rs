//! What outlives a process: checksummed records in files that are only appended to.
//!
//! [`record`] is the format, the same for a bot's spool and the embedded store's journal;
//! [`file`](mod@file) writes and reads such files; [`lock`] keeps a folder to one process;
//! [`parcel`] is what a bot's spool holds, and `queue` the spool itself, bounded.

pub mod record;

pub mod file;

pub mod lock;

pub mod parcel;

pub(crate) mod queue;

pub use queue::{MIN_SPOOL_BYTES, SPOOL_BYTES};
