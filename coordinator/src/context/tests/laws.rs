//! Whatever is done to a context, it is what the model is.

use fleet_worker_sdk::{Bot, Severity, Tier};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::naive::{Kept, Model};
use super::{at, context};
use crate::context::{Context, End, Entry, Handle, Marks};
use crate::health::{Settings, rollup};

/// Bots that a test's steps name, registered or not.
const BOTS: usize = 6;

#[derive(Clone, Debug)]
enum Step {
    Register(usize, Tier, Vec<usize>),
    Classic,
    Add(Kept),
    AddAll(usize, Vec<Kept>),
    Start(usize, bool),
    End(usize, Ending),
}

#[derive(Clone, Debug)]
enum Ending {
    Complete,
    Partial,
    Failed(String),
    Skipped(String),
}

impl Ending {
    fn end(&self) -> End<'_> {
        match self {
            Self::Complete => End::Complete,
            Self::Partial => End::Partial,
            Self::Failed(why) => End::Failed(why),
            Self::Skipped(why) => End::Skipped(why),
        }
    }
}

/// Few of each, so that they repeat, and more than are compared without a hash.
fn kept() -> impl Strategy<Value = Kept> {
    let text = "[a-e]{0,2}[\"\\\\\n<|é]?";
    let names = ("[a-f]{1,2}", "[a-d]", "(src/[a-h])?", "(fn [ab])?", text);
    let scores = (option::of(0.0f32..=10.0), option::of(0.0f32..=1.0));
    let marks = (any::<bool>(), any::<bool>(), any::<bool>());
    let place = (0..BOTS, 0..50u32, select(Severity::ALL));
    (names, scores, marks, place).prop_map(|(names, scores, marks, place)| Kept {
        bot: place.0,
        rule: names.0,
        severity: place.2,
        category: names.1,
        message: names.4,
        file: names.2,
        line: place.1,
        element: names.3,
        security_severity: scores.0,
        confidence: scores.1,
        marks: Marks {
            suppressed: marks.0,
            fixable: marks.1,
            fixed: marks.2,
        },
        came: at(0),
    })
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        Just(Ending::Complete),
        Just(Ending::Partial),
        "[a-z é]{0,9}".prop_map(Ending::Failed),
        "[a-z é]{0,9}".prop_map(Ending::Skipped),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let register = (0..BOTS, select(Tier::ALL), vec(0..BOTS, 0..3));
    prop_oneof![
        3 => register.prop_map(|(bot, tier, needs)| Step::Register(bot, tier, needs)),
        1 => Just(Step::Classic),
        6 => kept().prop_map(Step::Add),
        3 => (0..BOTS, vec(kept(), 0..20)).prop_map(|(bot, all)| Step::AddAll(bot, all)),
        4 => (0..BOTS, any::<bool>()).prop_map(|(bot, again)| Step::Start(bot, again)),
        4 => (0..BOTS, ending()).prop_map(|(bot, end)| Step::End(bot, end)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 0..40)
}

/// Both after the same steps.
fn after(steps: Vec<Step>) -> (Context, Model) {
    let (mut context, mut model) = (context(), Model::default());
    for (second, step) in (1..).zip(steps) {
        take(&mut context, &mut model, step, second);
    }
    (context, model)
}

fn take(context: &mut Context, model: &mut Model, step: Step, second: i64) {
    let now = at(second);
    let known = |model: &Model, bot: usize| bot < model.bots.len();
    match step {
        Step::Register(bot, tier, needs) => {
            let needs = needs.into_iter().filter(|other| *other != bot).map(name);
            let bot = Bot::new(name(bot)).unwrap().tier(tier);
            let bot = bot.depends_on(needs).unwrap();
            context.register(bot.clone()).unwrap();
            model.register(bot);
        }
        Step::Classic => {
            let all = fleet_worker_sdk::roster::all().unwrap();
            let classic = all.into_iter().filter(|bot| !bot.external);
            classic.for_each(|bot| model.register(bot));
            assert_eq!(context.register_all().unwrap(), model.bots.len());
        }
        Step::Add(mut finding) => {
            let added = context.add(Handle::at(finding.bot), &finding.draft(), now);
            assert_eq!(added.is_ok(), known(model, finding.bot));
            if added.is_ok() {
                finding.came = now;
                model.findings.push(finding);
            }
        }
        Step::AddAll(bot, all) => {
            let drafts = all.iter().map(Kept::draft);
            let added = context.add_all(Handle::at(bot), drafts, now);
            assert_eq!(added.ok(), known(model, bot).then_some(all.len()));
            if known(model, bot) {
                let came = |finding| Kept {
                    bot,
                    came: now,
                    ..finding
                };
                model.findings.extend(all.into_iter().map(came));
            }
        }
        Step::Start(bot, again) => {
            let handle = Handle::at(bot);
            let started = if again {
                context.restart(handle, now)
            } else {
                context.start(handle, now)
            };
            let taken = known(model, bot) && model.start(bot, now, again);
            assert_eq!(started.is_ok(), taken);
        }
        Step::End(bot, ending) => {
            let ended = context.end(Handle::at(bot), ending.end(), now);
            let taken = known(model, bot) && model.end(bot, ending.end(), now);
            assert_eq!(ended.is_ok(), taken);
        }
    }
}

fn name(bot: usize) -> String {
    format!("bot-{bot}")
}

fn positions<'a>(context: &Context, entries: impl Iterator<Item = Entry<'a>>) -> Vec<usize> {
    let position = |entry: Entry<'_>| entry.id().position(context.id()).unwrap() as usize;
    entries.map(position).collect()
}

