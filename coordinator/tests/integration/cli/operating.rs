//! What operators run: dead letters, the doctor, access lists.

use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::store::{OpenOptions, open};
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::redis::{self, AsyncCommands};

use super::Site;
use crate::support::{Hand, findings, next_changes};

#[tokio::test]
async fn dead_letters_are_listed_shown_requeued_and_dropped() {
    let site = Site::new().await;
    let store = open(&site.server.url(), &OpenOptions::default()).unwrap();
    Hand::started(&*store, "hypatia").await;
    let entries = next_changes(&*store, "one").await;
    store
        .give_up(&entries[..1], "it fell\u{1b}[31m over")
        .await
        .unwrap();

    let listed = site.fleet(&["dead", "--json"]).json();
    assert_eq!(listed["total"], 1);
    let id = listed["letters"][0]["id"].as_str().unwrap().to_owned();
    let text = site.fleet(&["dead", "show", &id]).ok().out;
    assert!(text.contains("it fell\\u{1b}[31m over"), "{text}");
    assert!(text.contains("field s ("), "{text}");
    site.fleet(&["dead", "drop", "--all"]).refused(64, "--yes");
    site.fleet(&["dead", "show", "nonsense"])
        .refused(64, "letter");
    let moved = site.fleet(&["dead", "requeue", &id, "--json"]).json();
    assert_eq!(moved["requeued"][0], id.as_str());
    site.fleet(&["dead", "requeue", &id])
        .refused(1, "there is no letter");

    let again = next_changes(&*store, "two").await;
    store.give_up(&again[..1], "x").await.unwrap();
    site.fleet(&["dead", "drop", "--all", "--yes"]).ok();
    assert!(site.fleet(&["dead"]).ok().out.contains("no dead letters"));
}

