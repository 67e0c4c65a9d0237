use crate::alert::labels::Label;

use super::*;

fn checked(toml: &str) -> Result<AlertConfig, String> {
    let raw: RawAlerts = toml::from_str(toml).map_err(|error| error.to_string())?;
    raw.checked().map_err(|error| error.to_string())
}

#[test]
fn what_is_written_is_what_is_meant_and_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "hunter2\n").unwrap();
    let toml = format!(
        "resolve-hold-s = 60\nslow-after-s = 1800\nsite = \"https://fleet.example/\"\n\
         [limits.backlog]\nwarning = 10\ncritical = 20\nhold-s = 5\n\
         [limits.anomaly]\noff = true\n\
         [[channel]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"https://hooks.example/hunter2\"\n\
         secret-file = {key:?}\nseverities = [\"critical\"]\nmatch = [\"bot=scan*\"]\ngroup-by = [\"bot\"]\n\
         [[channel]]\nname = \"am\"\nkind = \"alertmanager\"\nurl = \"http://am:9093\"\n"
    );
    let config = checked(&toml).unwrap();
    let backlog = config.settings.limit(Name::Backlog);
    assert_eq!(
        (backlog.warning, backlog.critical),
        (Some(10.0), Some(20.0))
    );
    assert_eq!(config.settings.limit(Name::Anomaly).severity(99.0), None);
    let ops = &config.targets[0];
    assert_eq!(ops.secret.as_ref().unwrap().reveal(), "hunter2");
    assert_eq!(ops.channel.pace.group_by, [Label::Bot]);
    assert_eq!(
        config.targets[1].channel.pace.repeat,
        SignedDuration::from_secs(60)
    );
    let shown = toml::to_string(&config.shown()).unwrap();
    assert!(
        !shown.contains("hunter2") && shown.contains("https://hooks.example/***"),
        "{shown}"
    );
    let again = checked(&shown).unwrap();
    assert_eq!(again.settings, config.settings);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    let channel = |more: &str| format!("[[channel]]\nname = \"ops\"\nkind = \"slack\"\n{more}");
    let url = "url = \"https://hooks.example/hunter2\"\n";
    for (toml, place) in [
        ("[limits.bakclog]\nwarning = 1\n".to_owned(), "backlog"),
        (
            "[limits.backlog]\nwarning = nan\n".to_owned(),
            "limits.backlog",
        ),
        (
            "[limits.backlog]\nwarning = 2\ncritical = 1\n".to_owned(),
            "limits.backlog",
        ),
        ("resolve-hold-s = 700000\n".to_owned(), "resolve-hold-s"),
        ("site = \"fleet.example\"\n".to_owned(), "site"),
        (channel(""), "url"),
        (channel("url-file = \"/nowhere\"\n"), "/nowhere"),
        (channel("url = \"hunter2\"\n"), "ops"),
        (channel(&format!("{url}severities = [\"loud\"]\n")), "loud"),
        (channel(&format!("{url}match = [\"but=x\"]\n")), "but"),
        (channel(&format!("{url}interval-s = 1801\n")), "interval-s"),
        (channel(&format!("{url}repeat-s = 60\n")), "repeat-s"),
        (
            channel(&format!("{url}secret-file = \"/dev/null\"\n")),
            "ops",
        ),
        (format!("{0}{1}{0}{1}", channel(""), url), "same name"),
    ] {
        let refused = checked(&toml).unwrap_err();
        assert!(
            refused.contains(place) && !refused.contains("hunter2"),
            "{toml}: {refused}"
        );
    }
}
