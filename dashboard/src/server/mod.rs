//! The server: accepts, bounds, times out and drains connections.
//!
//! warp's own server has no header timeout and its shutdown waits for a half-sent request for
//! ever, so the filter is served from this loop. A connection is bounded at every stage: a slot
//! before it is accepted, a deadline for its first request ([`connection`]), one for each
//! further head (hyper), one between two pieces of a body ([`body`]), one for taking what we
//! write ([`stall`]).

pub(crate) mod body;

pub(crate) mod connection;

pub(crate) mod host;

pub(crate) mod stall;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::context::Context;
use crate::ws;
use connection::Connections;

/// Pause after the process or the machine ran out of something: long enough for a connection to
/// end, short enough not to be noticed by a client that retries.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every connection finished what it was at.
    Clean,
    /// This many connections had not finished at the deadline and were cut.
    Cut(usize),
}

/// Serves `filter`, and the WebSocket beside it, until `shutdown`; then stops accepting, closes
/// sockets with 1001, lets requests finish, and cuts what is left after `settings.drain`.
pub async fn serve(
    listener: TcpListener,
    filter: BoxedFilter<(Response,)>,
    context: &Context,
    shutdown: CancellationToken,
) -> Drained {
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    let (sockets, hub) = ws::build(context, &tasks, &shutdown);
    tasks.spawn(hub.run(shutdown.clone()));
    let connections = Arc::new(Connections {
        filter,
        sockets: Some(sockets),
        guarded: true,
        settings: Arc::clone(&context.settings),
        metrics: context.metrics.clone(),
        builder: connection::builder(&context.settings),
        drain: shutdown.clone(),
        cut: cut.clone(),
    });
    accept(listener, connections, &tasks, &shutdown).await;
    drain(&tasks, &cut, context.settings.drain).await
}

/// Serves probes and metrics, `filter`, until `ended`: those are asked for to the end of a drain.
pub async fn serve_ops(
    listener: TcpListener,
    filter: BoxedFilter<(Response,)>,
    context: &Context,
    ended: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let connections = Arc::new(Connections {
        filter,
        sockets: None,
        guarded: false,
        settings: Arc::clone(&context.settings),
        metrics: context.metrics.clone(),
        builder: connection::builder(&context.settings),
        drain: ended.clone(),
        cut: ended.clone(),
    });
    accept(listener, connections, &tasks, &ended).await;
}

async fn accept(
    listener: TcpListener,
    connections: Arc<Connections>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(connections.settings.max_connections));
    loop {
        let next = next(&listener, &slots, &connections);
        let (stream, peer, slot) = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = next => accepted,
        };
        let connection = connection::run(Arc::clone(&connections), stream, peer);
        tasks.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
}

/// Waits for a free slot first: while there is none, clients wait in the kernel's bounded queue.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    connections: &Connections,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a permit in the end.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                connections.metrics.accept_failed();
                tracing::error!(%error, "connections cannot be accepted; raise the limit of open files if it says so");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether only the connection that was about to be accepted is affected.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

async fn drain(tasks: &TaskTracker, cut: &CancellationToken, deadline: Duration) -> Drained {
    tasks.close();
    if tokio::time::timeout(deadline, tasks.wait()).await.is_ok() {
        return Drained::Clean;
    }
    let left = tasks.len();
    tracing::warn!(
        left,
        "the deadline for draining has passed; connections are cut"
    );
    cut.cancel();
    tasks.wait().await;
    Drained::Cut(left)
}
