//! What a bot writes down: what it is about to send, before it sends it, and what was acknowledged.
//!
//! One line an event, written to the file at once: what the system has taken survives a kill -9 of
//! the bot, which is all that happens to bots here. Findings of an attempt are numbered from 0 and
//! sent in order, so that a line says a range by its end.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// One event of a bot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// A round begins: the session is about to be opened.
    Round(u64),
    /// The session of the round.
    Opened { round: u64, session: String },
    /// An attempt of the bot's execution there.
    Started { session: String, attempt: u32 },
    /// Findings below `end` are about to be sent, if they were not before.
    Sending {
        session: String,
        attempt: u32,
        end: u64,
    },
    /// Findings below `end` are acknowledged.
    Acknowledged {
        session: String,
        attempt: u32,
        end: u64,
    },
    /// The execution was acknowledged as complete, after so many acknowledged batches were lost.
    Completed {
        session: String,
        attempt: u32,
        lost: u64,
    },
    /// The attempt is over by somebody else's doing, such as a coordinator that missed heartbeats.
    Superseded { session: String, why: String },
    /// The session was gone when the execution was to start.
    Gone { session: String, why: String },
    /// The store refused what it had to take.
    Refused { session: String, why: String },
}

/// A line: when, and what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Milliseconds since 1970.
    pub(crate) ms: u64,
    pub(crate) event: Event,
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// A bot's journal, written.
pub(crate) struct Journal(File);

impl Journal {
    /// Goes on where a process of the bot before stopped, if one did.
    pub(crate) fn append(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        Ok(Self(file.with_context(|| format!("{}", path.display()))?))
    }

    /// Writes an event down; when this returns, a kill cannot take it back.
    pub(crate) fn note(&mut self, event: Event) -> io::Result<()> {
        let ms = now_ms();
        let mut line = serde_json::to_vec(&Line { ms, event })?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

/// Reads a journal. A last line that was cut by a kill was not written.
///
/// # Errors
/// When it cannot be read, or a line in the middle of it makes no sense.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let mut lines = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str(line) {
            Ok(line) => lines.push(line),
            Err(_) if !line.ends_with('\n') => break,
            Err(error) => bail!("{}:{}: {error}", path.display(), number + 1),
        }
    }
    Ok(lines)
}

/// The end of a journal that is looked at for its last lines.
const END: u64 = 4096;

/// When the last thing acknowledged was sent, in milliseconds since 1970; none when nothing was, or
/// not lately.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) fn last_acknowledged(path: &Path) -> anyhow::Result<Option<u64>> {
    let Ok(mut file) = File::open(path) else {
        return Ok(None);
    };
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    // The first may be torn by where the end begins, the last by where it ends now.
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let (mut sending, mut last) = (None, None);
    for Line { ms, event } in lines {
        match event {
            Event::Sending { .. } => sending = Some(ms),
            Event::Acknowledged { .. } => last = sending,
            _ => {}
        }
    }
    Ok(last)
}

/// What one attempt sent, and how much of it was acknowledged: findings below these numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) completed: bool,
}

/// What a bot did in a session, by attempt.
pub(crate) type Attempts = BTreeMap<u32, Attempt>;

/// What all bots did: by session and bot.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) by_session: BTreeMap<String, BTreeMap<String, Attempts>>,
    /// When an acknowledgement came of something sent when: in milliseconds, by bot.
    pub(crate) acknowledgements: BTreeMap<String, Vec<(u64, u64)>>,
    /// Refusals of what had to be taken.
    pub(crate) refusals: Vec<String>,
    /// Sessions that bots found gone, with what they were told.
    pub(crate) gone: Vec<(String, String)>,
    /// Executions that were completed.
    pub(crate) completed: u64,
    /// Acknowledged batches that the SDK itself says were lost for good.
    pub(crate) said_lost: u64,
    /// Attempts that were ended by somebody else.
    pub(crate) superseded: u64,
}

