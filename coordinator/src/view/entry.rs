//! One entry of the cache: its last value, and the one computation of the next.
//!
//! An entry is *fresh* for the time to live, unless a hint said that it changed. Past that it is
//! served *old* for a grace, while one refresh runs in the background; past that, or after a hint,
//! readers wait for the computation, all for the same one.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet_worker_sdk::{Error, Result};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

/// A computation that any number may wait for. It runs on its own: a reader that leaves does not
/// end it.
type Flight<V> = Shared<BoxFuture<'static, Result<Arc<V>>>>;

/// How long a value may be served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    /// Up to this age it is fresh.
    pub(super) ttl: Duration,
    /// Up to this much later it is served while it is computed anew.
    pub(super) grace: Duration,
}

/// An entry, empty at first.
#[derive(Debug)]
pub(super) struct Entry<V>(Mutex<State<V>>);

#[derive(Debug)]
struct State<V> {
    last: Option<Known<V>>,
    /// How often a hint said that the value changed.
    changes: u64,
    flight: Option<Flight<V>>,
}

#[derive(Debug)]
struct Known<V> {
    value: Arc<V>,
    at: Instant,
    /// The changes known when its computation began.
    changes: u64,
}

impl<V> Default for Entry<V> {
    fn default() -> Self {
        Self(Mutex::new(State {
            last: None,
            changes: 0,
            flight: None,
        }))
    }
}

/// What a reader finds.
pub(super) enum Found<V> {
    /// A value of now.
    Fresh(Arc<V>),
    /// A value past its time, within its grace, or while the store is left alone.
    Old(Arc<V>),
    /// None that may be served at once: the computation to wait for, and what was known last.
    Wait(Flight<V>, Option<Arc<V>>),
}

impl<V: Send + Sync + 'static> Entry<V> {
    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is; `load` is begun where it is wanted and none runs, unless the store `rests`
    /// and something is known.
    pub(super) fn find<F>(self: &Arc<Self>, ages: Ages, rests: bool, load: F) -> Found<V>
    where
        F: FnOnce() -> BoxFuture<'static, Result<V>>,
    {
        let mut state = self.state();
        let Some(known) = &state.last else {
            return Found::Wait(self.fly(&mut state, load), None);
        };
        let (value, age) = (Arc::clone(&known.value), known.at.elapsed());
        let changed = known.changes != state.changes;
        if !changed && age < ages.ttl {
            return Found::Fresh(value);
        }
        if rests {
            return Found::Old(value);
        }
        let flight = self.fly(&mut state, load);
        if !changed && age < ages.ttl.saturating_add(ages.grace) {
            return Found::Old(value);
        }
        Found::Wait(flight, Some(value))
    }

    /// The computation that runs, or a new one. One that began before the latest change of the
    /// value is joined too, but what it gives is not fresh then.
    fn fly<F>(self: &Arc<Self>, state: &mut State<V>, load: F) -> Flight<V>
    where
        F: FnOnce() -> BoxFuture<'static, Result<V>>,
    {
        if let Some(flight) = &state.flight {
            return flight.clone();
        }
        let entry = Arc::clone(self);
        let task = tokio::spawn(land(Arc::clone(self), state.changes, load()));
        let flight = async move {
            task.await.unwrap_or_else(|lost| {
                entry.state().flight = None;
                Err(Error::protocol(format!("a computation was lost: {lost}")))
            })
        };
        let flight = flight.boxed().shared();
        state.flight = Some(flight.clone());
        flight
    }

    /// A hint says that the value changed, unless the one known `is` that of the change already.
    pub(super) fn change(&self, is: impl FnOnce(&V) -> bool) {
        let mut state = self.state();
        let known = state.last.as_ref();
        let current = known.is_some_and(|known| known.changes == state.changes && is(&known.value));
        if !current || state.flight.is_some() {
            state.changes += 1;
        }
    }
}

