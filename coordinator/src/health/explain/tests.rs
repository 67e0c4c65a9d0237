use std::collections::BTreeMap;

use fleet_worker_sdk::{BotId, WeightClass};
use proptest::prelude::*;

use super::*;
use crate::health::parts::{Share, weigh};
use crate::health::quality::quality;
use crate::health::{Firing, rollup};
use crate::model::{Counts, Rollup};

/// What the terms of a sum such as `50 x 0.5 + 92.31 x 0.5 = 71.15` come to, and what stands
/// behind the equals sign.
fn by_hand(arithmetic: &str) -> (f64, f64) {
    let number = |text: &str| text.trim().parse::<f64>().unwrap();
    let (sum, result) = arithmetic.split_once('=').unwrap();
    let product = |term: &str| term.split(" x ").map(number).product::<f64>();
    (sum.split(" + ").map(product).sum(), number(result))
}

fn counts(rows: &[(WeightClass, &str, u64)]) -> Counts {
    let by_rule = rows
        .iter()
        .map(|(class, rule, n)| ((*class, (*rule).to_owned()), *n));
    Counts {
        by_rule: by_rule.collect(),
        ..Counts::default()
    }
}

#[test]
fn a_fleet_is_explained_as_one_would_by_hand() {
    let settings = Settings::default();
    let bot = weigh(
        vec![Share::new("success", Some(50.0), 1.0, "so")],
        None,
        &settings,
    );
    let bots: BTreeMap<BotId, Health> = [("a".parse().unwrap(), bot)].into();
    let rollup = Rollup {
        repositories: 2,
        quality_milli: 184_600,
        ..Rollup::default()
    };
    let health = rollup::fleet(&bots, &BTreeMap::new(), &rollup, None, None, &settings);
    let explained = explain(&health, Subject::Fleet, &settings);
    assert_eq!(explained.arithmetic, "50 x 0.5 + 92.3 x 0.5 = 71.15");
    assert!(explained.formula.starts_with("half the mean of the bots"));
    assert_eq!(explained.parts[0].link.as_deref(), Some("/api/v1/bots"));
    assert!(
        explained.status.contains("degraded at 71.2"),
        "{explained:?}"
    );
    assert_eq!(explained.lines().len(), 5);
}

#[test]
fn a_quality_is_explained_rule_by_rule() {
    let settings = Settings::default();
    let counts = counts(&[
        (WeightClass::Error, "a", 4),
        (WeightClass::Critical, "b", 1),
    ]);
    let health = quality(&counts, None, &settings);
    let explained = explain(&health, Subject::Quality, &settings);
    assert_eq!(explained.arithmetic, "100 x 50 / (50 + 15 + 10) = 66.67");
    assert!(explained.parts[0].why.contains("5 x (1 + log2 4) = 15"));
    let clean = quality(&Counts::default(), None, &settings);
    let explained = explain(&clean, Subject::Quality, &settings);
    assert_eq!(explained.arithmetic, "100 x 50 / (50 + 0) = 100");
}

#[test]
fn what_is_unknown_and_what_an_alert_did_are_said() {
    let settings = Settings::default();
    let shares = vec![
        Share::new("success", Some(100.0), 0.5, "no run failed"),
        Share::new("heartbeats", None, 0.2, "no worker is expected to be alive"),
    ];
    let firing = Firing {
        status: Status::Unhealthy,
        reason: "the bot is silent".to_owned(),
    };
    let health = weigh(shares, None, &settings).alerted(Some(&firing));
    let explained = explain(&health, Subject::Bot, &settings);
    assert_eq!(explained.arithmetic, "100 x 1 = 100");
    assert!(explained.lines()[2].contains("unknown, left out"));
    assert!(explained.status.contains("the bot is silent"));
    assert!(
        explained
            .status
            .contains("the number alone makes it healthy")
    );
    assert!(explained.status.contains("71 % of the weight is known"));
    let nothing = explain(&Health::unknown("new"), Subject::Bot, &settings);
    assert!(nothing.arithmetic.contains("no score"));
}

proptest! {
    #[test]
    fn the_sum_printed_comes_to_the_score(
        shares in proptest::collection::vec((proptest::option::of(0.0f64..=100.0), 0.01f64..10.0), 1..60),
    ) {
        let settings = Settings::default();
        let shares = shares.into_iter().enumerate().map(|(n, (value, weight))| {
            Share::new(format!("part-{n}"), value, weight, "so")
        });
        let health = weigh(shares.collect(), None, &settings);
        let explained = explain(&health, Subject::Tier, &settings);
        if let Some(score) = health.score {
            let (sum, result) = by_hand(&explained.arithmetic);
            prop_assert!((sum - score).abs() < 0.05, "{}", explained.arithmetic);
            prop_assert!((result - score).abs() < 0.006, "{}", explained.arithmetic);
        }
        let products: f64 = explained.parts.iter().map(|part| part.product).sum();
        prop_assert!((products - health.score.unwrap_or(0.0)).abs() < 1e-6);
    }
}
