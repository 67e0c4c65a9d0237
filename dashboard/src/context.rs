//! What every handler works with.

use std::sync::Arc;

use fleet_coordinator::maintain::Coordinator;
use fleet_coordinator::store::SharedStore;
use fleet_coordinator::view::{OnLoad, View, ViewSettings};

use crate::config::Settings;
use crate::metrics::Metrics;

/// The store and all that is made from it; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Where the fleet lives.
    pub store: SharedStore,
    /// Health, computed once for however many ask.
    pub view: View,
    /// The coordinator of this process; none when the store has coordinators of its own.
    pub coordinator: Option<Arc<Coordinator>>,
    /// The checked configuration.
    pub settings: Arc<Settings>,
    /// Counters of this process.
    pub metrics: Metrics,
}

impl Context {
    /// A context over `store`. Call it within a runtime: the view listens to the store.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn new(store: SharedStore, settings: Settings) -> prometheus::Result<Self> {
        let metrics = Metrics::new()?;
        let observed = metrics.clone();
        let cached = ViewSettings {
            on_load: OnLoad::new(move |scope, took| observed.checked(scope, took)),
            health: settings.health.clone(),
            ttl: settings.cache_ttl,
            sessions: settings.cache_sessions,
            ..ViewSettings::default()
        };
        Ok(Self {
            view: View::new(Arc::clone(&store), cached),
            store,
            coordinator: None,
            settings: Arc::new(settings),
            metrics,
        })
    }

    /// With a coordinator in this process, which somebody else runs.
    #[must_use]
    pub fn coordinated_by(mut self, coordinator: Arc<Coordinator>) -> Self {
        self.coordinator = Some(coordinator);
        self
    }
}
