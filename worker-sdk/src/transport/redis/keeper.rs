//! Who creates the fleet and loads its functions. Software of two versions may keep one fleet at a
//! time: what a version loads has the functions of the version before too, so the one with more of
//! them is the newer, and stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use redis::{RedisResult, Value};

use super::link::RedisLink;
use crate::error::{Error, Result};
use crate::ids::Partitions;
use crate::keys::SCHEMA_VERSION;

/// What a link of a coordinator or dashboard brings along: workers load nothing.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Function libraries to load where they are missing or older.
    pub libraries: Vec<Library>,
    /// Partitions of a fleet that does not exist yet.
    pub partitions: Partitions,
}

/// A library of Redis functions.
#[derive(Clone, Debug)]
pub struct Library {
    name: String,
    functions: BTreeSet<String>,
    code: String,
}

impl Library {
    /// Reads what a library and its functions are called.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the code does not begin with the name of a library.
    pub fn new(code: impl Into<String>) -> Result<Self> {
        let code = code.into();
        let name = code
            .strip_prefix("#!lua name=")
            .and_then(|rest| rest.lines().next())
            .ok_or_else(|| Error::invalid("library", "must begin with #!lua name=…"))?
            .to_owned();
        let registered = code.split("function_name = '").skip(1);
        let functions = registered
            .filter_map(|rest| rest.split('\'').next())
            .map(str::to_owned)
            .collect();
        Ok(Self {
            name,
            functions,
            code,
        })
    }

    /// What it is called in Redis.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its source.
    pub fn code(&self) -> &str {
        &self.code
    }
}

/// What one server has loaded under the name of a library.
#[derive(Clone, Debug, PartialEq)]
struct Loaded {
    functions: BTreeSet<String>,
    code: String,
}

impl Loaded {
    /// Whether a fleet kept with `ours` works with this.
    fn serves(&self, ours: &Library) -> bool {
        ours.functions.is_subset(&self.functions)
    }

    /// Whether `ours` has nothing to add: it is this, or the version before.
    fn is_as_new_as(&self, ours: &Library) -> bool {
        self.serves(ours) && (self.functions.len() > ours.functions.len() || self.code == ours.code)
    }
}

