//! What somebody should look at.

use fleet_worker_sdk::{Bot, Severity, Tier};
use jiff::SignedDuration;

use super::{at, context, error, with_bots};
use crate::context::{Alert, Draft, End};
use crate::health::{Settings, Status};

#[test]
fn a_tier_and_everything_that_failed_are_told_with_who_waits() {
    let mut context = context();
    let engine = Bot::new("engine").unwrap().tier(Tier::Engine);
    let engine = context.register(engine).unwrap();
    let after = Bot::new("after").unwrap().depends_on(["engine"]).unwrap();
    context.register(after).unwrap();
    context.start(engine, at(0)).unwrap();
    context
        .end(engine, End::Failed("no memory"), at(1))
        .unwrap();
    let settings = Settings::default();
    let alerts: Vec<String> = context
        .alerts(at(2), &settings)
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = [
        "everything that ran failed",
        "every engine that ran failed",
        "engine failed: no memory",
        "after waits for engine, which failed",
    ];
    assert_eq!(alerts, expected);
    assert_eq!(context.standing(&settings).status, Status::Critical);
}

#[test]
fn a_bot_is_slow_from_when_a_worker_would_be_stuck_and_only_while_it_runs() {
    let (mut context, bots) = with_bots(1);
    let settings = Settings::default();
    let limit = settings.stuck_after;
    context.start(bots[0], at(0)).unwrap();
    let almost = at(0) + limit - SignedDuration::from_millis(1);
    assert_eq!(context.alerts(almost, &settings), []);
    let slow = Alert::Slow {
        bot: "a",
        running: limit,
    };
    assert_eq!(context.alerts(at(0) + limit, &settings), [slow]);
    context.end(bots[0], End::Complete, at(0) + limit).unwrap();
    assert_eq!(context.alerts(at(0) + limit, &settings), []);
}

#[test]
fn errors_are_told_and_their_share_only_when_it_says_something() {
    let (mut context, bots) = with_bots(1);
    let settings = Settings::default();
    for line in 0..19 {
        context
            .add(bots[0], &error("rule").at("a.rs", line), at(0))
            .unwrap();
    }
    assert_eq!(context.alerts(at(1), &settings), [Alert::ErrorsOpen(19)]);
    let warning = Draft::new("other", Severity::Warning, "it is odd");
    context.add(bots[0], &warning, at(0)).unwrap();
    let share = Alert::MostlyErrors {
        errors: 19,
        open: 20,
    };
    assert_eq!(
        context.alerts(at(1), &settings),
        [Alert::ErrorsOpen(19), share]
    );
    for _ in 0..18 {
        context.add(bots[0], &warning, at(0)).unwrap();
    }
    assert_eq!(context.alerts(at(1), &settings), [Alert::ErrorsOpen(19)]);
}

#[test]
fn a_bot_with_ten_times_the_others_findings_floods() {
    let (mut context, bots) = with_bots(3);
    let settings = Settings::default();
    let info = Draft::new("rule", Severity::Info, "a remark");
    context.add_all(bots[0], vec![info; 100], at(0)).unwrap();
    context.add_all(bots[1], vec![info; 100], at(0)).unwrap();
    context.add_all(bots[2], vec![info; 999], at(0)).unwrap();
    assert_eq!(context.alerts(at(1), &settings), []);
    context.add(bots[2], &info, at(0)).unwrap();
    let flood = Alert::Flood {
        bot: "c",
        findings: 1_000,
        median: 100,
    };
    assert_eq!(context.alerts(at(1), &settings), [flood]);
    context.add_all(bots[1], vec![info; 100], at(0)).unwrap();
    context.add_all(bots[0], vec![info; 100], at(0)).unwrap();
    assert_eq!(context.alerts(at(1), &settings), []);
}
