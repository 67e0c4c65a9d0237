use std::time::Duration;

use fleet_worker_sdk::WorkerState;
use jiff::{SignedDuration, ToSpan};

use super::*;
use crate::alert::Severity;
use crate::model::Tally;

fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn run(number: i64, fails: bool) -> Run {
    Run {
        session: "p1-01a20714-b637-7054-9cfa-b65a4c1fd8f8".parse().unwrap(),
        attempt: u32::try_from(number).unwrap() + 1,
        outcome: if fails {
            ExecutionState::Failed
        } else {
            ExecutionState::Completed
        },
        partial: false,
        ended: start() + number.minutes(),
        duration_ms: 10_000,
        findings: 100,
        tally: Tally::default(),
    }
}

/// A fleet of bots in one tier, each with runs that failed or not, oldest first.
struct Fleet {
    bots: Vec<Bot>,
    runs: HashMap<BotId, Vec<Run>>,
    series: BTreeMap<BotId, BotSeries>,
    backlog: Backlog,
    memory: Option<Memory>,
    dead: u64,
    workers: Vec<Worker>,
    anomalies: Vec<Anomaly>,
    mismatched: u64,
}

impl Fleet {
    fn of(bots: &[(&str, &[bool])]) -> Self {
        let mut fleet = Self {
            bots: Vec::new(),
            runs: HashMap::new(),
            series: BTreeMap::new(),
            backlog: Backlog::default(),
            memory: None,
            dead: 0,
            workers: Vec::new(),
            anomalies: Vec::new(),
            mismatched: 0,
        };
        for (name, fails) in bots {
            let bot = Bot::new(name).unwrap();
            let runs: Vec<_> = (0..).zip(*fails).map(|(n, fails)| run(n, *fails)).collect();
            fleet.runs.insert(bot.id.clone(), runs);
            fleet.bots.push(bot);
        }
        fleet
    }

    fn seen(&self, settings: &AlertSettings) -> Vec<(Name, Severity, String)> {
        let facts = Facts {
            bots: &self.bots,
            runs: &self.runs,
            series: &self.series,
            workers: &self.workers,
            anomalies: &self.anomalies,
            backlog: self.backlog,
            memory: self.memory,
            dead: self.dead,
            mismatched: self.mismatched,
            now: start() + 1.hour(),
            health: &health::Settings::default(),
        };
        let seen = observe(&facts, settings).into_iter();
        seen.map(|one| (one.labels.alertname, one.labels.severity, one.summary))
            .collect()
    }

    fn names(&self) -> Vec<(Name, Severity)> {
        let seen = self.seen(&AlertSettings::default()).into_iter();
        seen.map(|(name, severity, _)| (name, severity)).collect()
    }
}

#[test]
fn a_bot_that_fails_is_told_of_and_its_tier_when_all_do() {
    use Severity::{Critical, Warning};
    assert_eq!(Fleet::of(&[("a", &[false, true, true])]).names(), []);
    let two = Fleet::of(&[("a", &[false, true, true, true]), ("b", &[false])]);
    assert_eq!(two.names(), [(Name::BotFailing, Warning)]);
    let down = Fleet::of(&[("a", &[true; 6]), ("b", &[true; 3]), ("idle", &[])]);
    assert_eq!(
        down.names(),
        [
            (Name::BotFailing, Critical),
            (Name::BotFailing, Warning),
            (Name::TierDown, Critical)
        ]
    );
    let recovered = Fleet::of(&[("a", &[true, true, true, false])]);
    assert_eq!(recovered.names(), []);
}

#[test]
fn a_rate_needs_runs_to_be_one() {
    let fails = [true, false].repeat(4);
    let fleet = Fleet::of(&[("a", &fails)]);
    assert_eq!(fleet.names(), [(Name::HighErrorRate, Severity::Warning)]);
    assert_eq!(Fleet::of(&[("a", &fails[..7])]).names(), []);
}

#[test]
fn limits_are_those_of_the_settings() {
    let fleet = Fleet::of(&[("a", &[false, true])]);
    let mut settings = AlertSettings::default();
    let limit = super::super::settings::Limit {
        warning: Some(1.0),
        critical: None,
        hold: SignedDuration::ZERO,
    };
    settings.limits.insert(Name::BotFailing, limit);
    let names: Vec<_> = fleet
        .seen(&settings)
        .into_iter()
        .map(|seen| seen.0)
        .collect();
    assert_eq!(names, [Name::BotFailing, Name::TierDown]);
}

#[test]
fn a_slow_run_is_told_of_over_the_limit_or_when_it_is_unusual() {
    let mut fleet = Fleet::of(&[("a", &[false; 30])]);
    let mut settings = AlertSettings::default();
    assert_eq!(fleet.seen(&settings), []);
    settings.slow_after = Some(SignedDuration::from_secs(9));
    let (name, _, text) = fleet.seen(&settings).remove(0);
    assert_eq!(name, Name::SlowExecution);
    assert!(text.contains("took 10 s, over the limit of 9 s"), "{text}");
    let bot = fleet.bots[0].id.clone();
    let runs = fleet.runs.get_mut(&bot).unwrap();
    runs[29].duration_ms = 100_000;
    let mut series = BotSeries::default();
    series.fold(runs, start() + 1.hour());
    fleet.series.insert(bot, series);
    let seen = fleet.seen(&AlertSettings::default());
    assert!(seen[0].2.contains("unusually long"), "{seen:?}");
}

