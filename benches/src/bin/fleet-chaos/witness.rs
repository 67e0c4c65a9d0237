//! Sessions as they were when they were complete: retention may remove them from then on, and what they
//! held cannot be read any more when the run is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::checker::{Reader, Seen};

/// Between two looks: much shorter than retention leaves a complete session, which the bound on findings
/// is chosen for.
const EVERY: Duration = Duration::from_millis(500);

/// Looks at complete sessions until it is ended.
pub(crate) struct Witness {
    looking: JoinHandle<Seen>,
    end: CancellationToken,
}

impl Witness {
    /// Looks at the fleet that `reader` reads.
    pub(crate) fn start(reader: Arc<Reader>) -> Self {
        let end = CancellationToken::new();
        let until = end.clone();
        let looking = tokio::spawn(async move {
            let mut seen = Seen::new();
            while !until.is_cancelled() {
                // Redis dies and hangs meanwhile; what was not seen now is seen next time.
                let _ = look(&reader, &mut seen).await;
                sleep(EVERY).await;
            }
            seen
        });
        Self { looking, end }
    }

    /// Ends the looking; what was seen last of each session that was complete.
    ///
    /// # Errors
    /// When it fell over.
    pub(crate) async fn end(self) -> Result<Seen> {
        self.end.cancel();
        Ok(self.looking.await?)
    }
}

async fn look(reader: &Reader, seen: &mut Seen) -> Result<()> {
    let complete: BTreeMap<_, _> = reader.complete().await?;
    for (id, version) in complete {
        let known = seen.get(id.as_str());
        if known.is_some_and(|stored| stored.version == version) {
            continue;
        }
        if let Some(stored) = reader.session_at_rest(&id, version).await? {
            seen.insert(id.to_string(), stored);
        }
    }
    Ok(())
}
