//! A push, followed in its trace: the spans that a real process sends to a collector.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use fleet_worker_sdk::trace::TraceContext;
use fleet_worker_sdk::{OpenSession, SessionId};
use futures_util::StreamExt;
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tokio::time::timeout;
use warp::Filter;

use crate::running::LONG;
use crate::support::{Site, varied};

/// What OpenTelemetry's JSON says of a span, as far as is asked.
#[derive(Debug)]
struct Span {
    name: String,
    trace: String,
    parent: String,
}

/// A collector that passes on the spans of what it is sent.
async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<Span>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let traces = warp::path!("v1" / "traces")
        .and(warp::body::json())
        .map(move |body: Value| {
            for span in spans(&body) {
                let _ = sender.send(span);
            }
            warp::reply::json(&serde_json::json!({}))
        });
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(traces).incoming(listener).run());
    (address, receiver)
}

fn spans(body: &Value) -> Vec<Span> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let text = |span: &Value, name: &str| span[name].as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for resource in list(body, "resourceSpans") {
        for scope in list(&resource, "scopeSpans") {
            found.extend(list(&scope, "spans").iter().map(|span| Span {
                name: text(span, "name"),
                trace: text(span, "traceId"),
                parent: text(span, "parentSpanId"),
            }));
        }
    }
    found
}

/// A dashboard of a process of its own, and what it logs.
struct Process {
    child: Child,
    log: NamedTempFile,
}

impl Process {
    /// The messages that its log has of a trace, in lines of JSON.
    fn logged(&self, trace: &str) -> BTreeSet<String> {
        let log = std::fs::read_to_string(self.log.path()).unwrap();
        let lines = log.lines().filter(|line| line.contains(trace));
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["span"]["trace_id"] == trace)
            .filter_map(|line| Some(line["fields"]["message"].as_str()?.to_owned()))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn dashboard(collector: SocketAddr) -> (Process, SocketAddr) {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let log = NamedTempFile::new().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_fleet-dashboard"))
        .args(["--listen", &address.to_string()])
        .args(["--log", "info,fleet=debug", "--log-format", "json"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env_remove("FLEET_STORE")
        .stderr(Stdio::from(log.reopen().unwrap()))
        .spawn()
        .unwrap();
    let process = Process { child, log };
    let up = async {
        while reqwest::get(format!("http://{address}/livez"))
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, up).await.expect("it comes up");
    (process, address)
}

async fn post(address: SocketAddr, path: &str, trace: TraceContext, body: &Value) -> Value {
    let request = reqwest::Client::new()
        .post(format!("http://{address}/api/v1/{path}"))
        .header("traceparent", trace.to_string())
        .header("content-type", "application/json")
        .body(body.to_string());
    let response = request.send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_push_is_one_trace_until_it_is_shown() {
    let (collector, mut arriving) = collector().await;
    let (process, address) = dashboard(collector).await;
    let socket = tokio_tungstenite::connect_async(format!("ws://{address}/ws")).await;
    let (mut socket, _) = socket.unwrap();
    tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} });

    let before = TraceContext::fresh();
    let open = serde_json::to_value(OpenSession::new("acme/shop").unwrap()).unwrap();
    let opened = post(address, "sessions", before, &open).await;
    let session: SessionId = opened["session"].as_str().unwrap().parse().unwrap();
    let mut hand = Site::hand(&session, "gosec");
    let start = hand.next(fleet_worker_sdk::Change::Start {
        worker: None,
        reopen: false,
    });
    let start = serde_json::to_value(start).unwrap();
    let started = post(address, "transitions", before, &start).await;
    hand.attempt = u32::try_from(started["attempt"].as_u64().unwrap()).unwrap();

    // Changes that come together are shown together, in the trace of the first of them: what was
    // shown with an earlier one is pushed again, a finding more.
    let mut pushed: Vec<(TraceContext, Vec<String>)> = Vec::new();
    let whole = async {
        loop {
            let trace = TraceContext::fresh();
            let batch = hand.batch(varied(5 + pushed.len()));
            let batch = serde_json::to_value(batch).unwrap();
            pushed.push((trace, Vec::new()));
            post(address, "push", trace, &batch).await;
            if let Some(trace) = seen_whole(&mut arriving, &mut pushed).await {
                return trace;
            }
        }
    };
    let Ok(trace) = timeout(LONG, whole).await else {
        panic!("no push was seen whole: {pushed:?}");
    };
    let logged = process.logged(&trace);
    for message in ["took a batch", "computed a session", "showed what changed"] {
        assert!(logged.contains(message), "{message} is not in {logged:?}");
    }
}

/// Takes spans until something was shown; the trace of a push that has been seen from end to end.
async fn seen_whole(
    arriving: &mut mpsc::UnboundedReceiver<Span>,
    pushed: &mut [(TraceContext, Vec<String>)],
) -> Option<String> {
    loop {
        let span = arriving.recv().await.expect("spans");
        let is_shown = span.name == "show";
        let mut pushes = pushed.iter_mut();
        if let Some((trace, names)) = pushes.find(|(trace, _)| trace.trace_id() == span.trace) {
            if span.name == "take" {
                let sender = format!("{:016x}", trace.parts().1);
                assert_eq!(span.parent, sender, "it goes on with the sender's span");
            } else {
                assert!(!span.parent.is_empty(), "{span:?}");
            }
            names.push(span.name);
            if ["take", "recompute", "show"]
                .iter()
                .all(|name| names.iter().any(|had| had == name))
            {
                return Some(span.trace);
            }
        }
        if is_shown {
            return None;
        }
    }
}
