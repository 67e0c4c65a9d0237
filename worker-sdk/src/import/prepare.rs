//! Marking every result of a report before the first one is pushed.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::finding::{Finding, Fingerprint, MAX_FINDING_BYTES};
use crate::identity::{Fingerprinter, Mark};
use crate::ids::Repository;
use crate::push::Identified;
use crate::wire;

use super::report::{MAX_REJECTED, Rejected, Report};

/// Rejected results named in the refusal of a whole report.
const NAMED: usize = 5;

/// Bytes of findings kept from the first reading, so that a report of usual size is not parsed once
/// more to be pushed. 16 MiB, a quarter of what the largest import may take: some 20,000 findings.
const MAX_KEPT: usize = 16 * 1024 * 1024;

/// A report whose every result is known to be good or bad.
pub(super) struct Checked {
    pub(super) report: Arc<dyn Report>,
    pub(super) sections: Vec<Marked>,
    pub(super) received: u64,
    pub(super) repeats: u64,
    pub(super) suppressed: u64,
    pub(super) rejected: Vec<Rejected>,
    repository: Repository,
}

/// A section whose good results are identified.
pub(super) struct Marked {
    /// In order; none for a repeat.
    pub(super) identities: Vec<Option<(Fingerprint, u32)>>,
    /// The good results themselves, until they are taken; none where they are too many.
    kept: Mutex<Option<Vec<Finding>>>,
}

/// Good results, as long as they are few enough.
struct Kept {
    findings: Option<Vec<Finding>>,
    room: usize,
}

impl Kept {
    fn keep(&mut self, finding: Finding) {
        let size = size_of::<Finding>() + wire::about(&finding);
        self.room = self.room.saturating_sub(size);
        if self.room == 0 {
            self.findings = None;
        }
        if let Some(findings) = &mut self.findings {
            findings.push(finding);
        }
    }
}

/// Reads every result once.
pub(super) fn check(
    report: Arc<dyn Report>,
    repository: &Repository,
    partial: bool,
) -> Result<Checked> {
    let mut checked = Checked {
        sections: Vec::new(),
        received: 0,
        repeats: 0,
        suppressed: 0,
        rejected: Vec::new(),
        repository: repository.clone(),
        report: Arc::clone(&report),
    };
    let mut room = MAX_KEPT;
    for (number, section) in report.sections().iter().enumerate() {
        let fingerprinter = Fingerprinter::new(repository, section.bot.as_str());
        let mut marks: Vec<Mark> = Vec::new();
        let findings = Some(Vec::new());
        let mut kept = Kept { findings, room };
        report.each(number, &mut |place, reading| {
            checked.received += 1;
            match reading.and_then(|finding| take(finding, &fingerprinter)) {
                Ok((mark, finding)) => {
                    checked.suppressed += u64::from(finding.is_suppressed());
                    marks.push(mark);
                    kept.keep(finding);
                }
                Err(why) => checked.reject(place(), why)?,
            }
            Ok(())
        })?;
        let identities = Fingerprinter::identify_all(&marks);
        checked.repeats += identities
            .iter()
            .filter(|identity| identity.is_none())
            .count() as u64;
        room = kept.room;
        let kept = Mutex::new(kept.findings);
        checked.sections.push(Marked { identities, kept });
    }
    if !checked.rejected.is_empty() && !partial {
        return Err(checked.refusal());
    }
    Ok(checked)
}

/// Normalises and marks a finding that a store will take.
fn take(
    mut finding: Finding,
    fingerprinter: &Fingerprinter,
) -> std::result::Result<(Mark, Finding), String> {
    finding.check().map_err(|error| error.to_string())?;
    let mark = fingerprinter.mark(&mut finding);
    // What is estimated is at least half of the truth: most need no encoding to be small enough.
    if 2 * wire::about(&finding) <= MAX_FINDING_BYTES {
        return Ok((mark, finding));
    }
    let identified = Identified {
        fingerprint: Fingerprint([0; 16]),
        finding,
    };
    wire::encode(&identified).map_err(|error| error.to_string())?;
    Ok((mark, identified.finding))
}

