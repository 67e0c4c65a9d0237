//! The ways to reach a fleet.

pub mod http;

pub mod redis;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::write::Write;

/// Connects to the fleet at `address`, by its scheme: `http://dashboard:8080`, or a form of
/// [`redis::Address`].
///
/// # Errors
/// [`Error::Invalid`] when the address is none this build can reach; whatever the transport says
/// when it connects at once.
pub async fn connect(address: &str) -> Result<Arc<dyn Write>> {
    let scheme = address.split_once("://").map_or("", |(scheme, _)| scheme);
    match scheme {
        "http" | "https" => Ok(Arc::new(http::HttpWriter::new(address)?)),
        _ if scheme.starts_with("redis") => {
            Ok(Arc::new(redis::RedisWriter::connect(address).await?))
        }
        "" => Err(Error::invalid(
            "store address",
            "it has no scheme; write it as http://host:port or redis://host:port",
        )),
        other => Err(Error::invalid(
            "store address",
            format!(
                "the scheme `{}` is unknown; known are http://, {}",
                other.escape_debug(),
                redis::address::SCHEMES
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(address: &str) -> String {
        match connect(address).await {
            Ok(_) => panic!("{address} must be refused"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_reached_is_refused_with_the_reason() {
        assert!(refusal("localhost:8080").await.contains("no scheme"));
        assert!(refusal("gopher://x").await.contains("`gopher`"));
        assert!(refusal("https://x").await.contains("http://"));
        assert!(refusal("http://").await.contains("store address"));
        assert!(connect("http://127.0.0.1:8080/").await.is_ok());
    }

    #[tokio::test]
    async fn a_secret_in_the_address_is_not_repeated() {
        let error = refusal("https://u:hunter2@x").await;
        assert!(!error.contains("hunter2"), "{error}");
    }
}
