//! The fleet in the store, whatever the store is.

use std::time::Duration;

use fleet_worker_sdk::keys::SCHEMA_VERSION;
use fleet_worker_sdk::{Error, Result};

use super::{Check, Verdict};
use crate::answer::Workers;
use crate::health::Settings;
use crate::lifecycle::Liveness;
use crate::model::SessionFacts;
use crate::store::{Backlog, Maintain, SessionQuery};

/// Sessions whose counts are compared: those that changed last are where a fault shows first.
const SAMPLE: usize = 100;
/// A change is computed within a second; one that waits for longer has no coordinator, or one that
/// cannot keep up.
const LATE: Duration = Duration::from_secs(10);
/// Changes of dead coordinators are taken over after half a minute.
const TOO_LATE: Duration = Duration::from_mins(2);
/// Sessions named where several are wrong.
const NAMED: usize = 5;

/// Every check of the fleet. What cannot be asked fails, with the reason.
pub(super) async fn checks(store: &dyn Maintain, settings: &Settings) -> Vec<Check> {
    vec![
        writes(store.check().await),
        or_failed("layout", layout(store).await),
        rights(store.rights().await),
        or_failed("feed", store.backlog().await.map(feed)),
        or_failed("coordinators", coordinators(store).await),
        or_failed("dead letters", dead(store).await),
        or_failed("workers", workers(store, settings).await),
        or_failed("conservation", conservation(store).await),
    ]
}

fn or_failed(name: &str, check: Result<Check>) -> Check {
    let advice = "see what is wrong above; with that cured, ask again";
    check.unwrap_or_else(|error| Check::fail(name, error.to_string(), advice))
}

fn writes(checked: Result<()>) -> Check {
    match checked {
        Ok(()) => Check::ok("takes writes", "every master took one"),
        Err(error @ Error::Full { .. }) => Check::fail(
            "takes writes",
            error.to_string(),
            "give it memory, disk or replicas, whichever it names; bots retry until then",
        ),
        Err(error) => Check::fail(
            "takes writes",
            error.to_string(),
            "see what is wrong above, and whether a coordinator runs",
        ),
    }
}

async fn layout(store: &dyn Maintain) -> Result<Check> {
    let layout = store.layout().await?;
    let seen = format!(
        "version {}, {} partitions",
        layout.schema, layout.partitions
    );
    Ok(if layout.schema == SCHEMA_VERSION {
        Check::ok("layout", seen)
    } else {
        let advice = "use a command of the fleet's own version";
        Check::fail("layout", seen, advice)
    })
}

fn rights(allowed: Result<()>) -> Check {
    match allowed {
        Ok(()) => Check::ok("rights", "this user may do all that a coordinator does"),
        Err(Error::Incompatible { why }) => Check::warn(
            "rights",
            why,
            "fine for a worker's or a dashboard's user; for a coordinator's, set what `fleet acl` prints",
        ),
        Err(error) => or_failed("rights", Err(error)),
    }
}

fn feed(backlog: Backlog) -> Check {
    let age = backlog.oldest;
    let seen = match backlog.entries {
        0 => "nothing waits".to_owned(),
        entries => format!("{entries} changes wait, the oldest for {} s", age.as_secs()),
    };
    let verdict = match age {
        age if age >= TOO_LATE => Verdict::Fail,
        age if age >= LATE => Verdict::Warn,
        _ => Verdict::Ok,
    };
    let advice = "start a coordinator, or one more: fleet-coordinator --store …";
    Check::new(verdict, "feed", seen, advice)
}

async fn coordinators(store: &dyn Maintain) -> Result<Check> {
    if store.servers().await?.is_empty() {
        return Ok(Check::ok("coordinators", "the store has its own"));
    }
    let consumers = store.consumers().await?;
    let seen = format!(
        "{} at work, {} left behind, {} of these with changes in hand",
        consumers.awake,
        consumers.all - consumers.awake.min(consumers.all),
        consumers.holding
    );
    Ok(if consumers.awake == 0 {
        let advice = "start one: fleet-coordinator --store …; without it no score is computed";
        Check::fail("coordinators", seen, advice)
    } else {
        Check::ok("coordinators", seen)
    })
}

async fn dead(store: &dyn Maintain) -> Result<Check> {
    let total = store.letters(None, 1).await?.total;
    Ok(if total == 0 {
        Check::ok("dead letters", "none")
    } else {
        let advice = "fleet dead list says why; with the cause cured, fleet dead requeue ID";
        Check::warn("dead letters", total.to_string(), advice)
    })
}

async fn workers(store: &dyn Maintain, settings: &Settings) -> Result<Check> {
    let seen = Workers::read(store, settings).await?.workers;
    let count = |wanted: Liveness| seen.iter().filter(|row| row.liveness == wanted).count();
    let (alive, stale) = (count(Liveness::Alive), count(Liveness::Stale));
    let (dead, stuck) = (
        count(Liveness::Dead),
        seen.iter().filter(|row| row.stuck).count(),
    );
    let said = format!("{alive} alive, {stale} stale, {dead} dead, {stuck} stuck");
    Ok(if stale + dead + stuck == 0 {
        Check::ok("workers", said)
    } else {
        Check::warn("workers", said, "fleet workers says which; see their logs")
    })
}

async fn conservation(store: &dyn Maintain) -> Result<Check> {
    let query = SessionQuery {
        limit: SAMPLE,
        ..SessionQuery::default()
    };
    let sessions = store.sessions(&query).await?;
    let mut wrong = Vec::new();
    for session in &sessions {
        match store.facts(&session.id).await {
            Ok(facts) if !conserves(&facts) => wrong.push(session.id.to_string()),
            // Removed since it was listed.
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if wrong.is_empty() {
        let seen = format!(
            "index, counts and total agree in {} sessions",
            sessions.len()
        );
        return Ok(Check::ok("conservation", seen));
    }
    let count = wrong.len();
    wrong.truncate(NAMED);
    let seen = format!(
        "index, counts and total differ in {count} of {} sessions: {}",
        sessions.len(),
        wrong.join(", ")
    );
    let advice = "something else writes into the store, or a part of it was lost: scan these \
                  repositories again, and look who may write with `fleet acl`";
    Ok(Check::fail("conservation", seen, advice))
}

/// Members of the index = sum of the counts = total.
fn conserves(facts: &SessionFacts) -> bool {
    let counted: u64 = facts
        .counts
        .by_bot
        .values()
        .map(crate::model::Tally::total)
        .sum();
    let total = facts.session.total;
    facts.indexed == total && counted == total && facts.session.quarantined <= total
}

#[cfg(test)]
mod tests {
    use fleet_worker_sdk::Partitions;

    use super::*;
    use crate::doctor::examine;
    use crate::store::memory::MemoryStore;

    #[test]
    fn a_feed_that_nobody_reads_is_noticed() {
        let after = |seconds| {
            let oldest = Duration::from_secs(seconds);
            feed(Backlog { entries: 3, oldest }).verdict
        };
        assert_eq!(after(9), Verdict::Ok);
        assert_eq!(after(10), Verdict::Warn);
        assert_eq!(after(120), Verdict::Fail);
    }

    #[tokio::test]
    async fn a_store_in_memory_is_well() {
        let store = MemoryStore::new(Partitions::DEFAULT);
        let diagnosis = examine(&store, &Settings::default()).await;
        assert_eq!(diagnosis.verdict, Verdict::Ok, "{diagnosis:?}");
    }
}
