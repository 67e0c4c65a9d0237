//! The routes of a dashboard over a fleet in memory.

use std::sync::Arc;

use fleet_coordinator::store::memory::MemoryStore;
use fleet_dashboard::config::Settings;
use fleet_dashboard::context::Context;
use fleet_dashboard::routes;
use fleet_worker_sdk::{OpenSession, Partitions, Write};
use warp::filters::BoxedFilter;
use warp::reply::Response;

/// A site with one session; runs each request to its end.
pub(crate) struct Site {
    runtime: tokio::runtime::Runtime,
    routes: BoxedFilter<(Response,)>,
    pub(crate) session: String,
}

thread_local! {
    /// Made once a thread: a request takes microseconds, a site a millisecond.
    pub(crate) static SITE: Site = Site::new();
}

impl Site {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let store = Arc::new(MemoryStore::new(Partitions::DEFAULT));
        let (routes, session) = runtime.block_on(async {
            let open = OpenSession::new("acme/shop").expect("a repository");
            let session = store.open(&open).await.expect("a session").session;
            let context = Context::new(store, Settings::default()).expect("a context");
            (routes::all(&context), session.to_string())
        });
        Self {
            runtime,
            routes,
            session,
        }
    }

    /// The status of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> u16 {
        let request = warp::test::request()
            .method(method)
            .path(path)
            .header("host", "localhost:8080")
            .header("content-type", kind)
            .body(body);
        let answer = self.runtime.block_on(request.reply(&self.routes));
        answer.status().as_u16()
    }
}
