//! Alerts from what is wrong to whoever is told: real receivers, a real Alertmanager, the API, the
//! command's reader and the page.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fleet_coordinator::alert::{AlertSettings, Channel, Pace, Phase};
use fleet_coordinator::answer::NewSilence;
use fleet_coordinator::channel::{Kind, Secret, Sender, Target};
use fleet_coordinator::client::{DirectReader, HttpReader, Reader};
use fleet_coordinator::config::{RawAlerts, read_file};
use fleet_coordinator::health::Settings as HealthSettings;
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings, Retries};
use fleet_coordinator::store::SharedStore;
use fleet_coordinator::store::memory::MemoryStore;
use fleet_dashboard::config::Settings;
use fleet_dashboard::context::Context;
use fleet_dashboard::routes;
use fleet_worker_sdk::transport::http::HttpWriter;
use fleet_worker_sdk::{Error, OpenSession, Partitions};
use hmac::{Hmac, KeyInit, Mac};
use jiff::SignedDuration;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use warp::Filter;
use warp::http::{HeaderMap, StatusCode};

/// A request that a channel got.
#[derive(Clone)]
struct Heard {
    headers: HeaderMap,
    body: Bytes,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// A channel's other end: refuses the first so many requests with 503.
struct Receiver {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Receiver {
    async fn start(refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        let hear = move |headers, body| {
            let mut all = all.lock().unwrap();
            all.push(Heard { headers, body });
            if all.len() <= refusals {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::OK
            }
        };
        let route = warp::post()
            .and(warp::header::headers_cloned())
            .and(warp::body::bytes())
            .map(hear);
        tokio::spawn(warp::serve(route).incoming(listener).run());
        Self { address, heard }
    }

