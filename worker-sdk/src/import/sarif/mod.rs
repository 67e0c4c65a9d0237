//! SARIF 2.1.0, from any tool.

mod raw;

mod walk;

mod run;

mod result;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::sync::Arc;

use serde_json::de::{IoRead, SliceRead};

use super::guard::{self, Guard};
use super::report::{Each, Report, Section};
use super::source::Source;
use crate::error::{Error, Result};
use crate::ids::{BotId, Repository};
use crate::push::Rule;

use raw::{Artifact, ArtifactLocation, Invocation, LogicalLocation, Tool};
use run::Run;
use walk::{Sink, walk};

/// The only version read; 1.0 and the drafts of 2 have other shapes.
const VERSION: &str = "2.1.0";
/// Most tools in one log: it is read twice for each.
const MAX_TOOLS: usize = 64;
/// Bytes checked at once.
const BUFFER: usize = 64 * 1024;

/// A SARIF document that was checked whole.
pub(super) struct Sarif {
    source: Arc<Source>,
    repository: String,
    runs: Vec<Run>,
    sections: Vec<Section>,
    /// Which section a run belongs to.
    section_of: Vec<usize>,
}

impl Sarif {
    /// Reads the document once, and keeps what its results refer to.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no SARIF 2.1.0 document, with position and reason.
    pub(super) fn check(
        source: Arc<Source>,
        bot: Option<&BotId>,
        repository: &Repository,
    ) -> Result<Self> {
        let mut parts = Parts::default();
        // What the first reading lets through is safe for the later ones.
        if let Some(text) = source.held().filter(|text| guard::is_sound(text)) {
            walk(SliceRead::new(text), source.name(), &mut parts)?;
        } else {
            let guarded = BufReader::with_capacity(BUFFER, Guard::new(source.read()?));
            walk(IoRead::new(guarded), source.name(), &mut parts)?;
        }
        if parts.version != VERSION {
            let version: String = parts.version.chars().take(20).collect();
            return Err(Error::invalid(
                source.name(),
                format!("it is SARIF of version {version:?}; only {VERSION} is read"),
            ));
        }
        let mut sections: Vec<Section> = Vec::new();
        let mut section_of = Vec::new();
        for run in &mut parts.runs {
            run.complete();
            let tool = &run.tool.driver.name;
            let bot = bot.cloned().unwrap_or_else(|| BotId::from_tool_name(tool));
            let known = sections.iter().position(|section| section.bot == bot);
            section_of.push(known.unwrap_or(sections.len()));
            let partial = !run.is_whole();
            if let Some(section) = known.and_then(|at| sections.get_mut(at)) {
                section.partial |= partial;
                section.vouched &= run.is_vouched_for();
            } else {
                sections.push(Section {
                    bot,
                    version: bounded(run.version()),
                    partial,
                    vouched: run.is_vouched_for(),
                });
            }
        }
        if sections.len() > MAX_TOOLS {
            let why = format!("it has results of more than {MAX_TOOLS} tools");
            return Err(Error::invalid(source.name(), why));
        }
        let repository = repository.to_string();
        Ok(Self {
            source,
            repository,
            runs: parts.runs,
            sections,
            section_of,
        })
    }
}

/// A bot's version has at most 512 bytes; a tool's longer one is cut.
fn bounded(version: String) -> String {
    let end = version.floor_char_boundary(64);
    version.get(..end).unwrap_or_default().to_owned()
}

/// The first reading: everything but results.
#[derive(Default)]
struct Parts {
    version: String,
    runs: Vec<Run>,
}

impl Parts {
    fn at(&mut self, run: usize) -> Option<&mut Run> {
        self.runs.get_mut(run)
    }
}

impl Sink for Parts {
    fn version(&mut self, version: &str) {
        version.clone_into(&mut self.version);
    }

    fn run(&mut self, _run: usize) {
        self.runs.push(Run::default());
    }

    fn results(&mut self, run: usize) {
        if let Some(run) = self.at(run) {
            run.has_results = true;
        }
    }

    fn tool(&mut self, run: usize, tool: Tool) {
        if let Some(run) = self.at(run) {
            run.tool = tool;
        }
    }

    fn bases(&mut self, run: usize, bases: BTreeMap<String, ArtifactLocation>) {
        if let Some(run) = self.at(run) {
            run.bases = bases;
        }
    }

    fn artifacts(&mut self, run: usize, artifacts: Vec<Artifact>) {
        if let Some(run) = self.at(run) {
            run.artifacts = artifacts;
        }
    }

    fn logical_locations(&mut self, run: usize, locations: Vec<LogicalLocation>) {
        if let Some(run) = self.at(run) {
            run.logical_locations = locations;
        }
    }

    fn invocations(&mut self, run: usize, invocations: Vec<Invocation>) {
        if let Some(run) = self.at(run) {
            run.invocations = invocations;
        }
    }
}

/// A later reading: the results of one section.
struct OfSection<'a, 'b> {
    sarif: &'a Sarif,
    section: usize,
    each: &'a mut Each<'b>,
}

impl Sink for OfSection<'_, '_> {
    fn wants_results(&self, run: usize) -> bool {
        self.sarif.section_of.get(run) == Some(&self.section)
    }

    fn result(&mut self, run: usize, number: usize, json: &str) -> Result<()> {
        let Some(parts) = self.sarif.runs.get(run) else {
            return Err(Error::invalid(
                self.sarif.source.name(),
                "it changed while it was read",
            ));
        };
        let place = || format!("runs[{run}].results[{number}]");
        (self.each)(&place, result::finding(parts, &self.sarif.repository, json))
    }
}

impl Report for Sarif {
    fn sections(&self) -> &[Section] {
        &self.sections
    }

    fn each(&self, section: usize, each: &mut Each<'_>) -> Result<()> {
        let mut sink = OfSection {
            sarif: self,
            section,
            each,
        };
        let name = self.source.name();
        match self.source.held() {
            Some(text) => walk(SliceRead::new(text), name, &mut sink),
            None => walk(IoRead::new(self.source.read()?), name, &mut sink),
        }
    }

    fn rule(&self, section: usize, rule: &str) -> Option<Rule> {
        let of_section = self
            .runs
            .iter()
            .zip(&self.section_of)
            .filter(|(_, of)| **of == section);
        let mut found = of_section.filter_map(|(run, _)| run.by_id(rule));
        found.next().map(run::texts)
    }
}
