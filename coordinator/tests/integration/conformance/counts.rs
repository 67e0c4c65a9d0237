//! What a push is counted as.

use std::collections::BTreeMap;

use fleet_coordinator::model::{MAX_CATEGORIES, MAX_RULES, OTHER, Tally};
use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::{Finding, Identified, Kind, Level, Suppression, WeightClass};

use crate::support::{Hand, assert_whole, bot, fingerprint};

fn numbered(all: impl IntoIterator<Item = Finding>) -> Vec<Identified> {
    let identified = |(number, finding)| Identified {
        fingerprint: fingerprint(number),
        finding,
    };
    (0..).zip(all).map(identified).collect()
}

async fn findings_are_counted_by_bot_severity_category_and_rule(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let rule = |name: &str, level| Finding::new(name, "").level(level);
    let mut critical = rule("r1", Level::Warning).category("security");
    critical.security_severity = Some(9.0);
    let mut passed = rule("r2", Level::Error).category("style");
    passed.kind = Kind::Pass;
    let all = [
        critical,
        passed,
        rule("r1", Level::Error).category("security"),
        rule("r1", Level::Error).category("security"),
        rule("r3", Level::Note),
    ];
    hand.push(numbered(all)).await.unwrap();
    let counts = store.facts(&hand.session).await.unwrap().counts;
    let tally = Tally {
        error: 2,
        warning: 1,
        info: 1,
        suggestion: 1,
        suppressed: 0,
    };
    assert_eq!(counts.by_bot, BTreeMap::from([(bot("a"), tally)]));
    let categories = [("security", 3), ("style", 1), ("uncategorised", 1)];
    let categories = categories.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts.by_category, BTreeMap::from(categories));
    let rules = [
        (WeightClass::Critical, "r1", 1),
        (WeightClass::Error, "r1", 2),
        (WeightClass::Info, "r3", 1),
        (WeightClass::Suggestion, "r2", 1),
    ];
    let rules = rules.map(|(class, rule, count)| ((class, rule.to_owned()), count));
    assert_eq!(counts.by_rule, BTreeMap::from(rules));
    assert_whole(store, &hand.session).await;
}

async fn suppressed_findings_are_counted_apart(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let with = |status: &str| {
        let mut finding = Finding::new("r", "").level(Level::Error);
        let status = status.to_owned();
        finding.suppressions.push(Suppression {
            status,
            ..Suppression::default()
        });
        finding
    };
    let all = [with("accepted"), with("rejected"), with("underReview")];
    hand.push(numbered(all)).await.unwrap();
    let facts = store.facts(&hand.session).await.unwrap();
    assert_eq!(
        (facts.session.tally.error, facts.session.tally.suppressed),
        (2, 1)
    );
    assert_eq!(facts.session.total, 3);
    assert_eq!(facts.counts.by_category.values().sum::<u64>(), 2);
    assert_eq!(facts.counts.by_rule.values().sum::<u64>(), 2);
    assert_whole(store, &hand.session).await;
}

async fn categories_over_the_limit_are_counted_together(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let over = 30;
    let all = (0..MAX_CATEGORIES + over).map(|n| Finding::new("r", "").category(format!("c{n}")));
    hand.push(numbered(all)).await.unwrap();
    let counts = store.facts(&hand.session).await.unwrap().counts;
    assert_eq!(counts.by_category.len(), MAX_CATEGORIES + 1);
    assert_eq!(counts.by_category[OTHER], over as u64);
    assert_eq!(counts.by_category["c0"], 1);
    assert_whole(store, &hand.session).await;
}

async fn rules_over_the_limit_are_counted_together_in_each_class(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let over = 10;
    let all = (0..MAX_RULES + over).map(|n| Finding::new(format!("r{n}"), ""));
    let late = Finding::new("late", "").level(Level::Error);
    let known = Finding::new("r0", "");
    let all = numbered(all.chain([late, known]));
    for batch in all.chunks(1_000) {
        hand.push(batch.to_vec()).await.unwrap();
    }
    let by_rule = store.facts(&hand.session).await.unwrap().counts.by_rule;
    let count = |class, rule: &str| by_rule.get(&(class, rule.to_owned())).copied();
    assert_eq!(by_rule.len(), MAX_RULES + 2);
    assert_eq!(count(WeightClass::Warning, OTHER), Some(over as u64));
    assert_eq!(count(WeightClass::Error, OTHER), Some(1));
    assert_eq!(
        count(WeightClass::Warning, "r0"),
        Some(2),
        "a known rule is counted on"
    );
    assert_whole(store, &hand.session).await;
}

on_every_store!(
    findings_are_counted_by_bot_severity_category_and_rule,
    suppressed_findings_are_counted_apart,
    categories_over_the_limit_are_counted_together,
    rules_over_the_limit_are_counted_together_in_each_class,
);
