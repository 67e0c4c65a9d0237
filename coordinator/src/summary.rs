//! What an import did, counted against the session and its baseline; two sessions compared.

use fleet_worker_sdk::{BotId, Fingerprint};

use crate::index::{Index, Observed};

/// An import, as its pushes were answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Every distinct finding sent, and whether the session had it already.
    pub findings: Vec<(Fingerprint, bool)>,
    /// Results that repeated one of them.
    pub repeats: u64,
    /// Results that could not be read.
    pub rejected: u64,
    /// The bot looked at everything and ended well, so that what it did not see is closed.
    pub complete: bool,
}

/// What became of the results of an import:
/// `received = new + unchanged + updated + reopened + repeats + rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Results in the report.
    pub received: u64,
    /// Not in the session before, nor in its baseline.
    pub new: u64,
    /// In the session before, or in its baseline and the same there.
    pub unchanged: u64,
    /// In the baseline with another level, message, region, or not suppressed there.
    pub updated: u64,
    /// Suppressed in the baseline, open now.
    pub reopened: u64,
    /// Results that repeated another of the same report.
    pub repeats: u64,
    /// Results that could not be read.
    pub rejected: u64,
    /// Suppressed ones among all these.
    pub suppressed: u64,
    /// Findings of the bot in the baseline that this session has not.
    pub closed: u64,
}

/// Counts an import of `bot` into `current`. `baseline` is the last complete session of the same
/// repository, bot and ref, if there is one.
///
/// An import of which the session had every finding already changed nothing, and closes nothing:
/// what the first one closed is not counted again.
pub fn count(
    current: &Index,
    baseline: Option<&Index>,
    bot: &BotId,
    imported: &Imported,
) -> Counted {
    let findings = &imported.findings;
    let mut counted = Counted {
        received: findings.len() as u64 + imported.repeats + imported.rejected,
        repeats: imported.repeats,
        rejected: imported.rejected,
        ..Counted::default()
    };
    for (fingerprint, known) in findings {
        let now = current.observed(fingerprint);
        counted.suppressed += u64::from(now.as_ref().is_some_and(|now| now.suppressed));
        let before = baseline.and_then(|baseline| baseline.observed(fingerprint));
        *match (known, before) {
            (true, _) => &mut counted.unchanged,
            (false, None) => &mut counted.new,
            (false, Some(before)) => counted.of_pair(&before, now.as_ref()),
        } += 1;
    }
    let nothing_new = !findings.is_empty() && findings.iter().all(|(_, known)| *known);
    if imported.complete && !nothing_new {
        let before = baseline.map(|baseline| baseline.fingerprints(Some(bot)));
        let gone = before.into_iter().flatten();
        counted.closed = gone.filter(|f| !current.contains(f)).count() as u64;
    }
    counted
}

impl Counted {
    fn of_pair(&mut self, before: &Observed, now: Option<&Observed>) -> &mut u64 {
        match now {
            Some(now) if before.suppressed && !now.suppressed => &mut self.reopened,
            Some(now) if before != now => &mut self.updated,
            _ => &mut self.unchanged,
        }
    }
}

/// Two sessions, as sets of findings. Each in order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// In the later one only.
    pub new: Vec<Fingerprint>,
    /// In the earlier one only.
    pub absent: Vec<Fingerprint>,
    /// In both, and the same.
    pub unchanged: Vec<Fingerprint>,
    /// In both, with another level, message, region or suppression.
    pub updated: Vec<Fingerprint>,
}

