//! A session's findings in memory: posting lists, counters, pages.

/// The folded findings of a session.
#[derive(Debug, Default)]
pub struct Index {}
