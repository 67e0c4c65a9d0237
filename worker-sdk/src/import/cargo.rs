//! Cargo's JSON messages (`--message-format=json`): what the compiler and clippy say.
//!
//! The format is that of the Cargo book's "External tools" and the rustc book's "JSON output".
//! A diagnostic that several targets of a package share is reported once for each: the same rule
//! at the same place, which makes the later ones repeats.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::finding::{Finding, Location, Region};
use crate::ids::BotId;
use crate::push::Rule;
use crate::severity::Level;

use super::report::{Each, Reading, Report, Section};
use super::source::Source;

/// Longest line taken, in bytes: a diagnostic with its rendered text twice over; the longest seen
/// are some tens of KiB.
const MAX_LINE: u64 = 4 * 1024 * 1024;
/// Most rules whose texts are kept: rustc and clippy have about 1,300 between them.
const MAX_RULES: usize = 4_096;
/// Most notes, fixes or related places kept of one diagnostic: more are no help to a person.
const MAX_NOTES: usize = 8;
/// Longest note, in bytes: some lines of text.
const MAX_NOTE: usize = 512;
/// Longest snippet, in bytes: a long function.
const MAX_SNIPPET: usize = 4_096;
/// Longest message, in bytes: types in errors grow without a bound of their own.
const MAX_MESSAGE: usize = 8_192;

/// The rule of an error that the compiler gives no code, such as one of syntax.
const NO_CODE: &str = "rustc";

/// One line.
#[derive(Deserialize)]
struct Line {
    reason: String,
    message: Option<Diagnostic>,
    success: Option<bool>,
}

