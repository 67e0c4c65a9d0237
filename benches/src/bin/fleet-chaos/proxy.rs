//! A TCP proxy whose faults are switched while connections run through it.
//!
//! A connection whose bytes were withheld is never mended by leaving some out: held bytes come late
//! or the connection ends, as on a real network.

mod pump;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use pump::{Ends, carry};

/// What the network is like now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Every piece of data waits this long, in each direction.
    pub(crate) delay: Duration,
    /// Bytes a second in each direction; none: as fast as it goes.
    pub(crate) rate: Option<u64>,
    /// Nothing gets through to the server; it comes late, when this ends.
    pub(crate) hold_calls: bool,
    /// The same for what the server answers.
    pub(crate) hold_replies: bool,
    /// Connections are taken and reset at once.
    pub(crate) refuse: bool,
}

/// How connections are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// Both sides get a reset (`SO_LINGER` 0).
    Reset,
    /// The server's side ends; the client is left with a connection that says nothing.
    HalfOpen,
}

/// What was done to connections so far.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Harm {
    /// Replies of which the client got nothing, though the server had sent them.
    pub(crate) cut_before: AtomicU64,
    /// Replies of which the client got a part.
    pub(crate) cut_within: AtomicU64,
    /// Connections that were reset.
    pub(crate) resets: AtomicU64,
    /// Connections that were left half open.
    pub(crate) half_open: AtomicU64,
}

/// What a proxy and its connections share.
struct Shared {
    weather: watch::Sender<Weather>,
    /// Counts breaks, and says how the last one is done.
    breaks: watch::Sender<(u64, Break)>,
    cuts_before: AtomicU64,
    cuts_within: AtomicU64,
    harm: Harm,
}

/// A proxy in front of one server.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.end_all(Break::Reset);
    }
}

impl Proxy {
    /// Listens on a free port and passes on to `server`.
    pub(crate) async fn start(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            weather: watch::Sender::default(),
            breaks: watch::Sender::new((0, Break::Reset)),
            cuts_before: AtomicU64::new(0),
            cuts_within: AtomicU64::new(0),
            harm: Harm::default(),
        });
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&shared)));
        Ok(Self {
            port,
            shared,
            accepting: accepting.abort_handle(),
        })
    }

    /// The address of the store behind it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Changes the weather from now on.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Weather)) {
        self.shared.weather.send_modify(change);
    }

    /// Fine weather again. Cuts that met no reply yet are forgotten.
    pub(crate) fn heal(&self) {
        self.shared.cuts_before.store(0, Relaxed);
        self.shared.cuts_within.store(0, Relaxed);
        self.shared.weather.send_replace(Weather::default());
    }

    /// Cuts the connections of the next replies before their first byte.
    pub(crate) fn cut_before(&self, replies: u64) {
        self.shared.cuts_before.fetch_add(replies, Relaxed);
    }

    /// Cuts the connections of the next replies in the middle of them.
    pub(crate) fn cut_within(&self, replies: u64) {
        self.shared.cuts_within.fetch_add(replies, Relaxed);
    }

    /// Ends every connection there is now.
    pub(crate) fn end_all(&self, how: Break) {
        self.shared.breaks.send_modify(|(count, last)| {
            *count += 1;
            *last = how;
        });
    }

    /// What was done so far.
    pub(crate) fn harm(&self) -> &Harm {
        &self.shared.harm
    }
}

async fn accept(listener: TcpListener, server: u16, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of descriptors: those that end make room.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let refused = shared.weather.borrow().refuse;
            let upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await;
            match upstream {
                Ok(server) if !refused => carry(Ends { client, server }, &shared).await,
                // As a port that nobody listens on.
                _ => drop(client.set_zero_linger()),
            }
        });
    }
}

#[cfg(test)]
mod tests;
