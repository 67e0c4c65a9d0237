//! Sessions of which something stored cannot be read: told of once, and in nobody's way.

use std::time::Duration;

use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::store::SessionQuery;
use fleet_coordinator::store::operate::LetterKind;
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::redis::AsyncCommands;

use crate::support::{Hand, RedisServer, findings, open, over, raw};

#[tokio::test]
async fn a_damaged_session_is_one_letter_with_its_reason_until_it_is_mended() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let coordinator = Coordinator::new(store.clone(), CoordinatorSettings::default());
    let mut hand = Hand::started(&*store, "hypatia").await;
    let key = Keys::default().session(&hand.session);
    let whole: String = connection.hget(&key, "opened").await.unwrap();
    // Damaged, damaged still, mended, damaged again: which of these is told of.
    let rounds = [("when", 1), ("when", 1), (&*whole, 1), ("when", 2)];
    for (round, (opened, letters)) in (1..).zip(rounds) {
        raw(&mut connection, &["HSET", &key, "opened", opened]).await;
        hand.push(findings(round - 1..round)).await.unwrap();
        assert_eq!(coordinator.follow_feed(Duration::ZERO).await.unwrap(), 1);
        assert_eq!(store.backlog().await.unwrap().entries, 0);
        let dead = store.letters(None, 10).await.unwrap();
        assert_eq!(dead.total, letters, "round {round}");
        let letter = &dead.letters[0];
        assert_eq!(letter.kind, LetterKind::Change);
        assert_eq!(letter.session, hand.session.as_str());
        assert!(letter.reason.contains("when"), "{}", letter.reason);
    }
    assert_eq!(coordinator.totals().given_up, 3);
}

/// What is stored of one session cannot be read: lists go on behind it, however they are walked.
#[tokio::test]
async fn a_session_that_cannot_be_read_hides_and_holds_up_no_other() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let coordinator = Coordinator::new(store.clone(), CoordinatorSettings::default());
    let repositories = ["acme/one", "acme/two", "acme/three"];
    let mut opened = Vec::new();
    for repository in repositories {
        opened.push(store.open(&open(repository)).await.unwrap().session);
    }
    let keys = Keys::default();
    let key = keys.session(&opened[1]);
    let whole: String = connection.hget(&key, "opened").await.unwrap();
    raw(&mut connection, &["HSET", &key, "opened", "when"]).await;
    let list = keys.sessions(opened[0].partition());
    raw(&mut connection, &["ZADD", &list, "0", "no session"]).await;

    let latest = async |limit| {
        let query = SessionQuery {
            repository: None,
            after: None,
            limit,
        };
        let listed = store.sessions(&query).await.unwrap();
        listed
            .into_iter()
            .map(|session| session.id)
            .collect::<Vec<_>>()
    };
    let others: Vec<_> = vec![opened[2].clone(), opened[0].clone()];
    assert_eq!(latest(2).await, others);
    assert_eq!(latest(3).await, others);
    let oldest = store.oldest(None, 2).await.unwrap();
    assert!(
        oldest
            .iter()
            .map(|session| &session.id)
            .eq(others.iter().rev())
    );
    assert_eq!(coordinator.resync().await.unwrap(), 2);
    let refused = store.session(&opened[1]).await.unwrap_err().to_string();
    assert!(refused.contains("when"), "{refused}");

    raw(&mut connection, &["HSET", &key, "opened", &whole]).await;
    assert_eq!(coordinator.resync().await.unwrap(), 1);
    assert_eq!(latest(3).await.len(), 3);
}

/// A resync may be the first to find a session mended.
#[tokio::test]
async fn a_session_that_a_resync_finds_mended_is_told_of_again() {
    let server = RedisServer::start().await;
    let (store, mut connection) = over(&server).await;
    let coordinator = Coordinator::new(store.clone(), CoordinatorSettings::default());
    let mut hand = Hand::started(&*store, "hypatia").await;
    let key = Keys::default().session(&hand.session);
    let whole: String = connection.hget(&key, "opened").await.unwrap();
    for letters in 1..=2 {
        raw(&mut connection, &["HSET", &key, "opened", "when"]).await;
        hand.push(findings(letters - 1..letters)).await.unwrap();
        assert_eq!(coordinator.follow_feed(Duration::ZERO).await.unwrap(), 1);
        let dead = store.letters(None, 10).await.unwrap();
        assert_eq!(dead.total, u64::from(letters));
        raw(&mut connection, &["HSET", &key, "opened", &whole]).await;
        assert_eq!(coordinator.resync().await.unwrap(), 1);
    }
}