#[track_caller]
fn same_findings(context: &Context, model: &Model) {
    assert_eq!(context.len(), model.findings.len());
    for (position, (entry, kept)) in context.iter().zip(&model.findings).enumerate() {
        assert_eq!(entry.draft(), kept.draft());
        assert_eq!(entry.bot_name(), model.bots[kept.bot].id.as_str());
        assert_eq!(
            (entry.first_seen(), entry.class()),
            (kept.came, kept.class())
        );
        let found = context.find(entry.id()).unwrap();
        assert_eq!((found.id(), found.draft()), (entry.id(), kept.draft()));
        assert_eq!(entry.id(), context.id().finding(position as u32));
    }
    let beyond = context.id().finding(model.findings.len() as u32);
    assert!(context.find(beyond).is_none());
    assert_eq!(positions(context, context.sorted()), model.sorted());
}

#[track_caller]
fn same_lists(context: &Context, model: &Model) {
    for bot in 0..=model.bots.len() {
        let list = context.by_bot(Handle::at(bot));
        assert_eq!(positions(context, list), model.that(|kept| kept.bot == bot));
    }
    for severity in Severity::ALL {
        let list = positions(context, context.by_severity(*severity));
        assert_eq!(list, model.that(|kept| kept.severity == *severity));
    }
    let strange = ["", "a", "src/a", "nobody has this"].map(str::to_owned);
    let names = |of: fn(&Kept) -> &String| {
        let mut names: Vec<String> = model.findings.iter().map(of).cloned().collect();
        names.extend(strange.clone());
        names.sort();
        names.dedup();
        names
    };
    for name in names(|kept| &kept.category) {
        let list = context.by_category(&name);
        assert_eq!(list.len(), model.that(|kept| kept.category == name).len());
        assert_eq!(
            positions(context, list),
            model.that(|kept| kept.category == name)
        );
    }
    for name in names(|kept| &kept.rule) {
        let list = positions(context, context.by_rule(&name));
        assert_eq!(list, model.that(|kept| kept.rule == name));
    }
    for name in names(|kept| &kept.file) {
        let list = positions(context, context.by_file(&name));
        assert_eq!(list, model.that(|kept| kept.file == name));
    }
}

#[track_caller]
fn same_runs(context: &Context, model: &Model) {
    let (bots, executions) = (model.bots.iter(), model.executions.iter());
    assert_eq!(context.bots().count(), model.bots.len());
    for ((handle, id, run), (bot, execution)) in context.bots().zip(bots.zip(executions)) {
        assert_eq!((id, context.description(handle)), (&bot.id, Some(bot)));
        assert_eq!(context.bot(bot.id.as_str()), Some(handle));
        assert_eq!(
            (run.state, run.partial),
            (execution.state, execution.partial)
        );
        assert_eq!(
            (run.started, run.ended),
            (execution.started, execution.ended)
        );
        assert_eq!(
            (run.attempt, run.reason.as_deref()),
            (execution.attempt, execution.reason.as_deref())
        );
    }
    let ready = context.ready_bots().map(|bot| context.name(bot).unwrap());
    let ready: Vec<&str> = ready.collect();
    let expected = model.ready();
    let expected: Vec<&str> = expected
        .iter()
        .map(fleet_worker_sdk::BotId::as_str)
        .collect();
    assert_eq!(ready, expected);
}

