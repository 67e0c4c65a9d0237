//! What every store must do. A test takes an empty store; stores are listed in the first macro.

/// Runs each test on each store.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        on_store!(on_memory, Memory, $($test),+);
        on_store!(on_durable, Durable, $($test),+);
        on_store!(on_redis, Redis, $($test),+);

        /// All of them in one cluster, each in a namespace of its own.
        pub(super) async fn on_cluster(cluster: &$crate::support::Cluster) {
            $(
                eprintln!("{}", stringify!($test)); // which one, should it fail
                $test(&*cluster.store(stringify!($test))).await;
            )+
        }
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

mod dead;

mod derived;

mod standing;

mod retention;

mod observed;

mod compaction;

mod conservation;

mod alerts;

#[tokio::test]
async fn every_law_holds_in_a_cluster() {
    let cluster = crate::support::Cluster::start(0).await;
    sessions::on_cluster(&cluster).await;
    listing::on_cluster(&cluster).await;
    executions::on_cluster(&cluster).await;
    endings::on_cluster(&cluster).await;
    pushes::on_cluster(&cluster).await;
    counts::on_cluster(&cluster).await;
    sequences::on_cluster(&cluster).await;
    workers::on_cluster(&cluster).await;
    feed::on_cluster(&cluster).await;
    dead::on_cluster(&cluster).await;
    derived::on_cluster(&cluster).await;
    standing::on_cluster(&cluster).await;
    retention::on_cluster(&cluster).await;
    observed::on_cluster(&cluster).await;
    compaction::on_cluster(&cluster).await;
    conservation::on_cluster(&cluster).await;
    alerts::on_cluster(&cluster).await;
}
