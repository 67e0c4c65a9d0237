//! Keeping the fleet's functions loaded, for as long as the store is open.

use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::Error;
use fleet_worker_sdk::transport::redis::RedisLink;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long bots wait at most for a function that software of an older version has replaced; a
/// look costs Redis some 50 us.
const PERIOD: Duration = Duration::from_secs(5);

/// Looks every few seconds until `stop`, or until told that this user may not.
pub(super) async fn watch(link: Arc<RedisLink>, stop: CancellationToken) {
    loop {
        // A tenth more or less, so that coordinators started together do not stay in step.
        let period = PERIOD.mul_f64(0.9 + 0.2 * fastrand::f64());
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(period) => {}
        }
        match link.restore_functions().await {
            Ok(()) => {}
            Err(Error::Incompatible { why }) => {
                tracing::debug!(%why, "the fleet's functions are kept loaded by others");
                return;
            }
            // An outage, which those that read and write tell of.
            Err(error) => tracing::debug!(%error, "the fleet's functions could not be looked at"),
        }
    }
}
