use super::*;

fn raw(store: &str) -> Raw {
    Raw {
        store: Some(store.to_owned()),
        ..Raw::default()
    }
}

#[track_caller]
fn assert_refused(raw: &Raw, name: &str) -> String {
    let error = Config::check(raw).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{name}: ")), "{error}");
    error
}

#[test]
fn the_command_line_is_sound() {
    <Args as clap::CommandFactory>::command().debug_assert();
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let good = || raw("redis://localhost:6379");
    assert!(Config::check(&good()).is_ok());
    assert_refused(&Raw::default(), "store");
    assert_refused(&raw("memory"), "store");
    let mut wrong = good();
    wrong.partitions = Some(0);
    assert_refused(&wrong, "partitions");
    wrong = good();
    wrong.namespace = Some("a b".to_owned());
    assert_refused(&wrong, "namespace");
    wrong = good();
    wrong.drain_ms = Some(MAX_DRAIN_MS + 1);
    assert_refused(&wrong, "drain-ms");
    wrong = good();
    wrong.log = Some("fleet=loud".to_owned());
    assert_refused(&wrong, "log");
    wrong = good();
    wrong.log_format = Some("xml".to_owned());
    assert_refused(&wrong, "log-format");
}

#[test]
fn a_password_is_never_shown() {
    for address in [
        "redis://user:hunter2@host:6379/0",
        "redis://:p@hunter2@host:6379",
        "redis://host:6379?password=hunter2",
    ] {
        let config = Config::check(&raw(address)).unwrap();
        let shown = toml::to_string(&config.shown()).unwrap();
        let debugged = format!("{config:?} {:?}", raw(address));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!debugged.contains("hunter2"), "{debugged}");
        assert!(shown.contains("host:6379"), "{shown}");
        assert_eq!(config.store.secret(), address);
    }
    let refused = assert_refused(&raw("hunter2"), "store");
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[test]
fn the_file_fills_what_flags_leave_out_and_its_faults_name_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.toml");
    let read = |text: &str, flags: Raw| {
        std::fs::write(&path, text).unwrap();
        let args = Args {
            config: Some(path.clone()),
            print_config: false,
            healthcheck: false,
            raw: flags,
        };
        args.checked()
    };
    let file = "store = \"redis://a:1\"\nlog = \"debug\"\n";
    let config = read(file, raw("redis://b:2")).unwrap();
    assert_eq!(
        (config.store.secret(), &*config.log),
        ("redis://b:2", "debug")
    );
    let faulty = "log = \"info\"\nstore = \"redis://:hunter2@a\nx = 1\n";
    let error = read(faulty, Raw::default()).unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let unknown = read("stor = \"redis://a:1\"\n", Raw::default());
    assert!(unknown.unwrap_err().to_string().contains("stor"));
}

#[test]
fn what_is_shown_gives_the_same_configuration() {
    let config = Config::check(&raw("redis://host:6379")).unwrap();
    let again = Config::check(&config.shown()).unwrap();
    assert_eq!(format!("{config:?}"), format!("{again:?}"));
}
