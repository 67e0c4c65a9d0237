use fleet_worker_sdk::BotId;

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

fn fleet(times: &[u32], pushed: u64) -> StoredFleet {
    let total = u64::from(times.iter().sum::<u32>());
    let execution = Execution {
        attempt: 1,
        pushed,
        state: ExecutionState::Running,
        ..Execution::pending(&BotId::new("bot-0").unwrap())
    };
    let stored = Stored {
        times: BTreeMap::from([("bot-0".to_owned(), times.to_vec())]),
        strange: Vec::new(),
        total,
        sums: vec![("members of the index", total)],
        counts_agree: true,
        executions: vec![execution],
        standing: Standing::Agrees,
    };
    StoredFleet {
        sessions: BTreeMap::from([("s".to_owned(), stored)]),
        counted: total,
        counted_sessions: 1,
    }
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
    session.standing = Standing::Outdated;
    let verdict = judge(&history(), &stored);
    assert_eq!(
        (verdict.broken.count, verdict.unhealthy.count),
        (2, 1),
        "{verdict}"
    );
}
