//! Dead letters: changes that nobody could settle are put aside, put back, or thrown away.

use std::time::Duration;

use fleet_coordinator::model::FeedEntry;
use fleet_coordinator::store::Maintain;
use fleet_coordinator::store::operate::{LetterId, LetterKind};
use fleet_worker_sdk::{Error, Partition};

use crate::support::{Hand, finding, next_changes};

on_every_store!(
    a_change_given_up_is_a_letter_and_comes_back_when_requeued,
    a_letter_thrown_away_is_gone_for_good,
    what_is_settled_is_not_given_up,
    letters_are_paged_latest_first,
);

async fn one_change(store: &dyn Maintain) -> FeedEntry {
    Hand::started(store, "scanner").await;
    let mut entries = next_changes(store, "one").await;
    let last = entries.pop().unwrap();
    store.settle(&entries).await.unwrap();
    last
}

async fn a_change_given_up_is_a_letter_and_comes_back_when_requeued(store: &dyn Maintain) {
    let entry = one_change(store).await;
    let given_up = [entry.clone()];
    assert_eq!(store.give_up(&given_up, "it fell over").await.unwrap(), 1);
    assert_eq!(store.backlog().await.unwrap().entries, 0);
    let dead = store.letters(None, 10).await.unwrap();
    assert_eq!((dead.total, dead.letters.len()), (1, 1));
    let letter = &dead.letters[0];
    assert_eq!((letter.kind, letter.delivered), (LetterKind::Change, 1));
    assert_eq!(letter.session, entry.session.as_str());
    assert_eq!(letter.reason, "it fell over");
    assert_eq!(letter.source, entry.receipt);
    let opened = store.letter(&letter.id).await.unwrap();
    assert_eq!(opened.letter, *letter);
    assert_eq!(opened.fields["s"], entry.session.as_str().as_bytes());

    store.requeue(&letter.id).await.unwrap();
    assert_eq!(store.letters(None, 10).await.unwrap().total, 0);
    let again = next_changes(store, "other").await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].session, entry.session);
    let error = store.requeue(&letter.id).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

async fn a_letter_thrown_away_is_gone_for_good(store: &dyn Maintain) {
    let entry = one_change(store).await;
    store.give_up(&[entry], "x").await.unwrap();
    let id = store.letters(None, 1).await.unwrap().letters[0].id;
    assert!(store.discard(&id).await.unwrap());
    assert!(!store.discard(&id).await.unwrap());
    let error = store.letter(&id).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let nothing = store.changes("other", Duration::ZERO).await.unwrap();
    assert_eq!(nothing, []);
}

async fn what_is_settled_is_not_given_up(store: &dyn Maintain) {
    let entry = [one_change(store).await];
    store.settle(&entry).await.unwrap();
    assert_eq!(store.give_up(&entry, "late").await.unwrap(), 0);
    assert_eq!(store.letters(None, 10).await.unwrap().total, 0);
}

async fn letters_are_paged_latest_first(store: &dyn Maintain) {
    let mut hand = Hand::started(store, "scanner").await;
    for n in 0..5 {
        hand.push(vec![finding(n)]).await.unwrap();
        let entries = next_changes(store, "one").await;
        // Some stores tell of several changes of a session at once.
        store.give_up(&entries[..1], "x").await.unwrap();
        store.settle(&entries[1..]).await.unwrap();
    }
    let all = store.letters(None, 10).await.unwrap().letters;
    assert_eq!(all.len(), 5);
    let mut paged = Vec::new();
    let mut after: Option<LetterId> = None;
    loop {
        let page = store.letters(after.as_ref(), 2).await.unwrap().letters;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let order: Vec<_> = all.iter().map(|letter| letter.id.order()).collect();
    assert!(order.is_sorted_by(|a, b| a > b), "{order:?}");
    let before_all = LetterId {
        partition: Partition(0),
        ms: 1,
        number: 0,
    };
    assert_eq!(
        store.letters(Some(&before_all), 9).await.unwrap().letters,
        []
    );
}
