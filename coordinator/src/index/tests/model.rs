//! The index against a naive model: a list that is filtered and sorted.

use std::collections::HashSet;

use fleet_worker_sdk::{Finding, Level, Severity};
use proptest::prelude::*;

use super::super::{Filter, Index, PageQuery, Sort, Suppression};
use super::{add, bot};
use crate::model::Tally;

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
