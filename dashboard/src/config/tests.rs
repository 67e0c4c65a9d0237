use std::io::Write;

use clap::Parser;

use super::*;

fn checked(raw: Raw) -> Result<Settings, String> {
    Settings::check(&raw).map_err(|error| error.to_string())
}

fn listening(address: &str) -> Result<Settings, String> {
    checked(Raw {
        listen: Some(address.to_owned()),
        ..Raw::default()
    })
}

#[test]
fn nothing_but_loopback_is_listened_on_by_itself() {
    for open in [
        "0.0.0.0:8080",
        "[::]:8080",
        "192.168.1.4:80",
        "[::ffff:10.0.0.1]:80",
    ] {
        let why = listening(open).unwrap_err();
        assert!(why.contains("--tokens-file"), "{open}: {why}");
        assert!(why.contains("--insecure-open"), "{open}: {why}");
        assert!(
            why.contains("127.0.0.1"),
            "{open} must be told what to do: {why}"
        );
    }
    for own in [
        "127.0.0.1:0",
        "127.8.8.8:80",
        "[::1]:8080",
        "localhost:9",
        "[::ffff:127.0.0.1]:80",
    ] {
        assert!(listening(own).is_ok(), "{own}");
    }
    for bad in [
        "",
        "8080",
        "localhost",
        "fleet.example:80",
        "127.0.0.1:99999",
    ] {
        assert!(listening(bad).unwrap_err().contains("write it as"), "{bad}");
    }
}

#[test]
fn any_address_is_listened_on_with_tokens_or_when_it_is_to_be_open() {
    let open = |insecure, tokens: Option<&std::path::Path>| {
        checked(Raw {
            listen: Some("0.0.0.0:8080".to_owned()),
            insecure_open: insecure,
            tokens_file: tokens.map(std::path::Path::to_owned),
            ..Raw::default()
        })
    };
    assert!(open(Some(true), None).unwrap().tokens.is_none());
    assert!(open(Some(false), None).is_err());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let empty = open(None, Some(file.path())).unwrap_err();
    assert!(empty.contains("no token"), "{empty}");
    let secret = fleet_coordinator::access::Secret::fresh().unwrap();
    let line = secret.line(fleet_coordinator::access::Role::Read, "ann");
    writeln!(file, "{line}").unwrap();
    let settings = open(None, Some(file.path())).unwrap();
    assert!(settings.tokens.is_some());
    let shown = toml::to_string(&settings.shown()).unwrap();
    assert!(shown.contains("tokens-file"), "{shown}");
    assert!(!shown.contains("sha256"), "{shown}");
}

#[test]
fn probes_may_be_asked_for_anywhere() {
    let ops = |address: &str| {
        checked(Raw {
            ops_listen: Some(address.to_owned()),
            ..Raw::default()
        })
    };
    let settings = ops("0.0.0.0:9090").unwrap();
    assert_eq!(settings.ops_listen.unwrap().port(), 9090);
    assert!(ops("9090").unwrap_err().contains("0.0.0.0:9090"));
}

#[test]
fn the_defaults_are_those_of_no_setting_at_all() {
    let checked = checked(Raw::default()).unwrap();
    assert_eq!(format!("{checked:?}"), format!("{:?}", Settings::default()));
}

#[test]
fn what_is_shown_reads_back_as_the_same_settings() {
    let settings = checked(Raw {
        listen: Some("[::1]:9".to_owned()),
        drain_ms: Some(7),
        partitions: Some(3),
        log_format: Some("json".to_owned()),
        data_dir: Some("/var/lib/fleet".into()),
        data_sync_ms: Some(0),
        ..Raw::default()
    })
    .unwrap();
    let text = toml::to_string(&settings.shown()).unwrap();
    let again = checked(toml::from_str(&text).unwrap()).unwrap();
    assert_eq!(format!("{settings:?}"), format!("{again:?}"));
}

#[test]
fn a_password_is_never_shown() {
    let raw = Raw {
        store: Some("redis://u:hunter2@a@b:6379".to_owned()),
        ..Raw::default()
    };
    assert!(!format!("{raw:?}").contains("hunter2"));
    let settings = checked(raw).unwrap();
    for shown in [
        format!("{settings:?}"),
        toml::to_string(&settings.shown()).unwrap(),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("b:6379"), "{shown}");
    }
    let misplaced = checked(Raw {
        store: Some("hunter2".to_owned()),
        ..Raw::default()
    });
    assert!(!misplaced.unwrap_err().contains("hunter2"));
}

#[test]
fn a_flag_wins_over_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "drain-ms = 5\nmax-body = 2048").unwrap();
    let path = file.path().to_str().unwrap();
    let args = Args::parse_from(["fleet-dashboard", "--config", path, "--drain-ms", "6"]);
    let settings = args.settings().unwrap();
    assert_eq!(settings.drain.as_millis(), 6);
    assert_eq!(settings.max_body, 2048);
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_its_line_and_without_its_text() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "drain-ms = 5\nstroe = \"redis://:hunter2@x\"").unwrap();
    let why = fleet_coordinator::config::read_file::<Raw>(file.path())
        .unwrap_err()
        .to_string();
    assert!(why.contains("line 2") || why.contains("line 1"), "{why}");
    assert!(why.contains("stroe"), "{why}");
    assert!(!why.contains("hunter2"), "{why}");
    let missing = fleet_coordinator::config::read_file::<Raw>(std::path::Path::new(
        "/nonexistent/fleet.toml",
    ));
    assert!(missing.unwrap_err().to_string().contains("/nonexistent"));
}

#[test]
fn a_host_is_allowed_by_its_name_alone() {
    let allowing = |name: &str| {
        checked(Raw {
            allowed_hosts: Some(vec![name.to_owned()]),
            ..Raw::default()
        })
    };
    assert_eq!(
        allowing("fleet.example").unwrap().allowed_hosts,
        ["fleet.example"]
    );
    for bad in ["", "*", "https://fleet.example", "fleet.example:443"] {
        assert!(allowing(bad).unwrap_err().contains("no host name"), "{bad}");
    }
}

#[test]
fn numbers_outside_their_bounds_are_refused_by_name() {
    let why = checked(Raw {
        max_body: Some(0),
        ..Raw::default()
    });
    assert!(why.unwrap_err().starts_with("max-body: 0 is not between"));
    let why = checked(Raw {
        partitions: Some(0),
        ..Raw::default()
    });
    assert!(why.unwrap_err().starts_with("partitions"));
}
