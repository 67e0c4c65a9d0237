//! Walking through a SARIF document without holding it.

use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::de::Read;
use serde_json::value::RawValue;

use super::raw::{Artifact, ArtifactLocation, Invocation, LogicalLocation, Tool};
use crate::error::{Error, Result};

/// What is met on the way; runs and results count from 0.
pub(super) trait Sink {
    /// The document's version.
    fn version(&mut self, _version: &str) {}
    /// A run begins.
    fn run(&mut self, _run: usize) {}
    /// A run's tool.
    fn tool(&mut self, _run: usize, _tool: Tool) {}
    /// A run's base URIs, by id.
    fn bases(&mut self, _run: usize, _bases: std::collections::BTreeMap<String, ArtifactLocation>) {
    }
    /// A run's artifacts.
    fn artifacts(&mut self, _run: usize, _artifacts: Vec<Artifact>) {}
    /// A run's logical locations.
    fn logical_locations(&mut self, _run: usize, _locations: Vec<LogicalLocation>) {}
    /// A run's invocations.
    fn invocations(&mut self, _run: usize, _invocations: Vec<Invocation>) {}
    /// A run has a list of results.
    fn results(&mut self, _run: usize) {}
    /// Whether results are wanted of a run.
    fn wants_results(&self, _run: usize) -> bool {
        false
    }
    /// A result, unparsed.
    fn result(&mut self, _run: usize, _number: usize, _result: &str) -> Result<()> {
        Ok(())
    }
}

/// Walks through the document; `sink` hears what it has.
///
/// # Errors
/// Those of the sink; `Error::Invalid` with line and column when this is no SARIF document.
pub(super) fn walk<'de>(text: impl Read<'de>, name: &str, sink: &mut dyn Sink) -> Result<()> {
    let mut from = serde_json::Deserializer::new(text);
    let walk = Walk {
        sink: RefCell::new(sink),
        stopped: RefCell::new(None),
    };
    let walked = Document(&walk)
        .deserialize(&mut from)
        .and_then(|()| from.end());
    if let Some(error) = walk.stopped.take() {
        return Err(error);
    }
    walked.map_err(|error| Error::invalid(name, explain(&error)))
}

/// What a person can do with a parser's message.
fn explain(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Eof if line <= 1 && column == 0 => "it is empty".to_owned(),
        Category::Eof => {
            format!("it ends in the middle, at line {line}, column {column}: was it cut off?")
        }
        // The guard's own words, with their place.
        Category::Io if error.io_error_kind() == Some(std::io::ErrorKind::InvalidData) => {
            error.to_string()
        }
        Category::Io => format!("it cannot be read: {error}"),
        Category::Data => format!("it is JSON, but not SARIF 2.1.0: {error}"),
        Category::Syntax if error.to_string().starts_with("trailing") => {
            format!(
                "there is more after the end of the document, at line {line}, column {column}: one file, one report"
            )
        }
        Category::Syntax => format!("it is not JSON: {error}"),
    }
}

/// Most runs in a log: each is kept. A tool that writes one a project has hundreds.
const MAX_RUNS: usize = 4_096;
/// Most artifacts or invocations of a run: each is kept. More files than large repositories have.
const MAX_KEPT: usize = 200_000;

fn at_most<E: serde::de::Error>(count: usize, most: usize, what: &str) -> Result<(), E> {
    if count > most {
        return Err(E::custom(format!("there are more than {most} {what}")));
    }
    Ok(())
}

/// A list of at most [`MAX_KEPT`] entries.
struct Bounded<T>(Vec<T>);

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = seq.next_element()? {
                    entries.push(entry);
                    at_most(entries.len(), MAX_KEPT, "entries in one list")?;
                }
                Ok(entries)
            }
        }
        from.deserialize_seq(Entries(std::marker::PhantomData))
            .map(Self)
    }
}

struct Walk<'a> {
    sink: RefCell<&'a mut dyn Sink>,
    /// Why the sink wants to go no further.
    stopped: RefCell<Option<Error>>,
}

struct Document<'w, 'a>(&'w Walk<'a>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SARIF document, which is an object with `version` and `runs`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut version, mut runs) = (false, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "version" => {
                    version = true;
                    let text: String = map.next_value()?;
                    self.0.sink.borrow_mut().version(&text);
                }
                "runs" => {
                    runs = true;
                    map.next_value_seed(Runs(self.0))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match (version, runs) {
            (true, true) => Ok(()),
            (false, _) => Err(serde::de::Error::custom("it has no `version`")),
            (_, false) => Err(serde::de::Error::custom("it has no `runs`")),
        }
    }
}

struct Runs<'w, 'a>(&'w Walk<'a>);

impl<'de> DeserializeSeed<'de> for Runs<'_, '_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Runs<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of runs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut runs: A) -> Result<(), A::Error> {
        let mut number = 0;
        while runs.next_element_seed(Run(self.0, number))?.is_some() {
            number += 1;
            at_most(number, MAX_RUNS, "runs")?;
        }
        Ok(())
    }
}

struct Run<'w, 'a>(&'w Walk<'a>, usize);

impl<'de> DeserializeSeed<'de> for Run<'_, '_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Run<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(walk, run) = self;
        walk.sink.borrow_mut().run(run);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "tool" => {
                    let tool: Option<_> = map.next_value()?;
                    walk.sink.borrow_mut().tool(run, tool.unwrap_or_default());
                }
                "originalUriBaseIds" => {
                    let bases: Option<_> = map.next_value()?;
                    walk.sink.borrow_mut().bases(run, bases.unwrap_or_default());
                }
                "artifacts" => {
                    let artifacts: Option<Bounded<_>> = map.next_value()?;
                    walk.sink
                        .borrow_mut()
                        .artifacts(run, artifacts.unwrap_or_default().0);
                }
                "logicalLocations" => {
                    let locations: Option<Bounded<_>> = map.next_value()?;
                    walk.sink
                        .borrow_mut()
                        .logical_locations(run, locations.unwrap_or_default().0);
                }
                "invocations" => {
                    let invocations: Option<Bounded<_>> = map.next_value()?;
                    walk.sink
                        .borrow_mut()
                        .invocations(run, invocations.unwrap_or_default().0);
                }
                "results" => map.next_value_seed(Results(walk, run))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct Results<'w, 'a>(&'w Walk<'a>, usize);

impl<'de> DeserializeSeed<'de> for Results<'_, '_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Results<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of results")
    }

    /// A run whose tool found nothing out may say null.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut results: A) -> Result<(), A::Error> {
        let Self(walk, run) = self;
        walk.sink.borrow_mut().results(run);
        if !walk.sink.borrow().wants_results(run) {
            while results.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let mut number = 0;
        while let Some(result) = results.next_element::<Box<RawValue>>()? {
            if let Err(error) = walk.sink.borrow_mut().result(run, number, result.get()) {
                *walk.stopped.borrow_mut() = Some(error);
                return Err(serde::de::Error::custom("stopped"));
            }
            number += 1;
        }
        Ok(())
    }
}
