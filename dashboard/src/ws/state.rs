//! What the fleet looks like to clients, and the frames that tell them. Pure.
//!
//! A state has a sequence number, and each part of it the number of the state in which it last
//! changed. So the frame for any client is known from the one number it was sent last.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use fleet_worker_sdk::SessionId;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Sessions that clients are shown: a screen of them, and a snapshot of about 20 KiB.
pub(crate) const SESSIONS: usize = 50;
/// Removed sessions remembered: a client that missed more is sent a snapshot.
const GONE: usize = 256;
/// Merged frames kept of one state: clients that are slow are mostly slow together.
const MERGED: usize = 16;

/// Something with a version, as JSON.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    json: Arc<RawValue>,
    /// A hash of the JSON: the same on every replica that shows the same.
    version: Arc<str>,
    stamp: u64,
}

impl Object {
    pub(crate) fn new(value: &impl Serialize) -> serde_json::Result<Self> {
        let json: Arc<RawValue> = serde_json::value::to_raw_value(value)?.into();
        let mut hasher = DefaultHasher::new();
        json.get().hash(&mut hasher);
        Ok(Self {
            version: format!("{:016x}", hasher.finish()).into(),
            json,
            stamp: 0,
        })
    }
}

/// A session as shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) id: SessionId,
    /// Milliseconds since 1970 of its last change, by which the list is sorted.
    pub(crate) changed_ms: i64,
    pub(crate) object: Object,
}

/// What was read anew.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    /// `fleet`, `workers`, `store`.
    pub(crate) parts: Vec<(&'static str, Object)>,
    pub(crate) sessions: Vec<Shown>,
    /// Sessions that do not exist any more.
    pub(crate) dropped: Vec<SessionId>,
    /// `sessions` are all there are to show, not only those that changed.
    pub(crate) whole: bool,
}

/// The fleet at one moment.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Somebody keeps it up to date.
    pub(crate) awake: bool,
    sequence: u64,
    parts: BTreeMap<&'static str, Object>,
    sessions: Vec<Shown>,
    gone: VecDeque<(u64, SessionId)>,
    /// The oldest state whose removals are all remembered.
    gone_since: u64,
    frames: Mutex<Frames>,
}

/// Frames of one state, each written once however many clients are sent it.
#[derive(Debug, Default)]
struct Frames {
    snapshot: Option<Utf8Bytes>,
    since: BTreeMap<u64, Utf8Bytes>,
}

/// What a client is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    /// Everything.
    Snapshot(Utf8Bytes),
    /// What changed since the state before.
    Update(Utf8Bytes),
    /// What changed since an older state: this many states were skipped.
    Merged(Utf8Bytes, u64),
}

#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    versions: BTreeMap<String, &'a str>,
    #[serde(flatten)]
    parts: BTreeMap<&'static str, &'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<&'a str>,
}

const SESSION: &str = "session:";

impl State {
    /// The number of this state.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The session ids shown, latest change first.
    #[cfg(test)]
    fn ids(&self) -> Vec<&str> {
        self.sessions
            .iter()
            .map(|shown| shown.id.as_str())
            .collect()
    }

    /// This state, asleep: nobody keeps it up to date.
    pub(crate) fn asleep(&self) -> Self {
        Self {
            awake: false,
            ..self.copy()
        }
    }

    /// The state after `fresh`; none when nothing is different.
    pub(crate) fn after(&self, fresh: Fresh) -> Option<Self> {
        let mut next = self.copy();
        next.awake = true;
        next.sequence += 1;
        let mut different = !self.awake;
        for (name, object) in fresh.parts {
            different |= next.put_part(name, object);
        }
        different |= next.put_sessions(fresh.sessions, &fresh.dropped, fresh.whole);
        different.then_some(next)
    }

    fn copy(&self) -> Self {
        Self {
            awake: self.awake,
            sequence: self.sequence,
            parts: self.parts.clone(),
            sessions: self.sessions.clone(),
            gone: self.gone.clone(),
            gone_since: self.gone_since,
            frames: Mutex::default(),
        }
    }

    fn put_part(&mut self, name: &'static str, mut object: Object) -> bool {
        if let Some(old) = self.parts.get(name)
            && old.version == object.version
        {
            return false;
        }
        object.stamp = self.sequence;
        self.parts.insert(name, object);
        true
    }

