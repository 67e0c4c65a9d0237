//! Which host names this process answers to.
//!
//! A page of another site can have its own name resolve to 127.0.0.1 and then read whatever
//! listens there, as its own origin (DNS rebinding). What gives it away is the `Host` it sends.

use fleet_worker_sdk::Error;
use hyper::Request;
use hyper::header::HOST;
use std::net::IpAddr;
use warp::host::Authority;
use warp::http::StatusCode;

use crate::api::problem::Problem;

/// Refuses a request meant for a host that is neither this machine's own name nor one of `allowed`.
/// A request that names none comes from no browser and passes.
pub(crate) fn check<B>(request: &Request<B>, allowed: &[String]) -> Result<(), Problem> {
    let given = match (request.uri().authority(), request.headers().get(HOST)) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(host)) => host.to_str().unwrap_or("?"),
        (None, None) => return Ok(()),
    };
    if is_answered(given, allowed) {
        return Ok(());
    }
    let why = "this process answers to localhost only; behind a proxy, list the public name \
               with --allowed-hosts";
    Err(Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "unknown host",
        Error::invalid("host", why),
    ))
}

fn is_answered(given: &str, allowed: &[String]) -> bool {
    let Ok(authority) = given.parse::<Authority>() else {
        return false;
    };
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let own = host.parse::<IpAddr>().map_or_else(
        |_| host.eq_ignore_ascii_case("localhost"),
        |ip| ip.is_loopback(),
    );
    own || allowed.iter().any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_and_listed_names_are_answered() {
        let allowed = ["fleet.example".to_owned()];
        for own in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "fleet.example",
            "Fleet.Example:443",
        ] {
            assert!(is_answered(own, &allowed), "{own}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "?",
            "fleet.example.evil",
        ] {
            assert!(!is_answered(foreign, &allowed), "{foreign}");
        }
    }

    #[test]
    fn a_request_that_names_no_host_passes() {
        assert!(check(&Request::new(()), &[]).is_ok());
        let rebound = Request::builder()
            .header(HOST, "evil.example")
            .body(())
            .unwrap();
        assert_eq!(check(&rebound, &[]).unwrap_err().status(), 421);
    }
}
