//! Making a session what its log says.
//!
//! The log is folded anew; index and counters are made beside the present ones, under keys that
//! expire, and put in their place by one function that checks that the session has not changed. A
//! repair that is killed leaves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleet_worker_sdk::keys::count;
use fleet_worker_sdk::transport::redis::{RedisLink, fcall, score};
use fleet_worker_sdk::{Error, Result, SessionId, Severity, wire};

use super::account::{self, Numbers, tally_fields};
use crate::conserve::{self, Account, Received, Repair, Sums};
use crate::health::Weights;
use crate::index::Index;
use crate::model::{Counts, MAX_CATEGORIES, MAX_RULES, Tally};
use crate::store::redis::fold::Apart;
use crate::store::redis::members::{indexed, packed};

/// Times that a session is looked at which changes meanwhile.
const TRIES: usize = 5;
/// Members or counters written at once: some 100 KiB.
const AT_ONCE: usize = 2_000;
/// What is in the making expires this long after it was last written to. A step takes milliseconds;
/// a minute lasts through a failover.
const EXPIRES: Duration = Duration::from_mins(1);

/// A member of an index.
type Member = [u8; 16];

pub(super) async fn repair(link: &RedisLink, session: &SessionId, apply: bool) -> Result<Repair> {
    let mut fold = Apart::new();
    for _ in 0..TRIES {
        let generation = fold.catch_up(link, session).await?;
        let numbers = account::read(link, session).await?;
        if numbers.account.generation != generation {
            fold = Apart::new();
            continue;
        }
        // What was pushed in between is folded, or the version tells.
        fold.catch_up(link, session).await?;
        let present = members(link, session).await?;
        let mended = {
            let index = fold.index().read().await;
            Mended::of(numbers, &index, &present)?
        };
        if !apply || mended.repair.is_whole() {
            return Ok(mended.repair);
        }
        if mended.put(link, session).await? {
            return Ok(Repair {
                applied: true,
                ..mended.repair
            });
        }
    }
    Err(Error::conflict(format!(
        "session {session} changed each time it was to be repaired; make its bots quiet \
         (fleet workers quiet) and repair it then"
    )))
}

/// The members of a session, packed or not.
async fn members(link: &RedisLink, session: &SessionId) -> Result<BTreeSet<Vec<u8>>> {
    let packed = packed(link, session).await?;
    let packed = packed.into_iter().map(|member| member.to_vec());
    let indexed = indexed(link, session).await?;
    Ok(packed.chain(indexed).collect())
}

/// A session as it is to be.
struct Mended {
    repair: Repair,
    /// Members with their scores.
    members: Vec<(u64, Vec<u8>)>,
    counts: BTreeMap<String, i64>,
    /// Fields to take out of the session's hash.
    gone: Vec<String>,
    /// Fields to set in it.
    set: Vec<(String, i64)>,
    /// What its findings weigh, where its counters are made anew.
    weights: Option<Weights>,
    /// Findings that the fleet's sums have too few.
    missing: i64,
}

impl Mended {
    /// What the log, folded into `index`, makes of a session with these numbers and members.
    fn of(numbers: Numbers, index: &Index, present: &BTreeSet<Vec<u8>>) -> Result<Self> {
        let before = numbers.account;
        let logged: BTreeSet<Member> = index.fingerprints(None).map(|f| f.0).collect();
        let strangers = present.iter().filter(|member| {
            let whole = Member::try_from(member.as_slice());
            whole.map_or(true, |member| !logged.contains(&member))
        });
        let strangers: Vec<&Vec<u8>> = strangers.collect();
        let held_back = before.held_back(strangers.len() as u64)?;
        let logged_now = (index.len() as u64).cast_signed();
        let (counts, tally) = if held_back {
            (numbers.counts.clone(), None)
        } else {
            let counts = index.counts();
            (fields(&counts), Some((index.tally(), counts)))
        };
        let mut members = scored(index);
        let added = members
            .iter()
            .filter(|(_, member)| !present.contains(member));
        let added = added.count() as u64;
        let removed = if held_back { 0 } else { strangers.len() as u64 };
        if held_back {
            let score = score(fleet_worker_sdk::WeightClass::Error, 0);
            members.extend(strangers.into_iter().map(|member| (score, member.clone())));
        }
        let total = (members.len() as u64).cast_signed();
        let mut set = vec![
            ("total".to_owned(), total),
            ("duplicates".to_owned(), numbers.raw - logged_now),
        ];
        let mut gone = Vec::new();
        if let Some((tally, counts)) = &tally {
            totals(&mut set, &mut gone, *tally, counts);
        }
        let counts_anew = tally.as_ref().map(|(_, counts)| counts);
        let after = Account {
            executions: executions(&before, counts_anew, &mut set),
            indexed: total,
            counted: tally.as_ref().map_or(before.counted, |(tally, counts)| {
                Sums::of(counts, tally.total())
            }),
            total,
            logged: logged_now,
            ..before.clone()
        };
        Ok(Self {
            repair: Repair {
                applied: false,
                added,
                removed,
                counters: conserve::changed_counters(&numbers.counts, &counts),
                duplicates: (numbers.raw - logged_now).max(0).cast_unsigned(),
                lost: (before.contributed() - total).max(0).cast_unsigned(),
                before: before.clone(),
                after,
            },
            missing: total - before.contributed(),
            members,
            counts,
            gone,
            set,
            weights: tally.as_ref().map(|(_, counts)| Weights::of(counts)),
        })
    }

