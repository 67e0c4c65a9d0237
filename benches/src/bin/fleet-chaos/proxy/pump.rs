//! One connection through the proxy.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::{Break, Shared, Weather};

/// Bytes passed on at once: a batch is a few of these, so that a slow line delays it piece by piece.
const PIECE: usize = 16 * 1024;
/// How long a half-open connection is kept for a client that does not notice. Longer than any
/// timeout of a client that should.
const SILENCE: Duration = Duration::from_mins(2);

/// A connection's two sides.
pub(super) struct Ends {
    pub(super) client: TcpStream,
    pub(super) server: TcpStream,
}

/// How a direction ended.
enum Over {
    /// One side closed, or failed.
    Closed,
    /// A reply was cut.
    Cut,
}

/// Carries bytes both ways until one side ends or the proxy breaks it.
pub(super) async fn carry(ends: Ends, shared: &Shared) {
    let mut breaks = shared.breaks.subscribe();
    let _ = (ends.client.set_nodelay(true), ends.server.set_nodelay(true));
    let (mut from_client, mut to_client) = ends.client.into_split();
    let (mut from_server, mut to_server) = ends.server.into_split();
    let over = {
        let calls = calls(&mut from_client, &mut to_server, shared);
        let replies = replies(&mut from_server, &mut to_client, shared);
        tokio::select! {
            over = calls => Ok(over),
            over = replies => Ok(over),
            _ = breaks.changed() => Err(breaks.borrow().1),
        }
    };
    match over {
        Ok(Over::Closed) => {}
        Ok(Over::Cut) => reset([to_client, to_server]),
        Err(Break::Reset) => {
            shared.harm.resets.fetch_add(1, Relaxed);
            reset([to_client, to_server]);
        }
        Err(Break::HalfOpen) => {
            shared.harm.half_open.fetch_add(1, Relaxed);
            drop((from_server, to_server));
            silence(&mut from_client).await;
        }
    }
}

fn reset(sides: [OwnedWriteHalf; 2]) {
    for side in sides {
        let _ = side.as_ref().set_zero_linger();
        // Dropped, it would say goodbye in order first.
        side.forget();
    }
}

/// Swallows what a client says to nobody, until it gives up.
async fn silence(client: &mut OwnedReadHalf) {
    let mut swallowed = vec![0; PIECE];
    let listen = async { while client.read(&mut swallowed).await.is_ok_and(|read| read > 0) {} };
    let _ = tokio::time::timeout(SILENCE, listen).await;
}

async fn calls(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, shared: &Shared) -> Over {
    let mut weather = shared.weather.subscribe();
    let mut piece = vec![0; PIECE];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        let bytes = piece.get(..read).unwrap_or_default();
        if (travel(&mut weather, read, |now| now.hold_calls).await).is_err()
            || to.write_all(bytes).await.is_err()
        {
            break;
        }
    }
    Over::Closed
}

async fn replies(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, shared: &Shared) -> Over {
    let mut weather = shared.weather.subscribe();
    let mut piece = vec![0; PIECE];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        let bytes = piece.get(..read).unwrap_or_default();
        if (travel(&mut weather, read, |now| now.hold_replies).await).is_err() {
            break;
        }
        if take_one(&shared.cuts_before) {
            shared.harm.cut_before.fetch_add(1, Relaxed);
            return Over::Cut;
        }
        if read > 1 && take_one(&shared.cuts_within) {
            shared.harm.cut_within.fetch_add(1, Relaxed);
            let part = bytes.get(..read / 2).unwrap_or_default();
            let _ = to.write_all(part).await;
            // Half a reply must arrive: a reset would overtake it.
            let _ = to.shutdown().await;
            return Over::Closed;
        }
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    Over::Closed
}

/// Waits for as long as `bytes` are on the way in this weather.
async fn travel(
    weather: &mut watch::Receiver<Weather>,
    bytes: usize,
    held: impl Fn(&Weather) -> bool,
) -> io::Result<()> {
    let now = *weather.borrow_and_update();
    let line = now.rate.map_or(Duration::ZERO, |rate| {
        Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64)
    });
    let wait = now.delay + line;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let passed = weather.wait_for(|now| !held(now)).await;
    passed.map(drop).map_err(io::Error::other)
}

/// Takes one of what is left.
fn take_one(left: &AtomicU64) -> bool {
    left.try_update(Relaxed, Relaxed, |left| left.checked_sub(1))
        .is_ok()
}
