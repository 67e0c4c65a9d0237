//! A context beside a model that keeps everything in lists and looks through all of it.

mod naive;

mod laws;

mod alerts;
mod reports;

mod documents;

use fleet_worker_sdk::{Bot, Error, Repository, Severity, Tier};
use jiff::Timestamp;

use super::*;
use crate::health::Settings;

/// The time so many seconds after the tests' own beginning.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn context() -> Context {
    Context::new(Repository::new("acme/shop").unwrap(), at(0))
}

/// With bots `a`, `b`, … so many.
fn with_bots(count: u8) -> (Context, Vec<Handle>) {
    let mut context = context();
    let name = |n: u8| char::from(b'a' + n).to_string();
    let bots = (0..count).map(|n| context.register(Bot::new(name(n)).unwrap()).unwrap());
    let bots = bots.collect();
    (context, bots)
}

fn error(rule: &str) -> Draft<'_> {
    Draft::new(rule, Severity::Error, "it is wrong")
}

#[test]
fn a_new_context_is_empty_and_knows_nothing() {
    let context = context();
    assert!(context.is_empty() && !context.has_errors() && !context.blocks_release());
    assert_eq!(context.bots().count() + context.iter().count(), 0);
    assert_eq!(context.standing(&Settings::default()).score, None);
    assert_eq!(context.opened(), at(0));
    assert!(context.find(context.id().finding(0)).is_none());
}

#[test]
fn the_classic_bots_join_what_is_there_and_each_once() {
    let mut context = context();
    let own = context.register(Bot::new("own").unwrap()).unwrap();
    let classic = fleet_worker_sdk::roster::all().unwrap();
    let classic = classic.iter().filter(|bot| !bot.external).count();
    assert_eq!(context.register_all().unwrap(), classic + 1);
    assert_eq!(context.register_all().unwrap(), classic + 1);
    assert_eq!(context.name(own), Some("own"));
    let mut alone = super::tests::context();
    assert_eq!(alone.register_all().unwrap(), classic);
    assert!(alone.bots().all(|(_, _, run)| *run == Run::PENDING));
}

#[test]
fn a_bot_described_anew_keeps_its_run_and_changes_its_gate() {
    let (mut context, bots) = with_bots(2);
    context.start(bots[0], at(1)).unwrap();
    let again = Bot::new("a").unwrap().tier(Tier::Verifier);
    assert_eq!(context.register(again).unwrap(), bots[0]);
    assert_eq!(context.run(bots[0]).unwrap().attempt, 1);
    let finisher = Bot::new("b").unwrap().tier(Tier::Finisher);
    context.register(finisher).unwrap();
    assert_eq!(
        context.ready_bots().count(),
        0,
        "`b` waits for the verifier"
    );
    let plain = Bot::new("a").unwrap();
    context.register(plain).unwrap();
    assert_eq!(context.ready_bots().collect::<Vec<_>>(), [bots[1]]);
}

#[test]
fn so_many_bots_and_no_more() {
    let mut context = context();
    for number in 0..fleet_worker_sdk::session::MAX_EXECUTIONS {
        context
            .register(Bot::new(format!("bot-{number}")).unwrap())
            .unwrap();
    }
    let refused = context.register(Bot::new("one-more").unwrap());
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
    context.register(Bot::new("bot-7").unwrap()).unwrap();
    assert_eq!(
        context.ready_bots().count(),
        fleet_worker_sdk::session::MAX_EXECUTIONS
    );
}

#[test]
fn what_cannot_be_added_is_refused_and_changes_nothing() {
    let (mut context, bots) = with_bots(1);
    let stranger = Handle::at(7);
    let long = "x".repeat(fleet_worker_sdk::finding::MAX_FINDING_BYTES);
    let too_long = Draft::new("rule", Severity::Info, &long);
    for (bot, draft) in [
        (stranger, error("rule")),
        (bots[0], error("")),
        (bots[0], error("rule").category("")),
        (bots[0], too_long),
    ] {
        assert!(context.add(bot, &draft, at(1)).is_err());
    }
    assert!(context.is_empty());
    assert!(matches!(
        context.start(stranger, at(1)),
        Err(Error::NotFound { .. })
    ));
    let batch = [error("one"), error(""), error("three")];
    assert!(context.add_all(bots[0], batch, at(1)).is_err());
    assert_eq!(context.len(), 1, "what was before the one at fault stays");
}

#[test]
fn a_run_goes_one_way_unless_it_is_restarted() {
    let (mut context, bots) = with_bots(1);
    let bot = bots[0];
    let conflict = |result: Result<()>| assert!(matches!(result, Err(Error::Conflict { .. })));
    conflict(context.end(bot, End::Complete, at(1)));
    context.start(bot, at(1)).unwrap();
    conflict(context.start(bot, at(2)));
    context.end(bot, End::Failed("no memory"), at(3)).unwrap();
    conflict(context.end(bot, End::Complete, at(4)));
    assert!(context.blocks_release());
    context.restart(bot, at(5)).unwrap();
    assert!(!context.blocks_release());
    let run = context.run(bot).unwrap();
    assert_eq!(
        (run.attempt, run.started, run.ended),
        (2, Some(at(5)), None)
    );
    context.end(bot, End::Complete, at(6)).unwrap();
    conflict(context.end(bot, End::Skipped("late"), at(7)));
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let (mut context, bots) = with_bots(2);
    let id = context.add(bots[0], &error("one"), at(1)).unwrap();
    let snapshot = context.clone();
    let later = context.add(bots[1], &error("two"), at(2)).unwrap();
    context.start(bots[0], at(2)).unwrap();
    assert_eq!((snapshot.len(), context.len()), (1, 2));
    assert!(snapshot.find(id).is_some() && snapshot.find(later).is_none());
    assert_eq!(snapshot.ready_bots().count(), 2);
    assert!(context.weight() > snapshot.weight() / 2);
}
