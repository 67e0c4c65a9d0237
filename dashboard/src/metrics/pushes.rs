//! What bots push through this process: over HTTP one batch at a time, or as a report.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use fleet_worker_sdk::session::Transition;
use fleet_worker_sdk::{
    Batch, Beat, BeatAnswer, Bot, Error, Execution, OpenSession, Opened, ProducerId, Progress,
    PushAnswer, Result, SessionId, Version, Write,
};
use prometheus::Histogram;

use super::{Adder, Counter, Counters, DURATIONS};

/// Bounds of batch sizes, in findings: a bot that pushes one by one, and up to the most a batch may have.
const SIZES: [f64; 7] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0];

/// Counters of pushes.
#[derive(Debug)]
pub(crate) struct Pushes {
    answered: Counters,
    added: Counter,
    known: Counter,
    durations: Histogram,
    sizes: Histogram,
}

impl Pushes {
    pub(super) fn new(add: &Adder<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            answered: add.counters(
                "fleet_pushes_total",
                "Batches pushed through this process, by what came of them.",
                &["result"],
            )?,
            added: add.counter(
                "fleet_findings_added_total",
                "Findings pushed through this process that their session did not have.",
            )?,
            known: add.counter(
                "fleet_findings_known_total",
                "Findings pushed through this process that their session had already.",
            )?,
            durations: add.histogram(
                "fleet_push_duration_seconds",
                "Time the store took for a batch.",
                &DURATIONS,
            )?,
            sizes: add.histogram(
                "fleet_push_batch_findings",
                "Findings of a batch, repeats included.",
                &SIZES,
            )?,
        })
    }

    /// Counts a batch that the store answered.
    fn note(&self, batch: &Batch, answer: &Result<PushAnswer>, took: Duration) {
        self.answered.with_label_values(&[result(answer)]).inc();
        self.durations.observe(took.as_secs_f64());
        let Ok(answer) = answer else { return };
        self.sizes
            .observe((batch.findings.len() + batch.again.len()) as f64);
        // A repeated push is answered as it was the first time, and counted then.
        if !answer.duplicate {
            self.added.inc_by(u64::from(answer.new));
            self.known.inc_by(answer.known.len() as u64);
        }
    }

    /// Counts a batch that was refused before the store saw it.
    pub(crate) fn refused(&self) {
        self.answered.with_label_values(&["refused"]).inc();
    }
}

/// What came of a push: one of `applied`, `repeated`, `refused`, `failed`.
fn result(answer: &Result<PushAnswer>) -> &'static str {
    match answer {
        Ok(answer) if answer.duplicate => "repeated",
        Ok(_) => "applied",
        Err(Error::Full { .. } | Error::Unavailable { .. } | Error::Protocol { .. }) => "failed",
        Err(_) => "refused",
    }
}

/// A store whose pushes are counted.
pub(crate) struct Counted<'a> {
    store: &'a dyn Write,
    pushes: &'a Pushes,
}

impl<'a> Counted<'a> {
    /// `store`, with its pushes counted in `pushes`.
    pub(crate) fn new(store: &'a dyn Write, pushes: &'a Pushes) -> Self {
        Self { store, pushes }
    }
}

#[async_trait]
impl Write for Counted<'_> {
    async fn register(&self, bot: &Bot) -> Result<()> {
        self.store.register(bot).await
    }

    async fn beat(&self, beat: &Beat) -> Result<BeatAnswer> {
        self.store.beat(beat).await
    }

    async fn open(&self, open: &OpenSession) -> Result<Opened> {
        self.store.open(open).await
    }

    async fn transition(&self, transition: &Transition) -> Result<Execution> {
        self.store.transition(transition).await
    }

    async fn push(&self, batch: &Batch) -> Result<PushAnswer> {
        let began = Instant::now();
        let answer = self.store.push(batch).await;
        self.pushes.note(batch, &answer, began.elapsed());
        answer
    }

    async fn last_sequence(&self, session: &SessionId, producer: &ProducerId) -> Result<u64> {
        self.store.last_sequence(session, producer).await
    }

    async fn progress(&self, session: &SessionId) -> Result<Progress> {
        self.store.progress(session).await
    }

    async fn changed(
        &self,
        session: &SessionId,
        known: Version,
        wait: Duration,
    ) -> Result<Version> {
        self.store.changed(session, known, wait).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_push_is_one_of_four_words() {
        let answer = |duplicate| {
            Ok(PushAnswer {
                duplicate,
                ..PushAnswer::default()
            })
        };
        assert_eq!(result(&answer(false)), "applied");
        assert_eq!(result(&answer(true)), "repeated");
        assert_eq!(result(&Err(Error::Gap { last: 3 })), "refused");
        let why = "maxmemory".to_owned();
        assert_eq!(result(&Err(Error::Full { why })), "failed");
    }
}
