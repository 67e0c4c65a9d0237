//! Pushing findings: what is taken, what is refused whole.

use fleet_coordinator::index::{PageQuery, Suppression};
use fleet_coordinator::model::Tally;
use fleet_coordinator::store::{Maintain, Read};
use fleet_worker_sdk::finding::MAX_FINDING_BYTES;
use fleet_worker_sdk::push::{MAX_BATCH_BYTES, MAX_BATCH_FINDINGS};
use fleet_worker_sdk::{Again, Error, Rule};

use crate::support::{Hand, assert_whole, bot, finding, findings, fingerprint, open};

async fn a_push_can_be_read_once_it_is_acknowledged(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let early = store.findings(&hand.session).await.unwrap();
    assert!(early.read().await.is_empty());
    let answer = hand.push(findings(0..5)).await.unwrap();
    assert_eq!((answer.new, answer.total), (5, 5));
    assert!(answer.known.is_empty() && !answer.duplicate);
    let late = store.findings(&hand.session).await.unwrap();
    let index = late.read().await;
    assert_eq!(index.len(), 5);
    for number in 0..5 {
        let view = index.get(&fingerprint(number)).unwrap();
        assert_eq!(view.identified, finding(number));
        assert_eq!(view.bot, bot("a"));
    }
    drop(index);
    assert_whole(store, &hand.session).await;
}

async fn a_finding_the_session_has_is_not_counted_again(store: &dyn Maintain) {
    let mut a = Hand::started(store, "a").await;
    a.push(findings(0..3)).await.unwrap();
    let mut b = Hand::new(store, &a.session, "b");
    b.start().await.unwrap();
    let answer = b.push(findings([9, 2, 8, 0])).await.unwrap();
    assert_eq!((answer.new, answer.total), (2, 5));
    assert_eq!(answer.known, [1, 3]);
    let facts = store.facts(&a.session).await.unwrap();
    assert_eq!(facts.counts.by_bot[&bot("a")].total(), 3);
    assert_eq!(facts.counts.by_bot[&bot("b")].total(), 2);
    let progress = store.progress(&a.session).await.unwrap();
    assert_eq!(progress.execution(&bot("b")).unwrap().pushed, 4);
    assert_whole(store, &a.session).await;
}

async fn sessions_do_not_share_findings(store: &dyn Maintain) {
    let mut first = Hand::started(store, "a").await;
    first.push(findings(0..3)).await.unwrap();
    let other = store.open(&open("acme/shop").run("2")).await.unwrap();
    let mut second = Hand::new(store, &other.session, "a");
    second.start().await.unwrap();
    let answer = second.push(findings(0..3)).await.unwrap();
    assert_eq!((answer.new, answer.total), (3, 3));
}

async fn an_empty_batch_is_taken_and_uses_its_number(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let answer = hand.push(Vec::new()).await.unwrap();
    assert_eq!((answer.new, answer.total), (0, 0));
    let last = store.last_sequence(&hand.session, &hand.producer).await;
    assert_eq!(last.unwrap(), 2);
    hand.push(findings(0..1)).await.unwrap();
}

async fn a_push_to_what_does_not_run_is_refused(store: &dyn Maintain) {
    let analysis = open("acme/shop").expect([bot("pending")]);
    let session = store.open(&analysis).await.unwrap().session;
    let mut completed = Hand::new(store, &session, "completed");
    completed.start().await.unwrap();
    completed.complete(0).await.unwrap();
    let mut absent = Hand::new(store, &session, "absent");
    let mut pending = Hand::new(store, &session, "pending");
    let refusals = [
        (
            &mut completed,
            "the execution of completed is completed; reopen it to push more",
        ),
        (
            &mut pending,
            "the execution of pending is pending; reopen it to push more",
        ),
        (
            &mut absent,
            "absent has no execution in this session; start it first",
        ),
    ];
    let before = store.facts(&session).await.unwrap();
    for (hand, why) in refusals {
        let error = hand.push(findings(0..2)).await.unwrap_err();
        assert_eq!(error, Error::conflict(why));
    }
    assert_eq!(store.facts(&session).await.unwrap(), before);
    assert_whole(store, &session).await;
}

