//! What an import did: counted against the session and its baseline.
