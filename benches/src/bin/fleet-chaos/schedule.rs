//! Which fault happens when. Pure: the same seed and length give the same schedule.

use std::fmt;
use std::time::Duration;

use fleet_benches::Seeded;
use serde::{Serialize, Serializer};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    KillCoordinator,
    KillRedis,
    KillBot,
    StopCoordinator,
    StopRedis,
    StopBot,
    CutReply,
    CutReplyWithin,
    HalfOpen,
    Reset,
    HoldCalls,
    HoldReplies,
    Delay,
    SlowLine,
    Refuse,
    FullMemory,
    FlushFunctions,
    FlushScripts,
    DestroyGroups,
}

/// Each with its name, the seconds between two of them on average, and how many seconds one lasts
/// at least and at most.
///
/// In half an hour this makes 300 coordinator kills, 90 of Redis, 450 cut replies and 120 times
/// half-open links; in 20 s each kind comes at least once. Those that stop everything are short and
/// rare enough that bots come through between two of them.
const KINDS: [(Fault, &str, f64, f64, f64); 19] = [
    (Fault::KillCoordinator, "coordinators killed", 6.0, 0.0, 0.5),
    (Fault::KillRedis, "Redis killed", 20.0, 0.0, 0.5),
    (Fault::KillBot, "bots killed", 10.0, 0.0, 0.5),
    (
        Fault::StopCoordinator,
        "coordinators stopped",
        20.0,
        0.5,
        5.0,
    ),
    (Fault::StopRedis, "Redis stopped", 40.0, 0.5, 3.0),
    (Fault::StopBot, "bots stopped", 30.0, 0.5, 5.0),
    (
        Fault::CutReply,
        "replies cut before the first byte",
        6.0,
        0.0,
        0.0,
    ),
    (Fault::CutReplyWithin, "replies cut within", 12.0, 0.0, 0.0),
    (Fault::HalfOpen, "links left half open", 15.0, 0.0, 0.0),
    (Fault::Reset, "links reset", 15.0, 0.0, 0.0),
    (Fault::HoldCalls, "calls held", 40.0, 0.5, 3.0),
    (Fault::HoldReplies, "replies held", 40.0, 0.5, 3.0),
    (Fault::Delay, "delays", 30.0, 1.0, 4.0),
    (Fault::SlowLine, "slow lines", 40.0, 1.0, 4.0),
    (Fault::Refuse, "connections refused", 40.0, 0.2, 2.0),
    (Fault::FullMemory, "memory full", 40.0, 0.5, 4.0),
    (Fault::FlushFunctions, "functions flushed", 30.0, 0.0, 0.0),
    (Fault::FlushScripts, "scripts flushed", 60.0, 0.0, 0.0),
    (
        Fault::DestroyGroups,
        "consumer groups destroyed",
        30.0,
        0.0,
        0.0,
    ),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(kind, ..)| kind == self);
        f.write_str(name.map_or("", |(_, name, ..)| name))
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// One fault to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Planned {
    /// Since the beginning.
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
    /// How long it lasts.
    pub(crate) lasts: Duration,
    /// Which of several it is done to, to be divided by their number.
    pub(crate) pick: u64,
}

/// The faults of a run of this length, in order of time.
pub(crate) fn plan(seed: u64, length: Duration) -> Vec<Planned> {
    let mut seeded = Seeded::new(seed);
    let mut all = Vec::new();
    for (fault, _, period, shortest, longest) in KINDS {
        let seconds = length.as_secs_f64();
        let count = (seconds / period).round().max(1.0) as u64;
        for n in 0..count {
            // One in each of as many equal parts, so that the count is kept and none bunch up.
            let at = (n as f64 + share(&mut seeded)) / count as f64 * seconds;
            let lasts = (longest - shortest).mul_add(share(&mut seeded), shortest);
            all.push(Planned {
                at: Duration::from_secs_f64(at),
                fault,
                lasts: Duration::from_secs_f64(lasts),
                pick: seeded.number(),
            });
        }
    }
    all.sort_by_key(|planned| planned.at);
    all
}

/// Between 0 and 1.
fn share(seeded: &mut Seeded) -> f64 {
    (seeded.number() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_AN_HOUR: Duration = Duration::from_mins(30);

    fn count(plan: &[Planned], fault: Fault) -> usize {
        plan.iter().filter(|planned| planned.fault == fault).count()
    }

    #[test]
    fn half_an_hour_has_what_the_specification_asks_for() {
        let plan = plan(1, HALF_AN_HOUR);
        assert!(count(&plan, Fault::KillCoordinator) >= 200);
        assert!(count(&plan, Fault::KillRedis) >= 60);
        assert!(count(&plan, Fault::CutReply) >= 200);
        assert!(count(&plan, Fault::HalfOpen) >= 60);
        assert!(plan.is_sorted_by_key(|planned| planned.at));
        assert!(plan.iter().all(|planned| planned.at < HALF_AN_HOUR));
    }

    #[test]
    fn a_short_run_has_each_kind_and_a_seed_says_it_all() {
        let short = plan(7, Duration::from_secs(20));
        for (fault, name, ..) in KINDS {
            assert!(count(&short, fault) >= 1, "{name}");
            assert_eq!(fault.to_string(), name);
        }
        assert_eq!(short, plan(7, Duration::from_secs(20)));
        assert_ne!(short, plan(8, Duration::from_secs(20)));
    }
}
