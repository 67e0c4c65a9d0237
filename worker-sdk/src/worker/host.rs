//! Who this process is.

use uuid::Uuid;

use crate::error::Result;
use crate::ids::{BotId, WorkerId};

/// Longest host name in a worker id, in bytes: leaves room for the other parts.
const MAX_HOST: usize = 200;

/// The host's name, as far as ids allow; `unknown` where there is none.
pub(super) fn name() -> String {
    let read = |path| std::fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname")
        .or_else(|| read("/etc/hostname"))
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok());
    clean(name.as_deref().unwrap_or_default())
}

fn clean(name: &str) -> String {
    let kept = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let host: String = name.trim().chars().filter(kept).take(MAX_HOST).collect();
    if host.is_empty() {
        "unknown".to_owned()
    } else {
        host
    }
}

/// `bot:host:pid:boot-id`; the boot id tells a process from an earlier one of the same pid, as
/// containers have them.
pub(super) fn worker_id(bot: &BotId, host: &str) -> Result<WorkerId> {
    let boot_id = Uuid::now_v7().simple();
    WorkerId::new(format!("{bot}:{host}:{}:{boot_id}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_name_makes_a_valid_worker_id() {
        let bot = BotId::new("b".repeat(64)).unwrap();
        for host in ["", "wörk er\n", "pod-1.ns.svc", &"h".repeat(900)] {
            assert!(worker_id(&bot, &clean(host)).is_ok(), "{host:?}");
        }
        assert_eq!(clean("wörk er\n"), "wrker");
        assert_ne!(worker_id(&bot, "h").unwrap(), worker_id(&bot, "h").unwrap());
    }
}
