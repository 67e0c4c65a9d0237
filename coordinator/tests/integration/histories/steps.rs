//! Histories as data. Things are named by small numbers, so that steps meet.

use fleet_worker_sdk::{Command, WorkerState};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Bots, workers, producers there are; sessions are told apart by repository and run.
pub(super) const BOTS: u8 = 3;
pub(super) const WORKERS: u8 = 3;
pub(super) const PRODUCERS: u8 = 4;
pub(super) const REPOSITORIES: u8 = 2;
/// Findings there are: few, so that pushes overlap.
const FINDINGS: u32 = 24;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Register {
        bot: u8,
        version: u8,
    },
    Beat {
        worker: u8,
        state: WorkerState,
        progress: u64,
    },
    Command {
        worker: u8,
        command: Command,
    },
    Forget {
        worker: u8,
    },
    Open {
        repository: u8,
        run: u8,
        expect: Vec<u8>,
    },
    /// A change of the execution of `bot` in the session opened as number `session`.
    Change {
        session: u8,
        by: By,
        doing: Doing,
    },
    Push {
        session: u8,
        by: By,
        load: Load,
    },
    /// What was taken so many calls ago is sent again.
    Retry {
        back: u8,
    },
    Derive {
        session: u8,
        quality: Option<u16>,
        stale: bool,
    },
}

/// Who does it, and how correctly.
#[derive(Clone, Debug)]
pub(super) struct By {
    /// Which bot; among those that are running, if there are any, when `fitting`.
    pub(super) bot: u8,
    pub(super) fitting: bool,
    pub(super) producer: u8,
    /// Numbers skipped: 0 is right.
    pub(super) skipped: u64,
    /// Attempts behind: 0 is right.
    pub(super) behind: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Doing {
    Expect,
    Start {
        worker: Option<u8>,
        reopen: bool,
    },
    /// States so many findings too many: 0 is right.
    Complete {
        over: u64,
        partial: bool,
    },
    Fail,
    Skip,
    Lost {
        worker: u8,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) findings: Vec<u32>,
    /// Findings in it that are suppressed.
    pub(super) suppressed: bool,
    pub(super) again: Vec<(u32, u32)>,
    pub(super) rules: Vec<u8>,
    /// The first finding is sent twice, or has no rule.
    pub(super) spoilt: Option<bool>,
}

/// Mostly 0.
fn seldom(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![9 => Just(0), 1 => 1..=most]
}

fn by() -> impl Strategy<Value = By> {
    let behind = prop_oneof![9 => Just(0u32), 1 => Just(1)];
    let fitting = prop::bool::weighted(0.8);
    (0..BOTS, fitting, 0..PRODUCERS, seldom(3), behind).prop_map(
        |(bot, fitting, producer, skipped, behind)| By {
            bot,
            fitting,
            producer,
            skipped,
            behind,
        },
    )
}

fn doing() -> impl Strategy<Value = Doing> {
    let start = (option::of(0..WORKERS), any::<bool>())
        .prop_map(|(worker, reopen)| Doing::Start { worker, reopen });
    let complete =
        (seldom(2), any::<bool>()).prop_map(|(over, partial)| Doing::Complete { over, partial });
    prop_oneof![
        6 => start,
        3 => complete,
        1 => Just(Doing::Expect),
        1 => Just(Doing::Fail),
        1 => Just(Doing::Skip),
        1 => (0..WORKERS).prop_map(|worker| Doing::Lost { worker }),
    ]
}

fn load() -> impl Strategy<Value = Load> {
    let all: Vec<u32> = (0..FINDINGS).collect();
    let spoilt = prop_oneof![9 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let again = vec((0..FINDINGS, 2u32..9), 0..3);
    let findings = subsequence(all, 0..8).prop_shuffle();
    (findings, any::<bool>(), again, vec(0u8..4, 0..2), spoilt).prop_map(
        |(findings, suppressed, again, rules, spoilt)| Load {
            findings,
            suppressed,
            again,
            rules,
            spoilt,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let session = || 0u8..6;
    let register = (0..BOTS, 0u8..3).prop_map(|(bot, version)| Step::Register { bot, version });
    let beat =
        (0..WORKERS, select(WorkerState::ALL), 0u64..3).prop_map(|(worker, state, progress)| {
            Step::Beat {
                worker,
                state,
                progress,
            }
        });
    let command = (0..WORKERS, any::<bool>()).prop_map(|(worker, quiet)| Step::Command {
        worker,
        command: if quiet {
            Command::Quiet
        } else {
            Command::Terminate
        },
    });
    let open =
        (0..REPOSITORIES, 0u8..2, vec(0..BOTS, 0..3)).prop_map(|(repository, run, expect)| {
            Step::Open {
                repository,
                run,
                expect,
            }
        });
    let change = (session(), by(), doing()).prop_map(|(session, by, doing)| Step::Change {
        session,
        by,
        doing,
    });
    let push =
        (session(), by(), load()).prop_map(|(session, by, load)| Step::Push { session, by, load });
    let retry = (0u8..5).prop_map(|back| Step::Retry { back });
    let derive = (session(), option::of(0u16..10_000), any::<bool>()).prop_map(
        |(session, quality, stale)| Step::Derive {
            session,
            quality,
            stale,
        },
    );
    prop_oneof![
        1 => register,
        3 => beat,
        1 => command,
        1 => (0..WORKERS).prop_map(|worker| Step::Forget { worker }),
        3 => open,
        8 => change,
        12 => push,
        5 => retry,
        2 => derive,
    ]
}

/// At most so many steps after a session was opened.
pub(super) fn history(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let opened = Step::Open {
        repository: 0,
        run: 0,
        expect: vec![0, 1],
    };
    vec(step(), 1..most).prop_map(move |mut steps| {
        steps.insert(0, opened.clone());
        steps
    })
}
