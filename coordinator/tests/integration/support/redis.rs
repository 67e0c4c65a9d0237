//! A real Redis server of its own for each test.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use fleet_worker_sdk::redis;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::within;

/// A `redis-server` on a free port that keeps nothing; killed when dropped.
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl RedisServer {
    /// Starts one, and returns when it answers.
    pub(crate) async fn start() -> Self {
        // Another process may take the port between our asking and the server's: then it
        // ends at once, and the next port is tried.
        for _ in 0..10 {
            let mut server = Self::spawn();
            if server.answers().await {
                return server;
            }
        }
        panic!("redis-server ended at once on ten ports; run it by hand to see why");
    }

    /// Starts one on a port that was in use by one before.
    pub(crate) async fn start_on(port: u16) -> Self {
        let mut server = Self::spawn_on(port);
        assert!(
            server.answers().await,
            "redis-server ended at once on port {port}"
        );
        server
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops it where it is, as a machine does that swaps: connections stay, answers do not come.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on, with what has reached it meanwhile.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).expect("it is ours");
    }

    fn spawn() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("a bound port").port();
        drop(free);
        Self::spawn_on(port)
    }

    fn spawn_on(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("redis-server cannot be started ({error}); these tests need it: apt-get install redis-server")
        });
        Self {
            process,
            port,
            _folder: folder,
        }
    }

    /// Whether it came up; asked again and again until it has, or has ended.
    async fn answers(&mut self) -> bool {
        let client = redis::Client::open(self.url()).expect("an address");
        let up = async {
            loop {
                if self.process.try_wait().expect("its state").is_some() {
                    return false;
                }
                if let Ok(mut connection) = client.get_multiplexed_async_connection().await
                    && let Ok(answer) = redis::cmd("INFO")
                        .arg("server")
                        .query_async::<String>(&mut connection)
                        .await
                {
                    // A stranger on the port would answer too.
                    return answer.contains(&format!("process_id:{}\r", self.process.id()));
                }
                tokio::task::yield_now().await;
            }
        };
        within(up).await
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn each_server_is_private_and_ends_with_its_test() {
    let (one, other) = (RedisServer::start().await, RedisServer::start().await);
    assert_ne!(one.url(), other.url());
    let client = redis::Client::open(one.url()).unwrap();
    drop(one);
    assert!(client.get_multiplexed_async_connection().await.is_err());
}
