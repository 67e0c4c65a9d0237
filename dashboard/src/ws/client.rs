//! One client: sends what changed, in time; answers nothing but a resume.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as Raw;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use super::said::{self, PIECE};
use super::seats::Seat;
use super::state::{Frame, State};
use crate::config::Settings;
use crate::metrics::Metrics;

/// Messages of a client between two pings, pongs included: it has no reason to send more than two.
const MAX_CHATTER: u32 = 32;
/// Time to say goodbye properly.
const GOODBYE: Duration = Duration::from_secs(1);

/// A client on its socket.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) states: watch::Receiver<Arc<State>>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Metrics,
    pub(crate) drain: CancellationToken,
    /// How long to wait for the client's first message before sending everything.
    pub(crate) wait: Duration,
    /// Its place, given back when it goes.
    pub(crate) _seat: Seat,
}

/// Why a client is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The server drains.
    Drain,
    /// It did not take a frame in time.
    Slow,
    /// It did not answer a ping.
    Silent,
    /// It said something it may not, or too much.
    Misuse,
    /// It went, or its connection did.
    Gone,
}

impl Ending {
    /// The word for metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Misuse => "misuse",
            Self::Gone => "gone",
        }
    }

    fn close(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Drain => (CloseCode::Away, "the server stops; reconnect"),
            Self::Slow => (CloseCode::Again, "too slow; reconnect later"),
            Self::Silent => (CloseCode::Again, "no answer to a ping"),
            Self::Misuse => (CloseCode::Policy, "only one resume is expected here"),
            Self::Gone => return None,
        };
        let reason = Utf8Bytes::from_static(reason);
        Some(CloseFrame { code, reason })
    }
}

impl Client {
    /// Serves the client until it goes or has to.
    pub(crate) async fn run(mut self) {
        let ending = match self.talk().await {
            Ok(never) => match never {},
            Err(ending) => ending,
        };
        self.metrics.client_left(ending.as_str());
        tracing::debug!(ending = ending.as_str(), "a WebSocket client is gone");
        if let Some(close) = ending.close() {
            let _ = timeout(GOODBYE, self.goodbye(close)).await;
        }
    }