impl Checked {
    fn reject(&mut self, place: String, why: String) -> Result<()> {
        self.rejected.push(Rejected { place, why });
        if self.rejected.len() > MAX_REJECTED {
            return Err(self.refusal());
        }
        Ok(())
    }

    fn refusal(&self) -> Error {
        let named = self.rejected.iter().take(NAMED);
        let named: Vec<String> = named.map(|r| format!("{}: {}", r.place, r.why)).collect();
        let more = self.rejected.len() - named.len();
        let more = if more > 0 {
            format!(" (and {more} more)")
        } else {
            String::new()
        };
        Error::invalid(
            "report",
            format!(
                "{} of {} results cannot be taken, so nothing was applied; `partial` takes the others. {}{more}",
                self.rejected.len(),
                self.received,
                named.join("; ")
            ),
        )
    }

    /// Calls `each` with every distinct finding of a section.
    pub(super) fn each_finding(
        &self,
        section: usize,
        each: &mut dyn FnMut(Identified) -> Result<()>,
    ) -> Result<()> {
        let Some(of) = self.report.sections().get(section) else {
            return Ok(());
        };
        let Some(marked) = self.sections.get(section) else {
            return Ok(());
        };
        let mut identities = marked.identities.iter();
        let mut identify = |mut finding: Finding| {
            let Some(Some((fingerprint, occurrences))) = identities.next() else {
                return Ok(());
            };
            finding.occurrence_count = finding.occurrence_count.max(*occurrences);
            each(Identified {
                fingerprint: *fingerprint,
                finding,
            })
        };
        if let Some(kept) = marked.take_kept() {
            return kept.into_iter().try_for_each(identify);
        }
        let fingerprinter = Fingerprinter::new(&self.repository, of.bot.as_str());
        self.report.each(section, &mut |_, reading| match reading
            .and_then(|finding| take(finding, &fingerprinter))
        {
            Ok((_, finding)) => identify(finding),
            Err(_) => Ok(()),
        })
    }
}

impl Marked {
    /// The results that were kept, for the first who asks.
    fn take_kept(&self) -> Option<Vec<Finding>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::sarif::Sarif;
    use crate::import::source::Source;

    fn all(checked: &Checked) -> Vec<Identified> {
        let mut all = Vec::new();
        let mut take = |identified| {
            all.push(identified);
            Ok(())
        };
        checked.each_finding(0, &mut take).unwrap();
        all
    }

    #[test]
    fn what_was_kept_is_what_a_later_reading_finds() {
        let result =
            |message: &str| format!(r#"{{"ruleId":"r","message":{{"text":"{message}"}}}}"#);
        let results = [result("one"), result("one"), result("two")].join(",");
        let run = format!(r#"{{"tool":{{"driver":{{"name":"t"}}}},"results":[{results}]}}"#);
        let text = format!(r#"{{"version":"2.1.0","runs":[{run}]}}"#);
        let source = Source::spool(text.as_bytes(), "report").unwrap();
        let repository = Repository::new("acme/shop").unwrap();
        let report = Sarif::check(Arc::new(source), None, &repository).unwrap();
        let checked = check(Arc::new(report), &repository, false).unwrap();
        let kept = all(&checked);
        assert_eq!(kept.len(), 2);
        assert_eq!(kept.first().unwrap().finding.occurrence_count, 2);
        assert!(checked.sections.first().unwrap().take_kept().is_none());
        assert_eq!(kept, all(&checked));
    }

    #[test]
    fn findings_without_room_are_not_kept_at_all() {
        let findings = Some(Vec::new());
        let mut kept = Kept {
            findings,
            room: 4_000,
        };
        kept.keep(Finding::new("rule", "short"));
        assert_eq!(kept.findings.as_ref().map(Vec::len), Some(1));
        kept.keep(Finding::new("rule", "long".repeat(1_000)));
        kept.keep(Finding::new("rule", "short"));
        assert_eq!(kept.findings, None);
    }
}
