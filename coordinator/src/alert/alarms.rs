//! What the fleet's health takes of its alerts.

use std::collections::BTreeMap;

use super::board::{Alert, Board};
use crate::health::{Alarms, Firing};

/// The worst alerts that last, by what they are about. One whose cause is over makes nothing worse
/// though it fires until that has lasted: the status follows at once, notices do not flap.
pub fn alarms(board: &Board) -> Alarms {
    let mut alarms = Alarms::default();
    for alert in board.alerts().filter(|alert| alert.lasts()) {
        let Some(firing) = firing(alert) else {
            continue;
        };
        match (&alert.labels.bot, alert.labels.tier) {
            (Some(bot), _) => worst(&mut alarms.bots, bot.clone(), firing),
            (None, Some(tier)) => worst(&mut alarms.tiers, tier, firing),
            (None, None) => {
                alarms.fleet.get_or_insert(firing);
            }
        }
    }
    alarms
}

fn firing(alert: &Alert) -> Option<Firing> {
    Some(Firing {
        status: alert.labels.severity.status()?,
        reason: alert.summary.clone(),
    })
}

/// Alerts come the worst first: the first one stays.
fn worst<K: Ord>(of: &mut BTreeMap<K, Firing>, key: K, firing: Firing) {
    of.entry(key).or_insert(firing);
}
