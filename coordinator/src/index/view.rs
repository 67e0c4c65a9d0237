//! From stored bytes to what is shown.

use fleet_worker_sdk::wire::{self, Columns};
use fleet_worker_sdk::{Finding, Identified, Location};

use super::Index;
use super::query::FindingView;

impl Index {
    /// The finding at `position`.
    pub(super) fn view(&self, position: u32) -> Option<FindingView> {
        let row = self.rows.get(position as usize)?;
        let stored = self.stored.get(position as usize)?;
        let body = self.bodies.get(stored.body);
        // The columns were readable when it was added. Where a seldom part is not, such as its
        // properties, the finding is shown without rather than missing from a page that counts it.
        let mut identified = match wire::decode_listed(body) {
            Ok(whole) => whole,
            Err(_) => essentials(wire::columns(body).ok()?),
        };
        identified.finding.occurrence_count = row.occurrences;
        let batch = self.times.partition_point(|(first, _)| *first <= position);
        let (_, first_seen) = self.times.get(batch.checked_sub(1)?)?;
        Some(FindingView {
            bot: self.bot_ids.get(row.bot as usize)?.clone(),
            severity: row.severity,
            suppressed: row.suppressed,
            first_seen: *first_seen,
            identified,
        })
    }
}

fn essentials(columns: Columns<'_>) -> Identified {
    Identified {
        fingerprint: columns.fingerprint,
        finding: Finding {
            rule_id: columns.rule_id.to_owned(),
            level: columns.level,
            kind: columns.kind,
            category: columns.category.to_owned(),
            message: columns.message.to_owned(),
            element: columns.element.map(str::to_owned),
            security_severity: columns.security_severity,
            confidence: columns.confidence,
            fixable: columns.fixable,
            locations: vec![Location {
                uri: columns.uri.to_owned(),
                region: columns.region,
                ..Location::default()
            }],
            ..Finding::default()
        },
    }
}
