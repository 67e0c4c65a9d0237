//! A store in memory that keeps the contract to the letter and misbehaves on the way.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::worker::{Fleet, Settings};
use fleet_worker_sdk::*;
use tokio::sync::watch;

/// Chances, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The call never arrives.
    pub refuse: u32,
    /// It is applied and the answer is lost.
    pub lose_reply: u32,
    /// Virtual time until a call arrives.
    pub latency: Duration,
}

#[derive(Clone, Default)]
pub struct State {
    /// The session exists.
    pub opened: bool,
    pub producers: BTreeMap<ProducerId, u64>,
    pub executions: BTreeMap<BotId, Execution>,
    /// Messages of findings, in the order they were applied.
    pub log: Vec<String>,
    /// Those findings whole.
    pub findings: Vec<Identified>,
    pub index: HashSet<Fingerprint>,
    /// Occurrences by fingerprint.
    pub again: BTreeMap<Fingerprint, u32>,
    /// Findings in each batch applied.
    pub batches: Vec<usize>,
    pub rules: BTreeMap<String, Rule>,
}

impl State {
    fn must_be_open(&self, session: &SessionId) -> Result<()> {
        let gone = || Error::not_found("session", session);
        self.opened.then_some(()).ok_or_else(gone)
    }
}

pub struct Flaky {
    pub state: Mutex<State>,
    faults: Mutex<Faults>,
    random: Mutex<fastrand::Rng>,
    pub down: AtomicBool,
    pub beats: Mutex<Vec<Beat>>,
    pub command: Mutex<Option<Command>>,
    /// Refuse, for good, batches that hold a finding with this message.
    pub poison: Mutex<Option<String>>,
    pub bots: Mutex<Vec<Bot>>,
    version: watch::Sender<u64>,
    session: SessionId,
}

impl Flaky {
    pub fn new(seed: u64, faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            faults: Mutex::new(faults),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            down: AtomicBool::new(false),
            beats: Mutex::default(),
            command: Mutex::default(),
            poison: Mutex::default(),
            bots: Mutex::default(),
            version: watch::Sender::new(1),
            session: SessionId::fresh(Partition(3)),
        })
    }

    pub fn sound() -> Arc<Self> {
        Self::new(0, Faults::default())
    }

    pub fn fleet(self: &Arc<Self>, settings: Settings) -> Fleet {
        let store: Arc<dyn Write> = self.clone();
        Fleet::with(store).settings(settings)
    }

    pub fn snapshot(&self) -> State {
        self.state.lock().unwrap().clone()
    }

    /// What a failover to a replica that lagged behind does.
    pub fn roll_back(&self, to: State) {
        *self.state.lock().unwrap() = to;
    }

    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub fn log(&self) -> Vec<String> {
        self.snapshot().log
    }

    pub fn execution(&self, bot: &str) -> Execution {
        self.snapshot().executions[bot].clone()
    }

    pub fn bump(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn unavailable(why: &str) -> Error {
        Error::Unavailable {
            store: "flaky".to_owned(),
            why: why.to_owned(),
        }
    }

    async fn before(&self) -> Result<bool> {
        let faults = *self.faults.lock().unwrap();
        if !faults.latency.is_zero() {
            tokio::time::sleep(faults.latency).await;
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(Self::unavailable("down"));
        }
        let mut random = self.random.lock().unwrap();
        if random.u32(0..100) < faults.refuse {
            return Err(if random.bool() {
                Self::unavailable("refused")
            } else {
                Error::Full {
                    why: "full".to_owned(),
                }
            });
        }
        Ok(random.u32(0..100) < faults.lose_reply)
    }

    fn answer<T>(lost: bool, answer: T) -> Result<T> {
        if lost {
            Err(Self::unavailable("the answer was lost"))
        } else {
            Ok(answer)
        }
    }
}

/// Whether the number is the next one; false for a repeated one.
fn is_next(state: &State, producer: &ProducerId, sequence: u64) -> Result<bool> {
    let last = state.producers.get(producer).copied().unwrap_or(0);
    if sequence > last + 1 {
        return Err(Error::Gap { last });
    }
    Ok(sequence == last + 1)
}

fn apply(execution: &mut Execution, change: &Change) -> Result<()> {
    match change {
        Change::Start { worker, reopen } => {
            if execution.state != ExecutionState::Pending && !reopen {
                return Err(Error::conflict("it is running or has ended"));
            }
            execution.state = ExecutionState::Running;
            execution.attempt += 1;
            execution.pushed = 0;
            execution.worker.clone_from(worker);
        }
        Change::Complete { pushed, partial } => {
            if execution.pushed != *pushed {
                let why = format!("received {}, not {pushed}", execution.pushed);
                return Err(Error::conflict(why));
            }
            execution.state = ExecutionState::Completed;
            execution.partial = *partial;
        }
        Change::Fail { reason } => {
            execution.state = ExecutionState::Failed;
            execution.reason = Some(reason.clone());
        }
        Change::Skip { reason } => {
            execution.state = ExecutionState::Skipped;
            execution.reason = Some(reason.clone());
        }
        Change::Expect | Change::Lost { .. } => {}
    }
    Ok(())
}