impl History {
    /// Adds a bot's journal.
    pub(crate) fn add(&mut self, bot: &str, lines: Vec<Line>) {
        let mut sending = 0;
        for Line { ms, event } in lines {
            match event {
                Event::Round(_) => {}
                Event::Opened { session, .. } => {
                    self.by_session.entry(session).or_default();
                }
                Event::Started { session, attempt } => {
                    self.attempt(session, bot, attempt);
                }
                Event::Sending {
                    session,
                    attempt,
                    end,
                } => {
                    sending = ms;
                    let attempt = self.attempt(session, bot, attempt);
                    attempt.sent = attempt.sent.max(end);
                }
                Event::Acknowledged {
                    session,
                    attempt,
                    end,
                } => {
                    let times = self.acknowledgements.entry(bot.to_owned()).or_default();
                    times.push((sending, ms));
                    let attempt = self.attempt(session, bot, attempt);
                    attempt.acknowledged = attempt.acknowledged.max(end);
                }
                Event::Completed {
                    session,
                    attempt,
                    lost,
                } => {
                    self.said_lost += lost;
                    self.completed += 1;
                    self.attempt(session, bot, attempt).completed = true;
                }
                Event::Superseded { .. } => self.superseded += 1,
                Event::Gone { session, why } => {
                    let why = format!("{bot} in {session}: {why}");
                    self.gone.push((session, why));
                }
                Event::Refused { session, why } => {
                    self.refusals.push(format!("{bot} in {session}: {why}"));
                }
            }
        }
    }

    fn attempt(&mut self, session: String, bot: &str, attempt: u32) -> &mut Attempt {
        let bots = self.by_session.entry(session).or_default();
        let attempts = bots.entry(bot.to_owned()).or_default();
        attempts.entry(attempt).or_default()
    }

    /// Findings sent and acknowledged, each counted once.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let bots = self.by_session.values().flat_map(BTreeMap::values);
        bots.fold((0, 0), |(sent, acknowledged), attempts| {
            let (more, known) = reach(attempts);
            (sent + more, acknowledged + known)
        })
    }

    /// Milliseconds from `since` until something sent after it was acknowledged: to any bot, and to
    /// the last of all bots that sent anything after it.
    pub(crate) fn recovery(&self, since: u64) -> Option<(u64, u64)> {
        let firsts = self.acknowledgements.values().filter_map(|times| {
            // Sent before, it may have been acknowledged before, too, and only heard of after.
            let at = times.partition_point(|(sent, _)| *sent < since);
            times.get(at).map(|(_, acknowledged)| acknowledged - since)
        });
        let firsts: Vec<u64> = firsts.collect();
        Some((*firsts.iter().min()?, *firsts.iter().max()?))
    }
}

/// How far a bot got in a session: findings sent, and acknowledged, in any attempt.
pub(crate) fn reach(attempts: &Attempts) -> (u64, u64) {
    let sent = attempts.values().map(|attempt| attempt.sent).max();
    let acknowledged = attempts.values().map(|attempt| attempt.acknowledged).max();
    (sent.unwrap_or(0), acknowledged.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ms: u64, event: Event) -> Line {
        Line { ms, event }
    }

    fn sending(end: u64) -> Event {
        let session = "s".to_owned();
        Event::Sending {
            session,
            attempt: 1,
            end,
        }
    }

    fn acknowledged(end: u64) -> Event {
        let session = "s".to_owned();
        Event::Acknowledged {
            session,
            attempt: 1,
            end,
        }
    }

    #[test]
    fn what_was_written_is_read_and_a_torn_line_was_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot");
        let mut journal = Journal::append(&path).unwrap();
        journal.note(sending(25)).unwrap();
        journal.note(acknowledged(25)).unwrap();
        journal.0.write_all(b"{\"ms\":1,\"ev").unwrap();
        assert!(last_acknowledged(&path).unwrap().is_some());
        let events: Vec<_> = read(&path).unwrap().into_iter().map(|l| l.event).collect();
        assert_eq!(events, [sending(25), acknowledged(25)]);
        journal.0.write_all(b"\n").unwrap();
        assert!(read(&path).is_err(), "a torn line in the middle is a fault");
    }

    #[test]
    fn a_recovery_ends_with_what_was_sent_after_its_beginning() {
        let mut history = History::default();
        let lines = [
            line(10, sending(1)),
            line(60, acknowledged(1)),
            line(70, sending(2)),
            line(90, acknowledged(2)),
        ];
        history.add("bot-0", lines.to_vec());
        history.add(
            "bot-1",
            vec![line(55, sending(1)), line(58, acknowledged(1))],
        );
        assert_eq!(history.recovery(50), Some((8, 40)));
        assert_eq!(history.recovery(100), None);
        assert_eq!(history.totals(), (3, 3));
    }
}
