//! The filter form, filled in as the address says, and the filters in force.

use fleet_coordinator::index::{Sort, Suppression};
use fleet_coordinator::model::SessionFacts;
use fleet_worker_sdk::{Severity, Tier};

use super::super::words::cut;
use crate::api::filter::FILTERS;
use crate::api::query::{Query, encode};

/// Findings on a page that the form offers.
const LIMITS: [&str; 4] = ["25", "50", "100", "200"];
/// The one that is meant where the address says none: see [`super::FINDINGS`].
const LIMIT: &str = "50";
/// Rules that the form suggests, the most frequent ones: what a menu bears.
const RULES: usize = 100;
/// Longest value of a filter in force that is shown, in characters.
const VALUE: usize = 60;

/// The filter form.
pub(super) struct Form {
    pub(super) severities: Vec<Choice>,
    pub(super) menus: Vec<Menu>,
    pub(super) rule: String,
    pub(super) rules: Vec<String>,
    pub(super) file: String,
    pub(super) text: String,
    pub(super) suppressions: Vec<Choice>,
    pub(super) sorts: Vec<Choice>,
    pub(super) limits: Vec<Choice>,
    /// Values that no field of the form shows: name and value.
    pub(super) hidden: Vec<(&'static str, String)>,
    pub(super) in_force: Vec<InForce>,
}

/// A list to choose one value from, or any.
pub(super) struct Menu {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) choices: Vec<Choice>,
}

/// One value to choose.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) chosen: bool,
}

/// A filter in force, and the query without it.
pub(super) struct InForce {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) without: String,
}

pub(super) fn form(query: &Query, facts: &SessionFacts) -> Form {
    let first = |name| query.all(name).next().unwrap_or_default().to_owned();
    let executions = facts.session.executions.iter();
    let bots: Vec<&str> = executions.map(|execution| execution.bot.as_str()).collect();
    let tiers: Vec<&str> = Tier::ALL.iter().map(|tier| tier.as_str()).collect();
    let categories = facts.counts.by_category.keys();
    let categories: Vec<&str> = categories.map(String::as_str).collect();
    let menu = |name, label, values: Vec<&str>| Menu {
        name,
        label,
        choices: one_of(name, &values, query),
    };
    Form {
        severities: choices(
            "severity",
            Severity::ALL.iter().map(|word| word.as_str()),
            query,
        ),
        menus: vec![
            menu("bot", "Bot", bots),
            menu("tier", "Tier", tiers),
            menu("category", "Category", categories),
        ],
        rule: first("rule"),
        rules: rules(facts),
        file: first("file"),
        text: first("text"),
        suppressions: choices(
            "suppression",
            Suppression::ALL.iter().map(|word| word.as_str()),
            query,
        ),
        sorts: choices("sort", Sort::ALL.iter().map(|word| word.as_str()), query),
        limits: limits(query),
        hidden: hidden(query),
        in_force: in_force(query),
    }
}

/// The most frequent rules of the session.
fn rules(facts: &SessionFacts) -> Vec<String> {
    let counts = facts.counts.by_rule.iter();
    let mut rules: Vec<_> = counts.map(|((_, rule), count)| (*count, rule)).collect();
    rules.sort_by(|a, b| b.cmp(a));
    rules.truncate(RULES);
    rules.into_iter().map(|(_, rule)| rule.clone()).collect()
}

fn limits(query: &Query) -> Vec<Choice> {
    let mut limits = choices("limit", LIMITS.into_iter(), query);
    if limits.iter().all(|limit| !limit.chosen) {
        for limit in &mut limits {
            limit.chosen = limit.value == LIMIT;
        }
    }
    limits
}

/// The values to choose from, and those chosen that are not among them: a filter that is in
/// force is always seen.
fn choices<'a>(
    name: &'a str,
    values: impl Iterator<Item = &'a str>,
    query: &'a Query,
) -> Vec<Choice> {
    let mut all: Vec<&str> = values.collect();
    for chosen in query.all(name) {
        if !all.contains(&chosen) {
            all.push(chosen);
        }
    }
    let choice = |value: &str| Choice {
        value: value.to_owned(),
        chosen: query.all(name).any(|chosen| chosen == value),
    };
    all.into_iter().map(choice).collect()
}

/// As [`choices`], but only the first of several chosen: the others are [`hidden`].
fn one_of(name: &str, values: &[&str], query: &Query) -> Vec<Choice> {
    let first = query.all(name).next();
    let mut choices = choices(name, values.iter().copied(), query);
    for choice in &mut choices {
        choice.chosen = Some(choice.value.as_str()) == first;
    }
    choices
}

/// The second and further values of fields that show one.
fn hidden(query: &Query) -> Vec<(&'static str, String)> {
    let names = ["bot", "tier", "category", "rule"];
    let further = |name: &'static str| {
        let values = query.all(name).skip(1);
        values.map(move |value| (name, value.to_owned()))
    };
    names.into_iter().flat_map(further).collect()
}

fn in_force(query: &Query) -> Vec<InForce> {
    let of = |name: &'static str| {
        query.all(name).map(move |value| InForce {
            name,
            value: cut(value, VALUE),
            without: without(query, name, value),
        })
    };
    FILTERS.into_iter().flat_map(of).collect()
}

/// The query without one value of a parameter; a filter that changes begins at the first page.
fn without(query: &Query, name: &str, value: &str) -> String {
    let others = query.all(name).filter(|other| *other != value);
    let mut parts: Vec<String> = others
        .map(|other| format!("{name}={}", encode(other)))
        .collect();
    let rest = query.without(&[name, "cursor", "finding"]);
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_in_force_is_among_the_choices() {
        let query = Query::parse("bot=gone", &["bot"]).unwrap();
        let choices = choices("bot", ["here"].into_iter(), &query);
        let shown: Vec<_> = choices
            .iter()
            .map(|c| (c.value.as_str(), c.chosen))
            .collect();
        assert_eq!(shown, [("here", false), ("gone", true)]);
    }

    #[test]
    fn the_values_a_field_cannot_show_are_kept() {
        let query = Query::parse("bot=a&bot=b&rule=c", &FILTERS).unwrap();
        let chosen = one_of("bot", &["a", "b"], &query);
        assert_eq!(chosen.iter().filter(|choice| choice.chosen).count(), 1);
        assert_eq!(hidden(&query), [("bot", "b".to_owned())]);
    }

    #[test]
    fn a_filter_is_taken_away_by_itself() {
        let raw = "bot=a&bot=b&text=x&sort=path&cursor=y";
        let query = Query::parse(raw, &crate::api::filter::PAGING).unwrap();
        let all = in_force(&query);
        let without: Vec<_> = all.iter().map(|one| one.without.as_str()).collect();
        assert_eq!(
            without,
            [
                "bot=b&text=x&sort=path",
                "bot=a&text=x&sort=path",
                "bot=a&bot=b&sort=path"
            ]
        );
    }

    #[test]
    fn the_usual_page_size_is_shown_as_chosen() {
        let chosen = |raw: &str| {
            let query = Query::parse(raw, &["limit"]).unwrap();
            let all = limits(&query).into_iter().find(|limit| limit.chosen);
            all.map(|limit| limit.value)
        };
        assert_eq!(chosen("").as_deref(), Some("50"));
        assert_eq!(chosen("limit=70").as_deref(), Some("70"));
        assert_eq!(LIMIT.parse(), Ok(super::super::FINDINGS));
    }
}
