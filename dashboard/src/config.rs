//! Flags, environment and file become one checked [`Settings`] before any socket opens.

/// Largest JSON body taken: 1 MiB, twice the largest batch the SDK sends.
pub const DEFAULT_MAX_BODY: u64 = 1 << 20;
/// Largest report taken by ingest: 128 MiB, above the largest SARIF files scanners write.
/// It is spooled to disk, not held in memory.
pub const DEFAULT_MAX_INGEST: u64 = 128 << 20;

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest JSON body taken, in bytes.
    pub max_body: u64,
    /// Largest report taken by ingest, in bytes; a file on disk while it is read.
    pub max_ingest: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: DEFAULT_MAX_BODY,
            max_ingest: DEFAULT_MAX_INGEST,
        }
    }
}
