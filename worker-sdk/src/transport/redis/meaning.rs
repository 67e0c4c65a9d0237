//! What an error of Redis means to a caller.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::Error;

/// Redis has no error code for this; its text is all there is.
const NO_FUNCTION: &str = "Function not found";

/// The error as callers know it; `address` is of the store that it came from.
pub(super) fn of(error: &RedisError, address: &str) -> Error {
    let detail = error.detail().unwrap_or_default();
    let unavailable = |why: String| Error::Unavailable {
        store: address.to_owned(),
        why,
    };
    match error.kind() {
        ErrorKind::Extension => by_code(error.code().unwrap_or_default(), detail, address),
        ErrorKind::AuthenticationFailed => Error::Incompatible {
            why: format!("{address} refused user or password"),
        },
        ErrorKind::Server(ServerErrorKind::NoPerm) => Error::Incompatible {
            why: format!("the Redis user may not do this: {detail}"),
        },
        _ if lacks_function(error) => unavailable(
            "the fleet's functions are not loaded; start a coordinator or a dashboard on it"
                .to_owned(),
        ),
        ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::UnexpectedReturnType => {
            Error::protocol(error)
        }
        // `ErrorKind::Parse` among them: a reply that was cut in the middle.
        _ => unavailable(error.to_string()),
    }
}

/// The meaning of a refusal by one of the fleet's functions, or of a code of Redis's own.
fn by_code(code: &str, detail: &str, address: &str) -> Error {
    let (first, second) = detail.split_once('|').unwrap_or((detail, ""));
    match code.strip_prefix("FLEET_").unwrap_or(code) {
        "INVALID" => Error::invalid(first, second),
        "NOTFOUND" => Error::not_found(first, second),
        "CONFLICT" => Error::conflict(detail),
        "GAP" => Error::Gap {
            last: detail.trim().parse().unwrap_or_default(),
        },
        "RIGHTS" => Error::Incompatible {
            why: detail.to_owned(),
        },
        "NOFLEET" => Error::Incompatible {
            why: format!("{detail}; start a coordinator or a dashboard on {address} first"),
        },
        "OOM" => Error::Full {
            why: format!("Redis is at its memory limit ({detail})"),
        },
        "MISCONF" | "NOREPLICAS" => Error::Full {
            why: detail.to_owned(),
        },
        _ => Error::Unavailable {
            store: address.to_owned(),
            why: format!("{code} {detail}"),
        },
    }
}

/// Whether a function was called that is not loaded, alone or among several commands.
pub(super) fn lacks_function(error: &RedisError) -> bool {
    if error.kind() != ErrorKind::Server(ServerErrorKind::ResponseError) {
        return false;
    }
    let said = |detail: Option<&str>| detail.is_some_and(|detail| detail.contains(NO_FUNCTION));
    let failed = error.clone().into_server_errors();
    failed.is_some_and(|failed| failed.iter().any(|(_, error)| said(error.details())))
}
