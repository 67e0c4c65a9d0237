//! JSON lines: one finding of our own model a line.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::finding::{Finding, MAX_FINDING_BYTES};
use crate::ids::BotId;
use crate::push::Rule;

use super::report::{Each, Reading, Report, Section};
use super::source::Source;

/// Longest line taken: a finding in JSON is at most twice as long as stored.
pub(super) const MAX_LINE: u64 = 4 * MAX_FINDING_BYTES as u64;

pub(super) struct JsonLines {
    source: Arc<Source>,
    sections: Vec<Section>,
}

impl JsonLines {
    pub(super) fn new(source: Arc<Source>, bot: Option<&BotId>) -> Self {
        let bot = bot
            .cloned()
            .unwrap_or_else(|| BotId::from_tool_name("import"));
        let sections = vec![Section {
            bot,
            version: String::new(),
            partial: false,
            vouched: false,
        }];
        Self { source, sections }
    }
}

impl Report for JsonLines {
    fn sections(&self) -> &[Section] {
        &self.sections
    }

    fn each(&self, _section: usize, each: &mut Each<'_>) -> Result<()> {
        let mut reader = self.source.read()?;
        let mut line = Vec::new();
        for number in 1_u64.. {
            let unreadable = |e: std::io::Error| Error::invalid(self.source.name(), e.to_string());
            line.clear();
            let read = next_line(&mut reader, &mut line).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let place = || format!("line {number}");
            each(&place, parse(&line))?;
        }
        Ok(())
    }

    fn rule(&self, _section: usize, _rule: &str) -> Option<Rule> {
        None
    }
}

/// Reads a line, but keeps no more than [`MAX_LINE`] of it.
fn next_line(reader: &mut BufReader<std::fs::File>, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let read = reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', line)?;
    if line.len() as u64 > MAX_LINE && !line.ends_with(b"\n") {
        reader.skip_until(b'\n')?;
    }
    Ok(read)
}

fn parse(line: &[u8]) -> Reading {
    if line.len() as u64 > MAX_LINE {
        return Err(format!("the line is longer than {MAX_LINE} bytes"));
    }
    let value: serde_json::Value =
        serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
    let Some(object) = value.as_object() else {
        return Err("not a JSON object".to_owned());
    };
    let given = |name: &str| {
        object
            .get(name)
            .is_some_and(|v| v.as_str().is_some_and(|s| !s.is_empty()))
    };
    if !given("message") {
        return Err("it has no message".to_owned());
    }
    serde_json::from_value::<Finding>(value).map_err(|error| error.to_string())
}
