//! The index against a naive model: a list that is filtered and sorted.

use std::collections::{BTreeMap, HashSet};

use fleet_worker_sdk::{
    Again, BotId, Error, Finding, Fingerprint, Identified, Level, Rule, Severity, WeightClass, wire,
};
use jiff::Timestamp;
use proptest::prelude::*;

use super::{Cursor, Filter, Index, PageQuery, Sort, Suppression};
use crate::model::{MAX_CATEGORIES, MAX_RULES, OTHER, Tally};

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
fn texts_of_rules_are_added_and_replaced() {
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
    assert_eq!(index.rules()["a"].name, "three");
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

/// What the model keeps of a finding.
#[derive(Clone, Debug)]
struct Entry {
    number: u32,
    bot: String,
    finding: Finding,
}

fn entry() -> impl Strategy<Value = (String, Finding)> {
    let level = proptest::sample::select(Level::ALL);
    let category = proptest::sample::select(vec!["security", "style", "licence"]);
    let rule = proptest::sample::select(vec!["unwrap", "Secret", "todo", "eval"]);
    let path = proptest::sample::select(vec!["src/a.rs", "src/b/c.rs", "doc/x.md", ""]);
    let message = proptest::sample::select(vec!["Eval of input", "a secret", "ÜBER", "plain"]);
    let scored = proptest::option::of(0.0f32..10.0);
    let parts = (
        level,
        category,
        rule,
        path,
        message,
        scored,
        0u32..4,
        0u8..4,
        "[ab]",
    );
    parts.prop_map(
        |(level, category, rule, path, message, score, line, suppressed, bot)| {
            let mut finding = Finding::new(rule, message).level(level).category(category);
            if !path.is_empty() {
                finding = finding.at(path, line);
            }
            finding.security_severity = score;
            if suppressed == 0 {
                finding
                    .suppressions
                    .push(fleet_worker_sdk::Suppression::default());
            }
            (bot, finding)
        },
    )
}

fn some<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    let most = values.len();
    proptest::sample::subsequence(values, 0..=most)
        .prop_flat_map(|chosen| proptest::sample::select(vec![Vec::new(), chosen]))
}

