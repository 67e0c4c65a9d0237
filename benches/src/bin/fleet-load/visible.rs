//! When what was pushed can be seen: on a WebSocket, and in the store's derived results.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::store::{OpenOptions, open};
use fleet_worker_sdk::SessionId;
use futures_util::StreamExt as _;
use hdrhistogram::Histogram;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::connect_async;

use crate::Push;
use crate::result::{Latency, histogram, note};

/// Longest that health may take to follow a flood.
const PATIENCE: Duration = Duration::from_mins(1);

/// What was pushed into each session and not yet seen.
#[derive(Default)]
pub(crate) struct Sight {
    pending: HashMap<SessionId, Pending>,
    times: Option<Histogram<u64>>,
}

#[derive(Default)]
struct Pending {
    /// Findings seen so far.
    seen: u64,
    /// When those after were due, in order.
    due: VecDeque<Instant>,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    sessions: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: SessionId,
    total: u64,
    health: Option<Health>,
}

#[derive(Deserialize)]
struct Health {
    current: Option<bool>,
}

impl Sight {
    pub(crate) fn pushed(&mut self, session: &SessionId, due: Instant) {
        let pending = self.pending.entry(session.clone()).or_default();
        pending.due.push_back(due);
    }

    fn saw(&mut self, row: &Row, at: Instant) {
        let current = row.health.as_ref().and_then(|health| health.current);
        let Some(pending) = self
            .pending
            .get_mut(&row.id)
            .filter(|_| current == Some(true))
        else {
            return;
        };
        let times = self.times.get_or_insert_with(histogram);
        while pending.seen < row.total
            && let Some(due) = pending.due.pop_front()
        {
            pending.seen += 1;
            note(times, at.saturating_duration_since(due));
        }
    }

    /// The times of all that was seen; what never was counts as nothing, and is said.
    pub(crate) fn all_seen(&self) -> Option<Latency> {
        let unseen: usize = self.pending.values().map(|pending| pending.due.len()).sum();
        if unseen > 0 {
            crate::say(&format!(
                "{unseen} findings were never seen on the WebSocket"
            ));
        }
        self.times.as_ref().and_then(Latency::of)
    }
}

/// Watches the dashboard's WebSocket if there is one, with as many idle clients as asked.
pub(crate) async fn watch(push: &Push, sessions: &[SessionId]) -> Option<Arc<Mutex<Sight>>> {
    let dashboard = push.dashboard.as_ref()?;
    let address = dashboard.replacen("http", "ws", 1);
    let address = format!("{}/ws", address.trim_end_matches('/'));
    for _ in 0..push.clients {
        let (mut socket, _) = connect_async(&address).await.unwrap();
        tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} });
    }
    let sight = Arc::new(Mutex::new(Sight::default()));
    for session in sessions {
        sight
            .lock()
            .await
            .pending
            .insert(session.clone(), Pending::default());
    }
    let (mut socket, _) = connect_async(&address).await.unwrap();
    // The first frame is everything, and comes when the server has waited for a resume: only from
    // then on is the socket a picture of what is pushed.
    let first = timeout(PATIENCE, socket.next()).await;
    assert!(
        matches!(first, Ok(Some(Ok(_)))),
        "no first frame within a minute"
    );
    let theirs = Arc::clone(&sight);
    tokio::spawn(async move {
        while let Some(Ok(message)) = socket.next().await {
            let at = Instant::now();
            if let Ok(text) = message.into_text()
                && let Ok(frame) = serde_json::from_str::<Frame>(&text)
            {
                let mut sight = theirs.lock().await;
                frame.sessions.iter().for_each(|row| sight.saw(row, at));
            }
        }
    });
    Some(sight)
}

/// Waits until the stored health of every session is of its last finding, and all are counted.
pub(crate) async fn sessions_are_current(store: &str, sessions: &[SessionId], findings: u64) {
    if !store.starts_with("redis") {
        return;
    }
    let store = open(store, &OpenOptions::default()).unwrap();
    let distinct: BTreeSet<&SessionId> = sessions.iter().collect();
    let waiting = async {
        let mut total = 0;
        for session in distinct {
            loop {
                let facts = store.facts(session).await.unwrap();
                let version = facts.session.version;
                if facts
                    .session
                    .derived
                    .is_some_and(|derived| derived.version == version)
                {
                    assert_eq!(facts.indexed, facts.session.total, "index and total differ");
                    total += facts.indexed;
                    break;
                }
                sleep(Duration::from_millis(1)).await;
            }
        }
        assert_eq!(total, findings, "findings in the store, and pushed");
    };
    assert!(
        timeout(PATIENCE, waiting).await.is_ok(),
        "health did not follow within a minute"
    );
}
