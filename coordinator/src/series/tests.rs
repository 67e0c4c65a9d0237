use proptest::prelude::*;

use super::*;

const FLOOR: f64 = 0.05;

fn fed(values: impl IntoIterator<Item = f64>) -> Series {
    let mut series = Series::default();
    for value in values {
        series.observe(value, FLOOR);
    }
    series
}

#[test]
fn nothing_is_judged_before_eight_samples() {
    let mut series = Series::default();
    for n in 0..WARM_UP {
        let wild = if n % 2 == 0 { 0.0 } else { 1e6 };
        let verdict = series.observe(wild, FLOOR);
        assert_eq!((verdict.level, verdict.z), (Level::None, 0.0), "sample {n}");
        assert_eq!(verdict.samples, n);
    }
}

#[test]
fn the_first_samples_weigh_the_same_and_later_ones_a_tenth() {
    let series = fed((0..8).map(f64::from));
    assert!(
        (series.level() - 3.5).abs() < 1e-9,
        "the plain mean of eight"
    );
    let mut calm = fed([0.0; 50]);
    calm.observe(FLOOR, FLOOR);
    assert!((calm.level() - 0.1 * FLOOR).abs() < 1e-12);
}

#[test]
fn the_verdict_is_that_of_the_specification() {
    let series = fed([0.0, 2.0].into_iter().cycle().take(100));
    let spread = 1.2533 * series.d;
    let verdict = series.judge(11.0, FLOOR);
    assert!((verdict.spread - spread).abs() < 1e-12);
    assert!((verdict.z - (11.0 - series.m) / spread).abs() < 1e-12);
    assert_eq!((verdict.expected, verdict.samples), (series.m, 100));
}

#[test]
fn a_wild_value_moves_a_series_by_three_spreads_at_most() {
    let before = fed([10.0; 50]);
    let mut after = before;
    let verdict = after.observe(1e12, FLOOR);
    assert_eq!(verdict.level, Level::Error);
    assert!((after.level() - before.level() - 0.1 * 3.0 * FLOOR).abs() < 1e-9);
}

#[test]
fn a_value_that_is_no_number_teaches_nothing() {
    let mut series = fed([10.0; 50]);
    let before = series;
    for wild in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(series.observe(wild, FLOOR).level, Level::None);
    }
    assert_eq!(series, before);
}

#[test]
fn a_new_level_is_the_expected_one_after_twenty_samples() {
    let mut series = fed([10.0; 50]);
    let levels: Vec<Level> = (0..20).map(|_| series.observe(11.0, FLOOR).level).collect();
    assert_eq!(levels.first(), Some(&Level::Error));
    assert_eq!(levels.last(), Some(&Level::None));
}

#[test]
fn normality_falls_from_two_spreads_to_six() {
    for (z, value) in [
        (0.0, 100.0),
        (-2.0, 100.0),
        (4.0, 50.0),
        (-5.0, 25.0),
        (6.0, 0.0),
        (99.0, 0.0),
    ] {
        assert!((normality(z) - value).abs() < 1e-9, "z = {z}");
    }
}

#[test]
fn levels_begin_at_four_and_six() {
    assert_eq!(Level::of(3.99), Level::None);
    assert_eq!(Level::of(-4.0), Level::Warning);
    assert_eq!(Level::of(5.99), Level::Warning);
    assert_eq!(Level::of(-6.0), Level::Error);
}

#[test]
fn a_verdict_says_it_all_in_original_units() {
    let verdict = Verdict {
        z: 8.8,
        expected: 102.0,
        spread: 5.0,
        samples: 121,
        level: Level::Error,
    };
    let text = Kind::Findings.text(146.0, &verdict);
    assert_eq!(
        text,
        "findings 146, expected 102 +- 5 (z = 8.8, 121 samples)"
    );
    let slow = Verdict {
        expected: 61.0,
        spread: 6.04,
        ..verdict
    };
    assert_eq!(
        Kind::Duration.text(246.0, &slow),
        "duration 4.1 min, expected 1 +- 0.1 min (z = 8.8, 121 samples)"
    );
    let share = Verdict {
        expected: 0.2,
        spread: 0.05,
        ..verdict
    };
    assert_eq!(
        Kind::ErrorShare.text(0.64, &share),
        "share of errors 64 %, expected 20 +- 5 % (z = 8.8, 121 samples)"
    );
}

#[test]
fn original_units_come_back() {
    let mut series = Series::default();
    let kind = Kind::Findings;
    for _ in 0..20 {
        series.observe(kind.scaled(102.0), kind.floor(series.level(), 0.0));
    }
    let floor = kind.floor(series.level(), 0.0);
    let verdict = kind.unscale(series.judge(kind.scaled(146.0), floor));
    assert!((verdict.expected - 102.0).abs() < 1e-6);
    assert!((verdict.spread - 5.1).abs() < 0.1, "{}", verdict.spread);
    assert_eq!(verdict.level, Level::Error);
}

#[test]
fn a_first_finding_is_no_anomaly() {
    let kind = Kind::Findings;
    let mut series = Series::default();
    for _ in 0..50 {
        series.observe(kind.scaled(0.0), kind.floor(series.level(), 0.0));
    }
    let level = |count: f64| {
        series
            .judge(kind.scaled(count), kind.floor(series.level(), 0.0))
            .level
    };
    assert_eq!(level(1.0), Level::None);
    assert_eq!(level(6.0), Level::None);
    assert_eq!(level(7.0), Level::Warning);
    assert_eq!(level(20.0), Level::Error);
}

proptest! {
    #[test]
    fn the_level_stays_within_what_was_seen(values in proptest::collection::vec(-1e6..1e6_f64, 1..200)) {
        let series = fed(values.iter().copied());
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(series.level() >= low - 1e-6 && series.level() <= high + 1e-6);
        prop_assert!(series.d >= 0.0 && series.d <= high - low + 1e-6);
    }

    #[test]
    fn further_off_is_never_less_unusual(values in proptest::collection::vec(-1e3..1e3_f64, 8..100), off in 0.0..1e3_f64, more in 0.0..1e3_f64) {
        let series = fed(values);
        let near = series.judge(series.level() + off, FLOOR);
        let far = series.judge(series.level() + off + more, FLOOR);
        prop_assert!(far.z >= near.z && far.level >= near.level);
        prop_assert!(normality(far.z) <= normality(near.z));
    }

    #[test]
    fn a_series_comes_back_from_its_bytes(values in proptest::collection::vec(-1e6..1e6_f64, 0..50)) {
        let series = fed(values);
        let bytes = rmp_serde::to_vec_named(&series).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Series>(&bytes).unwrap(), series);
    }
}
