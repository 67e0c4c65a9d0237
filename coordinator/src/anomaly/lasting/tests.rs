use fleet_worker_sdk::{ExecutionState, SessionId, WorkerId, WorkerState};

use super::*;
use crate::model::{Run, Tally};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn session(hour: i64) -> SessionId {
    format!("p0-00000000-0000-7000-8000-{hour:012}")
        .parse()
        .unwrap()
}

/// A worker that started and made its last progress at 0, and beats at `beat`.
fn worker(name: &str, version: &str, beat: i64) -> Worker {
    Worker {
        id: format!("scan:h:1:{name}").parse().unwrap(),
        bot: "scan".parse().unwrap(),
        version: version.to_owned(),
        sdk: String::new(),
        host: "h".to_owned(),
        pid: 1,
        started: at(0),
        state: WorkerState::Running,
        sessions: vec![session(0)],
        command: None,
        last_beat: at(beat),
        last_progress: at(0),
    }
}

/// What is unusual of these workers at `now`, heard since `heard`.
fn seen(workers: &[Worker], heard: Option<i64>, now: i64) -> Vec<Anomaly> {
    lasting(&Facts {
        bots: &[Bot::new("scan").unwrap()],
        series: &BTreeMap::new(),
        workers,
        heard_since: heard.map(at),
        now: at(now),
        settings: &Settings::default(),
    })
}

fn kinds(found: &[Anomaly]) -> Vec<Kind> {
    found.iter().map(|anomaly| anomaly.kind).collect()
}

#[test]
fn a_worker_that_beats_and_gets_nothing_done_is_stuck_under_one_identity() {
    let found = |second| seen(&[worker("a", "1", second)], Some(0), second);
    assert_eq!(kinds(&found(599)), []);
    let (first, later) = (found(600), found(3_000));
    assert_eq!(kinds(&first), [Kind::Stuck]);
    assert_eq!((&first[0].id, first[0].at), (&later[0].id, later[0].at));
    assert_eq!(first[0].at, at(600), "from when on it was unusual");
    assert_eq!(
        later[0].text,
        "no progress for 50 min of worker scan:h:1:a, expected within 10 min; \
         it beats and holds 1 session"
    );
    let mut moved = worker("a", "1", 3_000);
    moved.last_progress = at(2_000);
    let again = seen(&[moved], Some(0), 3_000);
    assert_ne!(again[0].id, first[0].id, "it moved and is stuck anew");
}

#[test]
fn those_stuck_longest_come_first() {
    let mut workers: Vec<Worker> = ["c", "b", "a"].map(|name| worker(name, "1", 1_000)).into();
    workers[2].last_progress = at(300);
    let found = seen(&workers, Some(0), 1_000);
    let names = found.iter().filter_map(|a| a.worker.as_ref());
    let names: Vec<_> = names.map(WorkerId::as_str).collect();
    assert_eq!(names, ["scan:h:1:b", "scan:h:1:c", "scan:h:1:a"]);
}

#[test]
fn a_bot_is_silent_when_all_of_its_workers_ceased_to_beat() {
    let mut fresh = worker("b", "1", 50);
    assert_eq!(kinds(&seen(&[worker("a", "1", 0)], Some(0), 59)), []);
    let found = seen(&[worker("a", "1", 0)], Some(0), 60);
    assert_eq!(kinds(&found), [Kind::Silent]);
    assert!(
        found[0]
            .text
            .starts_with("no heartbeat for 60 s of its one worker"),
        "{}",
        found[0].text
    );
    let both = |fresh: &Worker| seen(&[worker("a", "1", 0), fresh.clone()], Some(0), 100);
    assert_eq!(kinds(&both(&fresh)), [], "one lives");
    fresh.state = WorkerState::Stopped;
    assert_eq!(kinds(&both(&fresh)), [], "the last of them ended in order");
}

#[test]
fn silence_counts_from_when_somebody_could_be_heard() {
    let gone = [worker("a", "1", 0)];
    assert_eq!(kinds(&seen(&gone, None, 10_000)), []);
    assert_eq!(kinds(&seen(&gone, Some(9_941), 10_000)), []);
    assert_eq!(kinds(&seen(&gone, Some(9_940), 10_000)), [Kind::Silent]);
}

