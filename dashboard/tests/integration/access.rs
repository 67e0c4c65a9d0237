//! Who is let in: roles, tokens that come and go, browsers, and the listener for probes.

use std::io::Write;

use fleet_coordinator::access::{Role, Secret};
use fleet_dashboard::access::TokensFile;
use fleet_dashboard::config::Settings;
use fleet_dashboard::routes;
use fleet_dashboard::server;
use fleet_worker_sdk::Bot;
use fleet_worker_sdk::OpenSession;
use fleet_worker_sdk::transport::http::HttpWriter;
use fleet_worker_sdk::worker::Fleet;
use reqwest::{Client, Method, RequestBuilder, Response};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use crate::running::{Running, until_closed};

/// A dashboard with a token of each role.
struct Guarded {
    running: Running,
    file: NamedTempFile,
    tokens: TokensFile,
    secrets: Vec<(Role, Secret)>,
    client: Client,
}

impl Guarded {
    async fn new() -> Self {
        let mut file = NamedTempFile::new().unwrap();
        let mut secrets = Vec::new();
        for role in Role::ALL {
            let secret = Secret::fresh().unwrap();
            writeln!(file, "{}", secret.line(role, role.as_str())).unwrap();
            secrets.push((role, secret));
        }
        let tokens = TokensFile::open(file.path()).unwrap();
        let running = Running::with(Settings {
            tokens: Some(tokens.clone()),
            ..Settings::default()
        })
        .await;
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            running,
            file,
            tokens,
            secrets,
            client,
        }
    }

    fn secret(&self, role: Role) -> &str {
        let (_, secret) = self.secrets.iter().find(|(of, _)| *of == role).unwrap();
        secret.reveal()
    }

    fn ask(&self, request: &str) -> RequestBuilder {
        let (method, path) = request.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let request = self.client.request(method.clone(), self.running.url(path));
        if method == Method::POST {
            request.json(&serde_json::json!({}))
        } else {
            request
        }
    }

    async fn status_for(&self, role: Role, request: &str) -> u16 {
        let asked = self.ask(request).bearer_auth(self.secret(role));
        asked.send().await.unwrap().status().as_u16()
    }

    async fn sign_in(&self, token: &str, next: &str) -> Response {
        self.client
            .post(self.running.url("/login"))
            .header("origin", format!("http://{}", self.running.address))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={token}&next={next}"))
            .send()
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_shown_and_the_answer_says_what_is_missing() {
    let guarded = Guarded::new().await;
    for request in [
        "GET /",
        "GET /api/v1",
        "GET /api/v1/sessions",
        "GET /metrics",
        "GET /ws",
        "GET /no/such/path",
        "POST /api/v1/push",
        "POST /api/v1/workers/w/command",
        "DELETE /api/v1/sessions",
    ] {
        let answer = guarded.ask(request).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{request}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert!(header("www-authenticate").starts_with("Bearer"));
        assert_eq!(header("content-type"), "application/problem+json");
        let said = answer.text().await.unwrap();
        assert!(said.contains("FLEET_TOKEN"), "{said}");
    }
    for open in [
        "GET /livez",
        "GET /readyz",
        "GET /login",
        "GET /assets/fleet.css",
    ] {
        let answer = guarded.ask(open).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{open}");
    }
}

#[tokio::test]
async fn each_role_may_what_it_is_for_and_no_more() {
    let guarded = Guarded::new().await;
    for (request, ingest, read, triage, admin) in [
        ("GET /api/v1/sessions", 403, 200, 200, 200),
        ("GET /", 403, 200, 200, 200),
        ("GET /metrics", 403, 200, 200, 200),
        ("GET /ws", 403, 426, 426, 426),
        // An empty object is no bot, no batch and no session; who gets that far may bring them.
        ("POST /api/v1/bots", 400, 403, 403, 400),
        ("POST /api/v1/push", 400, 403, 403, 400),
        ("POST /api/v1/sessions", 400, 403, 403, 400),
        ("POST /api/v1/workers/w/command", 403, 403, 403, 400),
        ("GET /api/v1/sessions/p1-x/progress", 400, 400, 400, 400),
    ] {
        for (role, expected) in [
            (Role::Ingest, ingest),
            (Role::Read, read),
            (Role::Triage, triage),
            (Role::Admin, admin),
        ] {
            let status = guarded.status_for(role, request).await;
            assert_eq!(status, expected, "{request} as {role}");
        }
    }
}

#[tokio::test]
async fn a_refusal_names_the_role_that_is_missing_and_no_secret() {
    let guarded = Guarded::new().await;
    let token = guarded.secret(Role::Ingest);
    let asked = guarded.ask("GET /api/v1/sessions").bearer_auth(token);
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 403);
    let said = answer.text().await.unwrap();
    assert!(
        said.contains("for ingest") && said.contains("for read"),
        "{said}"
    );
    assert!(!said.contains(token));
    let stranger = Secret::fresh().unwrap();
    let asked = guarded.ask("GET /metrics").bearer_auth(stranger.reveal());
    assert_eq!(asked.send().await.unwrap().status(), 401);
    let asked = guarded
        .ask("GET /metrics")
        .bearer_auth(guarded.secret(Role::Read));
    let metrics = asked.send().await.unwrap().text().await.unwrap();
    for line in [
        r#"fleet_access_refused_total{reason="role"} 1"#,
        r#"fleet_access_refused_total{reason="unknown"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn a_bot_works_with_a_token_for_bringing_findings() {
    let guarded = Guarded::new().await;
    let address = format!("http://{}", guarded.running.address);
    let refused = HttpWriter::new(&address).unwrap();
    let refused = fleet_worker_sdk::Write::register(&refused, &Bot::new("todo").unwrap()).await;
    assert!(refused.unwrap_err().to_string().contains("token"));
    let token = guarded.secret(Role::Ingest);
    let fleet = Fleet::connect(&format!("http://{token}@{}", guarded.running.address)).await;
    let worker = fleet
        .unwrap()
        .worker(Bot::new("todo").unwrap())
        .await
        .unwrap();
    let session = worker
        .open(OpenSession::new("acme/shop").unwrap())
        .await
        .unwrap();
    let execution = session.start().await.unwrap();
    let finding = fleet_worker_sdk::Finding::new("todo", "a marker was left").at("a.rs", 1);
    execution.push(finding).await.unwrap();
    assert_eq!(execution.complete().await.unwrap().pushed, 1);
}

#[tokio::test]
async fn a_token_that_is_taken_away_is_worth_nothing() {
    let guarded = Guarded::new().await;
    assert_eq!(guarded.status_for(Role::Read, "GET /api/v1").await, 200);
    let next = Secret::fresh().unwrap();
    std::fs::write(guarded.file.path(), next.line(Role::Read, "read")).unwrap();
    assert_eq!(guarded.tokens.refresh(), Ok(true));
    assert_eq!(guarded.status_for(Role::Read, "GET /api/v1").await, 401);
    let asked = guarded.ask("GET /api/v1").bearer_auth(next.reveal());
    assert_eq!(asked.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_person_signs_in_sees_pages_and_signs_out() {
    let guarded = Guarded::new().await;
    let asked = guarded
        .ask("GET /sessions?limit=5")
        .header("accept", "text/html");
    let sent = asked.send().await.unwrap();
    assert_eq!(sent.status(), 303);
    assert_eq!(
        sent.headers()["location"],
        "/login?next=/sessions%3Flimit%3D5"
    );
    let wrong = guarded.sign_in("fleet_wrong", "/").await;
    assert_eq!(wrong.status(), 401);
    assert!(wrong.headers().get("set-cookie").is_none());
    assert!(wrong.text().await.unwrap().contains("not, or no longer"));
    let token = guarded.secret(Role::Read);
    let signed = guarded.sign_in(token, "%2Fsessions%3Flimit%3D5").await;
    assert_eq!(signed.status(), 303);
    assert_eq!(signed.headers()["location"], "/sessions?limit=5");
    let cookie = signed.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains("Secure"), "this was plain HTTP: {cookie}");
    let cookie = cookie.split(';').next().unwrap();
    for (path, status) in [("/", 200), ("/api/v1/sessions", 200), ("/ws", 426)] {
        let asked = guarded.ask(&format!("GET {path}")).header("cookie", cookie);
        assert_eq!(asked.send().await.unwrap().status(), status, "{path}");
    }
    let page = guarded
        .ask("GET /login")
        .header("cookie", cookie)
        .send()
        .await;
    let page = page.unwrap().text().await.unwrap();
    assert!(page.contains("for read") && !page.contains(token), "{page}");
    let out = guarded
        .ask("POST /logout")
        .header("cookie", cookie)
        .send()
        .await
        .unwrap();
    let gone = out.headers()["set-cookie"].to_str().unwrap();
    assert!(gone.contains("Max-Age=0"), "{gone}");
}

#[tokio::test]
async fn a_cookie_is_for_tls_alone_behind_a_proxy_that_speaks_it() {
    let guarded = Guarded::new().await;
    let token = guarded.secret(Role::Read);
    let signed = guarded
        .client
        .post(guarded.running.url("/login"))
        .header("x-forwarded-proto", "https")
        .body(format!("token={token}"))
        .send()
        .await
        .unwrap();
    let cookie = signed.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn another_site_changes_nothing_in_the_name_of_who_is_signed_in() {
    let guarded = Guarded::new().await;
    let cookie = format!("fleet_token={}", guarded.secret(Role::Admin));
    let own = format!("http://{}", guarded.running.address);
    for (origin, status) in [
        (None, 403),
        (Some("https://evil.example"), 403),
        (Some("null"), 403),
        (Some(&*own), 400),
    ] {
        let mut asked = guarded.ask("POST /api/v1/bots").header("cookie", &cookie);
        if let Some(origin) = origin {
            asked = asked.header("origin", origin);
        }
        assert_eq!(asked.send().await.unwrap().status(), status, "{origin:?}");
    }
    let asked = guarded
        .ask("POST /api/v1/bots")
        .bearer_auth(guarded.secret(Role::Admin));
    assert_eq!(
        asked.send().await.unwrap().status(),
        400,
        "a program has no origin"
    );
}

#[tokio::test]
async fn nobody_is_asked_where_everybody_may_come_in() {
    let running = Running::start().await;
    assert_eq!(running.get("/api/v1/sessions").await.status(), 200);
    let answer = until_closed(
        running
            .sent(b"GET /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await,
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
}

#[tokio::test]
async fn probes_and_metrics_have_a_listener_of_their_own_that_shows_nothing_else() {
    use fleet_coordinator::store::memory::MemoryStore;
    use fleet_dashboard::context::Context;
    use std::sync::Arc;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ops = listener.local_addr().unwrap();
    let store = Arc::new(MemoryStore::new(fleet_worker_sdk::Partitions::DEFAULT));
    let settings = Settings {
        ops_listen: Some(ops),
        ..Settings::default()
    };
    let context = Context::new(store, settings).unwrap();
    let ended = CancellationToken::new();
    let (serving, stop) = (context.clone(), ended.clone());
    let served = tokio::spawn(async move {
        server::serve_ops(listener, routes::ops(&serving), &serving, stop).await;
    });
    // As the kubelet asks: by the pod's address, which is no name of this host.
    let asked = |path: &str| {
        let request = Client::new().get(format!("http://{ops}{path}"));
        request.header("host", "10.1.2.3:9090").send()
    };
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/", 404),
        ("/api/v1/sessions", 404),
        ("/ws", 404),
    ] {
        assert_eq!(asked(path).await.unwrap().status(), status, "{path}");
    }
    let probed = tokio::task::spawn_blocking(move || fleet_coordinator::ops::probe::ready(ops));
    probed.await.unwrap().unwrap();
    let pages = routes::all(&context);
    for (path, status) in [("/metrics", 404), ("/livez", 404), ("/", 200)] {
        let answer = warp::test::request().path(path).reply(&pages).await;
        assert_eq!(answer.status(), status, "{path} beside the pages");
    }
    ended.cancel();
    served.await.unwrap();
}

#[tokio::test]
async fn whoever_may_triage_silences_on_the_page_in_their_own_name() {
    let guarded = Guarded::new().await;
    let origin = format!("http://{}", guarded.running.address);
    let cookie = |role| format!("fleet_token={}", guarded.secret(role));
    let page = async |role| {
        let asked = guarded.ask("GET /alerts").header("cookie", cookie(role));
        asked.send().await.unwrap().text().await.unwrap()
    };
    assert!(!page(Role::Read).await.contains("<form"));
    let form = page(Role::Triage).await;
    assert!(form.contains("in the name of triage"), "{form}");
    assert!(!form.contains("name=\"author\""), "{form}");

    let fields = "of=bot%3Dscan*+severity%21%3Dcritical&seconds=7200&comment=new+%3Crules%3E&author=somebody";
    let send = async |role, from: &str, fields: &'static str| {
        let asked = guarded.client.post(guarded.running.url("/alerts/silences"));
        let asked = asked
            .header("cookie", cookie(role))
            .header("origin", from)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(fields);
        asked.send().await.unwrap()
    };
    assert_eq!(send(Role::Read, &origin, fields).await.status(), 403);
    let foreign = send(Role::Triage, "http://evil.example", fields).await;
    assert_eq!(foreign.status(), 403);
    let alerts = guarded.running.store().alerts().await.unwrap();
    assert_eq!(alerts.silences, []);

    let done = send(Role::Triage, &origin, fields).await;
    assert_eq!(
        (done.status().as_u16(), &done.headers()["location"]),
        (303, &"/alerts".parse().unwrap())
    );
    let silences = guarded.running.store().alerts().await.unwrap().silences;
    assert_eq!(silences.len(), 1);
    assert_eq!(
        silences[0].author, "triage (somebody)",
        "not only whom the form names"
    );
    assert_eq!(silences[0].matchers.len(), 2);
    let shown = page(Role::Read).await;
    assert!(shown.contains("bot=scan* severity!=critical"), "{shown}");
    assert!(
        shown.contains("new ") && !shown.contains("new <rules>"),
        "{shown}"
    );

    let wrong = send(
        Role::Triage,
        &origin,
        "of=colour%3Dred&seconds=60&comment=x",
    )
    .await;
    assert_eq!(wrong.status(), 400);
    let why = wrong.text().await.unwrap();
    assert!(
        why.contains("alertname, severity") && why.contains("<html"),
        "{why}"
    );
}
