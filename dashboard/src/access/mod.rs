//! Who may ask for what.
//!
//! Without a file of tokens everybody may do everything, and so the process listens on loopback
//! addresses only, unless it is told aloud to be open. With one, [`guard`] asks each request for a
//! token whose role covers what [`needed`] says: bots send it as `Authorization: Bearer`, browsers
//! as a cookie that the [`login`] page sets. `file` reads the tokens anew when their file changes.

pub(crate) mod author;

pub mod file;

pub(crate) mod guard;

pub(crate) mod login;

pub(crate) mod needed;

pub use file::TokensFile;
