//! A history happening on one store.

use std::ops::AddAssign;

use fleet_coordinator::health::{Health, Status};
use fleet_coordinator::model::Derived;
use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::{
    Again, Batch, Beat, Bot, BotId, Change, Error, Execution, ExecutionState, Finding, OpenSession,
    ProducerId, Result, Rule, SessionId, Suppression, Transition, Version, WorkerId,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::normal::normal;
use super::steps::{By, Doing, Load, Step};
use crate::support::{assert_whole, bot, findings, fingerprint, open, stamp, worker};

/// A call that was taken, to send again.
#[derive(Clone)]
enum Call {
    Change(Transition),
    Push(Batch),
}

/// What happened in all, to tell a history that does something from one that only fails.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) pushed: u64,
    pub(super) known: u64,
    pub(super) duplicates: u64,
    pub(super) completed: u64,
    pub(super) refused: u64,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.pushed += other.pushed;
        self.known += other.known;
        self.duplicates += other.duplicates;
        self.completed += other.completed;
        self.refused += other.refused;
    }
}

/// A store and what has happened on it; its sessions by order of creation.
pub(super) struct Replay {
    pub(super) store: SharedStore,
    pub(super) sessions: Vec<SessionId>,
    pub(super) seen: Seen,
    /// Numbered calls that were taken, in order.
    taken: Vec<Call>,
}

pub(super) fn bot_of(number: u8) -> BotId {
    bot(&format!("bot-{number}"))
}

pub(super) fn worker_of(number: u8) -> WorkerId {
    worker(&format!("bot-0:host:{number}:boot"))
}

pub(super) fn producer_of(number: u8) -> ProducerId {
    ProducerId::new(format!("producer-{number}")).unwrap()
}

fn analysis(repository: u8, run: u8, expect: &[u8]) -> OpenSession {
    open(&format!("acme/repo-{repository}"))
        .run(run.to_string())
        .expect(expect.iter().map(|number| bot_of(*number)))
}

impl Replay {
    pub(super) fn new(store: SharedStore) -> Self {
        Self {
            store,
            sessions: Vec::new(),
            seen: Seen::default(),
            taken: Vec::new(),
        }
    }

    /// Does a step; answers with what the store said, and whether each session's version moved.
    pub(super) async fn step(&mut self, step: &Step) -> Value {
        let before = self.versions().await;
        let answer = self.act(step).await;
        let after = self.versions().await;
        let moved: Vec<bool> = (0..after.len())
            .map(|at| before.get(at) != after.get(at))
            .collect();
        json!({ "answer": normal(answer, &self.sessions), "moved": moved })
    }

    /// The invariant of every session.
    pub(super) async fn check(&self) {
        for session in &self.sessions {
            assert_whole(&*self.store, session).await;
        }
    }

    async fn versions(&self) -> Vec<Version> {
        let mut versions = Vec::new();
        for session in &self.sessions {
            versions.push(self.store.progress(session).await.unwrap().version);
        }
        versions
    }

    fn told<T: Serialize>(&mut self, answer: Result<T>) -> Value {
        match answer {
            Ok(answer) => json!({ "ok": answer }),
            Err(error) => {
                self.seen.refused += 1;
                json!({ "error": error, "text": error.to_string() })
            }
        }
    }

    fn session(&self, number: u8) -> SessionId {
        self.sessions[usize::from(number) % self.sessions.len()].clone()
    }

    async fn act(&mut self, step: &Step) -> Value {
        match step {
            Step::Register { bot, version } => {
                let known = Bot::new(bot_of(*bot).as_str())
                    .unwrap()
                    .version(version.to_string());
                let answer = self.store.register(&known).await;
                self.told(answer)
            }
            Step::Beat {
                worker,
                state,
                progress,
            } => {
                let answer = self
                    .store
                    .beat(&self.beat(*worker, *state, *progress))
                    .await;
                self.told(answer)
            }
            Step::Command { worker, command } => {
                let answer = self.store.command(&worker_of(*worker), *command).await;
                self.told(answer)
            }
            Step::Forget { worker } => {
                let answer = self.store.forget(&worker_of(*worker)).await;
                self.told(answer)
            }
            Step::Open {
                repository,
                run,
                expect,
            } => self.open(&analysis(*repository, *run, expect)).await,
            Step::Change { session, by, doing } => {
                let transition = self.transition(*session, by, doing).await;
                self.send(Call::Change(transition)).await
            }
            Step::Push { session, by, load } => {
                let batch = self.batch(*session, by, load).await;
                self.send(Call::Push(batch)).await
            }
            Step::Retry { back } => self.retry(*back).await,
            Step::Derive {
                session,
                quality,
                stale,
            } => self.derive(*session, *quality, *stale).await,
        }
    }

    fn beat(&self, worker: u8, state: fleet_worker_sdk::WorkerState, progress: u64) -> Beat {
        Beat {
            worker: worker_of(worker),
            bot: bot_of(0),
            version: "1".to_owned(),
            sdk: String::new(),
            host: "host".to_owned(),
            pid: u32::from(worker),
            started: stamp(i64::from(worker)),
            state,
            sessions: self.sessions.clone(),
            progress,
        }
    }

    async fn open(&mut self, analysis: &OpenSession) -> Value {
        let answer = self.store.open(analysis).await;
        if let Ok(opened) = &answer
            && opened.created
        {
            self.sessions.push(opened.session.clone());
        }
        self.told(answer)
    }

