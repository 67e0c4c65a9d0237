//! A session's numbers, read at one moment.

use std::collections::{BTreeMap, HashMap};

use fleet_worker_sdk::keys::count::{self, Field};
use fleet_worker_sdk::transport::redis::{RedisLink, fcall_ro, stored};
use fleet_worker_sdk::{Error, Repository, Result, SessionId, Severity, Version};

use crate::conserve::{Account, Received, Sums};
use crate::store::redis::parse::Fields;

/// Entries of a log counted by one call: they lie in Lua's hands meanwhile, 16 MiB at most, usually
/// 1 MiB, which takes Redis a millisecond.
const PAGE: usize = 32;
/// Times that a log is counted from its beginning: it is rewritten, or an entry taken out of it, once
/// in minutes.
const TRIES: usize = 3;

/// Entries counted, findings, last id; after the last of them the session, its counters, members of
/// its index, entries of its log.
type Page = (u64, i64, String, Fields, Fields, i64, u64);

/// An account with what it was made of.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) account: Account,
    /// Findings in the log, those that are there twice counted twice.
    pub(super) raw: i64,
    /// Its counters.
    pub(super) counts: BTreeMap<String, i64>,
}

/// Reads the numbers of a session. Entries before the last that was counted do not change, but for
/// those that are taken out and logs that are rewritten: then the number of entries differs, or the
/// generation, and counting begins anew.
pub(super) async fn read(link: &RedisLink, session: &SessionId) -> Result<Numbers> {
    for _ in 0..TRIES {
        if let Some(numbers) = attempt(link, session).await? {
            return Ok(numbers);
        }
    }
    Err(Error::Unavailable {
        store: link.address().to_owned(),
        why: format!("the log of session {session} was rewritten each time it was counted"),
    })
}

async fn attempt(link: &RedisLink, session: &SessionId) -> Result<Option<Numbers>> {
    let began = generation(link, session).await?;
    let (mut entries, mut raw, mut last) = (0, 0, "-".to_owned());
    loop {
        let (read, findings, to, fields, counts, indexed, logged) =
            page(link, session, &last).await?;
        entries += read;
        raw += findings;
        last = to;
        if read as usize == PAGE {
            continue;
        }
        if entries != logged || number(&fields, "generation") != began {
            return Ok(None);
        }
        return numbers(session, raw, indexed, &fields, &counts).map(Some);
    }
}

async fn generation(link: &RedisLink, session: &SessionId) -> Result<i64> {
    let mut command = redis::cmd("HGET");
    command.arg(link.keys().session(session)).arg("generation");
    let generation: Option<i64> = link.call(&command).await?;
    generation.ok_or_else(|| Error::not_found("session", session))
}

async fn page(link: &RedisLink, session: &SessionId, last: &str) -> Result<Page> {
    let keys = link.keys();
    let keys = [
        keys.session(session),
        keys.log(session),
        keys.index(session),
        keys.counts(session),
        keys.packed(session),
    ];
    let mut command = fcall_ro("fleet_account_1", &keys);
    command.arg(last).arg(PAGE);
    let answer: redis::Value = link.call(&command).await.map_err(|error| match error {
        Error::NotFound { .. } => Error::not_found("session", session),
        other => other,
    })?;
    let (head, rest) = match answer {
        redis::Value::Array(mut parts) if parts.len() == 7 => {
            let rest = parts.split_off(3);
            (parts, Some(rest))
        }
        redis::Value::Array(parts) => (parts, None),
        _ => return Err(Error::protocol("an account is no list")),
    };
    let (read, findings, to) =
        redis::from_redis_value(redis::Value::Array(head)).map_err(Error::protocol)?;
    let Some(rest) = rest else {
        return Ok((read, findings, to, Fields::new(), Fields::new(), 0, 0));
    };
    let (fields, counts, indexed, logged) =
        redis::from_redis_value(redis::Value::Array(rest)).map_err(Error::protocol)?;
    Ok((read, findings, to, fields, counts, indexed, logged))
}

/// A number of a hash; what is none counts as 0, and so is found to be wrong.
fn number(fields: &Fields, name: &str) -> i64 {
    let text = fields.get(name).map(Vec::as_slice).unwrap_or_default();
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.parse().unwrap_or_default()
}

fn numbers(
    session: &SessionId,
    raw: i64,
    indexed: i64,
    fields: &Fields,
    counts: &Fields,
) -> Result<Numbers> {
    let counts: BTreeMap<String, i64> = counts
        .keys()
        .map(|field| (field.clone(), number(counts, field)))
        .collect();
    let repository = String::from_utf8_lossy(fields.get("repo").map_or(&[], Vec::as_slice));
    let of_bots = of_bots(&counts);
    let account = Account {
        session: session.clone(),
        repository: Repository::new(repository).map_err(Error::protocol)?,
        version: Version(number(fields, "version").cast_unsigned()),
        generation: number(fields, "generation").cast_unsigned(),
        indexed,
        counted: sums(fields, &counts),
        total: number(fields, "total"),
        logged: raw - number(fields, "duplicates"),
        quarantined: number(fields, "quarantined"),
        executions: executions(fields, &of_bots)?,
    };
    Ok(Numbers {
        account,
        raw,
        counts,
    })
}

/// The fields of a session's hash that say how many findings it has of a severity.
pub(super) fn tally_fields() -> impl Iterator<Item = (String, Option<Severity>)> {
    let severities = Severity::ALL.iter().copied().map(Some);
    severities.chain([None]).map(|severity| {
        let name = severity.map_or("suppressed", Severity::as_str);
        (format!("t:{name}"), severity)
    })
}

fn sums(session: &Fields, counts: &BTreeMap<String, i64>) -> Sums {
    let (mut sums, mut suppressed) = (Sums::default(), 0);
    for (field, by) in counts {
        match count::parse(field) {
            Some(Field::Bot(_, severity)) => {
                sums.by_bot += by;
                suppressed += if severity.is_none() { *by } else { 0 };
            }
            Some(Field::Category(_)) => sums.by_category += by,
            Some(Field::Rule(..)) => sums.by_rule += by,
            None => {}
        }
    }
    sums.by_category += suppressed;
    sums.by_rule += suppressed;
    sums.by_severity = tally_fields()
        .map(|(field, _)| number(session, &field))
        .sum();
    sums
}

fn of_bots(counts: &BTreeMap<String, i64>) -> HashMap<&str, i64> {
    let mut of_bots = HashMap::new();
    for (field, by) in counts {
        if let Some(Field::Bot(bot, _)) = count::parse(field) {
            *of_bots.entry(bot).or_default() += by;
        }
    }
    of_bots
}

fn executions(fields: &Fields, of_bots: &HashMap<&str, i64>) -> Result<Vec<Received>> {
    let mut all = Vec::new();
    for (name, json) in fields {
        let Some(bot) = name.strip_prefix("x:") else {
            continue;
        };
        let execution = stored::execution(json)?;
        let received = number(fields, &format!("xp:{bot}"));
        let counted = of_bots.get(bot).copied().unwrap_or_default();
        let stated = i64::try_from(execution.pushed).unwrap_or(i64::MAX);
        all.push(Received::of(&execution, stated, received, counted));
    }
    all.sort_by(|a, b| a.bot.cmp(&b.bot));
    Ok(all)
}
