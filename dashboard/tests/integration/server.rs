//! Deadlines, bounds and draining.

use std::sync::Arc;
use std::time::Duration;

use fleet_dashboard::config::Settings;
use fleet_dashboard::server::Drained;
use tokio::sync::Notify;
use warp::Filter;
use warp::reply::Reply;

use crate::running::{LONG, Running, SHORT, until_closed};

fn hasty() -> Settings {
    Settings {
        header_timeout: SHORT,
        body_timeout: SHORT,
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let running = Running::with(hasty()).await;
    for beginning in [
        "GET /livez HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
        "G",
        "PRI * HTTP/2.0\r\n",
        "",
    ] {
        let stream = running.sent(beginning.as_bytes()).await;
        let answer = until_closed(stream).await;
        assert!(!answer.contains("200 OK"), "{beginning:?} got {answer}");
    }
    assert_eq!(running.get("/livez").await.status(), 200);
}

#[tokio::test]
async fn a_body_that_does_not_end_is_refused() {
    let running = Running::with(hasty()).await;
    let head = "POST /api/v1/bots HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let answer = until_closed(running.sent(head.as_bytes()).await).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(answer.contains("nothing of the body came"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let running = Running::with(hasty()).await;
    let stream = running
        .sent(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let answer = until_closed(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn no_more_connections_than_allowed_are_served_at_once() {
    let running = Running::with(Settings {
        max_connections: 1,
        header_timeout: LONG,
        ..Settings::default()
    })
    .await;
    let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let first = running.sent(b"GET /li").await;
    let second = running.sent(request).await;
    // The second is served as soon as the first has gone, and only then: were both served at
    // once, this would pass too, so the count of connections is asked for by the second itself.
    drop(first);
    assert!(until_closed(second).await.starts_with("HTTP/1.1 200"));
    let metrics = running.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("\nfleet_http_connections 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_name_that_was_bent_to_this_address_is_refused() {
    let running = Running::start().await;
    for path in ["/api/v1/sessions", "/ws"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
        let answer = until_closed(running.sent(request.as_bytes()).await).await;
        assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
        assert!(answer.contains("--allowed-hosts"), "{answer}");
    }
}

/// A route that says when it was reached and answers when it is told to.
fn waiting() -> (
    warp::filters::BoxedFilter<(warp::reply::Response,)>,
    Arc<Notify>,
    Arc<Notify>,
) {
    let (reached, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&reached), Arc::clone(&answer));
    let filter = warp::any()
        .then(move || {
            let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
            async move {
                tell.notify_one();
                wait.notified().await;
                "finished".into_response()
            }
        })
        .boxed();
    (filter, reached, answer)
}

#[tokio::test]
async fn draining_lets_a_request_finish() {
    let (filter, reached, answer) = waiting();
    let running = Running::filter(filter, Settings::default()).await;
    let stream = running
        .sent(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    reached.notified().await;
    running.stop();
    answer.notify_one();
    let text = until_closed(stream).await;
    assert!(text.ends_with("finished"), "{text}");
    assert_eq!(running.stopped().await, Drained::Clean);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let (filter, reached, _never) = waiting();
    let settings = Settings {
        drain: SHORT,
        ..Settings::default()
    };
    let running = Running::filter(filter, settings).await;
    let _stream = running
        .sent(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    reached.notified().await;
    assert_eq!(running.stopped().await, Drained::Cut(1));
}

#[tokio::test]
async fn a_half_sent_request_does_not_hold_up_the_drain() {
    let running = Running::with(Settings {
        header_timeout: SHORT,
        drain: LONG + Duration::from_secs(1),
        ..Settings::default()
    })
    .await;
    let _half = running.sent(b"GET / HTTP/1.1\r\nhos").await;
    assert_eq!(running.get("/livez").await.status(), 200);
    assert_eq!(running.stopped().await, Drained::Clean);
}