/// Compares the findings of `before` with those of `after`.
pub fn compare(before: &Index, after: &Index) -> Comparison {
    let mut comparison = Comparison::default();
    for fingerprint in after.fingerprints(None) {
        match after.agrees_with(before, &fingerprint) {
            None => &mut comparison.new,
            Some(true) => &mut comparison.unchanged,
            Some(false) => &mut comparison.updated,
        }
        .push(fingerprint);
    }
    let gone = before.fingerprints(None).filter(|f| !after.contains(f));
    comparison.absent = gone.collect();
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet_worker_sdk::{Finding, Identified, Level, Suppression, wire};
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn print(number: u8) -> Fingerprint {
        Fingerprint([number; 16])
    }

    /// Variant 0 is open, 1 has another line, 2 another level, 3 another message, 4 is suppressed.
    fn index(bot: &str, findings: &[(u8, u8)]) -> Index {
        let mut index = Index::new();
        for &(number, variant) in findings {
            let line = if variant == 1 { 2 } else { 1 };
            let mut finding = Finding::new("rule", "text").at("a.rs", line);
            match variant {
                2 => finding.level = Level::Error,
                3 => finding.message.push('!'),
                4 => finding.suppressions.push(Suppression::default()),
                _ => {}
            }
            let body = wire::encode(&Identified {
                fingerprint: print(number),
                finding,
            });
            let bot = BotId::new(bot).unwrap();
            index
                .add(&bot, Timestamp::UNIX_EPOCH, &body.unwrap())
                .unwrap();
        }
        index
    }

    fn imported(findings: &[(u8, bool)]) -> Imported {
        Imported {
            findings: findings
                .iter()
                .map(|(n, known)| (print(*n), *known))
                .collect(),
            complete: true,
            ..Imported::default()
        }
    }

    fn bot() -> BotId {
        BotId::new("bot").unwrap()
    }

    #[test]
    fn the_first_import_is_all_new_and_closes_nothing() {
        let current = index("bot", &[(1, 0), (2, 4)]);
        let counted = count(&current, None, &bot(), &imported(&[(1, false), (2, false)]));
        let expected = Counted {
            received: 2,
            new: 2,
            suppressed: 1,
            ..Counted::default()
        };
        assert_eq!(counted, expected);
    }

    #[test]
    fn the_same_report_again_is_unchanged_and_closes_nothing() {
        let baseline = index("bot", &[(1, 0), (9, 0)]);
        let current = index("bot", &[(1, 0), (2, 0)]);
        let again = imported(&[(1, true), (2, true)]);
        let counted = count(&current, Some(&baseline), &bot(), &again);
        assert_eq!((counted.unchanged, counted.new, counted.closed), (2, 0, 0));
    }

    #[test]
    fn the_next_session_is_counted_against_its_baseline() {
        let baseline = index(
            "bot",
            &[(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 4), (9, 0)],
        );
        let current = index(
            "bot",
            &[(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 0), (7, 0)],
        );
        let sent: Vec<_> = (1..=7).map(|n| (n, false)).collect();
        let counted = count(&current, Some(&baseline), &bot(), &imported(&sent));
        let expected = Counted {
            received: 7,
            new: 1,
            unchanged: 1,
            updated: 4,
            reopened: 1,
            suppressed: 1,
            closed: 1,
            ..Counted::default()
        };
        assert_eq!(counted, expected);
    }

    #[test]
    fn a_partial_import_and_another_bot_close_nothing() {
        let baseline = index("bot", &[(1, 0), (2, 0)]);
        let current = index("bot", &[(1, 0)]);
        let mut partial = imported(&[(1, false)]);
        partial.complete = false;
        assert_eq!(count(&current, Some(&baseline), &bot(), &partial).closed, 0);
        let other = BotId::new("other").unwrap();
        let whole = imported(&[(1, false)]);
        assert_eq!(count(&current, Some(&baseline), &other, &whole).closed, 0);
        assert_eq!(count(&current, Some(&baseline), &bot(), &whole).closed, 1);
    }

    proptest! {
        #[test]
        fn every_result_is_counted_once(
            before in proptest::collection::btree_map(0u8..20, 0u8..5, 0..20),
            after in proptest::collection::btree_map(0u8..20, (0u8..5, any::<bool>()), 0..20),
            repeats in 0u64..9,
            rejected in 0u64..9,
        ) {
            let baseline = index("bot", &before.into_iter().collect::<Vec<_>>());
            let seen: Vec<_> = after.iter().map(|(n, (variant, _))| (*n, *variant)).collect();
            let sent: Vec<_> = after.iter().map(|(n, (_, known))| (*n, *known)).collect();
            let import = Imported { repeats, rejected, ..imported(&sent) };
            let c = count(&index("bot", &seen), Some(&baseline), &bot(), &import);
            prop_assert_eq!(c.received, c.new + c.unchanged + c.updated + c.reopened + c.repeats + c.rejected);
        }

        #[test]
        fn a_comparison_is_set_algebra(
            before in proptest::collection::btree_map(0u8..20, 0u8..5, 0..20),
            after in proptest::collection::btree_map(0u8..20, 0u8..5, 0..20),
        ) {
            let pairs = |map: &std::collections::BTreeMap<u8, u8>| map.iter().map(|(n, v)| (*n, *v)).collect::<Vec<_>>();
            let result = compare(&index("a", &pairs(&before)), &index("b", &pairs(&after)));
            let of = |test: &dyn Fn(&u8) -> bool, map: &std::collections::BTreeMap<u8, u8>| {
                map.keys().filter(|n| test(n)).map(|n| print(*n)).collect::<Vec<_>>()
            };
            prop_assert_eq!(result.new, of(&|n| !before.contains_key(n), &after));
            prop_assert_eq!(result.absent, of(&|n| !after.contains_key(n), &before));
            prop_assert_eq!(result.unchanged, of(&|n| before.get(n) == after.get(n), &after));
            prop_assert_eq!(result.updated, of(&|n| before.get(n).is_some_and(|v| after.get(n) != Some(v)), &after));
        }
    }
}
