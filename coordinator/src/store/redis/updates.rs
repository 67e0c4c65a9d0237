//! Listening to what is published, for as long as the store is open.

use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::transport::redis::RedisLink;
use fleet_worker_sdk::{Error, Result};
use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::model::Update;

/// Passes hints on until `stop`; reconnects for as long as it takes, and then says that hints may
/// have been missed.
pub(super) async fn listen(
    link: Arc<RedisLink>,
    updates: broadcast::Sender<Update>,
    stop: CancellationToken,
) {
    let mut wait = Error::RETRY_BASE;
    let mut lost = false;
    loop {
        let heard = tokio::select! {
            () = stop.cancelled() => return,
            heard = hear(&link, &updates, &mut wait) => heard,
        };
        if let (Err(error), false) = (heard, lost) {
            tracing::warn!(%error, "the fleet's updates are not heard; reconnecting");
            lost = true;
        }
        if wait == Error::RETRY_BASE {
            lost = false;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(jittered(wait)) => {}
        }
        wait = (wait * 2).min(Error::RETRY_CAP);
    }
}

/// Somewhere between half of `wait` and all of it, so that processes do not reconnect in step.
fn jittered(wait: Duration) -> Duration {
    let random = uuid::Uuid::now_v7().as_u128() as u16;
    wait / 2 + wait.mul_f64(f64::from(random) / f64::from(u16::MAX) / 2.0)
}

async fn hear(
    link: &RedisLink,
    updates: &broadcast::Sender<Update>,
    wait: &mut Duration,
) -> Result<()> {
    link.prepare().await?;
    let mut listener = link.listener().await?;
    let channel = link.keys().updates();
    listener
        .subscribe(&channel)
        .await
        .map_err(|error| link.explain(&error))?;
    *wait = Error::RETRY_BASE;
    // Nobody listening is fine.
    let _ = updates.send(Update::Resync);
    let mut messages = listener.on_message();
    while let Some(message) = messages.next().await {
        match serde_json::from_slice(message.get_payload_bytes()) {
            Ok(update) => drop(updates.send(update)),
            Err(error) => tracing::warn!(%error, "an update could not be read"),
        }
    }
    Err(Error::Unavailable {
        store: link.address().to_owned(),
        why: "it closed the connection".to_owned(),
    })
}