async fn a_push_of_an_attempt_that_was_taken_over_is_refused(store: &dyn Maintain) {
    let mut first = Hand::started(store, "a").await;
    let mut second = Hand::new(store, &first.session, "a");
    second.reopen().await.unwrap();
    let error = first.push(findings(0..2)).await.unwrap_err();
    let why = "attempt 1 of a was taken over by attempt 2";
    assert_eq!(error, Error::conflict(why));
    let answer = second.push(findings(0..2)).await.unwrap();
    assert_eq!(answer.new, 2);
}

async fn repeats_raise_the_occurrences_and_count_no_finding(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let again = |number, occurrences| Again {
        fingerprint: fingerprint(number),
        occurrences,
    };
    let mut batch = hand.batch(findings(0..2));
    batch.again = vec![again(1, 2)];
    hand.send(&batch).await.unwrap();
    let mut batch = hand.batch(Vec::new());
    batch.again = vec![again(0, 7), again(1, 2), again(99, 3)];
    let answer = hand.send(&batch).await.unwrap();
    assert_eq!((answer.new, answer.total), (0, 2));
    assert_eq!(occurrences(store, &hand).await, [7, 2]);
    hand.complete(2).await.unwrap();
    assert_whole(store, &hand.session).await;
}

async fn occurrences(store: &dyn Maintain, hand: &Hand<'_>) -> [u32; 2] {
    let findings = Read::findings(store, &hand.session).await.unwrap();
    let index = findings.read().await;
    [0, 1].map(|n| {
        index
            .get(&fingerprint(n))
            .unwrap()
            .identified
            .finding
            .occurrence_count
    })
}

async fn the_first_texts_of_a_rule_are_kept(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let rule = |name: &str| Rule {
        name: name.to_owned(),
        tags: vec!["CWE-79".to_owned()],
        ..Rule::default()
    };
    let mut batch = hand.batch(findings(0..1));
    batch.rules.insert("rule-0".to_owned(), rule("first"));
    hand.send(&batch).await.unwrap();
    let mut batch = hand.batch(Vec::new());
    batch.rules.insert("rule-0".to_owned(), rule("second"));
    batch.rules.insert("rule-1".to_owned(), rule("third"));
    hand.send(&batch).await.unwrap();
    let findings = store.findings(&hand.session).await.unwrap();
    let index = findings.read().await;
    let names: Vec<_> = index
        .rules()
        .iter()
        .map(|(id, r)| (&**id, &*r.name))
        .collect();
    assert_eq!(names, [("rule-0", "first"), ("rule-1", "third")]);
    assert_eq!(index.rules()["rule-0"], rule("first"));
}

async fn a_batch_that_cannot_be_taken_whole_is_not_taken(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    hand.push(findings(0..1)).await.unwrap();
    let before = store.facts(&hand.session).await.unwrap();
    let with = |spoil: fn(&mut fleet_worker_sdk::Finding)| {
        let mut all = findings(10..13);
        spoil(&mut all[2].finding);
        all
    };
    let bad = [
        ("too many", findings(0..=MAX_BATCH_FINDINGS as u32)),
        ("the same twice", findings([10, 11, 10])),
        ("no rule", with(|f| f.rule_id.clear())),
        ("no category", with(|f| f.category.clear())),
        ("long category", with(|f| f.category = "x".repeat(65))),
        ("control character", with(|f| f.rule_id.push('\u{1b}'))),
        ("confidence", with(|f| f.confidence = Some(1.5))),
        ("no number", with(|f| f.security_severity = Some(f32::NAN))),
    ];
    for (what, findings) in bad {
        let error = hand.push(findings).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{what}: {error}");
    }
    assert_eq!(store.facts(&hand.session).await.unwrap(), before);
    assert_eq!(hand.push(findings(10..13)).await.unwrap().new, 3);
    assert_whole(store, &hand.session).await;
}

