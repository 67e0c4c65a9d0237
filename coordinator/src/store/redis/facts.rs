//! What a session's health is made of, in as few round trips and as few bytes as that takes.

use std::collections::HashMap;

use fleet_worker_sdk::{Error, Repository, Result, SessionId};

use super::standing::read_speaker;
use super::{RedisStore, parse};
use crate::health::Weights;
use crate::model::SessionFacts;
use crate::store::Basis;

/// Bytes of a packed fingerprint.
const FINGERPRINT_BYTES: u64 = 16;

/// A session's fields, its counts, members of its index, bytes of its packed fingerprints.
type Facts = (parse::Fields, parse::Pairs, u64, u64);

impl RedisStore {
    /// All facts of a session, at one moment. A transaction, not a function, for Lua would take three
    /// times as long to pass hundreds of counts on as Redis takes to find them.
    pub(super) async fn facts_of(&self, session: &SessionId) -> Result<SessionFacts> {
        let keys = self.keys();
        let mut commands = redis::pipe();
        commands.atomic();
        commands
            .hgetall(keys.session(session))
            .hgetall(keys.counts(session))
            .zcard(keys.index(session))
            .strlen(keys.packed(session));
        let (fields, counts, indexed, packed): Facts = self.link.pipeline(&commands).await?;
        Ok(SessionFacts {
            session: parse::session(session, &fields)?,
            counts: parse::counts(counts)?,
            // A torn packing is one member short, not as many as it should be.
            indexed: indexed + packed / FINGERPRINT_BYTES,
        })
    }

    /// What a session's health is made of: its weights as they are kept with each push, where all of its
    /// open findings are in them. Software that does not keep them may have pushed the others; then
    /// they are made of its counts.
    pub(super) async fn basis_of(&self, session: &SessionId) -> Result<Basis> {
        let keys = self.keys();
        let repository = self.repository_of(session).await?;
        let mut commands = redis::pipe();
        commands.atomic();
        commands
            .hgetall(keys.session(session))
            .hgetall(keys.repository_quality(session.partition(), &repository));
        let (fields, speaks): (parse::Fields, HashMap<String, String>) =
            self.link.pipeline(&commands).await?;
        let read = parse::session(session, &fields)?;
        let weights = parse::weights(&fields)?;
        let speaker = read_speaker(&speaks)?;
        if weights.open() == read.total.saturating_sub(read.tally.suppressed) {
            return Ok(Basis {
                session: read,
                weights,
                speaker,
            });
        }
        let facts = self.facts_of(session).await?;
        Ok(Basis {
            weights: Weights::of(&facts.counts),
            session: facts.session,
            speaker,
        })
    }

    /// The repository of a session, which never changes.
    pub(super) async fn repository_of(&self, session: &SessionId) -> Result<Repository> {
        if let Some(known) = self.repositories.get(session) {
            return Ok(known);
        }
        let mut command = redis::cmd("HGET");
        command.arg(self.keys().session(session)).arg("repo");
        let repository: Option<String> = self.link.call(&command).await?;
        let repository = repository.ok_or_else(|| Error::not_found("session", session))?;
        let repository = Repository::new(repository).map_err(Error::protocol)?;
        self.repositories
            .insert(session.clone(), repository.clone());
        Ok(repository)
    }
}
