//! Reports of a context: the numbers alone, or with every finding.
//!
//! [`Context::report`] looks at counts only, and takes as long for a hundred thousand findings as for
//! a hundred. [`Context::write_report`] lists them all, and holds a buffer of them at most.

mod html;
mod json;
mod markdown;

use std::io;

use super::{Context, Entry};
use crate::health::Settings;
use crate::report::{Format, Line, number, severity};

pub(super) use json::{finding as finding_json, text as json_text};

/// Room for a report without findings: most take less.
const TYPICAL_BYTES: usize = 4 * 1024;
/// Text gathered before it is written: few calls of the writer, and it stays in a core's own cache.
const BUFFER: usize = 64 * 1024;

impl Context {
    /// The report without findings.
    pub fn report(&self, format: Format, settings: &Settings) -> String {
        let mut out = String::with_capacity(TYPICAL_BYTES);
        self.begin(format, settings, &mut out);
        match format {
            Format::Markdown => {}
            Format::Json => out.push_str("}\n"),
            Format::Html => html::close(&mut out),
        }
        out
    }

    /// Writes the report with every finding, worst first; how many bytes.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_report(
        &self,
        format: Format,
        settings: &Settings,
        to: &mut impl io::Write,
    ) -> io::Result<u64> {
        let mut out = String::with_capacity(BUFFER + TYPICAL_BYTES);
        let mut written = 0;
        self.begin(format, settings, &mut out);
        out.push_str(match format {
            Format::Markdown => crate::report::markdown::FINDINGS,
            Format::Json => ",\"findings\":[",
            Format::Html => crate::report::html::FINDINGS,
        });
        for (place, entry) in self.sorted().enumerate() {
            match format {
                Format::Markdown => crate::report::markdown::row(&mut out, &line(&entry)),
                Format::Json => json::row(&mut out, &entry, place == 0),
                Format::Html => crate::report::html::row(&mut out, &line(&entry)),
            }
            if out.len() >= BUFFER {
                to.write_all(out.as_bytes())?;
                written += out.len() as u64;
                out.clear();
            }
        }
        self.finish(format, &mut out);
        to.write_all(out.as_bytes())?;
        to.flush()?;
        Ok(written + out.len() as u64)
    }

    fn begin(&self, format: Format, settings: &Settings, out: &mut String) {
        match format {
            Format::Markdown => markdown::begin(out, self, settings),
            Format::Json => json::begin(out, self, settings),
            Format::Html => html::begin(out, self, settings),
        }
    }

    fn finish(&self, format: Format, out: &mut String) {
        match format {
            Format::Markdown => {
                out.push('\n');
                number(out, self.len());
                out.push_str(" findings.\n");
            }
            Format::Json => out.push_str("\n]}\n"),
            Format::Html => {
                out.push_str("</tbody></table>");
                html::close(out);
            }
        }
    }
}

fn line<'a>(entry: &Entry<'a>) -> Line<'a> {
    Line {
        severity: severity(entry.severity(), entry.marks().suppressed),
        rule: entry.rule(),
        file: entry.file(),
        line: entry.line(),
        message: entry.message(),
        bot: entry.bot_name(),
    }
}

/// Appends a score to one decimal, in a tenth of the time that `{:.1}` takes.
fn score(out: &mut String, score: Option<f64>) {
    match score {
        Some(score) => {
            let tenths = (score * 10.0).round() as u32;
            number(out, tenths / 10);
            out.push('.');
            number(out, tenths % 10);
        }
        None => out.push_str("unknown"),
    }
}
