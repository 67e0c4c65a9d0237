//! Values in few words.

use fleet_worker_sdk::{
    Beat, BotId, Finding, Fingerprint, Identified, Level, OpenSession, Repository, WorkerId,
    WorkerState,
};
use jiff::Timestamp;

pub(crate) fn bot(id: &str) -> BotId {
    BotId::new(id).unwrap()
}

pub(crate) fn worker(id: &str) -> WorkerId {
    WorkerId::new(id).unwrap()
}

pub(crate) fn repository(name: &str) -> Repository {
    Repository::new(name).unwrap()
}

pub(crate) fn open(name: &str) -> OpenSession {
    OpenSession::new(name).unwrap()
}

/// A time some seconds after 2025 began.
pub(crate) fn stamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_735_689_600 + seconds).unwrap()
}

pub(crate) fn fingerprint(number: u32) -> Fingerprint {
    Fingerprint(u128::from(number).to_be_bytes())
}

/// The finding of this number: of one of 4 levels, 3 rules, 2 categories and 5 files by it.
pub(crate) fn finding(number: u32) -> Identified {
    let level = Level::ALL[number as usize % 4];
    let finding = Finding::new(format!("rule-{}", number % 3), format!("finding {number}"))
        .level(level)
        .category(["security", "style"][number as usize % 2])
        .at(format!("src/file-{}.rs", number % 5), number + 1);
    Identified {
        fingerprint: fingerprint(number),
        finding,
    }
}

pub(crate) fn findings(numbers: impl IntoIterator<Item = u32>) -> Vec<Identified> {
    numbers.into_iter().map(finding).collect()
}

/// What a worker of `hypatia` that runs and holds nothing says.
pub(crate) fn beat(id: &str) -> Beat {
    Beat {
        worker: worker(id),
        bot: bot("hypatia"),
        version: "1.2".to_owned(),
        sdk: "0.9.1".to_owned(),
        host: "host-1".to_owned(),
        pid: 42,
        started: stamp(0),
        state: WorkerState::Running,
        sessions: Vec::new(),
        progress: 0,
    }
}
