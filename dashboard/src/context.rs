//! What every handler works with.

use std::sync::Arc;

use fleet_coordinator::store::SharedStore;

use crate::config::Settings;
use crate::metrics::Metrics;

/// The store and all that is made from it; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Where the fleet lives.
    pub store: SharedStore,
    /// The checked configuration.
    pub settings: Arc<Settings>,
    /// Counters of this process.
    pub metrics: Metrics,
}

impl Context {
    /// A context over `store`.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn new(store: SharedStore, settings: Settings) -> prometheus::Result<Self> {
        Ok(Self {
            store,
            settings: Arc::new(settings),
            metrics: Metrics::new()?,
        })
    }
}
