//! What holds for every history of alerts.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::labels::Label;
use super::settings::Limit;
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// Names with hold-downs from none to 30 s, two severities, two bots or none.
fn observation() -> impl Strategy<Value = Observation> {
    let names = prop::sample::select(vec![
        Name::BotFailing,
        Name::TierDown,
        Name::Backlog,
        Name::StoreUnreachable,
        Name::HighErrorRate,
    ]);
    (names, any::<bool>(), prop::option::of(0..2u8), 0..3u8).prop_map(
        |(name, critical, bot, value)| {
            let severity = if critical {
                Severity::Critical
            } else {
                Severity::Warning
            };
            let mut labels = Labels::new(name, severity).tier(fleet_worker_sdk::Tier::Verifier);
            labels.bot = bot.map(|bot| format!("bot-{bot}").parse().unwrap());
            Observation {
                labels,
                value: f64::from(value),
                summary: format!("{name} {value}"),
                description: String::new(),
            }
        },
    )
}

/// Looks at the fleet: seconds since the one before, and what is wrong.
fn looks() -> impl Strategy<Value = Vec<(i64, Vec<Observation>)>> {
    prop::collection::vec(
        (0..400i64, prop::collection::vec(observation(), 0..6)),
        1..30,
    )
}

fn channel(name: &str, group_by: Vec<Label>, wait: i64, interval: i64, repeat: i64) -> Channel {
    Channel {
        name: name.to_owned(),
        severities: Vec::new(),
        matchers: Vec::new(),
        pace: Pace {
            group_by,
            wait: SignedDuration::from_secs(wait),
            interval: SignedDuration::from_secs(interval),
            repeat: SignedDuration::from_secs(repeat),
        },
    }
}

fn channels() -> Vec<Channel> {
    vec![
        channel("all", vec![], 0, 0, 60),
        channel(
            "grouped",
            vec![Label::Alertname, Label::Tier],
            30,
            300,
            3_600,
        ),
    ]
}

fn silence(matcher: &str, from: i64, until: i64) -> Silence {
    Silence {
        id: matcher.to_owned(),
        matchers: vec![Matcher::parse(matcher).unwrap()],
        author: "ana".to_owned(),
        comment: "test".to_owned(),
        starts_at: at(from),
        ends_at: at(until),
    }
}

/// Plays looks; gives each with its time, board and deliveries.
fn play(
    looks: &[(i64, Vec<Observation>)],
    silences: &[Silence],
) -> Vec<(Timestamp, Board, Vec<Delivery>)> {
    let (mut board, mut second) = (Board::default(), 0);
    let mut played = Vec::new();
    for (wait, observed) in looks {
        second += wait;
        let known = known(observed, silences, second);
        let (next, deliveries) = step(&board, &known, &AlertSettings::default(), &channels());
        board = next;
        played.push((at(second), board.clone(), deliveries));
    }
    played
}

fn known<'a>(observed: &'a [Observation], silences: &'a [Silence], second: i64) -> Known<'a> {
    Known {
        observed,
        silences,
        beside: &[],
        waiting: &[],
        now: at(second),
    }
}

