//! What changes is told, a line each, through an outage of the store.

use std::process::{Child, Stdio};

use fleet_coordinator::store::{OpenOptions, open};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

use super::Site;
use crate::support::{Hand, RedisServer, within};

/// A watching process, ended when dropped.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watching {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let mut command = site.command();
        command.arg("watch").args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let out = ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
        Self {
            child,
            lines: BufReader::new(out).lines(),
        }
    }

    /// Reads on to the line that says `what`.
    async fn until(&mut self, what: &str) -> String {
        within(async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("it ended before it said {what}"));
                if line.contains(what) {
                    return line;
                }
            }
        })
        .await
    }
}

#[tokio::test]
async fn changes_are_told_as_they_come_and_an_outage_with_its_end() {
    let site = Site::new().await;
    let mut watching = Watching::start(&site, &[]);
    watching.until("fleet    nothing is known yet").await;
    let store = open(&site.server.url(), &OpenOptions::default()).unwrap();
    let _hand = Hand::started(&*store, "gosec").await;
    let line = watching.until("session  acme/shop").await;
    assert!(line.contains("open, bots 0/1"), "{line}");
    let port = site.server.port();
    drop(site);
    watching.until("store    away: redis://").await;
    let _server = RedisServer::start_on(port).await;
    watching.until("store    is back").await;
}

#[tokio::test]
async fn one_look_is_text_or_json() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 2);
    let text = site.fleet(&["watch", "--once"]).ok().out;
    for part in ["fleet  100.0 healthy", "acme/shop", "no workers"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let seen = site.fleet(&["watch", "--once", "--json"]).json();
    assert_eq!(seen["sessions"][0]["total"], 2);
    let mut watching = Watching::start(&site, &["--json"]);
    let line = watching.until("\"change\":\"session\"").await;
    let change: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(change["repository"], "acme/shop");
}
