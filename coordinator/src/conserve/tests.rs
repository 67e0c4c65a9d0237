use super::*;
use proptest::prelude::*;

fn account(indexed: i64, counted: i64, total: i64, logged: i64, quarantined: i64) -> Account {
    Account {
        session: SessionId::new("p0-00000000-0000-7000-8000-000000000000").unwrap(),
        repository: Repository::new("acme/shop").unwrap(),
        version: Version(1),
        generation: 0,
        indexed,
        counted: Sums {
            by_bot: counted,
            by_severity: counted,
            by_category: counted,
            by_rule: counted,
        },
        total,
        logged,
        quarantined,
        executions: Vec::new(),
    }
}

fn numbers(account: &Account) -> Vec<Number> {
    account.faults().iter().map(|fault| fault.number).collect()
}

#[test]
fn numbers_that_agree_have_no_fault() {
    assert_eq!(account(5, 5, 5, 5, 0).faults(), []);
    assert_eq!(account(5, 5, 5, 3, 2).faults(), [], "two are quarantined");
    assert_eq!(account(0, 0, 0, 0, 0).faults(), []);
}

#[test]
fn the_one_number_that_is_apart_is_named() {
    assert_eq!(numbers(&account(4, 5, 5, 5, 0)), [Number::Index]);
    assert_eq!(numbers(&account(5, 5, 6, 5, 0)), [Number::Total]);
    assert_eq!(numbers(&account(5, 5, 5, 4, 0)), [Number::Log]);
    let mut bots = account(5, 5, 5, 5, 0);
    bots.counted.by_bot = 7;
    assert_eq!(numbers(&bots), [Number::Bots]);
    assert_eq!(
        bots.faults()[0].to_string(),
        "the sum over bots: 7, expected 5"
    );
}

#[test]
fn an_execution_is_held_against_what_it_stated() {
    let mut account = account(5, 5, 5, 5, 0);
    account.executions = vec![Received {
        bot: BotId::new("hypatia").unwrap(),
        attempt: 1,
        stated: Some(6),
        received: 4,
        counted: 5,
    }];
    let said: Vec<String> = account.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "findings received of hypatia are 4, it stated 6",
            "findings counted for hypatia are 5, received were 4"
        ]
    );
    // A second attempt knows nothing of what the first pushed.
    account.executions[0].attempt = 2;
    account.executions[0].stated = Some(4);
    assert_eq!(account.faults(), []);
}

#[test]
fn the_fleets_sums_hold_what_most_numbers_say() {
    assert_eq!(account(5, 5, 5, 3, 0).contributed(), 5, "lost from the log");
    assert_eq!(account(5, 7, 4, 5, 0).contributed(), 5, "two are damaged");
    assert_eq!(account(1, 2, 3, 4, 0).contributed(), 2, "the counters");
}

#[test]
fn strangers_stay_if_they_are_the_quarantined_ones() {
    let whole = account(5, 5, 5, 3, 2);
    assert!(whole.held_back(2).unwrap());
    assert!(!account(5, 5, 5, 5, 0).held_back(2).unwrap());
    let error = whole.held_back(1).unwrap_err();
    assert!(error.to_string().contains("requeue them"), "{error}");
}

proptest! {
    #[test]
    fn faults_and_difference_agree(
        indexed in 0..4_i64, counted in 0..4_i64, total in 0..4_i64, logged in 0..4_i64,
    ) {
        let account = account(indexed, counted, total, logged, 0);
        prop_assert_eq!(account.faults().is_empty(), account.difference() == 0);
        let told = [indexed, counted, total, logged];
        prop_assert!(told.contains(&account.contributed()));
        let span = told.iter().max().unwrap() - told.iter().min().unwrap();
        prop_assert_eq!(account.difference(), span.cast_unsigned());
    }
}
