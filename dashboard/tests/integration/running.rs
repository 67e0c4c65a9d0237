//! A dashboard on a port of its own, stopped when a test says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::model::Update;
use fleet_coordinator::store::SharedStore;
use fleet_coordinator::store::memory::MemoryStore;
use fleet_dashboard::config::Settings;
use fleet_dashboard::context::Context;
use fleet_dashboard::routes;
use fleet_dashboard::server::{self, Drained};
use fleet_worker_sdk::{Partitions, SessionId, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::support::Site;

/// After which a test that waits for the server has failed.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// A limit that a test waits to pass.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) site: Site,
    store: SharedStore,
    shutdown: CancellationToken,
    done: JoinHandle<Drained>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let store = Arc::new(MemoryStore::new(Partitions::DEFAULT));
        let context = Context::new(store, settings).unwrap();
        Self::serving(routes::all(&context), &context).await
    }

    pub(crate) fn store(&self) -> &SharedStore {
        &self.store
    }

    /// With a coordinator in the process, as the embedded dashboard has.
    pub(crate) async fn coordinated() -> Self {
        let store: SharedStore = Arc::new(MemoryStore::new(Partitions::DEFAULT));
        let settings = CoordinatorSettings::default();
        let coordinator = Arc::new(Coordinator::new(Arc::clone(&store), settings));
        let context = Context::new(store, Settings::default()).unwrap();
        let context = context.coordinated_by(Arc::clone(&coordinator));
        let running = Self::serving(routes::all(&context), &context).await;
        let stop = running.shutdown.clone();
        tokio::spawn(async move { coordinator.run(stop).await });
        running
    }

    /// Serves `filter` in place of the dashboard's routes.
    pub(crate) async fn filter(filter: BoxedFilter<(Response,)>, settings: Settings) -> Self {
        let store = Arc::new(MemoryStore::new(Partitions::DEFAULT));
        let context = Context::new(store, settings).unwrap();
        Self::serving(filter, &context).await
    }

    async fn serving(filter: BoxedFilter<(Response,)>, context: &Context) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let site = Site {
            routes: filter.clone(),
            store: context.store.clone(),
        };
        let (served, stop) = (context.clone(), shutdown.clone());
        let done =
            tokio::spawn(async move { server::serve(listener, filter, &served, stop).await });
        Self {
            address,
            site,
            store: Arc::clone(&context.store),
            shutdown,
            done,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        let got = tokio::time::timeout(LONG, reqwest::get(self.url(path))).await;
        got.expect("an answer in time").unwrap()
    }

    /// A connection on which `bytes` were sent.
    pub(crate) async fn sent(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Says that a session changed, as a coordinator does once it has looked at it.
    pub(crate) async fn announce(&self, session: &SessionId) {
        let session = session.clone();
        let version = Version(0);
        let update = Update::Session {
            session,
            version,
            trace: None,
        };
        self.store.announce(update).await.unwrap();
    }

    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    /// Stops, and says how.
    pub(crate) async fn stopped(self) -> Drained {
        self.shutdown.cancel();
        let done = tokio::time::timeout(LONG, self.done).await;
        done.expect("the server stops").unwrap()
    }
}

/// What comes on a connection until the server closes it.
pub(crate) async fn until_closed(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(LONG, stream.read_to_end(&mut text)).await;
    // A reset is as good an end as any here.
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&text).into_owned()
}
