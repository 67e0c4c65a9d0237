//! What holds for every score, whatever it is made of.

use std::collections::BTreeMap;

use fleet_worker_sdk::{BotId, Execution, ExecutionState, Tier, WeightClass};
use proptest::prelude::*;

use super::tests::{assert_explained, at, bot_facts, bot_id, execution, run, worker};
use super::*;
use crate::health::bot::Normality;
use crate::model::{Counts, Rollup, Run};

fn class() -> impl Strategy<Value = WeightClass> {
    proptest::sample::select(WeightClass::ALL)
}

fn some_counts() -> impl Strategy<Value = Counts> {
    let row = (class(), "[a-e]", 1u64..5_000);
    proptest::collection::vec(row, 0..40).prop_map(|rows| {
        let mut counts = Counts::default();
        for (class, rule, n) in rows {
            *counts.by_rule.entry((class, rule)).or_default() += n;
        }
        counts
    })
}

fn some_executions() -> impl Strategy<Value = Vec<Execution>> {
    let one = (proptest::sample::select(ExecutionState::ALL), any::<bool>());
    proptest::collection::vec(one, 0..8).prop_map(|all| {
        let make = |(n, (state, partial)): (usize, (ExecutionState, bool))| Execution {
            partial,
            ..execution(&format!("bot-{n}"), state)
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

proptest! {
    #[test]
    fn more_findings_never_raise_a_score(counts in some_counts(), class in class(), rule in "[a-h]", n in 1u64..100) {
        let settings = Settings::default();
        let before = quality::quality(&counts, None, &settings);
        let mut more = counts.clone();
        *more.by_rule.entry((class, rule)).or_default() += n;
        let after = quality::quality(&more, None, &settings);
        prop_assert!(after.score <= before.score);
        prop_assert!(after.status >= before.status);
    }

    #[test]
    fn worse_findings_never_raise_a_score(counts in some_counts()) {
        let settings = Settings::default();
        let worse = Counts {
            by_rule: counts.by_rule.iter().fold(BTreeMap::new(), |mut map, ((class, rule), n)| {
                let up = WeightClass::ALL[(*class as usize).saturating_sub(1)];
                *map.entry((up, format!("{class}{rule}"))).or_default() += n;
                map
            }),
            ..Counts::default()
        };
        prop_assert!(quality::total_load(&worse, &settings) >= quality::total_load(&counts, &settings) - 1e-9);
    }

    #[test]
    fn a_session_explains_itself(executions in some_executions(), counts in some_counts()) {
        let scores = rollup::session(&executions, &counts, None, &Settings::default());
        for health in [&scores.health, &scores.executions, &scores.quality] {
            assert_explained(health);
            prop_assert!((0.0..=1.0).contains(&health.coverage));
        }
    }

    #[test]
    fn the_order_of_executions_and_runs_never_matters(executions in some_executions(), outcomes in proptest::collection::vec(any::<bool>(), 0..20)) {
        let settings = Settings::default();
        let mut reversed = executions.clone();
        reversed.reverse();
        let one = rollup::session(&executions, &Counts::default(), None, &settings).health.score;
        let other = rollup::session(&reversed, &Counts::default(), None, &settings).health.score;
        prop_assert!(one.zip(other).is_none_or(|(a, b)| (a - b).abs() < 1e-9) && one.is_some() == other.is_some());
        let runs: Vec<Run> = outcomes.iter().enumerate().map(|(n, ok)| run(n, ended(*ok))).collect();
        let mut backwards = runs.clone();
        backwards.reverse();
        let score = |runs: &[Run]| bot::bot(&bot_id("a"), &bot_facts(runs, &[]), None, at(99), &settings).score;
        prop_assert_eq!(score(&runs), score(&backwards));
    }

    #[test]
    fn the_unknown_never_counts_as_well(executions in some_executions()) {
        let settings = Settings::default();
        let known: Vec<Execution> = executions
            .iter()
            .filter(|e| matches!(e.state, ExecutionState::Completed | ExecutionState::Failed))
            .cloned()
            .collect();
        let all = rollup::session(&executions, &Counts::default(), None, &settings).executions.score;
        let only = rollup::session(&known, &Counts::default(), None, &settings).executions.score;
        prop_assert!(all.zip(only).is_none_or(|(a, b)| (a - b).abs() < 1e-9) && all.is_some() == only.is_some());
    }

    #[test]
    fn a_failed_run_never_raises_a_score(
        outcomes in proptest::collection::vec(any::<bool>(), 0..40),
        beats in proptest::option::of(0i64..90),
        normal in proptest::option::of(0.0f64..=100.0),
    ) {
        let settings = Settings::default();
        let runs: Vec<Run> = outcomes.iter().enumerate().map(|(n, ok)| run(n, ended(*ok))).collect();
        let mut more = runs.clone();
        more.push(run(outcomes.len(), ExecutionState::Failed));
        let workers: Vec<_> = beats.map(|second| worker(at(second))).into_iter().collect();
        let normality = normal.map(|value| Normality { value, text: String::new() });
        let health = |runs: &[Run]| {
            let facts = bot::BotFacts {
                duration: normality.as_ref(),
                output: normality.as_ref(),
                ..bot_facts(runs, &workers)
            };
            bot::bot(&bot_id("a"), &facts, None, at(99), &settings)
        };
        let (before, after) = (health(&runs), health(&more));
        assert_explained(&after);
        if !runs.is_empty() {
            prop_assert!(after.score <= before.score.map(|score| score + 1e-9));
            prop_assert!(after.status >= before.status);
        }
    }

    #[test]
    fn unusual_values_and_late_heartbeats_never_raise_a_score(
        ok in any::<bool>(), z in 0.0f64..=100.0, worse in 0.0f64..=100.0, age in 0i64..90, later in 0i64..90,
    ) {
        let settings = Settings::default();
        let runs = [run(0, ended(ok))];
        let workers = [worker(at(0))];
        let score = |value: f64, age: i64| {
            let normality = Normality { value, text: String::new() };
            let facts = bot::BotFacts { duration: Some(&normality), ..bot_facts(&runs, &workers) };
            bot::bot(&bot_id("a"), &facts, None, at(age), &settings).score.unwrap()
        };
        prop_assert!(score(z.min(worse), age) <= score(z.max(worse), age) + 1e-9);
        prop_assert!(score(z, age.max(later)) <= score(z, age.min(later)) + 1e-9);
    }

    #[test]
    fn an_all_failed_fleet_is_critical_whatever_else_is_well(
        bots in 1usize..6, failures in 1usize..20, qualities in 0u64..5, normal in proptest::option::of(Just(100.0f64)),
    ) {
        let settings = Settings::default();
        let runs: Vec<Run> = (0..failures).map(|n| run(n, ExecutionState::Failed)).collect();
        let workers = [worker(at(50))];
        let normality = normal.map(|value| Normality { value, text: String::new() });
        let facts = bot::BotFacts {
            duration: normality.as_ref(),
            output: normality.as_ref(),
            ..bot_facts(&runs, &workers)
        };
        let bots: BTreeMap<BotId, Health> = (0..bots)
            .map(|n| bot_id(&format!("bot-{n}")))
            .map(|id| (id.clone(), bot::bot(&id, &facts, None, at(50), &settings)))
            .collect();
        let members = bots.iter().map(|(id, health)| (id.clone(), health)).collect();
        let tier = rollup::tier(&members, None, None, &settings);
        prop_assert_eq!(tier.status, Status::Critical);
        let tiers: BTreeMap<Tier, Health> = [(Tier::Engine, tier)].into();
        let sums = Rollup { repositories: qualities, quality_milli: qualities * 100_000, ..Rollup::default() };
        let fleet = rollup::fleet(&bots, &tiers, &sums, None, None, &settings);
        prop_assert_eq!(fleet.status, Status::Critical);
        prop_assert!(fleet.reason.starts_with("critical"));
        assert_explained(&fleet);
    }

    #[test]
    fn a_status_never_flickers(scores in proptest::collection::vec(0.0f64..=100.0, 1..60), calm in 0.0f64..=100.0, noise in proptest::collection::vec(-1.49f64..1.49, 1..60)) {
        let settings = Settings::default();
        let follow = |scores: &[f64]| {
            let mut before = None;
            let mut seen = Vec::new();
            for score in scores {
                let is = Status::of(*score, before, &settings);
                seen.push(is);
                before = Some(is);
            }
            seen
        };
        // Never better than the score deserves, never worse than with the margin taken off.
        for (score, is) in scores.iter().zip(follow(&scores)) {
            prop_assert!(is >= Status::of(*score, None, &settings));
            prop_assert!(is <= Status::of(score - settings.hysteresis, None, &settings));
        }
        // A score that stays within three points changes its status twice at most, and to the worse:
        // noise never makes it go back and forth.
        let noisy: Vec<f64> = noise.iter().map(|off| (calm + off).clamp(0.0, 100.0)).collect();
        let seen = follow(&noisy);
        prop_assert!(seen.is_sorted(), "{noisy:?} {seen:?}");
    }

    #[test]
    fn the_status_is_never_better_than_the_worst_alert(score in 0.0f64..=100.0, fires in proptest::sample::select(vec![Status::Degraded, Status::Unhealthy, Status::Critical])) {
        let settings = Settings::default();
        let health = parts::weigh(vec![parts::Share::new("a", Some(score), 1.0, "so")], None, &settings);
        let firing = Firing { status: fires, reason: "it fires".to_owned() };
        let alerted = health.clone().alerted(Some(&firing));
        prop_assert!(alerted.status >= fires && alerted.status >= health.status);
        prop_assert_eq!(alerted.band, health.band, "an alert that ends leaves nothing behind");
        prop_assert_eq!(alerted.score, health.score);
        prop_assert_eq!(health.clone().alerted(None), health);
    }
}

fn ended(ok: bool) -> ExecutionState {
    if ok {
        ExecutionState::Completed
    } else {
        ExecutionState::Failed
    }
}
