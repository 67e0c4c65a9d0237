//! Batches as their functions are given them, by software of this version and of the one before, and
//! wrong ones.

use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::{Finding, Identified, Level, wire};

use crate::support::{Beneath, Hand, assert_whole, fingerprint};

/// What a batch counts, and says it counts.
const FIELDS: [&str; 4] = [
    "t:warning",
    "b:warning:hypatia",
    "c:style",
    "w:warning:rule",
];

fn finding(number: u32) -> Identified {
    Identified {
        fingerprint: fingerprint(number),
        finding: Finding::new("rule", "")
            .level(Level::Warning)
            .category("style"),
    }
}

/// Arguments of a batch of findings of one group, as both versions have them in common.
fn head(hand: &Hand<'_>, numbers: &[u32], group: u16) -> Vec<Vec<u8>> {
    let bodies: Vec<Vec<u8>> = numbers
        .iter()
        .map(|n| wire::encode(&finding(*n)).unwrap())
        .collect();
    let texts = [
        hand.session.to_string(),
        hand.bot.to_string(),
        (hand.sequence + 1).to_string(),
        hand.attempt.to_string(),
        wire::WIRE_VERSION.to_string(),
        numbers.len().to_string(),
        FIELDS.len().to_string(),
        "0".to_owned(),
        String::new(),
    ];
    let mut args: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    args.push(wire::join(bodies.iter().map(Vec::as_slice)));
    args.push(Vec::new());
    args.push(group.to_be_bytes().repeat(numbers.len()));
    args.push((1..5_u16).flat_map(u16::to_be_bytes).collect());
    args.push(Vec::new());
    args
}

/// As `fleet_push_4` is called.
fn now(hand: &Hand<'_>, numbers: &[u32], group: u16) -> Vec<Vec<u8>> {
    let mut args = head(hand, numbers, group);
    let prints = numbers.iter().flat_map(|n| fingerprint(*n).0);
    args.push(prints.collect());
    args.push(vec![2; numbers.len()]);
    args.push(1_u16.to_be_bytes().repeat(FIELDS.len()));
    args.push(vec![2]);
    let counted = (numbers.len() as u16).to_be_bytes();
    args.push(counted.repeat(FIELDS.len()));
    args.extend(FIELDS.map(|field| field.as_bytes().to_vec()));
    args
}

/// As software of the version before calls `fleet_push_3`.
fn before(hand: &Hand<'_>, numbers: &[u32]) -> Vec<Vec<u8>> {
    let mut args = head(hand, numbers, 1);
    for field in FIELDS {
        args.push(field.as_bytes().to_vec());
        args.push(numbers.len().to_string().into_bytes());
    }
    for (position, number) in (0..).zip(numbers) {
        let score = 2 * (1_u64 << 40) + hand.sequence * 1_000 + position;
        args.push(score.to_string().into_bytes());
        args.push(fingerprint(*number).0.to_vec());
    }
    args
}

impl Beneath {
    async fn call(
        &mut self,
        function: &str,
        hand: &Hand<'_>,
        args: Vec<Vec<u8>>,
    ) -> Result<(String, String), String> {
        let (keys, session) = (Keys::default(), &hand.session);
        let partition = session.partition();
        let keys = [
            keys.session(session),
            keys.log(session),
            keys.index(session),
            keys.counts(session),
            keys.rules(session),
            keys.sessions(partition),
            keys.feed(partition),
            keys.producer(partition, &hand.producer),
            keys.rollup(partition),
            keys.packed(session),
        ];
        let mut command = redis::cmd("FCALL");
        command.arg(function).arg(keys.len()).arg(&keys).arg(args);
        let answer = command.query_async(&mut self.connection).await;
        answer.map_err(|error: redis::RedisError| error.to_string())
    }
}

#[tokio::test]
async fn software_of_the_version_before_pushes_into_the_same_session() {
    let mut called = Beneath::new().await;
    let store = SharedStore::clone(&called.store);
    let mut hand = Hand::started(&*store, "hypatia").await;
    let rounds: [(bool, &[u32], &str); 6] = [
        (true, &[1, 2, 3], " 3 3 "),
        (false, &[3, 4], " 1 4 0"),
        (true, &[4, 5, 1], " 1 5 0,2"),
        (false, &[1, 2], " 0 5 0,1"),
        (true, &[2, 1], " 0 5 0,1"),
        (false, &[6], " 1 6 "),
    ];
    for (old, numbers, expected) in rounds {
        let (function, args) = if old {
            ("fleet_push_3", before(&hand, numbers))
        } else {
            ("fleet_push_4", now(&hand, numbers, 1))
        };
        let (outcome, answer) = called.call(function, &hand, args).await.unwrap();
        assert_eq!(outcome, "applied");
        assert!(answer.ends_with(expected), "{answer} for {numbers:?}");
        hand.sequence += 1;
        assert_whole(&*store, &hand.session).await;
    }
}

#[tokio::test]
async fn a_wrong_batch_leaves_the_session_as_it_was() {
    let mut called = Beneath::new().await;
    let store = SharedStore::clone(&called.store);
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push((0..5).map(finding).collect()).await.unwrap();
    let facts = store.facts(&hand.session).await.unwrap();

    let mut short = now(&hand, &[7, 8], 1);
    short[14].truncate(31);
    let mut classless = now(&hand, &[7, 8], 1);
    classless[15] = vec![2, 5];
    let mut misplaced = now(&hand, &[7, 8], 1);
    misplaced[17] = vec![1];
    let mut miscounted = now(&hand, &[7, 8], 1);
    miscounted[18] = [2_u16, 1, 2, 2]
        .into_iter()
        .flat_map(u16::to_be_bytes)
        .collect();
    let mut torn = before(&hand, &[7, 8]);
    torn.last_mut().unwrap().pop();
    let wrong = [
        ("fleet_push_4", now(&hand, &[7, 8, 7], 1), "there twice"),
        ("fleet_push_4", now(&hand, &[0, 8, 8], 1), "there twice"),
        ("fleet_push_4", now(&hand, &[0, 8], 2), "is not counted"),
        ("fleet_push_4", short, "do not add up"),
        ("fleet_push_4", classless, "finding 2 has no weight class"),
        ("fleet_push_4", misplaced, "field 4 is not of its kind"),
        ("fleet_push_4", miscounted, "do not add up"),
        (
            "fleet_push_3",
            torn,
            "finding 2 has no score or fingerprint",
        ),
        ("fleet_push_3", before(&hand, &[3, 9, 9]), "there twice"),
    ];
    for (function, args, why) in wrong {
        let refusal = called.call(function, &hand, args).await.unwrap_err();
        assert!(
            refusal.contains("INVALID") && refusal.contains(why),
            "{refusal}"
        );
        assert_eq!(store.facts(&hand.session).await.unwrap(), facts, "{why}");
        assert_whole(&*store, &hand.session).await;
    }
    // None of them used its number.
    hand.push(vec![finding(7), finding(8)]).await.unwrap();
    assert_whole(&*store, &hand.session).await;
}
