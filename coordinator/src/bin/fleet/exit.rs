//! How the command ends.

use std::io;

use fleet_worker_sdk::Error;

use crate::output::complain;

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

/// Why a command ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// What was given cannot be used; nothing was asked of the fleet.
    Usage(Error),
    /// The fleet refused it, has it not, or is away.
    Fleet(Error),
    /// The answer cannot be written.
    Output(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Fleet(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Says why a command ended, where somebody has to know; answers with its exit code.
pub(crate) fn end(ended: Result<(), Stop>) -> u8 {
    match ended {
        Ok(()) => OK,
        // The reader has seen enough, as `head` has.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => OK,
        Err(Stop::Output(error)) => {
            complain(&format!("the answer cannot be written: {error}"));
            REFUSED
        }
        Err(Stop::Usage(error)) => {
            complain(&error.to_string());
            USAGE
        }
        Err(Stop::Fleet(error)) => {
            complain(&error.to_string());
            code_of(&error)
        }
    }
}

/// The code of what a store answered.
pub(crate) fn code_of(error: &Error) -> u8 {
    match error {
        Error::Unavailable { .. } | Error::Full { .. } | Error::Incompatible { .. } => UNREACHABLE,
        _ => REFUSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(end(Err(Stop::Output(closed))), OK);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(end(Err(Stop::Output(full))), REFUSED);
    }

    #[test]
    fn what_is_away_and_what_is_not_there_end_differently() {
        let away = Error::Unavailable {
            store: "x".to_owned(),
            why: "y".to_owned(),
        };
        assert_eq!(end(Err(away.into())), UNREACHABLE);
        assert_eq!(end(Err(Error::not_found("bot", "b").into())), REFUSED);
        assert_eq!(end(Err(Stop::Usage(Error::invalid("a", "b")))), USAGE);
    }
}
