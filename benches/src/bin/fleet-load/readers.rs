//! People at a dashboard: the fleet's health over HTTP, again and again, while bots push.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Push;
use crate::result::{Latency, histogram, note};

/// Readers at work.
pub(crate) struct Readers {
    done: Arc<AtomicBool>,
    tasks: JoinSet<Histogram<u64>>,
}

/// Starts as many as asked, if there is a dashboard.
pub(crate) fn start(push: &Push) -> Option<Readers> {
    let dashboard = push.dashboard.as_ref().filter(|_| push.http_readers > 0)?;
    let address = format!("{}/api/v1/health", dashboard.trim_end_matches('/'));
    let (done, client) = (Arc::new(AtomicBool::new(false)), reqwest::Client::new());
    let mut tasks = JoinSet::new();
    for _ in 0..push.http_readers {
        let (done, client, address) = (Arc::clone(&done), client.clone(), address.clone());
        tasks.spawn(async move {
            let mut times = histogram();
            while !done.load(Relaxed) {
                let begun = Instant::now();
                let answer = client.get(&address).send().await.unwrap();
                answer.error_for_status().unwrap().bytes().await.unwrap();
                note(&mut times, begun.elapsed());
            }
            times
        });
    }
    Some(Readers { done, tasks })
}

impl Readers {
    /// Ends them; how long their answers took.
    pub(crate) async fn end(self) -> Option<Latency> {
        self.done.store(true, Relaxed);
        let mut all = histogram();
        for times in self.tasks.join_all().await {
            all.add(times).unwrap();
        }
        Latency::of(&all)
    }
}
