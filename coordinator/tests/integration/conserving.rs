//! Sessions damaged behind everybody's back, as only a Redis lets one: found, told of, repaired.

use fleet_coordinator::conserve::Number;
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::store::{Compacted, SharedStore};
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::redis::{self, AsyncCommands, aio::MultiplexedConnection};
use fleet_worker_sdk::{Error, SessionId};

use crate::support::{Hand, RedisServer, assert_whole, findings, over};

struct Scene {
    _server: RedisServer,
    store: SharedStore,
    redis: MultiplexedConnection,
    session: SessionId,
}

impl Scene {
    /// A session of 2,000 findings in several batches, some of them pushed again.
    async fn new() -> Self {
        let server = RedisServer::start().await;
        let (store, redis) = over(&server).await;
        let mut hand = Hand::started(&*store, "scanner").await;
        for from in (0..2_000).step_by(400) {
            hand.push(findings(from..from + 500)).await.unwrap();
        }
        let session = hand.session.clone();
        assert_eq!(total(&store, &session).await, 2_100);
        Self {
            _server: server,
            store,
            redis,
            session,
        }
    }

    fn key(&self, of: fn(&Keys, &SessionId) -> String) -> String {
        of(&Keys::default(), &self.session)
    }

    async fn faults(&self) -> Vec<Number> {
        let account = self.store.account(&self.session).await.unwrap();
        account.faults().iter().map(|fault| fault.number).collect()
    }

    async fn repair(&self) {
        let dry = self.store.repair_session(&self.session, false).await;
        let dry = dry.unwrap();
        assert!(!dry.applied && !dry.is_whole());
        let repair = self.store.repair_session(&self.session, true).await;
        let repair = repair.unwrap();
        assert!(repair.applied);
        assert_eq!(
            (&dry.before, dry.after.text()),
            (&repair.before, repair.after.text())
        );
        assert_eq!(self.faults().await, []);
        assert_whole(&*self.store, &self.session).await;
    }

    async fn findings_of_all(&self) -> u64 {
        self.store.rollup().await.unwrap().findings
    }
}

async fn total(store: &SharedStore, session: &SessionId) -> u64 {
    store.facts(session).await.unwrap().session.total
}

#[tokio::test]
async fn members_lost_from_the_index_are_put_back() {
    let mut scene = Scene::new().await;
    let index = scene.key(Keys::index);
    let gone: u64 = scene.redis.zremrangebyrank(&index, 0, 6).await.unwrap();
    assert_eq!(gone, 7);
    assert_eq!(scene.faults().await, [Number::Index]);
    scene.repair().await;
    let members: u64 = scene.redis.zcard(&index).await.unwrap();
    assert_eq!(members, 2_100);
    let ttl: i64 = scene.redis.ttl(&index).await.unwrap();
    assert_eq!(ttl, -1, "it stays");
}

#[tokio::test]
async fn strangers_in_the_index_are_taken_out() {
    let mut scene = Scene::new().await;
    let index = scene.key(Keys::index);
    let _: u64 = scene.redis.zadd(&index, &[7_u8; 16], 1).await.unwrap();
    let _: u64 = scene.redis.zadd(&index, "short", 1).await.unwrap();
    assert_eq!(scene.faults().await, [Number::Index]);
    scene.repair().await;
}

#[tokio::test]
async fn counters_and_totals_are_made_anew() {
    let mut scene = Scene::new().await;
    let counts = scene.key(Keys::counts);
    let fields: Vec<String> = scene.redis.hkeys(&counts).await.unwrap();
    let _: i64 = scene.redis.hincr(&counts, &fields[0], 5).await.unwrap();
    let session = scene.key(Keys::session);
    let _: i64 = scene.redis.hincr(&session, "total", -9).await.unwrap();
    assert!(scene.faults().await.contains(&Number::Total));
    scene.repair().await;
    assert_eq!(total(&scene.store, &scene.session).await, 2_100);
    assert_eq!(scene.findings_of_all().await, 2_100);
}