#[track_caller]
fn close(one: Option<f64>, other: Option<f64>) {
    let same = match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() < 1e-6,
        (one, other) => one == other,
    };
    assert!(same, "{one:?} is not {other:?}");
}

#[track_caller]
fn same_health(context: &Context, model: &Model) {
    let settings = Settings::default();
    let (standing, counts) = (context.standing(&settings), model.counts());
    let expected = rollup::session(&model.executions, &counts, None, &settings);
    close(standing.score, expected.health.score);
    close(standing.executions, expected.executions.score);
    close(standing.quality, expected.quality.score);
    assert_eq!(standing.status, expected.health.status);
    let tally = model.tally();
    assert_eq!(context.tally(), tally);
    assert_eq!(context.has_errors(), tally.error > 0);
    let failed =
        |e: &fleet_worker_sdk::Execution| e.state == fleet_worker_sdk::ExecutionState::Failed;
    let failed = model.executions.iter().any(failed);
    assert_eq!(context.blocks_release(), tally.error > 0 || failed);
    let breakdown = context.breakdown(&settings);
    let executions: f64 = breakdown
        .executions
        .iter()
        .map(|part| part.points_lost)
        .sum();
    let rules: f64 = breakdown.rules.iter().map(|part| part.points_lost).sum();
    if let Some(score) = standing.score {
        let lost = executions + rules + breakdown.others_lost;
        close(Some(100.0 - lost), Some(score));
    }
    for part in &breakdown.rules {
        let open = counts.by_rule[&(part.class, part.rule.to_owned())];
        assert_eq!(u64::from(part.open), open);
    }
}

#[track_caller]
fn same_summary(context: &Context, model: &Model) {
    let settings = Settings::default();
    let summary = context.summary(&settings);
    assert_eq!(summary.total as usize, model.findings.len());
    assert_eq!(summary.tally, model.tally());
    for (place, bot) in summary.bots.iter().enumerate() {
        let count = |is: &dyn Fn(&Kept) -> bool| {
            model.that(|kept| kept.bot == place && is(kept)).len() as u32
        };
        assert_eq!(bot.open, count(&Kept::open));
        let error = |kept: &Kept| kept.open() && kept.severity == Severity::Error;
        assert_eq!(bot.errors, count(&error));
        assert_eq!(bot.suppressed, count(&|kept: &Kept| !kept.open()));
    }
    let counts = model.counts().by_category;
    for (category, open) in &summary.categories {
        let expected = counts.get(*category).copied().unwrap_or_default();
        assert_eq!(u64::from(*open), expected);
    }
    let listed = summary.categories.iter().filter(|(_, open)| *open > 0);
    assert_eq!(listed.count(), counts.len());
}

#[track_caller]
fn same(context: &Context, model: &Model) {
    same_findings(context, model);
    same_lists(context, model);
    same_runs(context, model);
    same_health(context, model);
    same_summary(context, model);
}

proptest! {
    #[test]
    fn a_context_is_what_the_model_is(steps in steps()) {
        let (context, model) = after(steps);
        same(&context, &model);
    }

    #[test]
    fn a_document_gives_the_same_context_back(steps in steps()) {
        let (context, model) = after(steps);
        let text = context.to_json().unwrap();
        let read = Context::from_json(&text).unwrap();
        prop_assert_eq!((read.id(), read.repository()), (context.id(), context.repository()));
        prop_assert_eq!(read.opened(), context.opened());
        same(&read, &model);
        prop_assert_eq!(read.to_json().unwrap(), text);
    }

    #[test]
    fn a_snapshot_is_what_the_model_was(before in steps(), then in steps()) {
        let (mut context, mut model) = after(before);
        let (snapshot, was) = (context.clone(), model.clone());
        for (second, step) in (100..).zip(then) {
            take(&mut context, &mut model, step, second);
        }
        same(&snapshot, &was);
        same(&context, &model);
    }
}