    async fn talk(&mut self) -> Result<std::convert::Infallible, Ending> {
        let held = self.first().await?;
        let mut sent = self.greet(held).await?;
        let period = self.settings.ping_interval;
        let mut pings = interval(period);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        let (mut chatter, mut answered) = (0_u32, true);
        let drain = self.drain.clone();
        loop {
            tokio::select! {
                () = drain.cancelled() => return Err(Ending::Drain),
                changed = self.states.changed() => {
                    changed.map_err(|_| Ending::Drain)?;
                    sent = self.bring_up(sent).await?;
                }
                message = self.socket.next() => {
                    chatter += 1;
                    match message {
                        Some(Ok(Message::Pong(_))) if chatter <= MAX_CHATTER => answered = true,
                        Some(Ok(Message::Ping(_))) if chatter <= MAX_CHATTER => {}
                        other => return Err(ending_of(other)),
                    }
                }
                _ = pings.tick() => {
                    if !answered {
                        return Err(Ending::Silent);
                    }
                    (chatter, answered) = (0, false);
                    self.send(Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    /// Waits for a resume; none when the client does not send one in time.
    async fn first(&mut self) -> Result<Option<HashMap<String, String>>, Ending> {
        let until = Instant::now() + self.wait;
        loop {
            let message = tokio::select! {
                () = self.drain.cancelled() => return Err(Ending::Drain),
                message = tokio::time::timeout_at(until, self.socket.next()) => message,
            };
            match message {
                Err(_) => return Ok(None),
                Ok(Some(Ok(Message::Text(text)))) => {
                    return said::resume(&text).map(Some).ok_or(Ending::Misuse);
                }
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(other) => return Err(ending_of(other)),
            }
        }
    }

    /// Sends everything, or what a client lacks that was here before.
    async fn greet(&mut self, held: Option<HashMap<String, String>>) -> Result<u64, Ending> {
        let state = tokio::select! {
            () = self.drain.cancelled() => return Err(Ending::Drain),
            state = self.states.wait_for(|state| state.awake) => {
                Arc::clone(&*state.map_err(|_| Ending::Drain)?)
            }
        };
        let frame = match held.filter(|versions| !versions.is_empty()) {
            Some(versions) => state.resume(&versions),
            None => state.snapshot(),
        };
        self.send_frame(frame).await?;
        Ok(state.sequence())
    }

    /// Sends what changed since state `sent`; the state sent by then.
    async fn bring_up(&mut self, sent: u64) -> Result<u64, Ending> {
        let state = Arc::clone(&*self.states.borrow_and_update());
        if let Some(frame) = state.since(sent) {
            self.send_frame(frame).await?;
        }
        Ok(state.sequence())
    }

    async fn send_frame(&mut self, frame: Frame) -> Result<(), Ending> {
        let (kind, text, skipped) = match frame {
            Frame::Snapshot(text) => ("snapshot", text, 0),
            Frame::Update(text) => ("update", text, 0),
            Frame::Merged(text, skipped) => ("merged", text, skipped),
        };
        let patience = self.settings.send_timeout;
        let sent = timeout(patience, send_text(&mut self.socket, text)).await;
        sent.map_err(|_| Ending::Slow)?.map_err(|_| Ending::Gone)?;
        self.metrics.frame(kind, skipped);
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), Ending> {
        let sent = timeout(self.settings.send_timeout, self.socket.send(message)).await;
        sent.map_err(|_| Ending::Slow)?.map_err(|_| Ending::Gone)
    }

    /// Closes, and reads until the client has: unread bytes would reset the connection and take
    /// the close frame with them.
    async fn goodbye(&mut self, close: CloseFrame) {
        if self.socket.close(Some(close)).await.is_ok() {
            while let Some(Ok(_)) = self.socket.next().await {}
        }
    }
}

type Read = Option<Result<Message, tokio_tungstenite::tungstenite::Error>>;

fn ending_of(message: Read) -> Ending {
    use tokio_tungstenite::tungstenite::Error;
    use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match message {
        None
        | Some(
            Ok(Message::Close(_))
            | Err(
                Error::ConnectionClosed
                | Error::Io(_)
                | Error::Protocol(ResetWithoutClosingHandshake),
            ),
        ) => Ending::Gone,
        Some(_) => Ending::Misuse,
    }
}

/// Sends a text in pieces, each a view of the one buffer that all clients share.
async fn send_text(
    socket: &mut WebSocketStream<TcpStream>,
    text: Utf8Bytes,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    if text.len() <= PIECE {
        return socket.send(Message::Text(text)).await;
    }
    let mut rest: Bytes = text.into();
    let mut kind = Data::Text;
    while !rest.is_empty() {
        let piece = rest.split_to(PIECE.min(rest.len()));
        let piece = Raw::message(piece, OpCode::Data(kind), rest.is_empty());
        socket.send(Message::Frame(piece)).await?;
        kind = Data::Continue;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::said::MAX_MESSAGE;
    use super::*;
    use tokio_tungstenite::tungstenite::Error;
    use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};

    #[test]
    fn a_closed_laptop_is_no_misuse() {
        let cut = Error::Protocol(ProtocolError::ResetWithoutClosingHandshake);
        assert_eq!(ending_of(Some(Err(cut))), Ending::Gone);
        assert_eq!(ending_of(None), Ending::Gone);
        let large = CapacityError::MessageTooLong {
            size: MAX_MESSAGE + 1,
            max_size: MAX_MESSAGE,
        };
        assert_eq!(ending_of(Some(Err(Error::Capacity(large)))), Ending::Misuse);
        let text = Message::text("hello");
        assert_eq!(ending_of(Some(Ok(text))), Ending::Misuse);
    }
}
