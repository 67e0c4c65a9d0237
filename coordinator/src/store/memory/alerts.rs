//! Alerts in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::{Error, Result, Version};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::MemoryStore;
use super::journal::Entry;
use crate::alert::{Board, Delivery, Silence};
use crate::store::alerts::{
    Alerting, Alerts, Audit, Claimed, KEEP_SILENCE, MAX_AUDIT, MAX_OUTBOX, MAX_SILENCES,
    MAX_UNDELIVERED, MAX_WAIT, Outcome, Undelivered, no_delivery, no_silence, outbox_full,
    too_many_silences,
};

/// What is kept of alerts; journaled whole where the store has a folder, for most of the time it is
/// next to nothing. The audit grows, and is journaled entry by entry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    version: Option<Version>,
    board: Board,
    silences: BTreeMap<String, Silence>,
    outbox: VecDeque<Waiting>,
    claims: HashMap<String, Claim>,
    undelivered: VecDeque<Undelivered>,
    #[serde(skip)]
    audit: VecDeque<Audit>,
    /// Entries of the audit ever made.
    audited: u64,
    /// The number given to a delivery last.
    number: u64,
}

/// A delivery that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    receipt: String,
    since: Timestamp,
    delivery: Delivery,
}

/// Who has the first delivery of a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claim {
    receipt: String,
    till: Timestamp,
    attempts: u32,
    claimer: String,
}

