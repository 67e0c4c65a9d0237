//! What a client may say, and how much of it is read. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Read buffer of a client: a client says next to nothing. The library's default is 128 KiB.
const READ_BUFFER: usize = 4 * 1024;
/// Largest message of a client: a resume that names every object there is, many times over.
pub(super) const MAX_MESSAGE: usize = 64 * 1024;
/// Frames leave in pieces of this size: the library keeps a buffer as large as the largest piece
/// for as long as the client stays.
pub(super) const PIECE: usize = 4 * 1024;
/// Bound of the write buffer: a piece, a pong, and room for the headers of both.
const MAX_WRITE_BUFFER: usize = 4 * PIECE;

/// How a client's socket is set up.
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Resume { versions: HashMap<String, String> },
}

/// The versions that a resume names; none when `text` is no resume.
pub fn resume(text: &str) -> Option<HashMap<String, String>> {
    let Said::Resume { versions } = serde_json::from_str(text).ok()?;
    Some(versions)
}