#[tokio::test]
async fn what_was_lost_from_the_log_is_said_and_not_counted_any_more() {
    let mut scene = Scene::new().await;
    let log = scene.key(Keys::log);
    let entries: redis::streams::StreamRangeReply = scene.redis.xrange_all(&log).await.unwrap();
    let _: u64 = scene.redis.xdel(&log, &[&entries.ids[0].id]).await.unwrap();
    assert_eq!(scene.faults().await, [Number::Log]);
    let repair = scene.store.repair_session(&scene.session, true).await;
    // The first batch had 500, of which the second brought 100 again.
    let repair = repair.unwrap();
    assert!(repair.lost >= 400, "{repair:?}");
    assert_eq!(scene.faults().await, []);
    assert_whole(&*scene.store, &scene.session).await;
    let left = total(&scene.store, &scene.session).await;
    assert_eq!(left, 2_100 - repair.lost);
    assert_eq!(scene.findings_of_all().await, left);
    // The next scan brings them back.
    let mut hand = Hand::new(&*scene.store, &scene.session, "scanner");
    hand.attempt = 1;
    hand.producer = fleet_worker_sdk::ProducerId::new("again").unwrap();
    hand.push(findings(0..500)).await.unwrap();
    assert_eq!(total(&scene.store, &scene.session).await, 2_100);
    assert_whole(&*scene.store, &scene.session).await;
}

#[tokio::test]
async fn a_compacted_session_is_counted_and_repaired_too() {
    let mut scene = Scene::new().await;
    let version = scene.store.facts(&scene.session).await.unwrap();
    let version = version.session.version;
    let compacted = scene.store.compact_session(&scene.session, version).await;
    assert!(matches!(compacted.unwrap(), Compacted::Done { .. }));
    assert_eq!(scene.faults().await, []);
    let packed = scene.key(Keys::packed);
    let half: Vec<u8> = scene.redis.getrange(&packed, 0, 159).await.unwrap();
    let _: () = scene.redis.set(&packed, half).await.unwrap();
    assert_eq!(scene.faults().await, [Number::Index]);
    scene.repair().await;
    let there: bool = scene.redis.exists(&packed).await.unwrap();
    assert!(!there, "all members are in the index again");
    let version = scene.store.facts(&scene.session).await.unwrap();
    let version = version.session.version;
    let again = scene.store.compact_session(&scene.session, version).await;
    assert!(matches!(again.unwrap(), Compacted::Done { .. }));
    assert_eq!(scene.faults().await, []);
}

#[tokio::test]
async fn coordinators_find_it_tell_of_it_and_forget_it() {
    let mut scene = Scene::new().await;
    let coordinator = || Coordinator::new(scene.store.clone(), CoordinatorSettings::default());
    let (first, second) = (coordinator(), coordinator());
    assert_eq!(first.conserve().await.unwrap().mismatched, 0);
    let counts = scene.key(Keys::counts);
    let fields: Vec<String> = scene.redis.hkeys(&counts).await.unwrap();
    let _: i64 = scene.redis.hincr(&counts, &fields[0], 3).await.unwrap();
    let (seen, also) = tokio::join!(first.conserve(), second.conserve());
    let known = seen.unwrap().sessions.len() + also.unwrap().sessions.len();
    assert!(known >= 1, "at least one of two that look at once sees it");
    let found = first.conserve().await.unwrap();
    assert_eq!((found.mismatched, found.difference), (1, 3));
    assert_eq!(found.sessions[0].account.session, scene.session);
    assert_eq!(first.totals().mismatched, 1);
    scene.repair().await;
    assert_eq!(second.conserve().await.unwrap().mismatched, 0);
    assert_eq!(scene.store.mismatches().await.unwrap(), []);
}

#[tokio::test]
async fn of_a_quarantined_batch_it_must_be_known_which_findings_are_its_own() {
    let mut scene = Scene::new().await;
    let log = scene.key(Keys::log);
    let entries: redis::streams::StreamRangeReply = scene.redis.xrange_all(&log).await.unwrap();
    let torn = ["v", "b", "n", "f", "a"];
    let _: u64 = scene.redis.xdel(&log, &[&entries.ids[4].id]).await.unwrap();
    let values = ["2", "scanner", "500", "torn", ""];
    let fields: Vec<(&str, &str)> = torn.into_iter().zip(values).collect();
    let _: Option<String> = scene.redis.xadd(&log, "*", &fields).await.unwrap();
    // Reading puts it aside; 100 of its 500 had come with the batch before.
    scene.store.findings(&scene.session).await.unwrap();
    let index = scene.key(Keys::index);
    let _: u64 = scene.redis.zremrangebyrank(&index, 0, 2).await.unwrap();
    let error = scene.store.repair_session(&scene.session, true).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert!(error.to_string().contains("fleet dead"), "{error}");
}
