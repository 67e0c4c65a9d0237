//! A Redis that knows only the users of our access list: what each must and must not be able to do.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fleet_coordinator::acl::{DEFAULT_OFF, Hash, ROLES, Role, line};
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::model::Update;
use fleet_coordinator::store::{OpenOptions, SessionQuery, SharedStore, open as open_store};
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::redis::aio::MultiplexedConnection;
use fleet_worker_sdk::redis::{self, ErrorKind, ServerErrorKind, Value};
use fleet_worker_sdk::transport::redis::RedisWriter;
use fleet_worker_sdk::{
    Batch, Bot, Change, Command as Order, Error, ProducerId, SessionId, Transition, Write,
};

use crate::support::{RedisServer, beat, bot, findings, open, within, worker};

/// A server started with our access list; each user's password is its role's name.
struct Guarded {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server on `port` with the list and the append-only file in `folder`. Each write is on disk before
/// it is answered.
fn spawn(folder: &Path, port: u16) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args([
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
        .arg("--aclfile")
        .arg(folder.join("users.acl"))
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Guarded {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("users.acl");
        let keys = Keys::default();
        let mut text = format!("{DEFAULT_OFF}\n");
        for role in ROLES {
            let hash = Hash::of(role.as_str());
            text += &line(&user(role), role, &keys, Some(&hash));
            text.push('\n');
        }
        std::fs::write(&list, text).unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut server = Self {
            process: spawn(folder.path(), port),
            port,
            folder,
        };
        server.up().await;
        server
    }

    /// Waits until it answers, which it does once it has read its file.
    async fn up(&mut self) {
        within(async {
            loop {
                if let Ok(mut connection) = self.try_connect(Role::Admin).await
                    && raw(&mut connection, "PING").await.is_ok()
                {
                    return;
                }
                let ended = self.process.try_wait().unwrap();
                assert!(ended.is_none(), "it does not start with our list");
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Killed, and started again on what it had written.
    async fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(self.folder.path(), self.port);
        self.up().await;
    }

    fn url(&self, role: Role) -> String {
        format!("redis://{}:{role}@127.0.0.1:{}", user(role), self.port)
    }

    fn store(&self, role: Role) -> SharedStore {
        open_store(&self.url(role), &OpenOptions::default()).unwrap()
    }

    async fn try_connect(&self, role: Role) -> redis::RedisResult<MultiplexedConnection> {
        let client = redis::Client::open(self.url(role)).unwrap();
        client.get_multiplexed_async_connection().await
    }

    /// `role` may run none of these.
    async fn assert_refused(&self, role: Role, commands: &[&str]) {
        let mut connection = self.try_connect(role).await.unwrap();
        for text in commands {
            let answer = raw(&mut connection, text).await;
            let kind = answer.as_ref().map_err(redis::RedisError::kind);
            let denied = ErrorKind::Server(ServerErrorKind::NoPerm);
            assert_eq!(kind, Err(denied), "{role}: {text}");
        }
    }

    /// `role` may run all of these.
    async fn assert_allowed(&self, role: Role, commands: &[&str]) {
        let mut connection = self.try_connect(role).await.unwrap();
        for text in commands {
            let answer = raw(&mut connection, text).await;
            assert!(answer.is_ok(), "{role}: {text}: {answer:?}");
        }
    }
}

fn user(role: Role) -> String {
    format!("fleet-{role}")
}

async fn raw(connection: &mut MultiplexedConnection, text: &str) -> redis::RedisResult<Value> {
    let mut command = redis::Cmd::new();
    for word in text.split(' ') {
        command.arg(word);
    }
    command.query_async(connection).await
}

/// What nobody of a fleet may do on a server that others use too.
const NOBODY: &[&str] = &[
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "SCAN 0",
    "CONFIG SET maxmemory 1",
    "SHUTDOWN NOSAVE",
    "ACL SETUSER x on",
    "ACL LIST",
    "FUNCTION FLUSH",
    "EVAL return 0",
    "MONITOR",
    "REPLICAOF 127.0.0.1 1",
    "HGETALL other:{ctl}:meta",
    "HSET other:{p1}:s:x f v",
    "HSET fleet2:{p1}:s:x f v",
    "PUBLISH other:updates x",
];

/// All that a bot does, from its registration to the end of its execution.
async fn work(writer: &dyn Write, repository: &str) -> SessionId {
    writer
        .register(&Bot::new("hypatia").unwrap())
        .await
        .unwrap();
    writer.beat(&beat("hypatia:h:1:a")).await.unwrap();
    writer.beat(&beat("hypatia:h:1:a")).await.unwrap();
    let mut analysis = open(repository);
    analysis.expect = vec![bot("hypatia"), bot("other")];
    let session = writer.open(&analysis).await.unwrap().session;
    let producer = ProducerId::fresh();
    let transition = |sequence, attempt, change| Transition {
        session: session.clone(),
        bot: bot("hypatia"),
        attempt,
        producer: producer.clone(),
        sequence,
        change,
    };
    let start = Change::Start {
        worker: None,
        reopen: false,
    };
    let started = writer.transition(&transition(1, 0, start)).await.unwrap();
    for (sequence, range) in [(2, 0..20), (3, 10..30)] {
        let batch = Batch {
            session: session.clone(),
            bot: bot("hypatia"),
            attempt: started.attempt,
            producer: producer.clone(),
            sequence,
            findings: findings(range),
            again: Vec::new(),
            rules: std::collections::BTreeMap::new(),
        };
        writer.push(&batch).await.unwrap();
    }
    let complete = Change::Complete {
        pushed: 40,
        partial: false,
    };
    let ended = transition(4, started.attempt, complete);
    writer.transition(&ended).await.unwrap();
    assert_eq!(writer.last_sequence(&session, &producer).await.unwrap(), 4);
    let progress = writer.progress(&session).await.unwrap();
    let version = progress.version;
    let seen = writer.changed(&session, version, Duration::ZERO).await;
    assert_eq!(seen.unwrap(), version);
    session
}

/// All that a coordinator does, once.
async fn coordinate(store: &SharedStore) {
    let settings = CoordinatorSettings {
        reap_idle: Duration::ZERO,
        ..CoordinatorSettings::default()
    };
    let coordinator = Coordinator::new(store.clone(), settings);
    coordinator.follow_feed(Duration::ZERO).await.unwrap();
    coordinator.resync().await.unwrap();
    coordinator.watch_workers().await.unwrap();
    coordinator.watch_fleet().await.unwrap();
    coordinator.observe().await.unwrap();
    coordinator.retain().await.unwrap();
    coordinator.reap().await.unwrap();
}

#[tokio::test]
async fn each_user_may_do_its_work_and_nothing_else() {
    let server = Guarded::start().await;
    let keeper = server.store(Role::Coordinator);
    keeper.check().await.unwrap();

    let writer = RedisWriter::connect(&server.url(Role::Worker))
        .await
        .unwrap();
    let session = work(&writer, "acme/shop").await;
    coordinate(&keeper).await;
    let facts = keeper.facts(&session).await.unwrap();
    assert_eq!((facts.session.total, facts.indexed), (30, 30));
    assert!(facts.session.derived.is_some());
    keeper.rights().await.unwrap();
    keeper.backlog().await.unwrap();

    look_around(&server.store(Role::Dashboard), &session).await;
    operate(&server.store(Role::Admin)).await;

    for role in ROLES {
        server.assert_refused(role, NOBODY).await;
    }
    let derived = [
        "HSET fleet:{ctl}:health f v",
        "HSET fleet:{ctl}:series f v",
        "HSET fleet:{p1}:r:acme/shop:quality f v",
        "RPUSH fleet:{ctl}:history v",
        "ZADD fleet:{ctl}:anomalies 1 m",
        "HSET fleet:{ctl}:meta partitions 3",
        "XACK fleet:{p1}:feed coordinators 0-1",
        "UNLINK fleet:{p1}:s:x",
        "DEL fleet:{p1}:s:x",
        "FUNCTION LOAD x",
        "CONFIG GET maxmemory",
    ];
    for role in [Role::Worker, Role::Dashboard] {
        server.assert_refused(role, &derived).await;
    }
    let unseen = [
        "HGETALL fleet:{ctl}:health",
        "XRANGE fleet:{p1}:s:x:log - +",
        "XADD fleet:{p1}:dead * f v",
        "SUBSCRIBE fleet:updates",
        "INFO",
        "CONFIG GET maxmemory",
    ];
    server.assert_refused(Role::Worker, &unseen).await;
    let asked = ["CONFIG GET maxmemory"];
    server.assert_refused(Role::Coordinator, &asked).await;
    let admin = [
        "CONFIG GET maxmemory",
        "FUNCTION LIST",
        "INFO",
        "SLOWLOG GET",
    ];
    server.assert_allowed(Role::Admin, &admin).await;
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let mut nobody = client.get_multiplexed_async_connection().await.unwrap();
    let refused = raw(&mut nobody, "PING").await.unwrap_err();
    assert_eq!(refused.code(), Some("NOAUTH"), "{refused}");
}

/// All that a dashboard does.
async fn look_around(store: &SharedStore, session: &SessionId) {
    let mut updates = store.updates();
    store.check().await.unwrap();
    assert_eq!(within(updates.recv()).await.unwrap(), Update::Resync);
    let query = SessionQuery {
        limit: 10,
        ..SessionQuery::default()
    };
    assert_eq!(store.sessions(&query).await.unwrap().len(), 1);
    store.facts(session).await.unwrap();
    let folded = store.findings(session).await.unwrap();
    assert_eq!(folded.read().await.len(), 30);
    assert_eq!(store.bots().await.unwrap().len(), 1);
    assert_eq!(store.workers().await.unwrap().len(), 1);
    assert_eq!(store.runs(&bot("hypatia")).await.unwrap().len(), 1);
    store.rollup().await.unwrap();
    store.now().await.unwrap();
    assert!(store.kept().await.unwrap().is_some());
    store.series().await.unwrap();
    store.anomalies().await.unwrap();
    let fleet = fleet_coordinator::history::Scope::Fleet;
    store.history(&fleet, 10).await.unwrap();
    store.letters(None, 10).await.unwrap();
    store.backlog().await.unwrap();
    store.memory().await.unwrap();
    let worker = worker("hypatia:h:1:a");
    store.command(&worker, Order::Quiet).await.unwrap();
    // It takes findings for bots, too.
    work(&**store, "acme/web").await;
    let error = store.rights().await.unwrap_err();
    assert!(matches!(error, Error::Incompatible { .. }), "{error}");
}

/// What operators do.
async fn operate(store: &SharedStore) {
    let entries = store.changes("operator", Duration::ZERO).await.unwrap();
    store.give_up(&entries, "test").await.unwrap();
    for letter in store.letters(None, 100).await.unwrap().letters {
        store.requeue(&letter.id).await.unwrap();
    }
    let servers = store.servers().await.unwrap();
    assert_eq!(servers[0].foreign_functions.as_deref(), Some(&[][..]));
    assert!(servers[0].config.is_some());
}

#[tokio::test]
async fn the_first_call_says_which_right_is_missing() {
    let server = RedisServer::start().await;
    let keeper = open_store(&server.url(), &OpenOptions::default()).unwrap();
    keeper.check().await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut become_user = async |role: Role, without: &str| {
        let rules = role.rules(&Keys::default(), Some(&Hash::of("x")));
        let text = format!("ACL SETUSER u {} {without}", rules.join(" "));
        raw(&mut connection, text.trim_end()).await.unwrap();
        format!("redis://u:x@127.0.0.1:{}", server.port())
    };
    for command in [
        "zmscore", "hsetnx", "xadd", "expire", "publish", "hdel", "time", "set", "zadd",
    ] {
        let url = become_user(Role::Worker, &format!("-{command}")).await;
        let error = RedisWriter::connect(&url).await.unwrap_err();
        assert!(matches!(error, Error::Incompatible { .. }), "{error}");
        let named = format!("may not run {} ", command.to_uppercase());
        assert!(error.to_string().contains(&named), "{error}");
    }
    let url = become_user(Role::Worker, "").await;
    RedisWriter::connect(&url).await.unwrap();
    for command in ["xautoclaim", "unlink", "lset", "xreadgroup", "zrevrange"] {
        let url = become_user(Role::Coordinator, &format!("-{command}")).await;
        let store = open_store(&url, &OpenOptions::default()).unwrap();
        let error = store.changes("c", Duration::ZERO).await.unwrap_err();
        let named = format!("may not run {} ", command.to_uppercase());
        assert!(error.to_string().contains(&named), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_without_a_name_reads_its_own_file_again() {
    let mut server = Guarded::start().await;
    let keeper = server.store(Role::Coordinator);
    let session = keeper.open(&open("acme/shop")).await.unwrap().session;
    server.restart().await;
    let found = server.store(Role::Dashboard).session(&session).await;
    assert_eq!(found.unwrap().id, session);
    let nameless = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    if let Ok(mut nameless) = nameless.get_multiplexed_async_connection().await {
        assert!(raw(&mut nameless, "PING").await.is_err());
    }
}

#[test]
fn the_users_of_compose_are_those_of_fleet_acl() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../compose/users.acl");
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let keys = Keys::default();
    let ours = [
        DEFAULT_OFF.to_owned(),
        "user probe reset on nopass +ping".to_owned(),
        line("coordinator", Role::Coordinator, &keys, None),
        line("dashboard", Role::Dashboard, &keys, None),
    ];
    assert_eq!(lines, ours);
}
