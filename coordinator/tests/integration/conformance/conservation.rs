//! A session adds up whatever happens to it, and is left alone by a repair.

use fleet_coordinator::conserve::Mismatch;
use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::{Again, Error, SessionId};

use crate::support::{Hand, assert_whole, findings, fingerprint, stamp};

on_every_store!(
    a_session_adds_up_after_every_step,
    a_repair_leaves_what_adds_up_alone,
    what_is_pushed_again_is_counted_once,
    a_mismatch_is_told_of_once_and_forgotten,
    a_session_that_is_gone_has_no_account,
);

async fn assert_adds_up(store: &dyn Maintain, session: &SessionId, findings: i64) {
    assert_whole(store, session).await;
    let account = store.account(session).await.unwrap();
    assert_eq!((account.total, account.logged), (findings, findings));
}

async fn a_session_adds_up_after_every_step(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "scanner").await;
    let session = hand.session.clone();
    assert_adds_up(store, &session, 0).await;
    hand.push(findings(0..40)).await.unwrap();
    assert_adds_up(store, &session, 40).await;
    let mut other = Hand::new(store, &session, "linter");
    other.start().await.unwrap();
    other.push(findings(30..60)).await.unwrap();
    assert_adds_up(store, &session, 60).await;
    hand.complete(40).await.unwrap();
    other.fail("out of memory").await.unwrap();
    assert_adds_up(store, &session, 60).await;
    hand.reopen().await.unwrap();
    hand.push(findings(0..80)).await.unwrap();
    assert_adds_up(store, &session, 80).await;
}

async fn what_is_pushed_again_is_counted_once(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "scanner").await;
    let first = hand.batch(findings(0..10));
    hand.send(&first).await.unwrap();
    hand.send(&first).await.unwrap();
    let mut again = hand.batch(findings(5..12));
    again.again = vec![Again {
        fingerprint: fingerprint(3),
        occurrences: 4,
    }];
    hand.send(&again).await.unwrap();
    assert_adds_up(store, &hand.session, 12).await;
}

async fn a_repair_leaves_what_adds_up_alone(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "scanner").await;
    hand.push(findings(0..50)).await.unwrap();
    let before = store.facts(&hand.session).await.unwrap();
    for apply in [false, true] {
        let repair = store.repair_session(&hand.session, apply).await.unwrap();
        assert!(repair.is_whole() && !repair.applied, "{repair:?}");
        assert_eq!(repair.before, repair.after);
    }
    assert_eq!(store.facts(&hand.session).await.unwrap(), before);
}

async fn a_mismatch_is_told_of_once_and_forgotten(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "scanner").await;
    hand.push(findings(0..5)).await.unwrap();
    let mut account = store.account(&hand.session).await.unwrap();
    assert_eq!(Mismatch::of(account.clone(), stamp(1)), None);
    account.indexed = 3;
    let mismatch = Mismatch::of(account, stamp(1)).unwrap();
    assert_eq!(mismatch.text(), "members of the index: 3, expected 5");
    assert!(store.note_mismatch(&mismatch).await.unwrap());
    assert!(!store.note_mismatch(&mismatch).await.unwrap());
    assert_eq!(store.mismatches().await.unwrap(), [mismatch]);
    store.forget_mismatch(&hand.session).await.unwrap();
    assert_eq!(store.mismatches().await.unwrap(), []);
}

async fn a_session_that_is_gone_has_no_account(store: &dyn Maintain) {
    let gone = SessionId::new("p0-00000000-0000-7000-8000-000000000000").unwrap();
    let error = store.account(&gone).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let error = store.repair_session(&gone, true).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}
