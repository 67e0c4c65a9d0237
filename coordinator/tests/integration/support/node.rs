//! One Redis process, to be killed and started again. The fault harness of `benches/` has it, too.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fleet_worker_sdk::redis::aio::MultiplexedConnection;
use fleet_worker_sdk::redis::{self, AsyncConnectionConfig, FromRedisValue};
use tempfile::TempDir;

use super::within;

/// How long an answer may take: the library's half a second is short on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process of Redis with a folder of its own; killed when dropped.
pub(crate) struct Node {
    pub(crate) process: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    arguments: Vec<String>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Node {
    /// Starts a server, or with `--sentinel` something else, on a free port.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Sentinels write into it.
        std::fs::write(folder.path().join("redis.conf"), "").expect("a configuration file");
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let port = free_port();
        let node = Self {
            process: spawn(&folder, port, &arguments),
            port,
            folder,
            arguments,
        };
        node.answers().await;
        node
    }

    /// Starts it again, with what its folder holds; it was killed before.
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(&self.folder, self.port, &self.arguments);
        self.answers().await;
    }

    async fn answers(&self) {
        self.ask_until(&["PING"], |answer: &String| answer == "PONG")
            .await;
    }

    /// Where it writes what happens to it, across restarts.
    pub(crate) fn log(&self) -> PathBuf {
        log_in(&self.folder)
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        connection.await
    }

    /// Asks it one thing.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut self.connection().await?).await
    }

    /// Asks until the answer is right.
    pub(crate) async fn ask_until<T: FromRedisValue>(
        &self,
        words: &[&str],
        right: impl Fn(&T) -> bool,
    ) {
        within(async {
            while !self.ask(words).await.is_ok_and(|answer| right(&answer)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

fn log_in(folder: &TempDir) -> PathBuf {
    folder.path().join("redis.log")
}

fn spawn(folder: &TempDir, port: u16, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.arg(folder.path().join("redis.conf"));
    command.args(["--port", &port.to_string()]);
    command.args(["--bind", "127.0.0.1", "--save", "", "--dir"]);
    command.arg(folder.path()).args(arguments);
    let log = File::options()
        .append(true)
        .create(true)
        .open(log_in(folder))
        .expect("a log");
    command.stdout(log).stderr(Stdio::null());
    command.spawn().expect("redis-server starts")
}

/// A port that is free, and so is the one 10,000 above, which a cluster's nodes talk on.
fn free_port() -> u16 {
    loop {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("a bound port").port();
        let Some(bus) = port.checked_add(10_000) else {
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, bus)).is_ok() {
            return port;
        }
    }
}

#[tokio::test]
async fn a_node_comes_back_with_what_it_had() {
    let mut node = Node::start(&["--appendonly", "yes"]).await;
    node.ask::<()>(&["SET", "key", "value"]).await.unwrap();
    node.kill();
    assert!(node.ask::<String>(&["PING"]).await.is_err());
    node.restart().await;
    let kept: String = node.ask(&["GET", "key"]).await.unwrap();
    assert_eq!(kept, "value");
    assert!(node.folder.path().join("appendonlydir").exists());
    let log = std::fs::read_to_string(node.log()).unwrap();
    assert_eq!(
        log.matches("Ready to accept connections").count(),
        2,
        "{log}"
    );
}
