//! Listening to what is published, for as long as the store is open.

use std::sync::Arc;

use fleet_worker_sdk::retry::Backoff;
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
    let mut backoff = Backoff::new();
    let mut silent = false;
    loop {
        let mut heard_any = false;
        let heard = tokio::select! {
            () = stop.cancelled() => return,
            heard = hear(&link, &updates, &mut heard_any) => heard,
        };
        if heard_any {
            (backoff, silent) = (Backoff::new(), false);
        }
        if let (Err(error), false) = (heard, silent) {
            tracing::warn!(%error, "the fleet's updates are not heard; reconnecting");
            silent = true;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = backoff.wait() => {}
        }
    }
}

async fn hear(
    link: &RedisLink,
    updates: &broadcast::Sender<Update>,
    connected: &mut bool,
) -> Result<()> {
    link.prepare().await?;
    let mut listener = link.listener().await?;
    let channel = link.keys().updates();
    listener
        .subscribe(&channel)
        .await
        .map_err(|error| link.explain(&error))?;
    *connected = true;
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
