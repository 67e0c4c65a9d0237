//! Addresses of stores: what one that was taken shows of itself holds no password.

use fleet_worker_sdk::transport::redis::Address;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(address) = text.parse::<Address>()
        && let Some(other) = with_another_password(text)
    {
        // A password may be a part of what is shown by chance; what is shown must not change with it.
        let shown = other.parse::<Address>().map(|other| other.to_string());
        assert_eq!(shown.ok(), Some(address.to_string()));
    }
}

fn with_another_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find('?').unwrap_or(rest.len());
    let (place, parameters) = rest.split_at(end);
    let (credentials, place) = place.rsplit_once('@')?;
    let (user, _) = credentials.split_once(':')?;
    Some(format!("{scheme}://{user}:another@{place}{parameters}"))
}
