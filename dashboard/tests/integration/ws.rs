//! The WebSocket as browsers and others meet it.

use fleet_dashboard::config::Settings;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::running::{LONG, Running, SHORT, until_closed};
use crate::support::varied;

type Socket = WebSocketStream<TcpStream>;

/// Opens the socket as a page of `origin`, or as no page.
async fn open(running: &Running, path: &str, origin: Option<&str>) -> Result<Socket, Error> {
    let url = format!("ws://{}{path}", running.address);
    let mut request = url.into_client_request().unwrap();
    if let Some(origin) = origin {
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
    }
    let stream = TcpStream::connect(running.address).await.unwrap();
    client_async(request, stream)
        .await
        .map(|(socket, _)| socket)
}

async fn watching(running: &Running) -> Socket {
    open(running, "/ws", None).await.unwrap()
}

async fn message(socket: &mut Socket) -> Message {
    let next = tokio::time::timeout(LONG, socket.next()).await;
    next.expect("a message in time").unwrap().unwrap()
}

async fn frame(socket: &mut Socket) -> Value {
    loop {
        match message(socket).await {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other => panic!("a text was expected, got {other:?}"),
        }
    }
}

async fn close_code(socket: &mut Socket) -> CloseCode {
    loop {
        if let Message::Close(close) = message(socket).await {
            return close.expect("a close code").code;
        }
    }
}

/// Frames until one shows `session` with `total` findings.
async fn until_total(socket: &mut Socket, session: &str, total: u64) -> Value {
    loop {
        let frame = frame(socket).await;
        let rows = frame["sessions"].as_array().cloned().unwrap_or_default();
        let shows = |row: &Value| row["id"] == session && row["total"] == total;
        if rows.iter().any(shows) {
            return frame;
        }
    }
}

#[tokio::test]
async fn a_client_gets_a_snapshot_and_then_what_is_pushed() {
    let running = Running::start().await;
    let before = running.site.session("semgrep", varied(3)).await;
    let mut socket = watching(&running).await;
    let snapshot = frame(&mut socket).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["sessions"][0]["id"], before.as_str());
    assert_eq!(snapshot["sessions"][0]["total"], 3);
    assert_eq!(snapshot["store"]["reachable"], true);
    assert_eq!(snapshot["fleet"]["findings"], 3);
    assert_eq!(snapshot["workers"]["tally"]["alive"], 0);
    let name = format!("session:{before}");
    assert!(snapshot["versions"][&name].is_string(), "{snapshot}");
    let mut hand = running.site.start(&before, "codeql").await;
    running.site.finish(&mut hand, varied(5)).await;
    running.announce(&before).await;
    let update = until_total(&mut socket, before.as_str(), 8).await;
    assert_eq!(update["type"], "update");
    assert_ne!(update["versions"][&name], snapshot["versions"][&name]);
}