#[tokio::test]
async fn a_session_that_does_not_add_up_is_told_of_and_repaired() {
    let site = Site::new().await;
    let store = open(&site.server.url(), &OpenOptions::default()).unwrap();
    let mut hand = Hand::started(&*store, "hypatia").await;
    hand.push(findings(0..30)).await.unwrap();
    let id = hand.session.as_str();
    let all_well = site.fleet(&["conserve", "check", "--all"]).ok().out;
    assert!(all_well.contains("every session adds up"), "{all_well}");
    let whole = site.fleet(&["conserve", "repair", id]).ok().out;
    assert!(whole.contains("adds up: index 30"), "{whole}");

    let client = redis::Client::open(site.server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let index = Keys::default().index(&hand.session);
    let _: u64 = connection.zremrangebyrank(&index, 0, 1).await.unwrap();
    let wrong = site.fleet(&["conserve", "check", id]);
    assert!(
        wrong.out.contains("members of the index: 28, expected 30"),
        "{}",
        wrong.out
    );
    wrong.refused(1, "1 sessions do not add up");
    let coordinator = Coordinator::new(store.clone(), CoordinatorSettings::default());
    coordinator.conserve().await.unwrap();
    let listed = site.fleet(&["conserve"]);
    assert!(listed.out.contains("2 findings apart"), "{}", listed.out);
    assert_eq!(listed.code, Some(1));

    let dry = site
        .fleet(&["conserve", "repair", id, "--dry-run"])
        .ok()
        .out;
    assert!(dry.contains("2 findings into the index"), "{dry}");
    site.fleet(&["conserve", "check", id]).refused(1, "repair");
    let repaired = site.fleet(&["conserve", "repair", id, "--json"]).json();
    assert_eq!(
        (&repaired[0]["applied"], &repaired[0]["added"]),
        (&true.into(), &2.into())
    );
    assert!(
        site.fleet(&["conserve"])
            .ok()
            .out
            .contains("every session adds up")
    );
    site.fleet(&["conserve", "check", "acme/nothing"])
        .refused(1, "acme/nothing");
    site.fleet(&["conserve", "check"]).refused(64, "SESSIONS");
}

#[tokio::test]
async fn alerts_are_listed_silenced_and_their_channels_tested() {
    let site = Site::new().await;
    let store = open(&site.server.url(), &OpenOptions::default()).unwrap();
    Hand::started(&*store, "hypatia").await;
    let entries = next_changes(&*store, "one").await;
    store.give_up(&entries[..1], "it fell over").await.unwrap();
    assert!(site.fleet(&["alert"]).ok().out.contains("nothing fires"));
    let coordinator = Coordinator::new(store.clone(), CoordinatorSettings::default());
    coordinator.watch_alerts().await.unwrap();
    let listed = site.fleet(&["alert", "list", "--firing"]).ok().out;
    assert!(
        listed.contains("dead_letters") && listed.contains("1 dead letter waits"),
        "{listed}"
    );

    let silence = [
        "alert",
        "silence",
        "alertname=dead*",
        "--for",
        "2h",
        "--author",
        "ada",
    ];
    site.fleet(&silence).refused(64, "--comment");
    let silence = [&silence[..], &["--comment", "known", "--json"]].concat();
    let silenced = site.fleet(&silence).json();
    let id = silenced["id"].as_str().unwrap().to_owned();
    assert!(site.fleet(&["alert"]).ok().out.contains("silenced"));
    assert!(
        site.fleet(&["alert", "silences"])
            .ok()
            .out
            .contains("alertname=dead*")
    );
    site.fleet(&[
        "alert",
        "silence",
        "colour=red",
        "--for",
        "2h",
        "--comment",
        "x",
        "--author",
        "a",
    ])
    .refused(1, "alertname");
    site.fleet(&[
        "alert",
        "silence",
        "bot=x",
        "--for",
        "soon",
        "--comment",
        "x",
        "--author",
        "a",
    ])
    .refused(64, "30m, 2h or 3d");
    site.fleet(&["alert", "unsilence", &id, "--author", "ada"])
        .ok();
    site.fleet(&["alert", "unsilence", &id, "--author", "ada"])
        .refused(1, "no silence");
    let audit = site.fleet(&["alert", "audit"]).ok().out;
    assert!(
        audit.contains("unsilence") && audit.contains("ada"),
        "{audit}"
    );
    let nothing = site.fleet(&["alert", "undelivered"]).ok().out;
    assert!(nothing.contains("every delivery arrived"), "{nothing}");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let file = site.folder.path().join("coordinator.toml");
    let channel = format!(
        "[[alerts.channel]]\nname = \"ops\"\nkind = \"slack\"\nurl = \"http://127.0.0.1:{port}/secret\"\n"
    );
    std::fs::write(&file, channel).unwrap();
    let file = file.to_str().unwrap();
    let tested = site.fleet(&["alert", "test", "--config", file]);
    assert!(tested.out.contains("ops  FAILED"), "{}", tested.out);
    assert!(!tested.out.contains("secret") && !tested.err.contains("secret"));
    tested.refused(1, "1 of 1 channels");
    site.fleet(&["alert", "test", "--config", file, "--channel", "dev"])
        .refused(64, "no channel dev");
}

#[tokio::test]
async fn the_doctor_ends_with_what_it_found() {
    let site = Site::new().await;
    let ill = site.fleet(&["doctor", "--json"]);
    assert_eq!(ill.code, Some(1), "{}", ill.err);
    let store = open(&site.server.url(), &OpenOptions::default()).unwrap();
    Hand::started(&*store, "hypatia").await;
    next_changes(&*store, "one").await;
    let well = site.fleet(&["doctor", "--json"]).json();
    assert_eq!(well["verdict"], "warn", "{well}");
    let checks = well["checks"].as_array().unwrap();
    assert!(
        checks.iter().all(|check| check["verdict"] != "fail"),
        "{well}"
    );
    let text = site.fleet(&["doctor"]).ok().out;
    assert!(text.contains("appendonly yes"), "{text}");
}

#[tokio::test]
async fn an_access_list_is_written_with_hashes_only() {
    let site = Site::new().await;
    let file = site.folder.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    let file = file.to_str().unwrap();
    let line = site
        .fleet(&["acl", "worker", "--password-file", file])
        .ok()
        .out;
    assert!(
        line.starts_with("user fleet-worker reset on #f52fbd32"),
        "{line}"
    );
    assert!(
        !line.contains("hunter2") && line.lines().count() == 1,
        "{line}"
    );
    let all = site.fleet(&["acl", "--namespace", "two"]).ok().out;
    assert_eq!(all.lines().count(), 5);
    assert!(
        all.lines().skip(1).all(|line| line.contains(" reset off ")),
        "{all}"
    );
    let set = site.fleet(&["acl", "admin", "--setuser"]).ok().out;
    assert!(
        set.starts_with("ACL SETUSER fleet-admin reset off "),
        "{set}"
    );
    site.fleet(&["acl", "worker", "--hash", "xyz"])
        .refused(64, "64 hexadecimal");
}
