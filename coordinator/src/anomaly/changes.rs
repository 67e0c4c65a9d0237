//! What has become of what lasts: which anomalies are new, which are over, which have begun again.

use std::collections::{HashMap, HashSet};

use fleet_worker_sdk::BotId;
use jiff::{SignedDuration, Timestamp};

use super::{Anomaly, Facts, Kind};

/// Stuck workers told of at once, of each bot: those that have been longest. What stops one often
/// stops all, and 5,000 of the same would leave no room for anything else.
pub const STUCK_A_BOT: usize = 8;
/// What ended so recently does not begin again: another coordinator's list of workers may be a
/// second older than the one that it ended by.
const OVER_FOR: SignedDuration = SignedDuration::from_secs(10);

/// What there is to store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// What was not there before.
    pub new: Vec<Anomaly>,
    /// What was, and now has an end, or has none any more.
    pub amended: Vec<Anomaly>,
}

/// What has become of those `stored`, where `seen` is what is unusual now by the same `facts`.
///
/// Nothing ends before workers could be heard for as long as a dead one is waited for: until then
/// somebody who has just begun to listen takes the dead for living.
pub fn changes(stored: &[Anomaly], seen: Vec<Anomaly>, facts: &Facts<'_>) -> Changes {
    let mut changes = Changes::default();
    if facts.can_tell_ends() {
        let lasts: HashSet<&str> = seen.iter().map(|one| one.id.as_str()).collect();
        let open = stored.iter().filter(|one| one.is_open());
        let over = open.filter(|one| !lasts.contains(one.id.as_str()));
        changes.amended.extend(over.map(|one| Anomaly {
            ended: Some(facts.now.max(one.at)),
            ..one.clone()
        }));
    }
    let known: HashMap<&str, Option<Timestamp>> = stored
        .iter()
        .map(|one| (one.id.as_str(), one.ended))
        .collect();
    let over = |ended: Timestamp| facts.now.duration_since(ended) >= OVER_FOR;
    for anomaly in told(seen) {
        match known.get(anomaly.id.as_str()) {
            None => changes.new.push(anomaly),
            Some(Some(ended)) if over(*ended) => changes.amended.push(anomaly),
            Some(_) => {}
        }
    }
    changes
}

/// Those that somebody is told of: of the stuck workers of a bot the first.
fn told(seen: Vec<Anomaly>) -> impl Iterator<Item = Anomaly> {
    let mut stuck: HashMap<BotId, usize> = HashMap::new();
    seen.into_iter().filter(move |anomaly| {
        if anomaly.kind != Kind::Stuck {
            return true;
        }
        let count = stuck.entry(anomaly.bot.clone()).or_default();
        *count += 1;
        *count <= STUCK_A_BOT
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fleet_worker_sdk::Bot;

    use super::*;
    use crate::health::Settings;
    use crate::series::Level;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn anomaly(kind: Kind, id: &str, began: i64) -> Anomaly {
        Anomaly {
            id: id.to_owned(),
            kind,
            bot: Bot::new("scan").unwrap().id,
            session: None,
            worker: None,
            observed: 700.0,
            expected: 600.0,
            spread: 0.0,
            z: None,
            samples: 0,
            level: Level::Error,
            text: String::new(),
            at: at(began),
            ended: None,
        }
    }

    /// The changes at `now`, where beats are heard since 0.
    fn at_second(now: i64, stored: &[Anomaly], seen: Vec<Anomaly>) -> Changes {
        let facts = Facts {
            bots: &[],
            series: &BTreeMap::new(),
            workers: &[],
            heard_since: Some(at(0)),
            now: at(now),
            settings: &Settings::default(),
        };
        changes(stored, seen, &facts)
    }

    fn over(mut anomaly: Anomaly, second: i64) -> Anomaly {
        anomaly.ended = Some(at(second));
        anomaly
    }

    #[test]
    fn what_lasts_is_new_once_ends_once_and_may_begin_again() {
        let skew = anomaly(Kind::VersionSkew, "s", 100);
        let seen = vec![skew.clone()];
        assert_eq!(at_second(200, &[], seen.clone()).new, seen);
        assert_eq!(
            at_second(205, &seen, seen.clone()),
            Changes::default(),
            "it lasts, and is stored"
        );
        let ended = at_second(300, &seen, Vec::new());
        assert_eq!(ended.amended, [over(skew.clone(), 300)]);
        assert_eq!(
            at_second(400, &ended.amended, Vec::new()),
            Changes::default()
        );
        let soon = at_second(305, &ended.amended, seen.clone());
        assert_eq!(soon, Changes::default(), "another has an older list");
        let again = at_second(310, &ended.amended, seen.clone());
        assert_eq!((again.new, again.amended), (Vec::new(), seen));
    }

    #[test]
    fn nothing_ends_for_one_who_has_just_begun_to_listen() {
        let silent = [anomaly(Kind::Silent, "s", -100)];
        assert_eq!(at_second(59, &silent, Vec::new()), Changes::default());
        assert_eq!(at_second(60, &silent, Vec::new()).amended.len(), 1);
    }

    #[test]
    fn what_a_run_did_has_no_end() {
        let run = [anomaly(Kind::Findings, "f", 100)];
        assert_eq!(at_second(5_000, &run, Vec::new()), Changes::default());
    }

    #[test]
    fn of_many_stuck_workers_few_are_told_and_none_ends_while_it_lasts() {
        let many: Vec<Anomaly> = (0..20)
            .map(|n| anomaly(Kind::Stuck, &n.to_string(), 100 + n))
            .collect();
        let told = at_second(200, &[], many.clone()).new;
        assert_eq!(told, many[..STUCK_A_BOT]);
        let older = std::iter::once(anomaly(Kind::Stuck, "older", 0));
        let displaced: Vec<Anomaly> = older.chain(many).collect();
        let changes = at_second(205, &told, displaced);
        assert_eq!(changes.amended, []);
        assert_eq!(changes.new.len(), 1);
    }
}
