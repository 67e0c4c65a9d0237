//! A Redis to measure on: one that is named, a container, or a process; the first that works.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a container, its image included, or a process.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running Redis; what was started for it ends with it.
pub(crate) struct Server {
    pub(crate) address: String,
    /// What it is, for people.
    pub(crate) what: String,
    started: Started,
}

enum Started {
    Nothing,
    Container(&'static str, String),
    Process(
        Child,
        #[expect(dead_code, reason = "removed with the server")] tempfile::TempDir,
    ),
}

impl Server {
    /// The first that works.
    pub(crate) fn find() -> Option<Self> {
        if let Ok(address) = std::env::var("FLEET_REDIS_URL") {
            let what = "the one FLEET_REDIS_URL names".to_owned();
            return Some(Self {
                address,
                what,
                started: Started::Nothing,
            });
        }
        container("docker")
            .or_else(|| container("podman"))
            .or_else(process)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.started {
            Started::Nothing => {}
            Started::Container(program, id) => {
                let _ = Command::new(program).args(["rm", "-f", id]).output();
            }
            Started::Process(child, _) => {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

fn container(program: &'static str) -> Option<Server> {
    let seconds = PATIENCE.as_secs().to_string();
    let run = [
        "run",
        "--detach",
        "--rm",
        "--publish",
        "127.0.0.1::6379",
        "docker.io/library/redis:7",
    ];
    let output = Command::new("timeout")
        .args([&seconds, program])
        .args(run)
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let id = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let mut server = Server {
        address: String::new(),
        what: format!("a container by {program}"),
        started: Started::Container(program, id.clone()),
    };
    let port = Command::new(program)
        .args(["port", &id, "6379/tcp"])
        .output()
        .ok()?;
    let port = String::from_utf8(port.stdout)
        .ok()?
        .lines()
        .next()?
        .trim()
        .to_owned();
    server.address = format!("redis://{port}");
    answers(&port).then_some(server)
}

fn process() -> Option<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").ok()?;
    let port = listener.local_addr().ok()?.port().to_string();
    drop(listener);
    let folder = tempfile::tempdir().ok()?;
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
    ]);
    let child = command
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut server = Server {
        address: format!("redis://127.0.0.1:{port}"),
        what: "a redis-server process".to_owned(),
        started: Started::Process(child, folder),
    };
    // It says when it is ready; what it says after is read so that it never waits for a reader.
    if let Started::Process(child, _) = &mut server.started {
        let mut lines = BufReader::new(child.stdout.take()?).lines();
        lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains("Ready to accept"))?;
        std::thread::spawn(move || lines.for_each(drop));
    }
    Some(server)
}

fn answers(address: &str) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
