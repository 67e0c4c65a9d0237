use super::*;
use fleet_worker_sdk::Partition;
use proptest::prelude::*;
use serde_json::{Value, json};

fn id(n: u8) -> SessionId {
    SessionId::new(format!("p1-0190b3c6-7a11-7000-8000-0000000000{n:02x}")).unwrap()
}

fn shown(n: u8, changed_ms: i64, value: u32) -> Shown {
    let object = Object::new(&json!({"id": id(n), "changed": changed_ms, "value": value})).unwrap();
    Shown {
        id: id(n),
        changed_ms,
        object,
    }
}

fn sessions(sessions: Vec<Shown>) -> Fresh {
    Fresh {
        sessions,
        ..Fresh::default()
    }
}

fn parsed(frame: &Frame) -> Value {
    let (Frame::Snapshot(text) | Frame::Update(text) | Frame::Merged(text, _)) = frame;
    serde_json::from_str(text).unwrap()
}

/// What a client makes of frames.
#[derive(Default, PartialEq, Debug)]
struct Client {
    sent: u64,
    objects: BTreeMap<String, Value>,
    versions: HashMap<String, String>,
}

impl Client {
    fn take(&mut self, frame: &Frame, sequence: u64) {
        let frame = parsed(frame);
        if frame["type"] == "snapshot" {
            self.objects.clear();
            self.versions.clear();
        }
        for session in frame["sessions"].as_array().into_iter().flatten() {
            let name = format!("session:{}", session["id"].as_str().unwrap());
            self.objects.insert(name, session.clone());
        }
        for part in ["fleet", "store"] {
            if let Some(value) = frame.get(part) {
                self.objects.insert(part.to_owned(), value.clone());
            }
        }
        for (name, version) in frame["versions"].as_object().unwrap() {
            self.versions
                .insert(name.clone(), version.as_str().unwrap().to_owned());
        }
        for gone in frame["removed"].as_array().into_iter().flatten() {
            let name = format!("session:{}", gone.as_str().unwrap());
            self.objects.remove(&name);
            self.versions.remove(&name);
        }
        self.sent = sequence;
    }
}

#[test]
fn nothing_different_is_no_new_state() {
    let state = State::default()
        .after(sessions(vec![shown(1, 5, 0)]))
        .unwrap();
    assert!(state.after(sessions(vec![shown(1, 5, 0)])).is_none());
    assert!(state.after(Fresh::default()).is_none());
    assert!(state.after(sessions(vec![shown(1, 5, 1)])).is_some());
}

#[test]
fn waking_up_is_a_new_state_even_when_nothing_is_different() {
    let state = State::default().after(Fresh::default()).unwrap();
    assert!(state.awake);
    let slept = state.asleep();
    assert!(!slept.awake);
    assert!(slept.after(Fresh::default()).unwrap().awake);
}

#[test]
fn an_update_holds_only_what_changed() {
    let state = State::default()
        .after(sessions(vec![shown(1, 5, 0), shown(2, 6, 0)]))
        .unwrap();
    let sent = state.sequence();
    let state = state.after(sessions(vec![shown(1, 7, 1)])).unwrap();
    let frame = parsed(&state.since(sent).unwrap());
    assert_eq!(frame["type"], "update");
    assert_eq!(frame["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(frame["sessions"][0]["value"], 1);
    assert_eq!(
        state.ids(),
        [id(1).as_str(), id(2).as_str()],
        "latest first"
    );
    assert_eq!(state.since(state.sequence()), None);
}

#[test]
fn all_clients_of_a_state_share_one_text() {
    let state = State::default()
        .after(sessions(vec![shown(1, 5, 0)]))
        .unwrap();
    let (Some(Frame::Update(a)), Some(Frame::Update(b))) = (state.since(0), state.since(0)) else {
        panic!("both are updates");
    };
    assert_eq!(a.as_ptr(), b.as_ptr());
}

#[test]
fn the_list_is_bounded_and_the_oldest_leave_it() {
    let all = (0..60).map(|n| shown(n, i64::from(n), 0)).collect();
    let state = State::default().after(sessions(all)).unwrap();
    assert_eq!(state.sessions.len(), SESSIONS);
    assert_eq!(state.ids().first(), Some(&id(59).as_str()));
    let state = (0..10u8).fold(state, |state, round| {
        let next = (0..60)
            .map(|n| shown(n, i64::from(n), u32::from(round) + 1))
            .collect();
        state.after(sessions(next)).unwrap()
    });
    assert!(state.gone.len() <= GONE);
}

#[test]
fn a_client_that_missed_forgotten_removals_gets_a_snapshot() {
    let mut state = State::default()
        .after(sessions(vec![shown(0, 0, 0)]))
        .unwrap();
    let sent = state.sequence();
    for round in 1..300 {
        let fresh = Fresh {
            sessions: vec![shown((round % 200) as u8, i64::from(round), round)],
            whole: true,
            ..Fresh::default()
        };
        state = state.after(fresh).unwrap();
    }
    assert!(matches!(state.since(sent), Some(Frame::Snapshot(_))));
}

#[test]
fn a_session_id_fits_the_names_of_objects() {
    let fresh = SessionId::fresh(Partition(3));
    assert!(!fresh.as_str().contains(':'));
}

proptest! {
    /// However many states a client skips, and however it comes back, it ends with the same.
    #[test]
    fn skipping_resuming_and_starting_anew_agree(
        steps in prop::collection::vec((0u8..60, 0i64..50, 0u32..3, any::<bool>(), any::<bool>()), 1..120),
    ) {
        let mut state = State::default();
        let mut client = Client::default();
        for (n, changed, value, drop_it, listens) in steps {
            let mut fresh = Fresh::default();
            if drop_it {
                fresh.dropped.push(id(n));
            } else {
                fresh.sessions.push(shown(n, changed, value));
            }
            fresh.parts.push(("store", Object::new(&json!({"value": value})).unwrap()));
            if let Some(next) = state.after(fresh) {
                state = next;
            }
            if listens && let Some(frame) = state.since(client.sent) {
                client.take(&frame, state.sequence());
            }
        }
        let mut whole = Client::default();
        whole.take(&state.snapshot(), state.sequence());
        let mut resumed = Client { sent: state.sequence(), ..Client::default() };
        resumed.objects = client.objects.clone();
        resumed.versions = client.versions.clone();
        resumed.take(&state.resume(&client.versions), state.sequence());
        prop_assert_eq!(&resumed, &whole);
        if let Some(frame) = state.since(client.sent) {
            client.take(&frame, state.sequence());
        }
        prop_assert_eq!(&client, &whole);
    }
}