impl Kept {
    /// The records of it, if there is anything to remember.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        let audit = self
            .audit
            .iter()
            .map(|one| Entry::Audited { one: one.clone() });
        let kept = self.version.map(|_| Entry::Alerts {
            kept: Box::new(self.clone()),
        });
        kept.into_iter().chain(audit)
    }

    /// Takes a record back.
    pub(super) fn restore(&mut self, kept: Self) {
        let audit = std::mem::take(&mut self.audit);
        *self = Self { audit, ..kept };
    }

    /// Takes an entry of the audit back.
    pub(super) fn restore_audit(&mut self, one: Audit) {
        self.audit.push_back(one);
        if self.audit.len() > MAX_AUDIT {
            self.audit.pop_front();
        }
    }

    fn move_on(&mut self, now: Timestamp) {
        let micros = u64::try_from(now.as_microsecond()).unwrap_or(0);
        let next = self.version.map_or(0, |version| version.0 + 1);
        self.version = Some(Version(micros.max(next)));
    }

    fn number(&mut self) -> String {
        self.number += 1;
        self.number.to_string()
    }

    fn raise(&mut self, board: &Board, deliveries: &[Delivery], now: Timestamp) {
        self.move_on(now);
        self.board = board.clone();
        for delivery in deliveries {
            if self.outbox.len() < MAX_OUTBOX {
                self.send(delivery.clone(), now);
            } else {
                self.bury(delivery.clone(), 0, "too many deliveries waited");
            }
        }
    }

    fn send(&mut self, delivery: Delivery, now: Timestamp) {
        let receipt = self.number();
        self.outbox.push_back(Waiting {
            receipt,
            since: now,
            delivery,
        });
    }

    fn bury(&mut self, delivery: Delivery, attempts: u32, why: &str) {
        let id = self.number();
        self.undelivered.push_back(Undelivered {
            id,
            attempts,
            why: why.to_owned(),
            delivery,
        });
        if self.undelivered.len() > MAX_UNDELIVERED {
            self.undelivered.pop_front();
        }
    }

    fn claim(
        &mut self,
        claimer: &str,
        channels: &[String],
        lease: SignedDuration,
        now: Timestamp,
    ) -> Vec<Claimed> {
        let late = |waiting: &Waiting| now.duration_since(waiting.since) > MAX_WAIT;
        while self.outbox.front().is_some_and(late)
            && let Some(waiting) = self.outbox.pop_front()
        {
            self.bury(
                waiting.delivery,
                0,
                "it could not be delivered within a day",
            );
        }
        let mut wanted: Vec<&String> = channels.iter().collect();
        let mut taken = Vec::new();
        for waiting in &self.outbox {
            let channel = &waiting.delivery.channel;
            let Some(at) = wanted.iter().position(|wanted| *wanted == channel) else {
                continue;
            };
            wanted.swap_remove(at);
            let held = self
                .claims
                .get(channel)
                .filter(|claim| claim.receipt == waiting.receipt);
            if held.is_some_and(|claim| claim.till > now) {
                continue;
            }
            let attempts = held.map_or(0, |claim| claim.attempts) + 1;
            let claim = Claim {
                receipt: waiting.receipt.clone(),
                till: now + lease,
                attempts,
                claimer: claimer.to_owned(),
            };
            self.claims.insert(channel.clone(), claim);
            taken.push(Claimed {
                receipt: waiting.receipt.clone(),
                attempts,
                delivery: waiting.delivery.clone(),
            });
        }
        taken
    }

    fn settle(
        &mut self,
        claimer: &str,
        claimed: &Claimed,
        outcome: &Outcome,
        now: Timestamp,
    ) -> bool {
        let channel = &claimed.delivery.channel;
        let Some(claim) = self
            .claims
            .get_mut(channel)
            .filter(|claim| claim.receipt == claimed.receipt && claim.claimer == claimer)
        else {
            return false;
        };
        if let Outcome::Again(rest) = outcome {
            claim.till = now + signed(*rest);
            claim.claimer.clear();
            return true;
        }
        let attempts = claim.attempts;
        self.claims.remove(channel);
        let found = self
            .outbox
            .iter()
            .position(|waiting| waiting.receipt == claimed.receipt);
        let gone = found.and_then(|at| self.outbox.remove(at));
        if let (Outcome::Dead(why), Some(waiting)) = (outcome, gone) {
            self.bury(waiting.delivery, attempts, why);
        }
        true
    }

    fn revive(&mut self, id: &str, author: &str, again: bool, now: Timestamp) -> Result<()> {
        let found = self.undelivered.iter().position(|dead| dead.id == id);
        let at = found.ok_or_else(|| no_delivery(id))?;
        if again && self.outbox.len() >= MAX_OUTBOX {
            return Err(outbox_full());
        }
        if let Some(dead) = self.undelivered.remove(at).filter(|_| again) {
            self.send(dead.delivery, now);
        }
        self.note(
            author,
            if again { "requeue" } else { "discard" },
            id.to_owned(),
            now,
        );
        Ok(())
    }

    fn silence(&mut self, silence: &Silence, now: Timestamp) -> Result<()> {
        self.silences
            .retain(|_, kept| kept.ends_at + KEEP_SILENCE >= now);
        if self.silences.len() >= MAX_SILENCES {
            return Err(too_many_silences());
        }
        self.put_silence(silence.clone(), &silence.author, "silence", now)
    }

    fn unsilence(&mut self, id: &str, author: &str, now: Timestamp) -> Result<()> {
        let known = self
            .silences
            .get(id)
            .filter(|silence| silence.ends_at > now);
        let mut ended = known.ok_or_else(|| no_silence(id))?.clone();
        ended.ends_at = now;
        self.put_silence(ended, author, "unsilence", now)
    }

    fn put_silence(
        &mut self,
        silence: Silence,
        author: &str,
        action: &str,
        now: Timestamp,
    ) -> Result<()> {
        let json = serde_json::to_string(&silence).map_err(Error::protocol)?;
        self.silences.insert(silence.id.clone(), silence);
        self.move_on(now);
        self.note(author, action, json, now);
        Ok(())
    }

    fn note(&mut self, author: &str, action: &str, subject: String, now: Timestamp) {
        self.audited += 1;
        self.restore_audit(Audit {
            at: now,
            author: author.to_owned(),
            action: action.to_owned(),
            subject,
        });
    }

    fn alerts(&self) -> Alerts {
        let mut silences: Vec<Silence> = self.silences.values().cloned().collect();
        silences.sort_by(|a, b| (b.ends_at, &b.id).cmp(&(a.ends_at, &a.id)));
        let waiting = self.outbox.iter();
        Alerts {
            version: self.version,
            board: self.board.clone(),
            silences,
            waiting: waiting
                .map(|waiting| waiting.delivery.channel.clone())
                .collect(),
            undelivered: self.undelivered.len() as u64,
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

impl MemoryStore {
    /// Changes what is kept of alerts, and journals it.
    fn change_alerts<T>(&self, change: impl FnOnce(&mut Kept, Timestamp) -> T) -> T {
        let (mut state, now) = self.lock();
        let audited = state.alerts.audited;
        let done = change(&mut state.alerts, now);
        let kept = &state.alerts;
        self.log(|| Entry::Alerts {
            kept: Box::new(kept.clone()),
        });
        if let Some(one) = kept.audit.back().filter(|_| kept.audited > audited) {
            self.log(|| Entry::Audited { one: one.clone() });
        }
        done
    }

    /// As [`MemoryStore::change_alerts`], for people: acknowledged when it outlives the process.
    async fn command_alerts(
        &self,
        change: impl FnOnce(&mut Kept, Timestamp) -> Result<()> + Send,
    ) -> Result<()> {
        self.ready()?;
        self.change_alerts(change)?;
        self.written().await
    }
}

#[async_trait]
impl Alerting for MemoryStore {
    async fn alerts(&self) -> Result<Alerts> {
        Ok(self.state().alerts.alerts())
    }

    async fn raise(
        &self,
        from: Option<Version>,
        board: &Board,
        deliveries: &[Delivery],
    ) -> Result<bool> {
        Ok(self.change_alerts(|kept, now| {
            let raised = kept.version == from;
            if raised {
                kept.raise(board, deliveries, now);
            }
            raised
        }))
    }

    async fn claim(
        &self,
        claimer: &str,
        channels: &[String],
        lease: Duration,
    ) -> Result<Vec<Claimed>> {
        if self.state().alerts.outbox.is_empty() {
            return Ok(Vec::new());
        }
        let lease = signed(lease);
        Ok(self.change_alerts(|kept, now| kept.claim(claimer, channels, lease, now)))
    }

    async fn settle_delivery(
        &self,
        claimer: &str,
        claimed: &Claimed,
        outcome: &Outcome,
    ) -> Result<bool> {
        Ok(self.change_alerts(|kept, now| kept.settle(claimer, claimed, outcome, now)))
    }

    async fn undelivered(&self) -> Result<Vec<Undelivered>> {
        Ok(self.state().alerts.undelivered.iter().cloned().collect())
    }

    async fn requeue_delivery(&self, id: &str, author: &str) -> Result<()> {
        self.command_alerts(|kept, now| kept.revive(id, author, true, now))
            .await
    }

    async fn discard_delivery(&self, id: &str, author: &str) -> Result<()> {
        self.command_alerts(|kept, now| kept.revive(id, author, false, now))
            .await
    }

    async fn silence(&self, silence: &Silence) -> Result<()> {
        self.command_alerts(|kept, now| kept.silence(silence, now))
            .await
    }

    async fn unsilence(&self, id: &str, author: &str) -> Result<()> {
        self.command_alerts(|kept, now| kept.unsilence(id, author, now))
            .await
    }

    async fn audit(&self, limit: usize) -> Result<Vec<Audit>> {
        let state = self.state();
        Ok(state
            .alerts
            .audit
            .iter()
            .rev()
            .take(limit)
            .cloned()
            .collect())
    }
}