#[test]
fn versions_side_by_side_are_unusual_once_a_rollout_is_over() {
    let pair = |second: i64| {
        let mut new = worker("b", "1.3.0", second);
        (new.started, new.sessions) = (at(100), Vec::new());
        let mut old = worker("a", "1.2.0", second);
        old.sessions.clear();
        [old.clone(), old, new]
    };
    assert_eq!(kinds(&seen(&pair(1_899), Some(0), 1_899)), []);
    let found = seen(&pair(1_900), Some(0), 1_900);
    assert_eq!(kinds(&found), [Kind::VersionSkew]);
    assert_eq!(
        found[0].text,
        "2 versions at once for 30 min, expected 1 after 30 min: \
         1.2.0 (2 workers), 1.3.0 (1 worker)"
    );
    let dead = seen(&pair(1_900), Some(0), 2_000);
    assert_eq!(kinds(&dead), [Kind::Silent], "the dead run nothing");
    let mut unsaid = pair(1_900);
    unsaid[2].version.clear();
    assert_eq!(kinds(&seen(&unsaid, Some(0), 1_900)), []);
}

#[test]
fn bots_of_one_version_may_differ_in_their_sdks() {
    let of = |sdks: [&str; 2], version: &str| {
        let pair = ["a", "b"].map(|name| worker(name, version, 1_900));
        let mut pair = pair.into_iter().zip(sdks).map(|(mut worker, sdk)| {
            worker.sessions.clear();
            sdk.clone_into(&mut worker.sdk);
            worker
        });
        let found = seen(
            &[pair.next().unwrap(), pair.next().unwrap()],
            Some(0),
            1_900,
        );
        let texts = found.into_iter().map(|found| found.text);
        texts.last().unwrap_or_default()
    };
    assert_eq!(of(["0.1.0", "0.1.0"], "2"), "");
    assert_eq!(of(["0.1.0", ""], "2"), "", "one does not say");
    let text = of(["0.1.0", "0.2.0"], "2");
    let named = "2 with SDK 0.1.0 (1 worker), 2 with SDK 0.2.0 (1 worker)";
    assert!(text.ends_with(named), "{text}");
    let text = of(["0.1.0", "0.2.0"], "");
    assert!(text.contains("SDK 0.1.0 (1 worker), SDK 0.2.0"), "{text}");
}

#[test]
fn what_a_worker_calls_its_version_is_cut() {
    let mut workers: Vec<Worker> = (0..9)
        .map(|n| worker(&n.to_string(), &format!("{n}{}", "v".repeat(500)), 1_900))
        .collect();
    for worker in &mut workers {
        worker.sessions.clear();
    }
    let found = seen(&workers, Some(0), 1_900);
    assert!(found[0].text.len() < 400, "{}", found[0].text);
    assert!(found[0].text.ends_with("and 5 more"), "{}", found[0].text);
}

/// Hourly runs up to hour 20.
fn hourly() -> BotSeries {
    let runs: Vec<Run> = (0..20)
        .map(|hour| Run {
            session: session(hour),
            attempt: 1,
            ended: at(hour * 3_600),
            outcome: ExecutionState::Completed,
            partial: false,
            duration_ms: 60_000,
            findings: 100,
            tally: Tally::default(),
        })
        .collect();
    let mut series = BotSeries::default();
    series.fold(&runs, at(1_000_000));
    series
}

#[test]
fn a_bot_that_ran_hourly_is_silent_under_one_identity() {
    let series: BTreeMap<BotId, BotSeries> = [("scan".parse().unwrap(), hourly())].into();
    let found = |hour: i64| {
        lasting(&Facts {
            bots: &[Bot::new("scan").unwrap()],
            series: &series,
            workers: &[],
            heard_since: None,
            now: at(hour * 3_600),
            settings: &Settings::default(),
        })
    };
    assert_eq!(kinds(&found(20)), []);
    let (first, later) = (found(60), found(100));
    assert_eq!(kinds(&first), [Kind::Silent]);
    assert_eq!((&first[0].id, first[0].at), (&later[0].id, later[0].at));
    assert!(first[0].at < at(60 * 3_600));
    assert!(later[0].observed > first[0].observed);
}