#[async_trait]
impl Write for Flaky {
    async fn register(&self, bot: &Bot) -> Result<()> {
        let lost = self.before().await?;
        self.bots.lock().unwrap().push(bot.clone());
        Self::answer(lost, ())
    }

    async fn beat(&self, beat: &Beat) -> Result<BeatAnswer> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Self::unavailable("down"));
        }
        self.beats.lock().unwrap().push(beat.clone());
        let command = *self.command.lock().unwrap();
        Ok(BeatAnswer { command })
    }

    async fn open(&self, open: &OpenSession) -> Result<Opened> {
        let lost = self.before().await?;
        let mut state = self.state.lock().unwrap();
        let lost_it = !state.opened;
        assert!(
            open.again.as_ref().is_none_or(|id| *id == self.session),
            "it is opened again under the id it had"
        );
        state.opened = true;
        for bot in &open.expect {
            state
                .executions
                .entry(bot.clone())
                .or_insert_with(|| Execution::pending(bot));
        }
        let session = self.session.clone();
        Self::answer(
            lost,
            Opened {
                session,
                created: lost_it,
            },
        )
    }

    async fn transition(&self, transition: &Transition) -> Result<Execution> {
        let lost = self.before().await?;
        let mut state = self.state.lock().unwrap();
        state.must_be_open(&self.session)?;
        let bot = &transition.bot;
        if is_next(&state, &transition.producer, transition.sequence)? {
            let execution = state
                .executions
                .entry(bot.clone())
                .or_insert_with(|| Execution::pending(bot));
            let names_one = matches!(
                transition.change,
                Change::Complete { .. } | Change::Fail { .. }
            );
            if names_one && transition.attempt != execution.attempt {
                return Err(Error::conflict("another attempt took over"));
            }
            apply(execution, &transition.change)?;
            state
                .producers
                .insert(transition.producer.clone(), transition.sequence);
            self.bump();
        }
        Self::answer(lost, state.executions[bot].clone())
    }

    async fn push(&self, batch: &Batch) -> Result<PushAnswer> {
        let lost = self.before().await?;
        batch.check()?;
        let mut state = self.state.lock().unwrap();
        state.must_be_open(&self.session)?;
        let poison = self.poison.lock().unwrap().clone();
        if batch
            .findings
            .iter()
            .any(|f| Some(&f.finding.message) == poison.as_ref())
        {
            return Err(Error::invalid("batch", "poison"));
        }
        let duplicate = !is_next(&state, &batch.producer, batch.sequence)?;
        let (mut new, mut known) = (0, Vec::new());
        if !duplicate {
            let running = state.executions.get_mut(&batch.bot);
            let running = running.filter(|e| e.attempt == batch.attempt && !e.state.is_finished());
            let Some(execution) = running else {
                return Err(Error::conflict("no such attempt is running"));
            };
            execution.pushed += batch.findings.len() as u64;
            for (position, found) in batch.findings.iter().enumerate() {
                if state.index.insert(found.fingerprint) {
                    new += 1;
                    state.log.push(found.finding.message.clone());
                    state.findings.push(found.clone());
                } else {
                    known.push(position as u32);
                }
            }
            for again in &batch.again {
                assert!(
                    state.index.contains(&again.fingerprint),
                    "a repeat before its finding"
                );
                state.again.insert(again.fingerprint, again.occurrences);
            }
            state.rules.extend(batch.rules.clone());
            state.batches.push(batch.findings.len());
            state
                .producers
                .insert(batch.producer.clone(), batch.sequence);
            self.bump();
        }
        let answer = PushAnswer {
            version: Version(*self.version.borrow()),
            new,
            known,
            total: state.index.len() as u64,
            duplicate,
        };
        Self::answer(lost, answer)
    }

    async fn last_sequence(&self, _: &SessionId, producer: &ProducerId) -> Result<u64> {
        self.before().await?;
        let state = self.state.lock().unwrap();
        Ok(state.producers.get(producer).copied().unwrap_or(0))
    }

    async fn progress(&self, session: &SessionId) -> Result<Progress> {
        self.before().await?;
        Ok(Progress {
            session: session.clone(),
            state: SessionState::Open,
            version: Version(*self.version.borrow()),
            executions: self.snapshot().executions.into_values().collect(),
            bots: self.bots.lock().unwrap().clone(),
        })
    }

    async fn changed(&self, _: &SessionId, known: Version, wait: Duration) -> Result<Version> {
        let mut version = self.version.subscribe();
        let changed = version.wait_for(|version| *version != known.0);
        let _ = tokio::time::timeout(wait, changed).await;
        Ok(Version(*self.version.borrow()))
    }
}