    /// Writes it beside the present one and puts it in its place; false when that has moved on.
    async fn put(&self, link: &RedisLink, session: &SessionId) -> Result<bool> {
        let token = u128::from_be_bytes(*uuid::Uuid::new_v4().as_bytes());
        let [index, counts] = link.keys().mending(session, token);
        for members in self.members.chunks(AT_ONCE) {
            let mut command = redis::cmd("ZADD");
            command.arg(&index);
            for (score, member) in members {
                command.arg(*score).arg(member);
            }
            write(link, command, &index).await?;
        }
        let fields: Vec<_> = self.counts.iter().collect();
        for fields in fields.chunks(AT_ONCE) {
            let mut command = redis::cmd("HSET");
            command.arg(&counts);
            for (field, by) in fields {
                command.arg(*field).arg(**by);
            }
            write(link, command, &counts).await?;
        }
        let put = self.swap(link, session, &index, &counts).await;
        if !matches!(put, Ok(true)) {
            let mut command = redis::cmd("UNLINK");
            command.arg(&index).arg(&counts);
            // Whatever stops this, they expire.
            let _ = link.call::<u64>(&command).await;
        }
        put
    }

    async fn swap(
        &self,
        link: &RedisLink,
        session: &SessionId,
        index: &str,
        counts: &str,
    ) -> Result<bool> {
        let (keys, partition) = (link.keys(), session.partition());
        let keys = [
            keys.session(session),
            keys.index(session),
            keys.counts(session),
            keys.sessions(partition),
            keys.feed(partition),
            keys.rollup(partition),
            index.to_owned(),
            counts.to_owned(),
            keys.packed(session),
        ];
        let before = &self.repair.before;
        let mut command = fcall("fleet_repair_1", &keys);
        command
            .arg(session.as_str())
            .arg(before.version.0)
            .arg(before.generation)
            .arg(self.members.len())
            .arg(self.counts.len())
            .arg(self.missing)
            .arg(self.gone.len())
            .arg(&self.gone);
        for (field, value) in &self.set {
            command.arg(field).arg(*value);
        }
        if let Some(weights) = &self.weights {
            command.arg("weights").arg(weights.to_string());
        }
        let put: u8 = link.call(&command).await?;
        Ok(put == 1)
    }
}

/// Writes a part of what is in the making.
async fn write(link: &RedisLink, command: redis::Cmd, key: &str) -> Result<()> {
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline.add_command(command).ignore();
    pipeline
        .expire(key, EXPIRES.as_secs().cast_signed())
        .ignore();
    link.pipeline::<()>(&pipeline).await
}

/// Every finding of an index with its score, in order of arrival.
fn scored(index: &Index) -> Vec<(u64, Vec<u8>)> {
    let scored = (0..).zip(index.arrivals()).filter_map(|(order, arrival)| {
        // It was decoded when it was folded.
        let class = wire::columns(arrival.body).ok()?.weight_class();
        Some((score(class, order), arrival.again.fingerprint.0.to_vec()))
    });
    scored.collect()
}

/// Counters as fields of their hash.
fn fields(counts: &Counts) -> BTreeMap<String, i64> {
    let mut fields = BTreeMap::new();
    for (bot, tally) in &counts.by_bot {
        for &severity in Severity::ALL {
            fields.insert(count::bot(bot, Some(severity)), tally.of(severity));
        }
        fields.insert(count::bot(bot, None), tally.suppressed);
    }
    for (category, by) in &counts.by_category {
        fields.insert(count::category(category), *by);
    }
    for ((class, rule), by) in &counts.by_rule {
        fields.insert(count::rule(*class, rule), *by);
    }
    let some = fields.into_iter().filter(|(_, by)| *by > 0);
    some.map(|(field, by)| (field, by.cast_signed())).collect()
}

/// The executions as they are to be: each received what it stated when it ended, and the counters made
/// anew, where they are, say what is counted of it. Adds the fields of the session's hash to `set`.
fn executions(
    before: &Account,
    counts: Option<&Counts>,
    set: &mut Vec<(String, i64)>,
) -> Vec<Received> {
    let mended = before.executions.iter().map(|execution| {
        let mut execution = execution.clone();
        if let Some(stated) = execution.stated
            && stated != execution.received
        {
            set.push((format!("xp:{}", execution.bot), stated));
            execution.received = stated;
        }
        if let Some(counts) = counts {
            let of_bot = counts.by_bot.get(&execution.bot);
            execution.counted = of_bot.map_or(0, Tally::total).cast_signed();
        }
        execution
    });
    mended.collect()
}

/// The fields of the session's hash that go with counters.
fn totals(set: &mut Vec<(String, i64)>, gone: &mut Vec<String>, tally: Tally, counts: &Counts) {
    // Those over the limit are counted together, beside as many as it allows.
    let rules = counts.by_rule.len().min(MAX_RULES) as u64;
    let categories = counts.by_category.len().min(MAX_CATEGORIES) as u64;
    set.push(("rules".to_owned(), rules.cast_signed()));
    set.push(("categories".to_owned(), categories.cast_signed()));
    for (field, severity) in tally_fields() {
        let by = severity.map_or(tally.suppressed, |severity| tally.of(severity));
        if by == 0 {
            gone.push(field);
        } else {
            set.push((field, by.cast_signed()));
        }
    }
}
