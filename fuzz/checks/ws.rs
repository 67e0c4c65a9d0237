//! What a client of the WebSocket sends, from its first frame on: heard or refused, within the bounds.

use std::io::{Cursor, Read, Result, Write};

use fleet_dashboard::ws::said;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// What was sent, and nobody to answer to.
struct Line<'a>(Cursor<&'a [u8]>);

impl Read for Line<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        self.0.read(into)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

pub(crate) fn check(data: &[u8]) {
    let line = Line(Cursor::new(data));
    let mut socket = WebSocket::from_raw_socket(line, Role::Server, Some(said::config()));
    // Each message takes two bytes of a frame at least.
    for _ in 0..=data.len() {
        match socket.read() {
            Ok(Message::Text(text)) => {
                assert!(text.len() <= data.len(), "more was heard than was said");
                if let Some(versions) = said::resume(&text) {
                    assert!(versions.len() <= text.len());
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
    panic!("it never ends");
}