    /// The bot that does it, and its execution as it is.
    async fn at_work(&self, session: &SessionId, by: &By) -> (BotId, Option<Execution>) {
        let progress = self.store.progress(session).await.unwrap();
        let mut running = progress.executions.clone();
        running.retain(|execution| execution.state == ExecutionState::Running);
        let bot = match running.len() {
            0 => bot_of(by.bot),
            _ if !by.fitting => bot_of(by.bot),
            count => running.swap_remove(usize::from(by.bot) % count).bot,
        };
        let execution = progress.execution(&bot).cloned();
        (bot, execution)
    }

    async fn next_number(&self, session: &SessionId, by: &By) -> u64 {
        let producer = producer_of(by.producer);
        let last = self.store.last_sequence(session, &producer).await;
        last.unwrap() + 1 + by.skipped
    }

    async fn transition(&self, session: u8, by: &By, doing: &Doing) -> Transition {
        let session = self.session(session);
        let ends = matches!(doing, Doing::Complete { .. } | Doing::Fail);
        let fitting = by.fitting && ends;
        let (bot, now) = self
            .at_work(
                &session,
                &By {
                    fitting,
                    ..by.clone()
                },
            )
            .await;
        let (attempt, pushed) = now.map_or((0, 0), |now| (now.attempt, now.pushed));
        let reason = "a test says so".to_owned();
        let change = match doing {
            Doing::Expect => Change::Expect,
            Doing::Start { worker, reopen } => Change::Start {
                worker: worker.map(worker_of),
                reopen: *reopen,
            },
            Doing::Complete { over, partial } => Change::Complete {
                pushed: pushed + over,
                partial: *partial,
            },
            Doing::Fail => Change::Fail { reason },
            Doing::Skip => Change::Skip { reason },
            Doing::Lost { worker } => Change::Lost {
                worker: worker_of(*worker),
            },
        };
        let unnumbered = matches!(change, Change::Expect | Change::Lost { .. });
        let sequence = if unnumbered {
            0
        } else {
            self.next_number(&session, by).await
        };
        Transition {
            sequence,
            bot,
            attempt: attempt.saturating_sub(by.behind),
            producer: producer_of(by.producer),
            session,
            change,
        }
    }

    async fn batch(&self, session: u8, by: &By, load: &Load) -> Batch {
        let session = self.session(session);
        let (bot, now) = self.at_work(&session, by).await;
        let mut findings = findings(load.findings.iter().copied());
        if load.suppressed
            && let Some(last) = findings.last_mut()
        {
            last.finding.suppressions.push(Suppression::default());
        }
        match (load.spoilt, findings.first().cloned()) {
            (Some(true), Some(first)) => findings.push(first),
            (Some(false), _) => {
                if let Some(first) = findings.first_mut() {
                    first.finding = Finding::new("", "it has no rule");
                }
            }
            _ => {}
        }
        let again = load.again.iter().map(|(number, occurrences)| Again {
            fingerprint: fingerprint(*number),
            occurrences: *occurrences,
        });
        Batch {
            attempt: now.map_or(0, |now| now.attempt).saturating_sub(by.behind),
            producer: producer_of(by.producer),
            sequence: self.next_number(&session, by).await,
            findings,
            again: again.collect(),
            rules: load.rules.iter().map(|rule| texts(*rule, load)).collect(),
            session,
            bot,
        }
    }

    async fn send(&mut self, call: Call) -> Value {
        let value = match &call {
            Call::Change(transition) => {
                let answer = self.store.transition(transition).await;
                let ended = |e: &Execution| e.state == ExecutionState::Completed;
                self.seen.completed += u64::from(answer.as_ref().is_ok_and(ended));
                self.told(answer)
            }
            Call::Push(batch) => {
                let answer = self.store.push(batch).await;
                if let Ok(answer) = &answer {
                    self.seen.pushed += u64::from(answer.new);
                    self.seen.known += answer.known.len() as u64;
                    self.seen.duplicates += u64::from(answer.duplicate);
                }
                self.told(answer)
            }
        };
        let numbered = !matches!(&call, Call::Change(change) if change.sequence == 0);
        if numbered && value.get("ok").is_some() {
            self.taken.push(call);
        }
        value
    }

    async fn retry(&mut self, back: u8) -> Value {
        let call = self.taken.iter().rev().nth(usize::from(back)).cloned();
        match call {
            None => Value::Null,
            Some(Call::Change(transition)) => {
                let answer = self.store.transition(&transition).await;
                self.seen.duplicates += u64::from(answer.is_ok());
                self.told(answer)
            }
            Some(Call::Push(batch)) => {
                let answer = self.store.push(&batch).await;
                let duplicate = answer.as_ref().map(|answer| answer.duplicate);
                assert!(matches!(duplicate, Ok(true)), "{answer:?}");
                self.seen.duplicates += 1;
                self.told(answer)
            }
        }
    }

    async fn derive(&mut self, session: u8, quality: Option<u16>, stale: bool) -> Value {
        let session = self.session(session);
        let version = self.store.facts(&session).await.unwrap().session.version;
        let quality = quality.map(|hundredths| f64::from(hundredths) / 100.0);
        let derived = Derived {
            version: Version(version.0 - u64::from(stale)),
            health: Health {
                score: quality,
                status: Status::Healthy,
                band: Status::Healthy,
                reason: "a test says so".to_owned(),
                coverage: 1.0,
                breakdown: Vec::new(),
            },
            quality,
            band: None,
        };
        let answer: Result<bool, Error> = self.store.derive(&session, &derived).await;
        self.told(answer)
    }
}

/// Texts of a rule that differ from batch to batch: the first ones are kept.
fn texts(rule: u8, load: &Load) -> (String, Rule) {
    let texts = Rule {
        name: format!("{:?}", load.findings),
        ..Rule::default()
    };
    (format!("rule-{rule}"), texts)
}
