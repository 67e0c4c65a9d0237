//! Where the fleet is: the flag, the environment, the file, in that order; and how it is told when
//! it is nowhere.

use std::net::{Ipv4Addr, TcpListener};

use fleet_coordinator::access::{Role, Tokens};

use super::{Ran, Site, fleet_in};

#[tokio::test]
async fn the_flag_wins_over_the_environment_and_that_over_a_file() {
    let site = Site::new().await;
    site.push("acme/shop", "gosec", 1);
    let away = "redis://127.0.0.1:1";
    let file = site.folder.path().join("fleet.toml");
    let run = |environment: &str, of_file: &str, flag: &[&str]| {
        std::fs::write(&file, format!("store = {of_file:?}\n")).unwrap();
        let mut command = fleet_in(site.folder.path());
        command.env("FLEET_STORE", environment);
        Ran::from(command.arg("bots").args(flag).output().unwrap())
    };
    let here = site.server.url();
    run(away, away, &["--store", &here]).ok();
    run(&here, away, &[]).ok();
    run("", &here, &[]).ok();
    let user = site.folder.path().join(".config").join("fleet");
    std::fs::create_dir_all(&user).unwrap();
    std::fs::write(user.join("config.toml"), format!("store = {here:?}\n")).unwrap();
    std::fs::remove_file(&file).unwrap();
    Ran::from(fleet_in(site.folder.path()).arg("bots").output().unwrap()).ok();
}

#[test]
fn a_secret_is_not_sent_where_a_strange_checkout_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet.toml");
    std::fs::write(&file, "store = \"http://127.0.0.1:1\"\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = fleet_in(folder.path());
        command.env("FLEET_TOKEN", "hunter2").arg("bots");
        Ran::from(command.args(arguments).output().unwrap())
    };
    run(&[]).refused(64, "--config ./fleet.toml");
    run(&["--config", "fleet.toml"]).refused(69, "127.0.0.1:1 is unreachable");
}

#[test]
fn a_fleet_that_is_nowhere_ends_with_69_and_a_wrong_line_with_64() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let run =
        |arguments: &[&str]| Ran::from(fleet_in(folder.path()).args(arguments).output().unwrap());
    for scheme in ["http", "redis"] {
        let store = format!("{scheme}://127.0.0.1:{port}");
        run(&["sessions", "--store", &store]).refused(69, "is unreachable");
        run(&["watch", "--once", "--store", &store]).refused(69, "is unreachable");
    }
    for (arguments, why) in [
        (&["sessions", "--store", "ftp://x"][..], "ftp"),
        (&["sessions", "--store", "memory"], "through the dashboard"),
        (
            &["findings", "-s", "bad"],
            "error, warning, info, suggestion",
        ),
        (
            &["sessions", "--config", "/nowhere/fleet.toml"],
            "/nowhere/fleet.toml",
        ),
        (&["nope"], "nope"),
    ] {
        run(arguments).refused(64, why);
    }
}

#[test]
fn a_new_token_is_let_in_by_the_line_that_comes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = fleet_in(folder.path());
        Ran::from(
            command
                .args(["token", "new"])
                .args(arguments)
                .output()
                .unwrap(),
        )
    };
    let made = run(&["--role", "triage", "ann"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let (token, line) = made.out.trim_end().split_once('\n').unwrap();
    assert!(
        line.starts_with("triage sha256:") && line.ends_with(" ann"),
        "{line}"
    );
    assert!(!line.contains(token) && !made.err.contains(token));
    let tokens = Tokens::parse(line).unwrap();
    assert_eq!(tokens.identify(token).unwrap().role, Role::Triage);
    let again = run(&["--role", "triage", "ann", "--json"]);
    let again: serde_json::Value = serde_json::from_str(&again.out).unwrap();
    assert_ne!(again["token"], token, "none is made twice");
    for (wrong, why) in [
        (&["--role", "root", "ann"][..], "none of ingest"),
        (&["--role", "read", "a b"], "letters"),
    ] {
        let refused = run(wrong);
        assert_eq!(refused.code, Some(64), "{}", refused.err);
        assert!(refused.err.contains(why), "{}", refused.err);
    }
}
