//! The index case by case; [`model`] has what holds for all of them.

mod model;

use std::collections::BTreeMap;

use fleet_worker_sdk::{
    Again, BotId, Error, Finding, Fingerprint, Identified, Level, Rule, WeightClass, wire,
};
use jiff::Timestamp;

use super::{Cursor, Filter, Index, PageQuery, Sort};
use crate::model::{MAX_CATEGORIES, MAX_RULES, OTHER};

fn bot(name: &str) -> BotId {
    BotId::new(name).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn print(number: u32) -> Fingerprint {
    Fingerprint(u128::from(number).to_be_bytes())
}

fn add(index: &mut Index, bot_name: &str, number: u32, finding: Finding) -> bool {
    let identified = Identified {
        fingerprint: print(number),
        finding,
    };
    let body = wire::encode(&identified).unwrap();
    let second = i64::from(number / 3);
    index.add(&bot(bot_name), at(second), &body).unwrap()
}

fn numbers(index: &Index, query: &PageQuery) -> Vec<u128> {
    let page = index.query(query).unwrap();
    page.findings
        .iter()
        .map(|view| u128::from_be_bytes(view.identified.fingerprint.0))
        .collect()
}

fn query(filter: Filter, sort: Sort) -> PageQuery {
    PageQuery {
        filter,
        sort,
        after: None,
        limit: 1_000,
    }
}

#[test]
fn a_finding_comes_back_as_it_was_sent() {
    let mut index = Index::new();
    let mut finding = Finding::new("rule", "text").at("a.rs", 3).confidence(0.5);
    finding.properties.insert("k".to_owned(), 1.into());
    assert!(add(&mut index, "one", 7, finding.clone()));
    let view = index.get(&print(7)).unwrap();
    assert_eq!(view.identified.finding, finding);
    assert_eq!((view.bot, view.first_seen), (bot("one"), at(2)));
    assert_eq!(index.get(&print(8)), None);
}

#[test]
fn a_known_finding_changes_nothing() {
    let mut index = Index::new();
    assert!(add(&mut index, "one", 1, Finding::new("rule", "first")));
    let counts = index.counts();
    assert!(!add(
        &mut index,
        "two",
        1,
        Finding::new("other", "second").level(Level::Error)
    ));
    assert_eq!((index.len(), index.counts()), (1, counts));
    assert_eq!(
        index.get(&print(1)).unwrap().identified.finding.message,
        "first"
    );
}

#[test]
fn what_is_no_finding_is_refused_and_changes_nothing() {
    let mut index = Index::new();
    let refused = index.add(&bot("one"), at(0), b"no finding");
    assert!(matches!(refused, Err(Error::Invalid { .. })));
    assert!(index.is_empty() && index.counts().by_bot.is_empty());
}

#[test]
fn occurrences_only_rise() {
    let mut index = Index::new();
    add(&mut index, "one", 1, Finding::new("rule", "text"));
    for occurrences in [4, 2] {
        index.again(&Again {
            fingerprint: print(1),
            occurrences,
        });
    }
    let unknown = Again {
        fingerprint: print(2),
        occurrences: 9,
    };
    index.again(&unknown);
    assert_eq!(
        index
            .get(&print(1))
            .unwrap()
            .identified
            .finding
            .occurrence_count,
        4
    );
    assert_eq!(index.len(), 1);
}

#[test]
fn rules_over_the_limit_are_counted_together() {
    let mut index = Index::new();
    let limit = MAX_RULES as u32;
    for number in 0..limit + 10 {
        let finding =
            Finding::new(format!("rule-{number}"), "text").category(format!("c{}", number % 300));
        add(&mut index, "one", number, finding);
    }
    add(
        &mut index,
        "one",
        limit + 10,
        Finding::new("rule-0", "text"),
    );
    let counts = index.counts();
    assert_eq!(counts.by_rule.len(), MAX_RULES + 1);
    let of = |rule: &str| counts.by_rule[&(WeightClass::Warning, rule.to_owned())];
    assert_eq!((of(OTHER), of("rule-0")), (10, 2));
    assert_eq!(counts.by_category.len(), MAX_CATEGORIES + 1);
    let sum = |counts: Vec<u64>| counts.iter().sum::<u64>();
    assert_eq!(
        sum(counts.by_rule.values().copied().collect()),
        index.len() as u64
    );
    assert_eq!(
        sum(counts.by_category.values().copied().collect()),
        index.len() as u64
    );
}

#[test]
fn more_bots_and_categories_than_are_counted_are_looked_through() {
    let mut index = Index::new();
    let (bots, categories) = (140, 140);
    for number in 0..bots * categories {
        let category = format!("category-{}", number % categories);
        let finding = Finding::new("rule", "text").category(category);
        add(
            &mut index,
            &format!("bot-{}", number / categories),
            number,
            finding,
        );
    }
    let filter = Filter {
        bots: vec![bot("bot-3"), bot("bot-139")],
        categories: vec!["category-7".to_owned(), "category-139".to_owned()],
        ..Filter::default()
    };
    let of = |bot, category| u128::from(bot * categories + category);
    let expected = vec![of(3, 7), of(3, 139), of(139, 7), of(139, 139)];
    assert_eq!(numbers(&index, &query(filter, Sort::Severity)), expected);
}

#[test]
fn the_first_texts_of_a_rule_stay_and_are_bounded() {
    let mut index = Index::new();
    let rules = |name: &str, text: &str| {
        let rule = Rule {
            name: text.to_owned(),
            ..Rule::default()
        };
        BTreeMap::from([(name.to_owned(), rule)])
    };
    index.set_rules(rules("a", "one"));
    index.set_rules(rules("b", "two"));
    index.set_rules(rules("a", "three"));
    assert_eq!(index.rules().len(), 2);
    assert_eq!(index.rules()["a"].name, "one");
    for number in 0..=MAX_RULES {
        index.set_rules(rules(&format!("rule-{number}"), ""));
    }
    assert_eq!(index.rules().len(), MAX_RULES);
}

#[test]
fn the_weight_covers_what_is_held() {
    let mut index = Index::new();
    let mut held = index.weight();
    for number in 0..2_000 {
        let message = "m".repeat(300);
        add(
            &mut index,
            "one",
            number,
            Finding::new("r", message).at(format!("f{number}"), 1),
        );
        assert!(index.weight() >= held);
        held = index.weight();
    }
    assert!((2_000 * 300..2_000 * 2_000).contains(&held), "{held}");
}

#[test]
fn text_is_found_in_four_places_whatever_its_case() {
    let mut index = Index::new();
    let mut element = Finding::new("r1", "m");
    element.element = Some("Shop::CHECKOUT".to_owned());
    add(&mut index, "one", 1, element);
    add(&mut index, "one", 2, Finding::new("no-Checkout", "m"));
    add(
        &mut index,
        "one",
        3,
        Finding::new("r3", "the cheCkout fails"),
    );
    add(
        &mut index,
        "one",
        4,
        Finding::new("r4", "m").at("src/CheckOut.rs", 1),
    );
    add(&mut index, "one", 5, Finding::new("r5", "check out"));
    add(&mut index, "one", 6, Finding::new("r6", "DIE STRASSE ÜBER"));
    let find = |text: &str| {
        let filter = Filter {
            text: Some(text.to_owned()),
            ..Filter::default()
        };
        let mut found = numbers(&index, &query(filter, Sort::Severity));
        found.sort_unstable();
        found
    };
    assert_eq!(find("CHECKout"), [1, 2, 3, 4]);
    assert_eq!(find("über"), [6]);
    assert_eq!(find(""), [1, 2, 3, 4, 5, 6]);
    assert!(find("nowhere").is_empty());
}

#[test]
fn a_folder_is_a_prefix_and_a_file_is_not() {
    let mut index = Index::new();
    for (number, path) in ["src/a.rs", "src/a.rs.orig", "src/b/c.rs", "srcs/a.rs"]
        .iter()
        .enumerate()
    {
        add(
            &mut index,
            "one",
            number as u32,
            Finding::new("r", "m").at(*path, 1),
        );
    }
    let of = |file: &str| {
        let filter = Filter {
            file: Some(file.to_owned()),
            ..Filter::default()
        };
        numbers(&index, &query(filter, Sort::Path))
    };
    assert_eq!(of("src/a.rs"), [0]);
    assert_eq!(of("src/"), [0, 1, 2]);
    assert_eq!(of("src/b/"), [2]);
    assert!(of("src").is_empty());
}

#[test]
fn a_cursor_of_another_order_or_session_is_refused() {
    let mut index = Index::new();
    add(&mut index, "one", 1, Finding::new("r", "m"));
    for (sort, after) in [(Sort::Path, print(1)), (Sort::Severity, print(2))] {
        let mut query = query(Filter::default(), Sort::Severity);
        query.after = Some(Cursor { sort, after });
        assert!(matches!(index.query(&query), Err(Error::Invalid { .. })));
    }
}

#[test]
fn a_view_survives_json() {
    let mut index = Index::new();
    add(&mut index, "one", 1, Finding::new("r", "m").at("a.rs", 1));
    let page = index
        .query(&query(Filter::default(), Sort::Newest))
        .unwrap();
    let text = serde_json::to_string(&page).unwrap();
    assert_eq!(serde_json::from_str::<super::Page>(&text).unwrap(), page);
}