#[derive(Deserialize)]
struct Diagnostic {
    message: String,
    code: Option<Code>,
    level: String,
    #[serde(default)]
    spans: Vec<Span>,
    #[serde(default)]
    children: Vec<Child>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Child {
    message: String,
    level: String,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: u32,
    line_end: u32,
    column_start: u32,
    column_end: u32,
    is_primary: bool,
    label: Option<String>,
    suggested_replacement: Option<String>,
    #[serde(default)]
    text: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

/// Whether a first line is one of Cargo's messages.
pub(super) fn is_message(first: &BTreeMap<String, &RawValue>) -> bool {
    let reason = first.get("reason");
    let reason = reason.and_then(|reason| serde_json::from_str::<&str>(reason.get()).ok());
    let known = [
        "compiler-message",
        "compiler-artifact",
        "build-script-executed",
        "build-finished",
        "timing-info",
    ];
    reason.is_some_and(|reason| known.contains(&reason)) && !first.contains_key("runs")
}

/// Messages that were read once.
pub(super) struct CargoMessages {
    source: Arc<Source>,
    sections: Vec<Section>,
    rules: BTreeMap<String, Rule>,
}

impl CargoMessages {
    /// Reads all lines once, for the rules' texts and for how the build ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the file cannot be read.
    pub(super) fn check(source: Arc<Source>, bot: Option<&BotId>) -> Result<Self> {
        let mut rules = BTreeMap::new();
        let mut success = false;
        each_line(&source, &mut |_, line| {
            let Ok(Some(line)) = line else { return Ok(()) };
            success |= line.success == Some(true);
            if let Some(diagnostic) = line.message
                && let Some(rule) = diagnostic.rule()
                && rules.len() < MAX_RULES
            {
                rules.entry(diagnostic.rule_id()).or_insert(rule);
            }
            Ok(())
        })?;
        let bot = bot
            .cloned()
            .unwrap_or_else(|| BotId::from_tool_name("cargo"));
        let section = Section {
            bot,
            version: String::new(),
            // A crate with errors hides the warnings of those that depend on it.
            partial: !success,
            vouched: success,
        };
        Ok(Self {
            source,
            sections: vec![section],
            rules,
        })
    }
}

impl Report for CargoMessages {
    fn sections(&self) -> &[Section] {
        &self.sections
    }

    fn each(&self, _section: usize, each: &mut Each<'_>) -> Result<()> {
        each_line(&self.source, &mut |number, line| {
            let place = || format!("line {number}");
            let reading: Reading = match line {
                Err(why) => Err(why),
                Ok(None) => return Ok(()),
                Ok(Some(line)) => match line.message {
                    Some(diagnostic) if diagnostic.is_finding() => Ok(diagnostic.finding()),
                    _ => return Ok(()),
                },
            };
            each(&place, reading)
        })
    }

    fn rule(&self, _section: usize, rule: &str) -> Option<Rule> {
        self.rules.get(rule).cloned()
    }
}

type Parsed = std::result::Result<Option<Line>, String>;

/// Calls `each` with the number of a line and what it says: none where it is no diagnostic and
/// no end of the build. What a program wrote between them is passed over.
fn each_line(source: &Source, each: &mut dyn FnMut(u64, Parsed) -> Result<()>) -> Result<()> {
    let mut reader = source.read()?;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = next_line(&mut reader, &mut line)
            .map_err(|error| Error::invalid(source.name(), error.to_string()))?;
        if read == 0 {
            break;
        }
        if line.trim_ascii_start().starts_with(b"{") {
            each(number, parse(&line))?;
        }
    }
    Ok(())
}

/// Reads a line, but keeps no more than [`MAX_LINE`] of it.
fn next_line(reader: &mut BufReader<std::fs::File>, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let read = reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', line)?;
    if line.len() as u64 > MAX_LINE && !line.ends_with(b"\n") {
        reader.skip_until(b'\n')?;
    }
    Ok(read)
}

fn parse(line: &[u8]) -> Parsed {
    /// The message of an artifact or a script has another shape, or none.
    #[derive(Deserialize)]
    struct Reason<'a> {
        #[serde(borrow)]
        reason: Option<std::borrow::Cow<'a, str>>,
    }
    if line.len() as u64 > MAX_LINE {
        return Err(format!("the line is longer than {MAX_LINE} bytes"));
    }
    let not_json = |error: serde_json::Error| format!("not a message of Cargo's: {error}");
    let reason: Reason<'_> = serde_json::from_slice(line).map_err(not_json)?;
    match reason.reason.as_deref() {
        Some("compiler-message" | "build-finished") => {
            let line: Line = serde_json::from_slice(line).map_err(not_json)?;
            let known = line.reason == "build-finished" || line.message.is_some();
            Ok(known.then_some(line))
        }
        _ => Ok(None),
    }
}

impl Diagnostic {
    /// Whether it is about the code: the compiler's own summaries ("2 warnings emitted", "aborting
    /// due to 1 previous error") have neither a code nor a place.
    fn is_finding(&self) -> bool {
        self.code.is_some() || !self.spans.is_empty()
    }

    fn rule_id(&self) -> String {
        let code = self.code.as_ref().map(|code| code.code.as_str());
        code.filter(|code| !code.is_empty())
            .unwrap_or(NO_CODE)
            .to_owned()
    }

    fn finding(&self) -> Finding {
        let rule = self.rule_id();
        let level = match self.level.as_str() {
            "warning" => Level::Warning,
            "note" | "help" | "failure-note" => Level::Note,
            _ => Level::Error, // "error", and "error: internal compiler error"
        };
        let mut finding = Finding::new(rule.as_str(), cut(&self.message, MAX_MESSAGE))
            .level(level)
            .category(self.category(&rule));
        let (primary, others): (Vec<&Span>, Vec<&Span>) =
            self.spans.iter().partition(|span| span.is_primary);
        finding.locations = primary.into_iter().take(1).map(Span::location).collect();
        finding.related = others
            .into_iter()
            .take(MAX_NOTES)
            .map(Span::labelled)
            .collect();
        finding.fixes = self.fixes();
        finding.fixable = !finding.fixes.is_empty();
        let notes = self.notes();
        if !notes.is_empty() {
            finding.properties.insert("notes".to_owned(), json!(notes));
        }
        finding
    }

