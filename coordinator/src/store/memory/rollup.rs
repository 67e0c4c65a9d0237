//! Sums over the fleet, kept as it changes.

use std::collections::HashMap;

use super::journal::Entry;
use crate::health::Status;
use crate::model::{Rollup, Session};
use crate::store::Speaker;
use fleet_worker_sdk::{Repository, SessionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The fleet's sums, and which session speaks for each repository.
#[derive(Default)]
pub(super) struct Rollups {
    sums: Rollup,
    latest: HashMap<Repository, Latest>,
}

/// The latest session of a repository whose quality is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Latest {
    opened: Timestamp,
    session: SessionId,
    milli: u64,
    band: Option<Status>,
}

impl Rollups {
    /// The sums.
    pub(super) fn sums(&self) -> Rollup {
        self.sums
    }

    /// The records of it.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let sums = Entry::Sums { sums: self.sums };
        let latest = self
            .latest
            .iter()
            .map(|(repository, latest)| Entry::Speaker {
                repository: repository.clone(),
                latest: latest.clone(),
            });
        std::iter::once(sums).chain(latest)
    }

    /// Takes the sums back.
    pub(super) fn restore_sums(&mut self, sums: Rollup) {
        self.sums = sums;
    }

    /// Takes back who speaks for a repository.
    pub(super) fn restore(&mut self, repository: Repository, latest: Latest) {
        self.latest.insert(repository, latest);
    }

    /// Counts so many findings more, or fewer, than a session was counted with.
    pub(super) fn corrected(&mut self, by: i64) {
        self.sums.findings = self.sums.findings.saturating_add_signed(by);
    }

    /// Counts a session that was created.
    pub(super) fn opened(&mut self) {
        self.sums.sessions += 1;
    }

    /// Counts findings that were accepted.
    pub(super) fn accepted(&mut self, findings: u64) {
        self.sums.findings += findings;
    }

    /// Who speaks for a repository.
    pub(super) fn speaker(&self, repository: &Repository) -> Option<Speaker> {
        let latest = self.latest.get(repository)?;
        Some(Speaker {
            session: latest.session.clone(),
            band: latest.band,
        })
    }

    /// Takes a session out of the sums.
    pub(super) fn dropped(&mut self, session: &Session) {
        self.sums.sessions -= 1;
        self.sums.dropped += session.total;
        let latest = self.latest.get(&session.repository);
        if let Some(latest) = latest.filter(|latest| latest.session == session.id) {
            self.sums.quality_milli -= latest.milli;
            self.sums.repositories -= 1;
            self.latest.remove(&session.repository);
        }
    }

    /// Takes `quality` for the repository's, unless a later session speaks for it.
    pub(super) fn quality(&mut self, session: &Session, quality: f64, band: Option<Status>) {
        let milli = (quality * 1000.0).round() as u64;
        let before = self.latest.get(&session.repository);
        if before.is_some_and(|b| (b.opened, &b.session) > (session.opened, &session.id)) {
            return;
        }
        let latest = Latest {
            opened: session.opened,
            session: session.id.clone(),
            milli,
            band,
        };
        match self.latest.insert(session.repository.clone(), latest) {
            Some(before) => self.sums.quality_milli -= before.milli,
            None => self.sums.repositories += 1,
        }
        self.sums.quality_milli += milli;
    }
}
