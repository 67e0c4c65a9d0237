//! What every store must do. A test takes an empty store; stores are listed in the first macro.

/// Runs each test on each store.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        on_store!(on_memory, Memory, $($test),+);
        on_store!(on_redis, Redis, $($test),+);
    };
}

/// Runs each test on one store.
macro_rules! on_store {
    ($module:ident, $kind:ident, $($test:ident),+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    let store = $crate::support::store($crate::support::Kind::$kind).await;
                    super::$test(&*store).await;
                }
            )+
        }
    };
}

mod sessions;

mod listing;

mod executions;

mod endings;

mod pushes;

mod counts;

mod sequences;

mod workers;

mod feed;

mod derived;
