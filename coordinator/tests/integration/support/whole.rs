//! The invariant of every session.

use fleet_coordinator::health::Weights;
use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::SessionId;

/// Members of the index, the sum of the counts, the total, and what can be read are the same.
pub(crate) async fn assert_whole(store: &dyn Maintain, session: &SessionId) {
    let facts = store.facts(session).await.unwrap();
    let total = facts.session.total;
    assert_eq!(facts.indexed, total, "members of the index");
    assert_eq!(facts.session.tally.total(), total, "the session's tally");
    let tally = facts.counts.tally();
    assert_eq!(tally, facts.session.tally, "the sum of the bots' counts");
    let account = store.account(session).await.unwrap();
    assert_eq!(account.faults(), [], "{}", account.text());
    let open = total - tally.suppressed;
    let by_category: u64 = facts.counts.by_category.values().sum();
    assert_eq!(by_category, open, "the sum of the categories' counts");
    let by_rule: u64 = facts.counts.by_rule.values().sum();
    assert_eq!(by_rule, open, "the sum of the rules' counts");
    let basis = store.basis(session).await.unwrap();
    assert_eq!(basis.weights, Weights::of(&facts.counts), "weights");
    let findings = store.findings(session).await.unwrap();
    let index = findings.read().await;
    let readable = index.len() as u64 + facts.session.quarantined;
    assert_eq!(
        readable, total,
        "findings that can be read, and quarantined ones"
    );
    if facts.session.quarantined == 0 {
        assert_eq!(index.counts(), facts.counts, "counts of what can be read");
        assert_eq!(index.tally(), tally);
    }
}
