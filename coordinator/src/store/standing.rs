//! The fleet's health as its coordinators left it, and which session speaks for a repository.

use async_trait::async_trait;
use fleet_worker_sdk::{Repository, Result, SessionId, Version};

use super::Read;
use crate::health::{FleetHealth, Status, Weights};
use crate::model::Session;

/// The fleet's health, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Names this one: changes with every other that is stored, and is never given twice.
    pub version: Version,
    /// It; none when software of another version wrote it in a form that this one does not read.
    pub fleet: Option<FleetHealth>,
}

/// The session that speaks for a repository: the latest-opened of which a quality is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Which session.
    pub session: SessionId,
    /// The band of the repository's quality, which the next one depends on; none where none was
    /// stored.
    pub band: Option<Status>,
}

/// What a session's health, as it is stored, is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    /// The session.
    pub session: Session,
    /// What its findings weigh.
    pub weights: Weights,
    /// Who speaks for its repository; none while no quality of it is known.
    pub speaker: Option<Speaker>,
}

/// Scores that outlive the moment: hysteresis needs the status before, and all dashboards of a
/// fleet show the same one.
#[async_trait]
pub trait Standing: Read {
    /// The fleet's health as it was stored last.
    async fn kept(&self) -> Result<Option<Kept>>;
    /// Stores the fleet's health, if the one stored still is `from`, which it was computed from;
    /// answers its version. None: another coordinator was faster, and what it stored is as good.
    async fn keep(&self, from: Option<Version>, fleet: &FleetHealth) -> Result<Option<Version>>;
    /// Who speaks for a repository; none while no quality of it is known.
    async fn speaker(&self, repository: &Repository) -> Result<Option<Speaker>>;
    /// What a session's health is made of, at one moment.
    async fn basis(&self, session: &SessionId) -> Result<Basis> {
        let facts = self.facts(session).await?;
        let speaker = self.speaker(&facts.session.repository).await?;
        Ok(Basis {
            weights: Weights::of(&facts.counts),
            session: facts.session,
            speaker,
        })
    }
}
