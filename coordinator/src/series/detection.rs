//! How much of what is unusual is found, and how much is found that is not: on runs made up with
//! known faults in them.
//!
//! Forty repositories of 288 runs each, as many as the scans by which the limits were set (10 verdicts
//! at |z| >= 6, all at the two true changes of level). Durations are lognormal with a sigma of 0.15:
//! two of three within 15 % of the median. Findings are lognormal around 120 with a sigma of 0.03.
//! Into each are put two changes of level of the findings, by 43 % up (those scans' 102 to 146) or
//! 30 % down, and three single runs that take four times as long. Of 11,520 runs:
//!
//! | | found |
//! |---|---|
//! | changes of level, with the first run, at least as a warning | 80 of 80 |
//! | changes of level, with the first run, as an error | 73 of 80 |
//! | slow runs, as an error | 120 of 120 |
//! | false errors: neither at a slow run nor within 10 runs of a change | 0 |
//! | false warnings: the same at 4 <= z < 6 | 6, one in 1,900 runs |
//!
//! Twenty other seeds give 80 changes of level found and 68 to 78 as errors, 116 to 120 slow runs, 3 to
//! 14 false warnings and no false error; the test leaves room for as much.

use fleet_worker_sdk::ExecutionState;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::{Run, Tally};

const REPOSITORIES: u64 = 40;
const RUNS: usize = 288;
/// Runs after a change of level whose verdicts are about that change: a tenth of weight for each
/// makes the new level the usual one.
const SETTLING: usize = 10;

/// What was put into a series of runs.
struct Faults {
    levels: [usize; 2],
    slow: [usize; 3],
}

/// What came of it.
#[derive(Debug, Default)]
struct Score {
    /// Changes of level found with the first run at the new level, as an error or at all.
    levels: [usize; 2],
    /// Slow runs found, as errors.
    slow: usize,
    /// Verdicts that are about nothing.
    false_errors: usize,
    false_warnings: usize,
}

/// A value of a normal distribution around 0 with a standard deviation of 1 (Box and Muller, 1958).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let (u, v) = (1.0 - random.f64(), random.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn made_up(random: &mut fastrand::Rng) -> (Vec<Run>, Faults) {
    let faults = Faults {
        levels: [random.usize(60..110), random.usize(170..220)],
        slow: [
            random.usize(20..50),
            random.usize(120..160),
            random.usize(230..280),
        ],
    };
    let mut level = 120.0;
    let mut run = |(hour, number): (i64, usize)| {
        if faults.levels.contains(&number) {
            level *= if random.bool() { 1.43 } else { 0.7 };
        }
        let slow = if faults.slow.contains(&number) {
            4.0
        } else {
            1.0
        };
        let seconds = 60.0 * slow * (0.15 * normal(random)).exp();
        let findings = level * (0.03 * normal(random)).exp();
        Run {
            session: format!("p0-00000000-0000-7000-8000-{number:012}")
                .parse()
                .unwrap(),
            attempt: 1,
            outcome: ExecutionState::Completed,
            partial: false,
            ended: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour),
            duration_ms: (seconds * 1_000.0) as u64,
            findings: findings.round() as u64,
            tally: Tally::default(),
        }
    };
    ((0..).zip(0..RUNS).map(&mut run).collect(), faults)
}

impl Score {
    fn count(&mut self, runs: &[Run], faults: &Faults) {
        let mut series = BotSeries::default();
        let folded = series.fold(
            runs,
            Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000),
        );
        for (number, (_, judged)) in folded.iter().enumerate() {
            for judged in judged {
                self.take(number, judged, faults);
            }
        }
    }

    fn take(&mut self, number: usize, judged: &Judged, faults: &Faults) {
        let error = judged.verdict.level == Level::Error;
        let since = faults
            .levels
            .iter()
            .filter_map(|at| number.checked_sub(*at));
        let (level, slow) = (since.min(), faults.slow.contains(&number));
        match judged.kind {
            Kind::Findings if level.is_some_and(|since| since < SETTLING) => {
                let first = level == Some(0);
                self.levels[0] += usize::from(error && first);
                self.levels[1] += usize::from(first);
            }
            Kind::Duration if slow => self.slow += usize::from(error),
            _ if error => self.false_errors += 1,
            _ => self.false_warnings += 1,
        }
    }
}

#[test]
fn what_is_unusual_is_found_and_little_else() {
    let mut random = fastrand::Rng::with_seed(288);
    let mut score = Score::default();
    for _ in 0..REPOSITORIES {
        let (runs, faults) = made_up(&mut random);
        score.count(&runs, &faults);
    }
    let [errors, found] = score.levels;
    assert_eq!(found, 80, "{score:?}");
    assert!(errors >= 68 && score.slow >= 114, "{score:?}");
    assert_eq!(score.false_errors, 0, "{score:?}");
    assert!(score.false_warnings <= 14, "{score:?}");
}
