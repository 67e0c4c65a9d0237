//! Addresses of stores: what one that was taken shows of itself holds no password.

use fleet_worker_sdk::transport::redis::Address;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(address) = text.parse::<Address>() {
        let shown = address.to_string();
        let password = text.split_once("://").and_then(|(_, rest)| {
            let (user, _) = rest.rsplit_once('@')?;
            user.split_once(':').map(|(_, password)| password)
        });
        if let Some(password) = password.filter(|password| password.len() > 8) {
            assert!(!shown.contains(password), "{shown} shows a password");
        }
    }
}