#[test]
fn what_the_store_lacks_is_told_of() {
    use Severity::{Critical, Warning};
    let mut fleet = Fleet::of(&[]);
    let memory = |used| Some(Memory { used, limit: 100 });
    fleet.memory = memory(89);
    fleet.backlog.oldest = Duration::from_secs(29);
    assert_eq!(fleet.names(), []);
    fleet.memory = memory(98);
    fleet.backlog.oldest = Duration::from_secs(31);
    fleet.dead = 2;
    let expected = [
        (Name::ResourceExhaustion, Critical),
        (Name::Backlog, Warning),
        (Name::DeadLetters, Warning),
    ];
    assert_eq!(fleet.names(), expected);
    fleet.memory = Some(Memory { used: 98, limit: 0 });
    assert!(fleet.names().len() < 3, "without a limit there is no share");
    let away = |seconds| {
        unreachable(
            "redis://x",
            Duration::from_secs(seconds),
            &AlertSettings::default(),
        )
    };
    assert_eq!(away(14), None);
    assert_eq!(away(15).unwrap().labels.severity, Critical);
}

/// A worker that has made no progress since the start.
fn stuck(bot: &str) -> Worker {
    Worker {
        id: format!("{bot}:h:1:a").parse().unwrap(),
        bot: bot.parse().unwrap(),
        version: "1".to_owned(),
        sdk: String::new(),
        host: "h".to_owned(),
        pid: 1,
        started: start(),
        state: WorkerState::Running,
        sessions: vec![run(0, false).session],
        last_beat: start() + 1.hour(),
        last_progress: start(),
        command: None,
    }
}

/// Something about `bot` that passed a fixed limit a while ago.
fn unusual(kind: anomaly::Kind, bot: &str) -> Anomaly {
    Anomaly {
        id: format!("{}:{bot}", kind.as_str()),
        kind,
        bot: bot.parse().unwrap(),
        session: None,
        worker: None,
        observed: 2.0,
        expected: 1.0,
        spread: 0.0,
        z: None,
        samples: 0,
        level: Level::Error,
        text: "more than there should be".to_owned(),
        at: start() + 1.minutes(),
        ended: None,
    }
}

#[test]
fn what_lasts_is_told_of_until_it_ends_and_a_run_for_a_while() {
    use anomaly::Kind::{Findings, Silent, Stuck, VersionSkew};
    let mut fleet = Fleet::of(&[("a", &[]), ("b", &[])]);
    let mut told = |anomaly: Anomaly| {
        fleet.anomalies = vec![anomaly];
        let seen = fleet.seen(&AlertSettings::default());
        seen.into_iter().map(|seen| seen.0).collect::<Vec<_>>()
    };
    let over = |kind| Anomaly {
        ended: Some(start() + 50.minutes()),
        ..unusual(kind, "b")
    };
    assert_eq!(told(unusual(Silent, "b")), [Name::BotSilent]);
    assert_eq!(told(over(Silent)), []);
    assert_eq!(told(unusual(VersionSkew, "b")), [Name::Anomaly]);
    assert_eq!(told(over(VersionSkew)), []);
    assert_eq!(told(unusual(Stuck, "b")), [], "workers say so themselves");
    let run = |minutes: i64| Anomaly {
        at: start() + minutes.minutes(),
        ..unusual(Findings, "a")
    };
    assert_eq!(told(run(50)), [Name::Anomaly]);
    assert_eq!(told(run(44)), [], "it is no news");
}

#[test]
fn every_kind_is_raised_by_something() {
    let mut fleet = Fleet::of(&[("a", &[true; 8]), ("slow", &[])]);
    fleet.backlog.oldest = Duration::from_mins(1);
    fleet.memory = Some(Memory {
        used: 98,
        limit: 100,
    });
    (fleet.dead, fleet.mismatched) = (1, 1);
    fleet.workers = vec![stuck("a")];
    fleet.anomalies = vec![
        unusual(anomaly::Kind::Silent, "a"),
        unusual(anomaly::Kind::VersionSkew, "a"),
    ];
    let long = Run {
        duration_ms: 100_000,
        ..run(1, false)
    };
    let known = fleet.runs.get_mut(&fleet.bots[1].id).unwrap();
    known.push(long);
    let settings = AlertSettings {
        slow_after: Some(SignedDuration::from_secs(60)),
        limits: [(
            Name::TierDown,
            super::super::settings::Limit {
                critical: Some(0.5),
                ..super::super::settings::Limit::of(Name::TierDown)
            },
        )]
        .into(),
        ..AlertSettings::default()
    };
    let mut raised: Vec<Name> = fleet
        .seen(&settings)
        .into_iter()
        .map(|seen| seen.0)
        .collect();
    let away = unreachable("redis://x", Duration::from_mins(1), &settings);
    raised.extend(away.map(|seen| seen.labels.alertname));
    raised.sort_unstable();
    let all = Name::ALL.iter().filter(|name| **name != Name::Test);
    assert_eq!(raised, all.copied().collect::<Vec<_>>());
}