#[tokio::test]
async fn what_is_pushed_arrives_with_its_health() {
    let running = Running::coordinated().await;
    let mut socket = watching(&running).await;
    frame(&mut socket).await;
    let session = running.site.session("semgrep", varied(5)).await;
    loop {
        let frame = until_total(&mut socket, session.as_str(), 5).await;
        let health = &frame["sessions"][0]["health"];
        if health["current"] == true {
            assert!(health["score"].is_number(), "{health}");
            break;
        }
    }
    let metrics = running.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("fleet_coordinator_recomputed_total"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_fleet_larger_than_one_piece_arrives_whole() {
    let running = Running::start().await;
    for number in 0..60 {
        running.site.open(&format!("acme/shop-{number}")).await;
    }
    let mut socket = watching(&running).await;
    let snapshot = frame(&mut socket).await;
    assert!(snapshot.to_string().len() > 8_192, "one piece would do");
    assert_eq!(snapshot["sessions"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn a_client_that_comes_back_gets_only_what_differs() {
    let running = Running::start().await;
    let same = running.site.open("acme/same").await;
    let changed = running.site.open("acme/changed").await;
    let mut socket = watching(&running).await;
    let snapshot = frame(&mut socket).await;
    drop(socket);
    let mut hand = running.site.start(&changed, "semgrep").await;
    running.site.finish(&mut hand, varied(2)).await;
    let mut socket = open(&running, "/ws?resume=1", None).await.unwrap();
    let mut versions = snapshot["versions"].clone();
    versions["session:gone"] = "1".into();
    let resume = json!({"type": "resume", "versions": versions}).to_string();
    socket.send(Message::text(resume)).await.unwrap();
    let first = frame(&mut socket).await;
    assert_eq!(first["type"], "update");
    assert_eq!(first["removed"], json!(["gone"]));
    assert!(!first.to_string().contains(same.as_str()), "{first}");
    running.announce(&changed).await;
    let last = if first["sessions"].is_null() {
        until_total(&mut socket, changed.as_str(), 2).await
    } else {
        first
    };
    let rows = last["sessions"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{last}");
    assert_eq!(rows[0]["id"], changed.as_str());
}

#[tokio::test]
async fn another_site_s_page_is_refused() {
    let running = Running::start().await;
    let own = format!("http://{}", running.address);
    assert!(open(&running, "/ws", Some(&own)).await.is_ok());
    for foreign in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        match open(&running, "/ws", Some(foreign)).await {
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status(), 403, "{foreign}");
                let kind = answer.headers()["content-type"].to_str().unwrap();
                assert_eq!(kind, "application/problem+json");
            }
            other => panic!("{foreign} must be refused, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_told_so() {
    let running = Running::start().await;
    let answer = running.get("/ws").await;
    assert_eq!(answer.status(), 426);
    assert_eq!(answer.headers()["sec-websocket-version"], "13");
    let posted = reqwest::Client::new().post(running.url("/ws")).send().await;
    assert_eq!(posted.unwrap().status(), 405);
}

#[tokio::test]
async fn draining_closes_clients_with_1001() {
    let running = Running::start().await;
    let mut socket = watching(&running).await;
    frame(&mut socket).await;
    let mut early = watching(&running).await;
    running.stop();
    assert_eq!(close_code(&mut socket).await, CloseCode::Away);
    assert_eq!(close_code(&mut early).await, CloseCode::Away);
    drop((socket, early));
    let drained = running.stopped().await;
    assert_eq!(drained, fleet_dashboard::server::Drained::Clean);
}

#[tokio::test]
async fn an_address_has_no_more_clients_than_its_share() {
    let running = Running::with(Settings {
        max_clients_per_address: 1,
        ..Settings::default()
    })
    .await;
    let mut first = watching(&running).await;
    frame(&mut first).await;
    match open(&running, "/ws", None).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 429),
        other => panic!("the second client must be refused, got {other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_says_what_it_may_not_is_closed_with_1008() {
    let running = Running::start().await;
    let too_long = "x".repeat(80 * 1024);
    for said in ["not json", r#"{"type":"subscribe"}"#, &too_long] {
        let mut socket = watching(&running).await;
        socket.send(Message::text(said)).await.unwrap();
        assert_eq!(close_code(&mut socket).await, CloseCode::Policy);
    }
    let mut chatty = watching(&running).await;
    frame(&mut chatty).await;
    chatty.send(Message::text("hello")).await.unwrap();
    assert_eq!(close_code(&mut chatty).await, CloseCode::Policy);
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let running = Running::with(Settings {
        ping_interval: SHORT,
        ..Settings::default()
    })
    .await;
    let upgrade = "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let silent = running.sent(upgrade.as_bytes()).await;
    let heard = until_closed(silent).await;
    assert!(heard.starts_with("HTTP/1.1 101"), "{heard}");
    assert!(heard.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{heard}");
    assert!(heard.contains("no answer to a ping"), "{heard}");
}

#[tokio::test]
async fn a_client_that_answers_pings_stays() {
    let running = Running::with(Settings {
        ping_interval: SHORT,
        ..Settings::default()
    })
    .await;
    let mut socket = watching(&running).await;
    let mut pings = 0;
    while pings < 4 {
        if let Message::Ping(_) = message(&mut socket).await {
            pings += 1;
        }
    }
}