/// Computes and keeps the value, with the changes known when that began.
async fn land<V>(
    entry: Arc<Entry<V>>,
    changes: u64,
    load: impl Future<Output = Result<V>>,
) -> Result<Arc<V>>
where
    V: Send + Sync + 'static,
{
    // Age counts from before the store was asked: what it answers is no younger.
    let at = Instant::now();
    let value = load.await.map(Arc::new);
    let mut state = entry.state();
    state.flight = None;
    if let Ok(value) = &value {
        let value = Arc::clone(value);
        state.last = Some(Known { value, at, changes });
    }
    value
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// Everything is past its time, and for ever within its grace.
    const OLD: Ages = Ages {
        ttl: Duration::ZERO,
        grace: Duration::MAX,
    };
    /// Everything is past its grace.
    const EXPIRED: Ages = Ages {
        ttl: Duration::ZERO,
        grace: Duration::ZERO,
    };
    /// Nothing ages.
    const FRESH: Ages = Ages {
        ttl: Duration::MAX,
        grace: Duration::ZERO,
    };

    /// A computation that counts itself and waits until it is let through.
    struct Gate {
        begun: AtomicU64,
        open: Semaphore,
    }

    impl Gate {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                begun: AtomicU64::new(0),
                open: Semaphore::new(0),
            })
        }

        fn load(self: &Arc<Self>) -> BoxFuture<'static, Result<u64>> {
            let gate = Arc::clone(self);
            async move {
                let number = gate.begun.fetch_add(1, Relaxed) + 1;
                gate.open.acquire().await.unwrap().forget();
                Ok(number)
            }
            .boxed()
        }

        /// Lets the next computation through, and is back when it has landed.
        async fn pass(&self, entry: &Arc<Entry<u64>>) {
            let flight = entry.state().flight.clone().unwrap();
            self.open.add_permits(1);
            flight.await.unwrap();
        }
    }

    /// An entry that knows 1.
    async fn known(gate: &Arc<Gate>) -> Arc<Entry<u64>> {
        let entry = Arc::default();
        drop(wait(Entry::find(&entry, FRESH, false, || gate.load())));
        gate.pass(&entry).await;
        entry
    }

    #[track_caller]
    fn wait(found: Found<u64>) -> Flight<u64> {
        match found {
            Found::Wait(flight, _) => flight,
            Found::Fresh(value) | Found::Old(value) => panic!("{value} was served"),
        }
    }

    #[tokio::test]
    async fn a_thousand_readers_of_what_is_old_are_served_at_once_by_one_refresh() {
        let gate = Gate::new();
        let entry = known(&gate).await;
        for _ in 0..1_000 {
            let found = entry.find(OLD, false, || gate.load());
            assert!(matches!(found, Found::Old(value) if *value == 1));
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.begun.load(Relaxed), 2, "the first, and one refresh");
        gate.pass(&entry).await;
        let found = entry.find(FRESH, false, || gate.load());
        assert!(matches!(found, Found::Fresh(value) if *value == 2));
    }

    #[tokio::test]
    async fn a_thousand_readers_of_what_has_expired_wait_for_one_computation() {
        let gate = Gate::new();
        let entry = known(&gate).await;
        let readers = (0..1_000).map(|_| wait(entry.find(EXPIRED, false, || gate.load())));
        let readers: Vec<_> = readers.collect();
        gate.pass(&entry).await;
        let values = join_all(readers).await;
        assert!(values.into_iter().all(|value| *value.unwrap() == 2));
        assert_eq!(gate.begun.load(Relaxed), 2);
    }

    #[tokio::test]
    async fn a_reader_that_leaves_does_not_end_the_computation() {
        let gate = Gate::new();
        let entry = Arc::default();
        drop(wait(Entry::find(&entry, FRESH, false, || gate.load())));
        gate.pass(&entry).await;
        let found = entry.find(FRESH, false, || gate.load());
        assert!(matches!(found, Found::Fresh(_)));
    }

    #[tokio::test]
    async fn what_changed_while_it_was_computed_is_not_fresh() {
        let gate = Gate::new();
        let entry = known(&gate).await;
        entry.change(|value| *value == 1);
        let found = entry.find(FRESH, false, || gate.load());
        assert!(matches!(found, Found::Fresh(_)), "that change is known");
        entry.change(|_| false);
        drop(wait(entry.find(FRESH, false, || gate.load())));
        entry.change(|value| *value == 1);
        gate.pass(&entry).await;
        drop(wait(entry.find(FRESH, false, || gate.load())));
        gate.pass(&entry).await;
        let found = entry.find(FRESH, false, || gate.load());
        assert!(matches!(found, Found::Fresh(value) if *value == 3));
    }

    #[tokio::test]
    async fn a_store_that_rests_is_not_asked_for_what_is_known() {
        let gate = Gate::new();
        let entry = known(&gate).await;
        entry.change(|_| false);
        let found = entry.find(EXPIRED, true, || gate.load());
        assert!(matches!(found, Found::Old(_)));
        assert!(entry.state().flight.is_none());
    }

    #[tokio::test]
    async fn a_computation_that_panics_is_an_error_once() {
        let entry: Arc<Entry<u64>> = Arc::default();
        let flight = wait(entry.find(FRESH, false, || async { panic!("on purpose") }.boxed()));
        assert!(flight.await.unwrap_err().to_string().contains("lost"));
        let flight = wait(entry.find(FRESH, false, || async { Ok(1) }.boxed()));
        assert_eq!(*flight.await.unwrap(), 1);
    }
}