fn filter() -> impl Strategy<Value = Filter> {
    let words = |list: &[&str]| {
        list.iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let files = words(&["src/", "src/a.rs", "doc/", "none", "src/b/"]);
    let texts = words(&["SECRET", "eval", "über", "src", "zzz"]);
    (
        some(vec![bot("a"), bot("b"), bot("never")]),
        some(Severity::ALL.to_vec()),
        some(words(&["security", "style", "unknown"])),
        some(words(&["unwrap", "Secret", "eval"])),
        proptest::option::weighted(0.3, proptest::sample::select(files)),
        proptest::option::weighted(0.3, proptest::sample::select(texts)),
        proptest::sample::select(Suppression::ALL),
    )
        .prop_map(
            |(bots, severities, categories, rules, file, text, suppression)| Filter {
                bots,
                severities,
                categories,
                rules,
                file,
                text,
                suppression,
            },
        )
}

impl Entry {
    fn passes(&self, filter: &Filter) -> bool {
        let finding = &self.finding;
        let among =
            |list: &[String], value: &str| list.is_empty() || list.iter().any(|v| v == value);
        let bots: Vec<String> = filter.bots.iter().map(ToString::to_string).collect();
        let in_file = filter.file.as_deref().is_none_or(|file| {
            finding.path() == file || (file.ends_with('/') && finding.path().starts_with(file))
        });
        let has_text = filter.text.as_deref().is_none_or(|text| {
            let texts = [&finding.message, &finding.rule_id, finding.path()];
            texts
                .iter()
                .any(|t| t.to_lowercase().contains(&text.to_lowercase()))
        });
        let suppression = match filter.suppression {
            Suppression::Open => !finding.is_suppressed(),
            Suppression::Suppressed => finding.is_suppressed(),
            Suppression::All => true,
        };
        among(&bots, &self.bot)
            && (filter.severities.is_empty() || filter.severities.contains(&finding.severity()))
            && among(&filter.categories, &finding.category)
            && among(&filter.rules, &finding.rule_id)
            && in_file
            && has_text
            && suppression
    }

    fn sort_in(list: &mut [Self], sort: Sort) {
        let line = |e: &Self| e.finding.region().map_or(0, |region| region.start_line);
        match sort {
            Sort::Severity => list.sort_by_key(|e| (e.finding.weight_class(), e.number)),
            Sort::Path => list.sort_by_key(|e| (e.finding.path().to_owned(), line(e), e.number)),
            Sort::Rule => list.sort_by_key(|e| (e.finding.rule_id.clone(), e.number)),
            Sort::Newest => list.sort_by_key(|e| std::cmp::Reverse(e.number)),
        }
    }
}

fn model_of(entries: &[(String, Finding)]) -> Vec<Entry> {
    let numbered = entries.iter().zip(0u32..);
    numbered
        .map(|((bot, finding), number)| Entry {
            number,
            bot: bot.clone(),
            finding: finding.clone(),
        })
        .collect()
}

fn index_of(model: &[Entry]) -> Index {
    let mut index = Index::new();
    for entry in model {
        add(&mut index, &entry.bot, entry.number, entry.finding.clone());
    }
    index
}

/// Walks all pages, and appends one entry of `later` to the index after each.
fn walk(index: &mut Index, mut query: PageQuery, later: &[Entry]) -> (Vec<u32>, u64) {
    let (mut walked, mut later) = (Vec::new(), later.iter());
    loop {
        let page = index.query(&query).unwrap();
        let prints = page.findings.iter().map(|view| view.identified.fingerprint);
        walked.extend(prints.map(|print| u128::from_be_bytes(print.0) as u32));
        match page.next {
            Some(next) => query.after = Some(next.to_string().parse().unwrap()),
            None => return (walked, page.total),
        }
        if let Some(entry) = later.next() {
            add(index, &entry.bot, entry.number, entry.finding.clone());
        }
    }
}

proptest! {
    #[test]
    fn pages_are_the_model_filtered_and_sorted(
        entries in proptest::collection::vec(entry(), 0..60),
        filter in filter(),
        sort in proptest::sample::select(Sort::ALL),
        limit in 1usize..12,
    ) {
        let model = model_of(&entries);
        let mut index = index_of(&model);
        let mut expected: Vec<Entry> = model.into_iter().filter(|e| e.passes(&filter)).collect();
        Entry::sort_in(&mut expected, sort);
        let expected: Vec<u32> = expected.iter().map(|e| e.number).collect();
        let query = PageQuery { filter, sort, after: None, limit };
        let (walked, total) = walk(&mut index, query, &[]);
        prop_assert_eq!(&walked, &expected);
        prop_assert_eq!(total, expected.len() as u64);
    }

    #[test]
    fn appends_between_pages_lose_and_repeat_nothing(
        entries in proptest::collection::vec(entry(), 1..60),
        later in 0usize..30,
        filter in filter(),
        sort in proptest::sample::select(Sort::ALL),
        limit in 1usize..6,
    ) {
        let model = model_of(&entries);
        let (first, later) = model.split_at(model.len().saturating_sub(later));
        let mut index = index_of(first);
        let query = PageQuery { filter: filter.clone(), sort, after: None, limit };
        let (walked, _) = walk(&mut index, query, later);
        let distinct: HashSet<u32> = walked.iter().copied().collect();
        prop_assert_eq!(distinct.len(), walked.len());
        for entry in first.iter().filter(|e| e.passes(&filter)) {
            prop_assert!(distinct.contains(&entry.number));
        }
    }

    #[test]
    fn counters_are_those_of_the_findings(entries in proptest::collection::vec(entry(), 0..60)) {
        let model = model_of(&entries);
        let index = index_of(&model);
        let counts = index.counts();
        let mut tally = Tally::default();
        for entry in &model {
            if entry.finding.is_suppressed() {
                tally.suppressed += 1;
            } else {
                *tally.of_mut(entry.finding.severity()) += 1;
            }
        }
        prop_assert_eq!((index.tally(), counts.tally()), (tally, tally));
        let open: Vec<&Entry> = model.iter().filter(|e| !e.finding.is_suppressed()).collect();
        for ((class, rule), count) in &counts.by_rule {
            let same = |e: &&&Entry| e.finding.weight_class() == *class && e.finding.rule_id == *rule;
            prop_assert_eq!(open.iter().filter(same).count() as u64, *count);
        }
        prop_assert_eq!(counts.by_category.values().sum::<u64>(), open.len() as u64);
        let of_a = index.fingerprints(Some(&bot("a"))).count();
        prop_assert_eq!(of_a, model.iter().filter(|e| e.bot == "a").count());
        prop_assert_eq!(index.fingerprints(None).count(), model.len());
    }
}