impl RedisLink {
    /// Creates the fleet if there is none, and loads the functions, for a link that
    /// [keeps](RedisLink::keeping) it. Functions of a newer version are left in place.
    ///
    /// A user that may not load functions (a dashboard's) leaves that to coordinators.
    ///
    /// # Errors
    /// As [`RedisLink::call`].
    pub async fn prepare(&self) -> Result<()> {
        let Some(keeper) = &self.keeper else {
            return Ok(());
        };
        match self.create(keeper).await {
            Err(Error::Incompatible { why }) => {
                tracing::debug!(%why, "the fleet is created, and its functions are loaded, by others");
            }
            created => created?,
        }
        self.prepared.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Loads the functions again where one that this version calls is gone: they were flushed, or
    /// software of an older version loaded its own over them. A link that has not met the fleet yet
    /// [prepares](RedisLink::prepare) it.
    ///
    /// # Errors
    /// As [`RedisLink::call`]; [`Error::Incompatible`] for a user that may not look or load.
    pub async fn restore_functions(&self) -> Result<()> {
        let Some(keeper) = &self.keeper else {
            return Ok(());
        };
        if !self.prepared.load(Ordering::Relaxed) {
            return self.prepare().await;
        }
        for library in self.load_unless(keeper, Loaded::serves).await? {
            tracing::warn!(
                library = library.name,
                "functions of the fleet were flushed, or gone to an older version; loaded them"
            );
        }
        Ok(())
    }

    async fn create(&self, keeper: &Keeper) -> Result<()> {
        self.load_unless(keeper, Loaded::is_as_new_as).await?;
        let mut create = redis::pipe();
        let meta = self.keys().meta();
        create.hset_nx(&meta, "schema", SCHEMA_VERSION).ignore();
        create
            .hset_nx(&meta, "partitions", keeper.partitions.count())
            .ignore();
        let created: RedisResult<()> = self.ask_all(&create).await?;
        created.map_err(|error| self.explain(&error))
    }

    /// Loads each library that is not `good` on every master; answers which.
    async fn load_unless<'k>(
        &self,
        keeper: &'k Keeper,
        good: impl Fn(&Loaded, &Library) -> bool,
    ) -> Result<Vec<&'k Library>> {
        let mut loaded = Vec::new();
        for library in &keeper.libraries {
            let is_good = |loaded: &Loaded| good(loaded, library);
            if !self.everywhere(&library.name, is_good).await? {
                self.load(library).await?;
                loaded.push(library);
            }
        }
        Ok(loaded)
    }

    async fn load(&self, library: &Library) -> Result<()> {
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg("REPLACE").arg(&library.code);
        let loaded: RedisResult<String> = self.ask(&load).await?;
        loaded.map(drop).map_err(|error| self.explain(&error))
    }

    /// Whether every master has the library of this name, and one that is good.
    async fn everywhere(&self, name: &str, is_good: impl Fn(&Loaded) -> bool) -> Result<bool> {
        let mut list = redis::cmd("FUNCTION");
        list.arg("LIST").arg("LIBRARYNAME").arg(name);
        list.arg("WITHCODE");
        for (_, answer) in self.on_masters(&list).await? {
            if !loaded(answer)?.is_some_and(|loaded| is_good(&loaded)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Reads what `FUNCTION LIST` answers about one library; none when it is not loaded.
fn loaded(answer: Value) -> Result<Option<Loaded>> {
    let libraries: Vec<BTreeMap<String, Value>> =
        redis::from_redis_value(answer).map_err(Error::protocol)?;
    let Some(mut library) = libraries.into_iter().next() else {
        return Ok(None);
    };
    let mut take = |field| library.remove(field).unwrap_or(Value::Nil);
    let code = redis::from_redis_value(take("library_code")).map_err(Error::protocol)?;
    let functions: Vec<BTreeMap<String, Value>> =
        redis::from_redis_value(take("functions")).map_err(Error::protocol)?;
    let functions = functions
        .into_iter()
        .filter_map(|mut function| function.remove("name"))
        .map(|name| redis::from_redis_value(name).map_err(Error::protocol))
        .collect::<Result<_>>()?;
    Ok(Some(Loaded { functions, code }))
}

#[cfg(test)]
mod tests {
    use super::super::LIBRARY;
    use super::*;

    fn library(functions: &[&str], body: &str) -> Library {
        let registered = functions
            .iter()
            .map(|function| format!("redis.register_function{{function_name = '{function}'}}"));
        let lines = [format!("#!lua name=tried\n{body}")]
            .into_iter()
            .chain(registered);
        Library::new(lines.collect::<Vec<_>>().join("\n")).unwrap()
    }

    fn as_loaded(library: &Library) -> Loaded {
        Loaded {
            functions: library.functions.clone(),
            code: library.code.clone(),
        }
    }

    #[test]
    fn a_library_says_what_it_and_its_functions_are_called() {
        let ours = Library::new(LIBRARY).unwrap();
        assert_eq!(ours.name(), "fleet_worker_1");
        for function in [
            "fleet_hello_1",
            "fleet_beat_1",
            "fleet_push_3",
            "fleet_push_4",
        ] {
            assert!(ours.functions.contains(function), "{function}");
        }
        assert!(Library::new("return 1").is_err());
    }

    #[test]
    fn of_two_libraries_the_one_with_more_functions_is_newer() {
        let before = library(&["push_3"], "");
        let after = library(&["push_3", "push_4"], "");
        assert!(as_loaded(&after).is_as_new_as(&before));
        assert!(!as_loaded(&before).is_as_new_as(&after));
        assert!(!as_loaded(&before).serves(&after));
    }

    #[test]
    fn other_code_under_the_same_names_serves_but_is_replaced_at_start() {
        let (one, other) = (library(&["push_3"], "one"), library(&["push_3"], "other"));
        assert!(as_loaded(&one).serves(&other));
        assert!(!as_loaded(&one).is_as_new_as(&other));
        assert!(as_loaded(&one).is_as_new_as(&one));
    }
}
