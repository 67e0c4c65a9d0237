//! Marking every result of a report before the first one is pushed.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::finding::{Finding, Fingerprint};
use crate::identity::{Fingerprinter, Mark};
use crate::ids::Repository;
use crate::push::Identified;
use crate::wire;

use super::report::{MAX_REJECTED, Rejected, Report};

/// Rejected results named in the refusal of a whole report.
const NAMED: usize = 5;

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

/// The identities of a section's good results, in order; none for a repeat.
pub(super) struct Marked {
    pub(super) identities: Vec<Option<(Fingerprint, u32)>>,
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
    for (number, section) in report.sections().iter().enumerate() {
        let fingerprinter = Fingerprinter::new(repository, section.bot.as_str());
        let mut marks: Vec<Mark> = Vec::new();
        report.each(number, &mut |place, reading| {
            checked.received += 1;
            match reading.and_then(|finding| take(finding, &fingerprinter)) {
                Ok((mark, finding)) => {
                    checked.suppressed += u64::from(finding.is_suppressed());
                    marks.push(mark);
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
        checked.sections.push(Marked { identities });
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
        let fingerprinter = Fingerprinter::new(&self.repository, of.bot.as_str());
        let mut identities = marked.identities.iter();
        self.report.each(section, &mut |_, reading| {
            let Ok((_, mut finding)) = reading.and_then(|finding| take(finding, &fingerprinter))
            else {
                return Ok(());
            };
            let Some(Some((fingerprint, occurrences))) = identities.next() else {
                return Ok(());
            };
            finding.occurrence_count = finding.occurrence_count.max(*occurrences);
            each(Identified {
                fingerprint: *fingerprint,
                finding,
            })
        })
    }
}
