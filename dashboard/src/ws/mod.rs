//! The live view: one hub watches the store, any number of clients watch the hub.
//!
//! The map, as a change travels: the [`hub`] hears a hint, reads what changed, once, and
//! publishes a new [`state`], in which each part of the fleet has a version. A [`client`] sends
//! what changed since the state it sent last: usually one frame that all clients share, and
//! for one that was slow, what it missed, merged. What it may say stands in [`said`]. [`upgrade`] lets
//! clients in, within [`seats`].
//!
//! # Protocol
//!
//! `GET /ws`. The server sends JSON texts:
//! - `{"type":"snapshot","versions":{object: version, …},"fleet":…,"workers":…,"store":…,"sessions":[…]}`:
//!   everything; the latest 50 sessions, latest change first;
//! - `{"type":"update", …}`: the same members, but only what changed, and `"removed":[id, …]`: sessions
//!   that are gone or no longer among the latest.
//!
//! Objects are `fleet`, `workers`, `store`, and `session:<id>`. Versions compare for equality only.
//! A client that was here before sends `{"type":"resume","versions":{…}}` with those it holds, as its first
//! message and within 200 ms (5 s when it asked for `/ws?resume=1`), and is sent an update with what
//! differs. It sends nothing else. Close codes: 1001 the server drains, reconnect; 1013 too slow,
//! reconnect later; 1008 the client said something it may not.

pub mod said;

pub(crate) mod client;

pub(crate) mod hub;

pub mod row;

pub(crate) mod seats;

pub(crate) mod state;

pub(crate) mod upgrade;

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::Context;
pub(crate) use hub::Hub;
use seats::Seats;
use state::State;
pub(crate) use upgrade::Sockets;

/// Where the WebSocket is.
pub const PATH: &str = "/ws";

/// The door for clients and the hub they watch; the hub still has to be run.
pub(crate) fn build(
    context: &Context,
    tasks: &TaskTracker,
    drain: &CancellationToken,
) -> (Sockets, Hub) {
    let (publish, states) = watch::channel(Arc::new(State::default()));
    let seats = Seats::new(&context.settings);
    let hub = Hub::new(context.clone(), publish, seats.clone());
    let sockets = Sockets {
        states,
        seats,
        settings: Arc::clone(&context.settings),
        metrics: context.metrics.clone(),
        tasks: tasks.clone(),
        drain: drain.clone(),
    };
    (sockets, hub)
}
