//! A session's log, taken apart without the code that folds it in production, whether it is as it was
//! pushed or was compacted.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use fleet_coordinator::index::Index;
use fleet_worker_sdk::transport::redis::RedisLink;
use fleet_worker_sdk::{BotId, SessionId, redis, wire};
use jiff::Timestamp;

use crate::bot::read_message;

/// Entries read in one go.
const PAGE: usize = 100;
/// The field that holds compacted entries.
const COMPACTED: &str = "z";

/// A log, read.
#[derive(Default)]
pub(super) struct Log {
    /// Of each bot, how often its findings are there, by their numbers.
    pub(super) times: BTreeMap<String, Vec<u32>>,
    /// Messages of findings that no bot makes.
    pub(super) strange: Vec<String>,
    pub(super) findings: u64,
    pub(super) fingerprints: Vec<[u8; 16]>,
    /// Entries that hold several, compacted.
    pub(super) chunks: u64,
    /// What the counts must be.
    pub(super) index: Index,
}

impl Log {
    /// Reads all of it.
    pub(super) async fn read(link: &RedisLink, id: &SessionId) -> Result<Self> {
        let mut log = Self::default();
        let mut from = "-".to_owned();
        loop {
            let mut command = redis::cmd("XRANGE");
            command.arg(link.keys().log(id)).arg(&from).arg("+");
            command.arg("COUNT").arg(PAGE);
            let entries: Vec<(String, HashMap<String, Vec<u8>>)> = link.call(&command).await?;
            let full = entries.len() == PAGE;
            if let Some((last, _)) = entries.last() {
                from = format!("({last}");
            }
            for (id, fields) in &entries {
                log.entry(fields)
                    .with_context(|| format!("log entry {id}"))?;
            }
            if !full {
                log.fingerprints.sort_unstable();
                return Ok(log);
            }
        }
    }

    fn entry(&mut self, fields: &HashMap<String, Vec<u8>>) -> Result<()> {
        let field = |name: &str| fields.get(name).map(Vec::as_slice).unwrap_or_default();
        let before = self.findings;
        if let Some(compressed) = fields.get(COMPACTED) {
            self.chunks += 1;
            let bytes = zstd::stream::decode_all(compressed.as_slice())?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (bot, bodies) = record(&mut rest).context("a record is torn")?;
                self.batch(bot, bodies)?;
            }
        } else {
            self.batch(field("b"), &wire::logged(field)?)?;
        }
        let (stated, found) = (String::from_utf8_lossy(field("n")), self.findings - before);
        ensure!(
            stated == found.to_string(),
            "it says {stated} findings and has {found}"
        );
        Ok(())
    }

    fn batch(&mut self, bot: &[u8], bodies: &[u8]) -> Result<()> {
        let bot = BotId::new(String::from_utf8_lossy(bot))?;
        for body in wire::split(bodies)? {
            self.findings += 1;
            self.index.add(&bot, Timestamp::UNIX_EPOCH, body)?;
            let found = wire::decode(body)?;
            self.fingerprints.push(found.fingerprint.0);
            let message = found.finding.message;
            match read_message(&message) {
                Some((whose, number)) if whose == bot.as_str() => {
                    let times = self.times.entry(whose.to_owned()).or_default();
                    let at = number as usize;
                    times.resize(times.len().max(at + 1), 0);
                    if let Some(times) = times.get_mut(at) {
                        *times += 1;
                    }
                }
                _ => self.strange.push(message),
            }
        }
        Ok(())
    }
}

/// Bot and findings of the next entry in a compacted one: after the time of arrival (8 bytes) and the
/// wire version (4) come the lengths of name (2), findings and repeats (4 each), then these three.
fn record<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at_checked(length)?;
        *rest = left;
        Some(taken)
    };
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    take(12)?;
    let (name, bodies, again) = (number(take(2)?), number(take(4)?), number(take(4)?));
    let (name, bodies) = (take(name)?, take(bodies)?);
    take(again)?;
    Some((name, bodies))
}