    fn all(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

/// A channel that is told at once, and not again.
fn target(kind: Kind, url: String) -> Target {
    Target {
        channel: Channel {
            name: "ops".to_owned(),
            severities: Vec::new(),
            matchers: Vec::new(),
            pace: Pace {
                wait: SignedDuration::ZERO,
                interval: SignedDuration::ZERO,
                ..kind.pace()
            },
        },
        kind,
        url: Secret::new(url),
        secret: (kind == Kind::Webhook).then(|| Secret::new("between us")),
        site: None,
    }
}

/// A coordinator that tells `target`, trying three times without rest.
fn coordinator(store: &SharedStore, target: Target) -> Coordinator {
    let settings = CoordinatorSettings {
        alerts: AlertSettings {
            resolve_hold: SignedDuration::ZERO,
            ..AlertSettings::default()
        },
        sender: Sender::new(vec![target]).unwrap(),
        retries: Retries {
            attempts: 3,
            base: Duration::ZERO,
            cap: Duration::ZERO,
        },
        ..CoordinatorSettings::default()
    };
    Coordinator::new(Arc::clone(store), settings)
}

/// A fleet with a dead letter, which is an alert at once.
async fn troubled() -> SharedStore {
    let store: SharedStore = Arc::new(MemoryStore::new(Partitions::DEFAULT));
    let open = OpenSession::new("acme/shop").unwrap();
    store.open(&open).await.unwrap();
    let entries = store.changes("one", Duration::ZERO).await.unwrap();
    assert_eq!(store.give_up(&entries, "it fell over").await.unwrap(), 1);
    store
}

async fn relieve(store: &SharedStore) {
    for letter in store.letters(None, 10).await.unwrap().letters {
        assert!(store.discard(&letter.id).await.unwrap());
    }
}

fn signed(key: &str, heard: &Heard) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(heard.header("fleet-timestamp").as_bytes());
    mac.update(b".");
    mac.update(&heard.body);
    let mut text = "v1=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

#[tokio::test]
async fn an_alert_is_told_once_by_two_coordinators_again_after_a_refusal_and_when_it_is_over() {
    let store = troubled().await;
    let receiver = Receiver::start(1).await;
    let url = format!("http://{}/hook", receiver.address);
    let both = [(); 2].map(|()| coordinator(&store, target(Kind::Webhook, url.clone())));
    for _ in 0..4 {
        let [one, other] = &both;
        let (raised, also) = tokio::join!(one.watch_alerts(), other.watch_alerts());
        raised.unwrap();
        also.unwrap();
        let (told, also) = tokio::join!(one.deliver(), other.deliver());
        told.unwrap();
        also.unwrap();
    }
    let heard = receiver.all();
    assert_eq!(heard.len(), 2, "refused once, then taken");
    assert_eq!(
        heard[0].header("idempotency-key"),
        heard[1].header("idempotency-key")
    );
    for one in &heard {
        assert_eq!(one.header("fleet-signature"), signed("between us", one));
        assert_ne!(one.header("fleet-signature"), signed("somebody else", one));
    }
    let told = heard[1].json();
    let text = told.to_string();
    assert!(
        text.contains("dead_letters") && text.contains("firing"),
        "{text}"
    );

    relieve(&store).await;
    for _ in 0..3 {
        both[1].watch_alerts().await.unwrap();
        both[0].deliver().await.unwrap();
    }
    let heard = receiver.all();
    assert_eq!(heard.len(), 3, "that it is over is told once");
    assert!(heard[2].json().to_string().contains("resolved"));
    let totals = both.map(|one| one.totals());
    assert_eq!(totals[0].delivered + totals[1].delivered, 2);
    assert_eq!(totals[0].redelivered + totals[1].redelivered, 1);
}

#[tokio::test]
async fn what_no_channel_takes_is_kept_and_put_in_line_again_by_command() {
    let store = troubled().await;
    let receiver = Receiver::start(3).await;
    let url = format!("http://{}/hook", receiver.address);
    let coordinator = coordinator(&store, target(Kind::Slack, url));
    coordinator.watch_alerts().await.unwrap();
    for _ in 0..5 {
        coordinator.deliver().await.unwrap();
    }
    let site = Site::over(&store).await;
    let given_up = site.http.undelivered().await.unwrap().undelivered;
    assert_eq!((given_up.len(), given_up[0].attempts), (1, 3));
    assert!(given_up[0].why.contains("503"), "{}", given_up[0].why);
    let page = site.get("/alerts").await;
    assert!(
        page.contains("Not delivered") && page.contains("503"),
        "{page}"
    );
    let id = &given_up[0].id;
    let nameless = site.http.requeue_delivery(id, " ").await.unwrap_err();
    assert!(matches!(nameless, Error::Invalid { .. }), "{nameless}");
    site.http.requeue_delivery(id, "ada").await.unwrap();
    let again = site.direct.requeue_delivery(id, "ada").await.unwrap_err();
    assert!(matches!(again, Error::NotFound { .. }), "{again}");
    coordinator.deliver().await.unwrap();
    assert_eq!(receiver.all().len(), 4);
    assert!(receiver.all()[3].json()["text"].is_string());
    let trail = site.http.audit(10).await.unwrap().audit;
    assert_eq!(
        (trail[0].author.as_str(), trail[0].action.as_str()),
        ("ada", "requeue")
    );
    assert_eq!(site.http.undelivered().await.unwrap().undelivered, []);
}

/// A dashboard over a store, read both ways.
struct Site {
    direct: DirectReader,
    http: HttpReader,
    address: String,
}

impl Site {
    async fn over(store: &SharedStore) -> Self {
        Self::with(store, Settings::default()).await
    }

    async fn with(store: &SharedStore, settings: Settings) -> Self {
        let context = Context::new(Arc::clone(store), settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let routes = routes::all(Box::leak(Box::new(context)));
        tokio::spawn(warp::serve(routes).incoming(listener).run());
        Self {
            direct: DirectReader::new(Arc::clone(store), HealthSettings::default()),
            http: HttpReader::new(HttpWriter::new(&address).unwrap()),
            address,
        }
    }

    async fn get(&self, path: &str) -> String {
        let answer = reqwest::get(format!("{}{path}", self.address))
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }
}

impl Site {
    async fn post(&self, path: &str) -> (u16, String) {
        let client = reqwest::Client::new();
        let answer = client.post(format!("{}{path}", self.address)).send();
        let answer = answer.await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

fn quiet(matcher: &str, seconds: u32) -> NewSilence {
    NewSilence {
        matchers: vec![matcher.to_owned()],
        author: "ada".to_owned(),
        comment: "being looked at".to_owned(),
        seconds,
    }
}

#[tokio::test]
async fn alerts_and_silences_are_the_same_through_api_store_and_page() {
    let store = troubled().await;
    let receiver = Receiver::start(0).await;
    let url = format!("http://{}/hook", receiver.address);
    let coordinator = coordinator(&store, target(Kind::Webhook, url));
    let site = Site::over(&store).await;
    assert!(site.get("/alerts").await.contains("Nothing fires"));
    coordinator.watch_alerts().await.unwrap();

    let mut listed = site.http.alerts().await.unwrap();
    let direct = site.direct.alerts().await.unwrap();
    assert!(direct.now >= listed.now);
    listed.now = direct.now;
    assert_eq!(listed, direct);
    assert_eq!(listed.alerts.len(), 1);
    assert_eq!(listed.alerts[0].alert.phase, Phase::Firing);
    assert!(listed.alerts[0].is_loud());
    for path in ["/", "/alerts"] {
        let page = site.get(path).await;
        assert!(page.contains("1 dead letter waits"), "{path}: {page}");
        assert!(page.contains("Table of alerts"), "{path}: {page}");
    }

    let silence = site
        .http
        .silence(&quiet("alertname=dead*", 60))
        .await
        .unwrap();
    let listed = site.direct.alerts().await.unwrap();
    assert_eq!(
        listed.alerts[0].silenced_by,
        std::slice::from_ref(&silence.id)
    );
    assert!(!site.get("/").await.contains("Table of alerts"));
    let page = site.get("/alerts").await;
    assert!(
        page.contains("silenced") && page.contains("being looked at"),
        "{page}"
    );
    let metrics = site.get("/metrics").await;
    for line in [
        "fleet_alerts_firing{severity=\"warning\"} 1",
        "fleet_silences 1",
        "fleet_alerts_waiting_deliveries 1",
    ] {
        assert!(
            metrics.contains(&format!(
                "
{line}
"
            )),
            "{metrics}"
        );
    }
    // What was raised before the silence is held back as well.
    coordinator.deliver().await.unwrap();
    assert_eq!(receiver.all().len(), 0);

    for wrong in [
        quiet("colour=red", 60),
        quiet("bot=x", 0),
        quiet("bot=x", 99_999_999),
    ] {
        let error = site.http.silence(&wrong).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{wrong:?}: {error}");
    }
    site.http.unsilence(&silence.id, "ada").await.unwrap();
    for id in [&*silence.id, "../alerts", "x/y", ""] {
        assert!(site.http.unsilence(id, "ada").await.is_err(), "{id:?}");
    }
    assert!(site.direct.alerts().await.unwrap().alerts[0].is_loud());
    let actions = site.http.audit(10).await.unwrap().audit;
    let actions: Vec<_> = actions.iter().map(|one| one.action.as_str()).collect();
    assert_eq!(actions, ["unsilence", "silence"]);
}

#[tokio::test]
async fn channels_are_tested_through_the_api_with_what_came_back() {
    let (well, busy) = (Receiver::start(0).await, Receiver::start(9).await);
    let file = tempfile::NamedTempFile::new().unwrap();
    let channel = |name: &str, kind: &str, to: &Receiver| {
        let address = to.address;
        format!(
            "[[channel]]\nname = {name:?}\nkind = {kind:?}\nurl = \"http://{address}/hunter2\"\n"
        )
    };
    let text = channel("well", "webhook", &well) + &channel("busy", "slack", &busy);
    std::fs::write(file.path(), text).unwrap();
    let raw: RawAlerts = read_file(file.path()).unwrap();
    let settings = Settings {
        alerts: raw.checked().unwrap(),
        ..Settings::default()
    };
    let store: SharedStore = Arc::new(MemoryStore::new(Partitions::DEFAULT));
    let site = Site::with(&store, settings).await;
    let (status, tested) = site.post("/api/v1/alerts/test").await;
    assert_eq!(status, 200, "{tested}");
    assert!(!tested.contains("hunter2"), "{tested}");
    let tested: Value = serde_json::from_str(&tested).unwrap();
    let channels = tested["channels"].as_array().unwrap();
    assert_eq!(
        channels[0],
        serde_json::json!({"channel": "well", "arrived": true})
    );
    assert_eq!(channels[1]["arrived"], false, "{tested}");
    assert!(
        channels[1]["why"].as_str().unwrap().contains("503"),
        "{tested}"
    );
    assert_eq!(
        well.all()[0].json()["alerts"][0]["labels"]["alertname"],
        "test"
    );

    let (status, _) = site.post("/api/v1/alerts/test?channel=well").await;
    assert_eq!((status, well.all().len(), busy.all().len()), (200, 2, 1));
    let (status, why) = site.post("/api/v1/alerts/test?channel=none").await;
    assert!(status == 404 && why.contains("alerts.channel"), "{why}");
    assert_eq!(
        site.direct.alerts().await.unwrap().alerts,
        [],
        "nothing of it is kept"
    );
}

/// An Alertmanager on a port of its own, killed with the test.
struct Alertmanager {
    _process: tokio::process::Child,
    _folder: tempfile::TempDir,
    address: String,
}

impl Alertmanager {
    /// None where there is none: scripts/test.sh installs it.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yml");
        std::fs::write(
            &config,
            "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n",
        )
        .unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = tokio::process::Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        Some(Self {
            _process: process,
            _folder: folder,
            address: format!("http://127.0.0.1:{port}"),
        })
    }

    /// Its active alerts, once it answers.
    async fn alerts(&self) -> Value {
        let url = format!("{}/api/v2/alerts?active=true", self.address);
        let answered = async {
            loop {
                match reqwest::get(&url).await {
                    Ok(answer) if answer.status() == 200 => return answer.json().await.unwrap(),
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), answered)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_real_alertmanager_has_it_while_it_lasts() {
    let Some(manager) = Alertmanager::start() else {
        // Said where `--no-capture` shows it; scripts/test.sh does not go on without.
        let said = b"skipped: prometheus-alertmanager is not installed\n";
        std::io::stderr().write_all(said).unwrap();
        return;
    };
    assert_eq!(manager.alerts().await, serde_json::json!([]));
    let store = troubled().await;
    let coordinator = coordinator(&store, target(Kind::Alertmanager, manager.address.clone()));
    coordinator.watch_alerts().await.unwrap();
    coordinator.deliver().await.unwrap();
    assert_eq!(coordinator.totals().delivered, 1);
    let alerts = manager.alerts().await;
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts}");
    assert_eq!(alerts[0]["labels"]["alertname"], "dead_letters", "{alerts}");
    assert_eq!(alerts[0]["labels"]["severity"], "warning");
    let summary = alerts[0]["annotations"]["summary"].as_str().unwrap();
    assert!(summary.contains("dead letter"), "{alerts}");
    relieve(&store).await;
    for _ in 0..3 {
        coordinator.watch_alerts().await.unwrap();
        coordinator.deliver().await.unwrap();
    }
    let gone = async {
        while manager.alerts().await != serde_json::json!([]) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone)
        .await
        .unwrap();
}