    /// What to replace, in the compiler's words.
    fn fixes(&self) -> Vec<String> {
        let suggests = |child: &&Child| {
            let mut spans = child.spans.iter();
            spans.any(|span| span.suggested_replacement.is_some())
        };
        let fixes = self.children.iter().filter(suggests).take(MAX_NOTES);
        fixes.map(|child| cut(&child.message, MAX_NOTE)).collect()
    }

    /// What is said beside it.
    fn notes(&self) -> Vec<String> {
        let plain = |child: &&Child| child.spans.is_empty() && link(&child.message).is_none();
        let notes = self.children.iter().filter(plain).take(MAX_NOTES);
        notes
            .map(|child| cut(&format!("{}: {}", child.level, child.message), MAX_NOTE))
            .collect()
    }

    /// The group that clippy says a lint is in, as far as its notes tell; for the compiler, what
    /// kind of a lint it is.
    fn category(&self, rule: &str) -> &'static str {
        let said = |text: &str| self.children.iter().any(|c| c.message.contains(text));
        if let Some(lint) = rule.strip_prefix("clippy::") {
            let groups = ["pedantic", "nursery", "restriction", "cargo"];
            let implied = |group: &&&str| {
                lint != **group
                    && (said(&format!("(clippy::{group})]`"))
                        || said(&format!(" clippy::{group}`"))
                        || said(&format!("clippy::{group}` implies")))
            };
            return match groups.iter().find(implied) {
                Some(group) => group,
                None if said(&format!("`#[deny({rule})]` on by default")) => "correctness",
                None => "clippy",
            };
        }
        match rule {
            "deprecated" | "deprecated_in_future" => "deprecation",
            "dead_code" => "unused",
            _ if rule.starts_with("unused") => "unused",
            _ if rule.starts_with("rustdoc::") => "documentation",
            NO_CODE => "compile error",
            _ if is_error_code(rule) => "compile error",
            _ => "rustc",
        }
    }

    /// Where to read about its rule.
    fn rule(&self) -> Option<Rule> {
        let help_uri = self.children.iter().find_map(|child| link(&child.message));
        let rule = self.rule_id();
        let help_uri = help_uri.map(str::to_owned).or_else(|| {
            let index = "https://doc.rust-lang.org/error_codes/";
            is_error_code(&rule).then(|| format!("{index}{rule}.html"))
        })?;
        Some(Rule {
            help_uri,
            ..Rule::default()
        })
    }
}

/// `E0308`.
fn is_error_code(rule: &str) -> bool {
    let digits = rule.strip_prefix('E').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The address in clippy's "for further information visit".
fn link(message: &str) -> Option<&str> {
    let link = message.strip_prefix("for further information visit ")?;
    (link.starts_with("https://") && link.len() <= MAX_NOTE).then_some(link)
}

impl Span {
    fn location(&self) -> Location {
        let text: Vec<&str> = self.text.iter().map(|line| line.text.as_str()).collect();
        let text = cut(&text.join("\n"), MAX_SNIPPET);
        Location {
            uri: self.file_name.clone(),
            region: Some(Region {
                start_line: self.line_start,
                start_column: self.column_start,
                end_line: self.line_end,
                end_column: self.column_end,
            }),
            snippet: (!text.is_empty()).then_some(text),
            message: None,
        }
    }

    /// A place beside the primary one: what it has to do with it, and no text.
    fn labelled(&self) -> Location {
        Location {
            snippet: None,
            message: self.label.as_deref().map(|label| cut(label, MAX_NOTE)),
            ..self.location()
        }
    }
}

/// At most `most` bytes of it.
fn cut(text: &str, most: usize) -> String {
    let end = text.floor_char_boundary(most);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