async fn a_finding_or_batch_that_is_too_large_is_refused_whole(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let mut large = findings(0..2);
    large[1].finding.message = "x".repeat(MAX_FINDING_BYTES);
    let error = hand.push(large).await.unwrap_err();
    let limit = MAX_FINDING_BYTES as u64;
    assert!(is_too_large(&error, "finding", limit), "{error}");
    let mut many = findings(0..9);
    for identified in &mut many {
        identified.finding.message = "x".repeat(60 * 1024);
    }
    let error = hand.push(many).await.unwrap_err();
    let limit = MAX_BATCH_BYTES as u64;
    assert!(is_too_large(&error, "batch", limit), "{error}");
    let mut long = findings(0..2);
    long[1].finding.locations[0].uri = "x".repeat(5_000);
    let error = hand.push(long).await.unwrap_err();
    assert!(is_too_large(&error, "location uri", 4_096), "{error}");
    assert_eq!(store.facts(&hand.session).await.unwrap().session.total, 0);
    assert_eq!(hand.push(findings(0..2)).await.unwrap().new, 2);
}

fn is_too_large(error: &Error, which: &str, most: u64) -> bool {
    matches!(error, Error::TooLarge { what, size, limit } if what == which && *limit == most && size > limit)
}

async fn pushes_at_the_same_time_are_each_counted_once(store: &dyn Maintain) {
    let session = store.open(&open("acme/shop")).await.unwrap().session;
    let names = ["a", "b", "c", "d"];
    let bots = names.map(|name| push_all(store, &session, name));
    futures_util::future::join_all(bots).await;
    let facts = store.facts(&session).await.unwrap();
    assert_eq!(facts.session.total, 200);
    let new: u64 = facts.counts.by_bot.values().map(Tally::total).sum();
    assert_eq!(new, 200);
    assert_whole(store, &session).await;
}

/// Pushes findings 0 to 199 in batches of 20, as all the others do.
async fn push_all(store: &dyn Maintain, session: &fleet_worker_sdk::SessionId, name: &str) {
    let mut hand = Hand::new(store, session, name);
    hand.start().await.unwrap();
    for from in (0..200).step_by(20) {
        hand.push(findings(from..from + 20)).await.unwrap();
    }
    hand.complete(200).await.unwrap();
}

async fn findings_are_paged_as_they_were_pushed(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "a").await;
    let mut all = findings(0..10);
    all[4]
        .finding
        .suppressions
        .push(fleet_worker_sdk::Suppression::default());
    hand.push(all).await.unwrap();
    let findings = store.findings(&hand.session).await.unwrap();
    let index = findings.read().await;
    let open = PageQuery {
        limit: 100,
        ..PageQuery::default()
    };
    assert_eq!(index.query(&open).unwrap().total, 9);
    let mut suppressed = open.clone();
    suppressed.filter.suppression = Suppression::Suppressed;
    let page = index.query(&suppressed).unwrap();
    assert_eq!(page.findings[0].identified.fingerprint, fingerprint(4));
}

on_every_store!(
    a_push_can_be_read_once_it_is_acknowledged,
    a_finding_the_session_has_is_not_counted_again,
    sessions_do_not_share_findings,
    an_empty_batch_is_taken_and_uses_its_number,
    a_push_to_what_does_not_run_is_refused,
    a_push_of_an_attempt_that_was_taken_over_is_refused,
    repeats_raise_the_occurrences_and_count_no_finding,
    the_first_texts_of_a_rule_are_kept,
    a_batch_that_cannot_be_taken_whole_is_not_taken,
    a_finding_or_batch_that_is_too_large_is_refused_whole,
    pushes_at_the_same_time_are_each_counted_once,
    findings_are_paged_as_they_were_pushed,
);
