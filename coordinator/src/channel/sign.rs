//! A webhook's signature: HMAC-SHA256 over the time and the body, so that a receiver knows who sent
//! it, that nobody changed it, and that it is not an old one sent again.

use std::fmt::Write;

use fleet_worker_sdk::{Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Header with the seconds since 1970 at which it was signed.
pub const TIMESTAMP: &str = "fleet-timestamp";
/// Header with the signature: `v1=` and the HMAC in hexadecimal.
pub const SIGNATURE: &str = "fleet-signature";
/// Header with the delivery's id, which is the same when it is tried again.
pub const IDEMPOTENCY: &str = "idempotency-key";

/// The signature of `body` at a time in seconds since 1970: the HMAC of `<seconds>.<body>`.
///
/// # Errors
/// Never in practice: HMAC takes keys of any length.
pub fn signature(key: &str, seconds: i64, body: &[u8]) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(Error::protocol)?;
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut text = "v1=".to_owned();
    for byte in mac.finalize().into_bytes() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_openssl() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac key
        let signed = signature("key", 1_700_000_000, b"{}").unwrap();
        assert_eq!(signed, EXPECTED);
        assert_ne!(signature("key", 1_700_000_001, b"{}").unwrap(), signed);
        assert_ne!(signature("other", 1_700_000_000, b"{}").unwrap(), signed);
    }

    const EXPECTED: &str = "v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";
}
