//! What sessions are compared with: of each scope the last whole execution that was completed.

use std::collections::{BTreeMap, BTreeSet};

use fleet_worker_sdk::keys::baseline_field;
use fleet_worker_sdk::{Execution, ExecutionState, Repository};
use jiff::Timestamp;

use super::stored::{Stored, StoredFleet};

/// What is wrong with the baselines of `fleet`, of which `removed` are no more.
pub(super) fn wrong<'a>(
    fleet: &StoredFleet,
    removed: impl Iterator<Item = &'a Stored>,
) -> Vec<String> {
    let gone: BTreeSet<String> = removed.flat_map(scopes).map(|(scope, _)| scope).collect();
    let mut latest: BTreeMap<String, Timestamp> = BTreeMap::new();
    for (scope, ended) in fleet.sessions.values().flat_map(scopes) {
        let last = latest.entry(scope).or_insert(ended);
        *last = ended.max(*last);
    }
    let mut faults = Vec::new();
    for (scope, session) in &fleet.baselines {
        let Some(stored) = fleet.sessions.get(session) else {
            faults.push(format!(
                "the baseline of {scope} is {session}, which is gone"
            ));
            continue;
        };
        // One whose execution was begun anew since stays the baseline, and says nothing of the order.
        let ended = scopes(stored).find(|(own, _)| own == scope);
        if let (Some((_, ended)), Some(last)) = (ended, latest.get(scope))
            && ended < *last
        {
            faults.push(format!(
                "the baseline of {scope} is {session} of {ended}, and a later one ended at {last}"
            ));
        }
    }
    // Where one went that may have been the baseline, none is right.
    let missing = latest
        .keys()
        .filter(|scope| !fleet.baselines.contains_key(*scope) && !gone.contains(*scope));
    faults.extend(missing.map(|scope| format!("{scope} has no baseline")));
    faults
}

/// Scopes of the whole executions that were completed in a session, and when.
fn scopes(stored: &Stored) -> impl Iterator<Item = (String, Timestamp)> {
    let whole =
        |execution: &&Execution| execution.state == ExecutionState::Completed && !execution.partial;
    let repository: &Repository = &stored.repository;
    stored
        .executions
        .iter()
        .filter(whole)
        .filter_map(move |execution| {
            let scope = baseline_field(repository, &execution.bot, &stored.git_ref);
            Some((scope, execution.ended?))
        })
}
