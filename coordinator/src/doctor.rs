//! What is wrong with a store, check by check: what was seen, and what to do.
//!
//! [`examine`] asks; the judgements are pure functions of what was seen.

mod fleet;
mod server;

use serde::{Deserialize, Serialize};

use crate::store::Maintain;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but something is lost or slow when the next thing goes wrong.
    Warn,
    /// Something is wrong now.
    Fail,
}

impl Verdict {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// The server it is of; empty for the whole fleet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do about it; empty where nothing has to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Check {
    /// All is well.
    pub fn ok(name: &str, seen: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, name, seen, "")
    }

    /// It works for now.
    pub fn warn(name: &str, seen: impl Into<String>, advice: &str) -> Self {
        Self::new(Verdict::Warn, name, seen, advice)
    }

    /// Something is wrong.
    pub fn fail(name: &str, seen: impl Into<String>, advice: &str) -> Self {
        Self::new(Verdict::Fail, name, seen, advice)
    }

    /// With a verdict found elsewhere; the advice is left out where all is well.
    fn new(verdict: Verdict, name: &str, seen: impl Into<String>, advice: &str) -> Self {
        let advice = if verdict == Verdict::Ok { "" } else { advice };
        Self {
            name: name.to_owned(),
            server: String::new(),
            verdict,
            seen: seen.into(),
            advice: advice.to_owned(),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Where the fleet is, without secrets.
    pub store: String,
    /// The worst of the checks.
    pub verdict: Verdict,
    /// The checks, in the order in which one would look.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Of these checks.
    pub fn of(store: String, checks: Vec<Check>) -> Self {
        let worst = checks.iter().map(|check| check.verdict).max();
        Self {
            store,
            verdict: worst.unwrap_or(Verdict::Ok),
            checks,
        }
    }
}

/// Looks at a store and what it holds. What cannot be asked is a failed check, not an error.
pub async fn examine(store: &dyn Maintain, settings: &crate::health::Settings) -> Diagnosis {
    let mut checks = Vec::new();
    match store.servers().await {
        Err(error) => checks.push(Check::fail(
            "reachable",
            error.to_string(),
            "start the server, or correct the address, the network or the password",
        )),
        Ok(servers) => {
            for seen in &servers {
                checks.extend(server::checks(seen));
            }
            checks.extend(fleet::checks(store, settings).await);
        }
    }
    Diagnosis::of(store.address(), checks)
}
