//! What an earlier process of the bot left in its spool goes first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::delivery::Delivery;
use super::process::Shared;
use super::sending::{Sending, given_up};
use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::retry::Backoff;
use crate::session::Change;
use crate::spool::parcel::Parcel;
use crate::spool::queue::{Left, Outcome, Place, Spool};

/// Time between two writings to the disk of what the system holds back: what a loss of power costs
/// at most of what a bot was told is in its spool. Losing the process alone costs nothing.
const SYNC: Duration = Duration::from_secs(1);
/// Why an execution ends whose bot can say nothing more.
const KILLED: &str =
    "the bot was killed before the execution ended; what it had found was sent at its next start";

/// What became of it.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    resent: u64,
    known: u64,
    refused: u64,
}

/// Sends everything, producer by producer; stops when the worker does and the store is away.
pub(super) async fn run(shared: Arc<Shared>, spool: Arc<Spool>, left: Vec<Left>) {
    let parcels: usize = left.iter().map(|left| left.places.len()).sum();
    if parcels == 0 {
        return;
    }
    tracing::info!(parcels, spool = %spool.folder().display(), "an earlier process left parcels in the spool; sending them");
    let mut tally = Tally::default();
    let mut left = left.into_iter();
    while let Some(one) = left.next() {
        let (session, producer) = (one.session.clone(), one.producer.clone());
        let sent = tokio::select! {
            sent = resend(&shared, &spool, one, &mut tally) => sent,
            () = given_up(&shared.stopping) => {
                let parcels = spool.open_parcels();
                tracing::warn!(parcels, "the store is away; the rest stays in the spool for the next start");
                return;
            }
        };
        if let Err(error) = sent {
            tracing::error!(%session, %error, "a part of the spool cannot be sent");
        }
        spool.forget(&producer);
        let rest = sessions(left.as_slice());
        shared.resending.send_replace(rest);
    }
    let Tally {
        resent,
        known,
        refused,
    } = tally;
    tracing::info!(
        resent,
        known,
        refused,
        "what an earlier process left in the spool was sent"
    );
}

/// The sessions that parcels wait for: nothing new is begun in them before.
pub(super) fn sessions(left: &[Left]) -> BTreeSet<SessionId> {
    left.iter().map(|left| left.session.clone()).collect()
}

async fn resend(
    shared: &Arc<Shared>,
    spool: &Arc<Spool>,
    left: Left,
    tally: &mut Tally,
) -> Result<()> {
    let Some(last_place) = left.places.last().copied() else {
        return Ok(());
    };
    let last = last_sequence(shared, &left).await?;
    let known = usize::try_from((last + 1).saturating_sub(left.first)).unwrap_or(usize::MAX);
    let known = known.min(left.places.len());
    let (acknowledged, rest) = left.places.split_at(known);
    let ends = is_end(spool, last_place)?;
    let attempt = attempt_of(spool, last_place)?;
    let at = left.first + known as u64 - 1;
    let delivery = Delivery::of(shared, &left.session);
    let delivery = delivery.resumed(left.producer, at, attempt);
    let mut sending = Sending::new(
        Arc::clone(shared),
        Arc::clone(spool),
        left.session,
        delivery,
    );
    if left.refused {
        sending.refused = Some(Error::conflict("an earlier process had a batch refused"));
    }
    for place in acknowledged {
        sending.done(*place, Outcome::Settled);
    }
    tally.known += known as u64;
    if sending.delivery.attempt() == 0 {
        // A start whose answer nobody got: nothing was done under it, and nothing will be.
        for place in rest {
            sending.done(*place, Outcome::Settled);
        }
        return Ok(());
    }
    for place in rest {
        match sending.parcel(*place, || false).await {
            Ok(_) => tally.resent += 1,
            Err(_) => tally.refused += 1,
        }
        shared.pulse.progress();
    }
    if !ends {
        let reason = KILLED.to_owned();
        // Refused where it was taken over: whoever did so ends it.
        let _ = sending.delivery.change(Change::Fail { reason }).await;
    }
    Ok(())
}

async fn last_sequence(shared: &Shared, left: &Left) -> Result<u64> {
    let mut backoff = Backoff::new();
    loop {
        let asked = shared.store.last_sequence(&left.session, &left.producer);
        match asked.await {
            Err(error) if error.is_retryable() => backoff.wait().await,
            answer => return answer,
        }
    }
}

fn is_end(spool: &Spool, place: Place) -> Result<bool> {
    let (parcel, _) = spool.read(place)?;
    Ok(matches!(parcel, Parcel::Change(change) if !matches!(change.change, Change::Start { .. })))
}

/// The attempt that a parcel names; 0 is that of a start.
fn attempt_of(spool: &Spool, place: Place) -> Result<u32> {
    let (parcel, _) = spool.read(place)?;
    Ok(match parcel {
        Parcel::Batch(batch) => batch.attempt,
        Parcel::Change(transition) => transition.attempt,
    })
}

/// Has the disk take what was written, now and then, until the worker is gone.
pub(super) async fn sync(shared: Arc<Shared>, spool: Arc<Spool>) {
    loop {
        let over = tokio::select! {
            () = tokio::time::sleep(SYNC) => false,
            () = shared.stopping.cancelled() => true,
            () = shared.dropped.cancelled() => true,
        };
        if let Some(file) = spool.unsynced() {
            let synced = tokio::task::spawn_blocking(move || file.sync_data()).await;
            if let Ok(Err(error)) = synced {
                tracing::warn!(%error, "the spool cannot be synced");
            }
        }
        if over {
            return;
        }
    }
}
