use fleet_worker_sdk::{BotId, Repository, Version};
use jiff::Timestamp;

use super::*;
use crate::journal::{Event, Line};

/// A bot that sent six findings, of which four were acknowledged.
fn history() -> History {
    let session = "s".to_owned();
    let events = [
        Event::Opened {
            round: 0,
            session: session.clone(),
        },
        Event::Started {
            session: session.clone(),
            attempt: 1,
        },
        Event::Sending {
            session: session.clone(),
            attempt: 1,
            end: 6,
        },
        Event::Acknowledged {
            session,
            attempt: 1,
            end: 4,
        },
    ];
    let lines = events.map(|event| Line { ms: 0, event }).to_vec();
    let mut history = History::default();
    history.add("bot-0", lines);
    history
}

/// What `history` tells of, with so many of each finding.
fn stored(times: &[u32], pushed: u64) -> Stored {
    let total = u64::from(times.iter().sum::<u32>());
    let execution = Execution {
        attempt: 1,
        pushed,
        state: ExecutionState::Running,
        ..Execution::pending(&BotId::new("bot-0").unwrap())
    };
    Stored {
        repository: Repository::new("chaos/part").unwrap(),
        git_ref: String::new(),
        version: Version(1),
        compacted: false,
        times: BTreeMap::from([("bot-0".to_owned(), times.to_vec())]),
        strange: Vec::new(),
        total,
        sums: vec![("members of the index", total)],
        counts_agree: true,
        members_agree: true,
        executions: vec![execution],
        standing: Standing::Agrees,
    }
}

fn fleet(times: &[u32], pushed: u64) -> StoredFleet {
    of([("s", stored(times, pushed))])
}

fn of<const N: usize>(sessions: [(&str, Stored); N]) -> StoredFleet {
    let sessions = sessions.map(|(id, stored)| (id.to_owned(), stored));
    let sessions = BTreeMap::from(sessions);
    StoredFleet {
        counted: sessions.values().map(|stored| stored.total).sum(),
        counted_sessions: sessions.len() as u64,
        sessions,
        ..StoredFleet::default()
    }
}

fn judge(history: &History, fleet: &StoredFleet) -> Verdict {
    super::judge(history, fleet, &Seen::new())
}

#[test]
fn between_acknowledged_and_sent_everything_is_right() {
    for times in [&[1, 1, 1, 1][..], &[1, 1, 1, 1, 1], &[1, 1, 1, 1, 1, 1]] {
        let verdict = judge(&history(), &fleet(times, times.len() as u64));
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!((verdict.sent, verdict.acknowledged), (6, 4));
    }
}

#[test]
fn what_is_missing_is_lost() {
    let verdict = judge(&history(), &fleet(&[1, 0, 1, 1], 4));
    assert_eq!(verdict.lost.examples, ["1 of bot-0 in s"]);
    assert_eq!(
        judge(&history(), &fleet(&[1, 1, 1], 3)).lost.count,
        2,
        "the finding, and it as received"
    );
    assert_eq!(judge(&history(), &StoredFleet::default()).lost.count, 4);
}

#[test]
fn what_is_there_too_often_or_was_never_sent_is_told_apart() {
    let twice = judge(&history(), &fleet(&[1, 1, 2, 1], 4));
    assert_eq!((twice.twice.count, twice.invented.count), (1, 0), "{twice}");
    let received = judge(&history(), &fleet(&[1, 1, 1, 1], 8));
    assert_eq!(received.twice.count, 2, "{received}");
    let invented = judge(&history(), &fleet(&[1, 1, 1, 1, 1, 1, 1], 6));
    assert_eq!(invented.invented.count, 1, "{invented}");
    let unknown = judge(&History::default(), &fleet(&[1], 1));
    assert_eq!(unknown.invented.count, 1, "{unknown}");
}

#[test]
fn sums_and_health_that_differ_are_faults() {
    let mut stored = fleet(&[1, 1, 1, 1], 4);
    stored.counted = 5;
    let session = stored.sessions.get_mut("s").unwrap();
    session.sums.push(("counted by bot", 3));
    session.members_agree = false;
    session.standing = Standing::Outdated;
    let verdict = judge(&history(), &stored);
    assert_eq!(
        (verdict.broken.count, verdict.unhealthy.count),
        (3, 1),
        "{verdict}"
    );
}

#[test]
fn a_session_that_is_gone_was_complete_and_held_everything() {
    let seen = |times, pushed| Seen::from([("s".to_owned(), stored(times, pushed))]);
    let gone = StoredFleet::default();
    let verdict = super::judge(&history(), &gone, &seen(&[1, 1, 1, 1, 1], 5));
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.removed, verdict.applied), (1, 5));
    let verdict = super::judge(&history(), &gone, &seen(&[1, 1, 1], 4));
    assert_eq!(
        verdict.lost.examples,
        ["3 of bot-0 in s"],
        "acknowledged after it was seen"
    );
    let verdict = judge(&history(), &gone);
    assert_eq!(
        verdict.lost.count, 4,
        "nobody saw it complete, so it had to stay"
    );
}

#[test]
fn a_bot_finds_only_those_gone_that_were_removed() {
    let mut history = history();
    let gone = ("s".to_owned(), "no such session".to_owned());
    history.gone.push(gone);
    let seen = Seen::from([("s".to_owned(), stored(&[1, 1, 1, 1], 4))]);
    let verdict = super::judge(&history, &StoredFleet::default(), &seen);
    assert!(verdict.is_clean(), "{verdict}");
    let verdict = super::judge(&history, &fleet(&[1, 1, 1, 1], 4), &seen);
    assert_eq!(verdict.refused.count, 1, "{verdict}");
}

#[test]
fn compaction_that_takes_something_away_is_a_fault() {
    let seen = Seen::from([("s".to_owned(), stored(&[1, 1, 1, 1, 1], 5))]);
    let fleet = fleet(&[1, 1, 1, 1], 5);
    let verdict = super::judge(&history(), &fleet, &seen);
    assert_eq!(verdict.broken.count, 1, "{verdict}");
    let mut changed = fleet;
    changed.sessions.get_mut("s").unwrap().version = Version(2);
    let verdict = super::judge(&history(), &changed, &seen);
    assert!(verdict.is_clean(), "{verdict}");
}

/// The execution of `history`, completed.
fn completed(second: i64) -> Stored {
    let mut stored = stored(&[1, 1, 1, 1], 4);
    let execution = stored.executions.first_mut().unwrap();
    execution.state = ExecutionState::Completed;
    execution.ended = Some(Timestamp::from_second(second).unwrap());
    stored
}

#[test]
fn a_baseline_is_the_last_that_was_completed_whole() {
    let faults = |baseline: Option<&str>, removed: &[Stored]| {
        let mut fleet = of([("s", completed(1)), ("t", completed(2))]);
        let scope = "chaos/part bot-0 ".to_owned();
        let named = baseline.map(|session| (scope, session.to_owned()));
        fleet.baselines.extend(named);
        baselines::wrong(&fleet, removed.iter()).len()
    };
    assert_eq!(faults(Some("t"), &[]), 0);
    assert_eq!(faults(Some("s"), &[]), 1, "a later one was completed");
    assert_eq!(faults(Some("u"), &[]), 1, "it is gone");
    assert_eq!(faults(None, &[]), 1);
    assert_eq!(faults(None, &[completed(3)]), 0, "it went with its session");
}
