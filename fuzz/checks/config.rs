//! Configuration files of both processes: refused with a reason or taken, and what `--print-config`
//! shows of one that was taken is taken again.

use fleet_coordinator::config as coordinator;
use fleet_dashboard::config as dashboard;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(raw) = toml::from_str::<coordinator::Raw>(text)
        && let Ok(config) = coordinator::Config::check(&raw)
    {
        coordinator::Config::check(&config.shown()).expect("what is shown is a configuration");
    }
    if let Ok(raw) = toml::from_str::<dashboard::Raw>(text)
        && let Ok(settings) = dashboard::Settings::check(&raw)
    {
        dashboard::Settings::check(&settings.shown()).expect("what is shown is a configuration");
    }
}