    fn put_sessions(&mut self, fresh: Vec<Shown>, dropped: &[SessionId], whole: bool) -> bool {
        let mut old: HashMap<SessionId, Shown> = std::mem::take(&mut self.sessions)
            .into_iter()
            .map(|shown| (shown.id.clone(), shown))
            .collect();
        let mut different = false;
        let mut list = Vec::with_capacity(SESSIONS + fresh.len());
        for mut shown in fresh {
            match old.remove(&shown.id) {
                Some(same) if same.object.version == shown.object.version => {
                    shown.object = same.object;
                }
                _ => {
                    shown.object.stamp = self.sequence;
                    different = true;
                }
            }
            list.push(shown);
        }
        let (mut removed, kept): (Vec<_>, Vec<_>) = old
            .into_values()
            .partition(|shown| whole || dropped.contains(&shown.id));
        list.extend(kept);
        list.sort_by(|a, b| (b.changed_ms, &b.id).cmp(&(a.changed_ms, &a.id)));
        removed.extend(list.drain(SESSIONS.min(list.len())..));
        self.sessions = list;
        different |= !removed.is_empty();
        for shown in removed {
            self.forget(shown.id);
        }
        different
    }

    fn forget(&mut self, id: SessionId) {
        self.gone.push_back((self.sequence, id));
        while self.gone.len() > GONE {
            if let Some((stamp, _)) = self.gone.pop_front() {
                self.gone_since = stamp;
            }
        }
    }

    /// Everything there is.
    pub(crate) fn snapshot(&self) -> Frame {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let text = frames
            .snapshot
            .get_or_insert_with(|| self.write("snapshot", |_, _| true, Vec::new()));
        Frame::Snapshot(text.clone())
    }

    /// What a client lacks that was last sent state `sent`; none when it has this one.
    pub(crate) fn since(&self, sent: u64) -> Option<Frame> {
        if sent == self.sequence {
            return None;
        }
        if sent < self.gone_since || sent > self.sequence {
            return Some(self.snapshot());
        }
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if let Some(text) = frames.since.get(&sent) {
            text.clone()
        } else {
            let text = self.changed_since(sent);
            if frames.since.len() < MERGED {
                frames.since.insert(sent, text.clone());
            }
            text
        };
        Some(match self.sequence - sent {
            1 => Frame::Update(text),
            steps => Frame::Merged(text, steps - 1),
        })
    }

    fn changed_since(&self, sent: u64) -> Utf8Bytes {
        let shown = |id: &str| self.sessions.iter().any(|shown| shown.id.as_str() == id);
        let gone = self.gone.iter().filter(|(stamp, _)| *stamp > sent);
        let mut removed: Vec<&str> = gone
            .map(|(_, id)| id.as_str())
            .filter(|id| !shown(id))
            .collect();
        removed.sort_unstable();
        removed.dedup();
        self.write("update", |_, object| object.stamp > sent, removed)
    }

    /// What a client lacks that holds `versions`.
    pub(crate) fn resume(&self, versions: &HashMap<String, String>) -> Frame {
        let lacks = |name: &str, object: &Object| {
            versions.get(name).map(String::as_str) != Some(&*object.version)
        };
        let shown = |id: &str| self.sessions.iter().any(|shown| shown.id.as_str() == id);
        let held = versions
            .keys()
            .filter_map(|name| name.strip_prefix(SESSION));
        let mut removed: Vec<&str> = held.filter(|id| !shown(id)).collect();
        removed.sort_unstable();
        Frame::Update(self.write("update", lacks, removed))
    }

    fn write(
        &self,
        r#type: &'static str,
        wanted: impl Fn(&str, &Object) -> bool,
        removed: Vec<&str>,
    ) -> Utf8Bytes {
        let mut text = Text {
            r#type,
            versions: BTreeMap::new(),
            parts: BTreeMap::new(),
            sessions: Vec::new(),
            removed,
        };
        for (name, object) in &self.parts {
            if wanted(name, object) {
                text.versions.insert((*name).to_owned(), &object.version);
                text.parts.insert(name, &object.json);
            }
        }
        for shown in &self.sessions {
            let name = format!("{SESSION}{}", shown.id);
            if wanted(&name, &shown.object) {
                text.versions.insert(name, &shown.object.version);
                text.sessions.push(&shown.object.json);
            }
        }
        let json = serde_json::to_string(&text).unwrap_or_else(|error| {
            tracing::error!(%error, "a frame cannot be written");
            format!(r#"{{"type":"{type}","versions":{{}}}}"#)
        });
        json.into()
    }
}

#[cfg(test)]
mod tests;
