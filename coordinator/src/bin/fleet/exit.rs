//! How the command ends.

use fleet_worker_sdk::Error;

/// Everything went well.
pub(crate) const OK: u8 = 0;
/// It was refused, whole or in part, or what was asked for is not there.
pub(crate) const REFUSED: u8 = 1;
/// The command line or the configuration is wrong (`EX_USAGE`).
pub(crate) const USAGE: u8 = 64;
/// The store cannot be reached or takes nothing now (`EX_UNAVAILABLE`).
pub(crate) const UNREACHABLE: u8 = 69;

/// What every help text ends with.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0   all went well
  1   something was refused, or is not there
  64  the command line or the configuration is wrong
  69  the store cannot be reached, or takes nothing from this client";

/// The code of what a store answered.
pub(crate) fn code_of(error: &Error) -> u8 {
    match error {
        Error::Unavailable { .. } | Error::Full { .. } | Error::Incompatible { .. } => UNREACHABLE,
        _ => REFUSED,
    }
}
