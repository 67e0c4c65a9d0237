//! Coordinators that die with changes in hand, and how long until another has taken them over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Result, ensure};
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::redis;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::checker::Reader;
use crate::children::Worker;
use crate::fleet::{Fleet, Load};
use crate::proxy::Proxy;
use crate::report::{Report, say};
use crate::servers;

/// Longest wait for each step: an entry is taken over when it was held for 30 s.
const PATIENCE: Duration = Duration::from_secs(90);

/// Longer than a call takes on this machine.
const ON_ITS_WAY: Duration = Duration::from_millis(200);
/// Between two looks at who holds what: a look asks every partition, and times are tens of seconds.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Coordinators that died with changes in hand: their names in the group, and when they died.
#[derive(Default)]
struct Dead {
    all: Mutex<Vec<(BTreeSet<String>, Instant)>>,
    /// No more will come.
    closed: AtomicBool,
}

/// Kills `times` coordinators that hold changes, one after the other; what they held is taken over
/// meanwhile.
pub(crate) async fn run(load: &Load, times: u32, folder: &Path) -> Result<Report> {
    let redis = servers::durable().await;
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let reader = Arc::new(Reader::open(&url)?);
    let fleet = Fleet::start(load, &url, &url, folder)?;
    fleet.all_push(PATIENCE).await?;
    let dead = Arc::new(Dead::default());
    let watching = tokio::spawn(watch(Arc::clone(&reader), Arc::clone(&dead)));
    let mut report = Report::new("takeover");
    let mut held = 0;
    for number in 0..times {
        let proxy = Proxy::start(redis.port).await?;
        let others = holders(&reader).await?;
        // Counted on from those that stay.
        let name = load.coordinators + number as usize;
        let mut victim = Worker::coordinator(name, &proxy.url(), load.keep, folder)?;
        victim.start()?;
        let names = newcomers(&reader, &others).await?;
        held += catch(&reader, &names, &proxy).await?;
        victim.kill()?;
        dead.all.lock().await.push((names, Instant::now()));
    }
    dead.closed.store(true, Relaxed);
    let took = watching.await??;
    report.counts.insert(
        "coordinators killed with changes in hand".to_owned(),
        took.len() as u64,
    );
    report
        .counts
        .insert("changes that they held".to_owned(), held);
    report.time("coordinator killed to its changes being taken over", took);
    fleet.judge(&reader, None, &mut report).await?;
    Ok(report)
}

/// Waits until nobody dead holds anything any more; answers how long each took, in milliseconds.
async fn watch(reader: Arc<Reader>, dead: Arc<Dead>) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    loop {
        let closed = dead.closed.load(Relaxed);
        let all = holders(&reader).await?;
        let mut waiting = dead.all.lock().await;
        waiting.retain(|(names, died)| {
            let held = held_of(&all, names);
            if held == 0 {
                took.push(died.elapsed().as_millis() as u64);
                say(&format!("takeover after {} ms", died.elapsed().as_millis()));
            }
            held > 0
        });
        let late = |(_, died): &&(_, Instant)| died.elapsed() > PATIENCE;
        let late = waiting.iter().filter(late).count();
        ensure!(
            late == 0,
            "after {PATIENCE:?} nobody took over what {late} dead coordinators held"
        );
        if closed && waiting.is_empty() {
            return Ok(took);
        }
        drop(waiting);
        sleep(LOOK_EVERY).await;
    }
}

fn held_of(holders: &BTreeMap<String, u64>, names: &BTreeSet<String>) -> u64 {
    names.iter().filter_map(|name| holders.get(name)).sum()
}

/// Consumers of all feeds, with how many entries they hold.
async fn holders(reader: &Reader) -> Result<BTreeMap<String, u64>> {
    let link = reader.link();
    let mut all = BTreeMap::new();
    for partition in link.partitions().await?.iter() {
        let feed = link.keys().feed(partition);
        let mut exists = redis::cmd("EXISTS");
        if link.call::<u8>(exists.arg(&feed)).await? == 0 {
            continue;
        }
        let mut command = redis::cmd("XINFO");
        command.arg("CONSUMERS").arg(&feed).arg(Keys::GROUP);
        let consumers: Option<Vec<BTreeMap<String, redis::Value>>> =
            link.call_unless(&command, "NOGROUP").await?;
        for consumer in consumers.unwrap_or_default() {
            let field = |name: &str| consumer.get(name).cloned().unwrap_or(redis::Value::Nil);
            let name: String = redis::from_redis_value(field("name"))?;
            let pending: u64 = redis::from_redis_value(field("pending"))?;
            *all.entry(name).or_default() += pending;
        }
    }
    Ok(all)
}

/// The names of consumers that were not among `known`, once there is one.
async fn newcomers(reader: &Reader, known: &BTreeMap<String, u64>) -> Result<BTreeSet<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let all = holders(reader).await?.into_keys();
        let new: BTreeSet<String> = all.filter(|name| !known.contains_key(name)).collect();
        if !new.is_empty() {
            return Ok(new);
        }
        ensure!(Instant::now() < deadline, "the coordinator reads nothing");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Holds what a coordinator says while it has changes in hand: it read them, and cannot settle them.
async fn catch(reader: &Reader, names: &BTreeSet<String>, proxy: &Proxy) -> Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        proxy.set(|weather| weather.hold_calls = true);
        // What was on its way still arrives.
        sleep(ON_ITS_WAY).await;
        let held = held(reader, names).await?;
        if held > 0 {
            return Ok(held);
        }
        ensure!(
            Instant::now() < deadline,
            "the coordinator never has a change in hand"
        );
        proxy.heal();
        sleep(ON_ITS_WAY).await;
    }
}

async fn held(reader: &Reader, names: &BTreeSet<String>) -> Result<u64> {
    Ok(held_of(&holders(reader).await?, names))
}