proptest! {
    #[test]
    fn what_is_silenced_or_explained_is_never_delivered(looks in looks(), from in 0..2_000i64, lasts in 1..2_000i64) {
        let silences = [silence("bot=bot-0", from, from + lasts), silence("alertname=back*", 0, i64::from(u32::MAX))];
        for (now, board, deliveries) in play(&looks, &silences) {
            let quiet = inhibit::quiet(&board, &Known { now, ..known(&[], &silences, 0) });
            for alert in deliveries.iter().flat_map(|delivery| &delivery.alerts) {
                prop_assert!(!silence::is_silenced(&silences, &alert.labels, now), "{}", alert.labels);
                prop_assert!(!quiet.contains(&alert.labels), "{}", alert.labels);
                prop_assert!(alert.phase != Phase::Pending);
            }
        }
    }

    #[test]
    fn over_is_told_only_of_what_was_told_to_fire(looks in looks()) {
        let mut told: BTreeSet<(String, Labels)> = BTreeSet::new();
        for (_, _, deliveries) in play(&looks, &[silence("bot=bot-1", 300, 900)]) {
            for delivery in &deliveries {
                for alert in &delivery.alerts {
                    let who = (delivery.channel.clone(), alert.labels.clone());
                    if alert.phase == Phase::Firing {
                        prop_assert_eq!(alert.ends_at, None);
                        told.insert(who);
                    } else {
                        prop_assert!(alert.ends_at >= Some(alert.starts_at));
                        prop_assert!(told.remove(&who), "{} was never told", alert.labels);
                    }
                }
            }
        }
    }

    #[test]
    fn the_order_of_observations_does_not_matter(looks in looks(), seed in any::<u64>()) {
        let mut shuffled = looks.clone();
        let mut random = fastrand::Rng::with_seed(seed);
        for (_, observed) in &mut shuffled {
            random.shuffle(observed);
        }
        prop_assert_eq!(play(&looks, &[]), play(&shuffled, &[]));
    }

    #[test]
    fn the_same_again_changes_nothing(looks in looks()) {
        let settings = AlertSettings::default();
        let mut second = 0;
        for ((wait, observed), (_, board, _)) in looks.iter().zip(play(&looks, &[])) {
            second += wait;
            let (again, deliveries) = step(&board, &known(observed, &[], second), &settings, &channels());
            prop_assert_eq!(deliveries, vec![]);
            prop_assert_eq!(again, board);
        }
    }

    #[test]
    fn a_board_reads_back_as_it_was_written(looks in looks()) {
        for (_, board, deliveries) in play(&looks, &[]) {
            let json = serde_json::to_string(&board).unwrap();
            prop_assert_eq!(serde_json::from_str::<Board>(&json).unwrap(), board);
            let json = serde_json::to_string(&deliveries).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vec<Delivery>>(&json).unwrap(), deliveries);
        }
    }

    #[test]
    fn a_group_is_told_no_more_often_than_its_interval(looks in looks()) {
        let mut last: std::collections::BTreeMap<String, Timestamp> = std::collections::BTreeMap::new();
        for (now, _, deliveries) in play(&looks, &[]) {
            for delivery in deliveries.iter().filter(|delivery| delivery.channel == "grouped") {
                if let Some(before) = last.insert(delivery.group.clone(), now) {
                    prop_assert!(now.duration_since(before) >= SignedDuration::from_secs(300));
                }
            }
        }
    }

    #[test]
    fn what_flaps_is_told_once(gaps in prop::collection::vec((1..290i64, any::<bool>()), 1..60)) {
        // Never away for as long as the resolve hold, and shorter in all than a repeat.
        let failing = Observation {
            labels: Labels::new(Name::BotFailing, Severity::Warning),
            value: 3.0,
            summary: "fails".to_owned(),
            description: String::new(),
        };
        let mut looks = vec![(0, vec![failing.clone()])];
        let mut seconds = 0;
        for (gap, there) in gaps {
            if seconds + gap >= 3_600 {
                break;
            }
            seconds += gap;
            let away = looks.last().is_some_and(|(_, observed)| observed.is_empty());
            looks.push((gap, if there || away { vec![failing.clone()] } else { vec![] }));
        }
        let told: Vec<_> = play(&looks, &[]).into_iter().flat_map(|(_, _, deliveries)| deliveries).collect();
        let told = told.iter().filter(|delivery| delivery.channel == "grouped").count();
        prop_assert!(told <= 1, "{told} notices");
    }
}

#[test]
fn what_was_raised_beside_the_board_explains_what_follows() {
    let backlog = Observation {
        labels: Labels::new(Name::Backlog, Severity::Warning),
        value: 40.0,
        summary: "behind".to_owned(),
        description: String::new(),
    };
    let mut settings = AlertSettings::default();
    let limit = Limit {
        hold: SignedDuration::ZERO,
        ..Limit::of(Name::Backlog)
    };
    settings.limits.insert(Name::Backlog, limit);
    let (observed, away) = (
        [backlog],
        [Labels::new(Name::StoreUnreachable, Severity::Critical)],
    );
    let mut known = known(&observed, &[], 0);
    known.beside = &away;
    let (board, deliveries) = step(&Board::default(), &known, &settings, &channels());
    assert_eq!(deliveries, []);
    known.beside = &[];
    let (_, deliveries) = step(&board, &known, &settings, &channels());
    assert_eq!(
        deliveries.len(),
        1,
        "it is told when nothing explains it any more"
    );
}

#[test]
fn what_lasts_is_told_again_unless_it_has_not_been_heard_yet() {
    let failing = [Observation {
        labels: Labels::new(Name::BotFailing, Severity::Warning),
        value: 3.0,
        summary: "fails".to_owned(),
        description: String::new(),
    }];
    let waiting = ["all".to_owned()];
    let settings = AlertSettings::default();
    let (board, first) = step(
        &Board::default(),
        &known(&failing, &[], 0),
        &settings,
        &channels(),
    );
    assert_eq!(first.len(), 1);
    let mut later = known(&failing, &[], 60);
    let (_, again) = step(&board, &later, &settings, &channels());
    assert_eq!(
        again
            .iter()
            .filter(|delivery| delivery.channel == "all")
            .count(),
        1
    );
    later.waiting = &waiting;
    let (_, again) = step(&board, &later, &settings, &channels());
    assert_eq!(
        again
            .iter()
            .filter(|delivery| delivery.channel == "all")
            .count(),
        0
    );
}
