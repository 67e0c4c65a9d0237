//! The run itself: bots at work while processes die, hang and lose their links.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result};
use fleet_worker_sdk::keys::Keys;
use rustix::process::Signal;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::bot::OPEN_ONE_IN;
use crate::checker::Reader;
use crate::children::Worker;
use crate::fleet::{Fleet, Load, has_worked};
use crate::journal::{History, now_ms};
use crate::proxy::{Break, Proxy};
use crate::report::{Report, say};
use crate::schedule::{Fault, Planned, plan};
use crate::servers::{self, Node};
use crate::witness::Witness;

/// How long bots may take to come through once all is well.
const CALM: Duration = Duration::from_mins(1);
/// Runs from here on have sessions that are compacted, and some that are removed.
const LONG: Duration = Duration::from_mins(1);

/// What faults are done to.
struct World {
    redis: Mutex<Node>,
    bots: Proxy,
    coordinators: Proxy,
    fleet: Fleet,
    done: std::sync::Mutex<Vec<Done>>,
}

/// A fault that was done: when it began and when it was over, in milliseconds since 1970.
struct Done {
    fault: Fault,
    begun: u64,
    over: u64,
}

/// Runs the seed's schedule for `length`; logs and journals go to `folder`.
pub(crate) async fn run(load: &Load, length: Duration, folder: &Path) -> Result<Report> {
    let redis = servers::durable().await;
    let (bots, coordinators) = (
        Proxy::start(redis.port).await?,
        Proxy::start(redis.port).await?,
    );
    let reader = Reader::open(&format!("redis://127.0.0.1:{}", redis.port))?;
    let reader = Arc::new(reader);
    let fleet = Fleet::start(load, &bots.url(), &coordinators.url(), folder)?;
    fleet.all_push(CALM).await?;
    let witness = Witness::start(Arc::clone(&reader));
    let world = Arc::new(World {
        redis: Mutex::new(redis),
        bots,
        coordinators,
        fleet,
        done: std::sync::Mutex::default(),
    });
    let mut report = Report::new("chaos");
    let begun = Instant::now();
    wreck(&world, load.seed, length, &mut report).await;
    world.heal().await?;
    if let Err(error) = world.fleet.all_push(CALM).await {
        report
            .violations
            .push(format!("all is well again, but {error}"));
    }
    let worked = begun.elapsed();
    let history = world
        .fleet
        .judge(&reader, Some(witness), &mut report)
        .await?;
    if length >= LONG {
        report.violations.extend(untried(&report));
    }
    world.describe(&history, worked, &mut report);
    Ok(report)
}

/// Findings to keep in a run of this length: those of sessions that stay open, and as much of complete
/// ones, but what comes within seven seconds at least and two minutes at most. So some are removed, each
/// long after it was seen to be complete.
pub(crate) fn keep(rate: u64, length: Duration) -> u64 {
    let open = length.as_secs() / OPEN_ONE_IN;
    (rate * (open + open.clamp(7, 120))).max(1)
}

/// What a run did not come to that shall show it.
fn untried(report: &Report) -> Vec<String> {
    let parts = ["sessions compacted", "complete sessions removed"];
    let missing = parts.into_iter().filter(|part| {
        let count = report.counts.get(*part).copied();
        count.unwrap_or(0) == 0
    });
    missing
        .map(|part| format!("no {part}: the run shows nothing of it"))
        .collect()
}

/// Does what the schedule says, each on its own: a fault that waits for its turn delays no other.
async fn wreck(world: &Arc<World>, seed: u64, length: Duration, report: &mut Report) {
    let begun = Instant::now();
    let mut doing = JoinSet::new();
    for planned in plan(seed, length) {
        sleep_until(begun + planned.at).await;
        let world = Arc::clone(world);
        doing.spawn(async move {
            world
                .does(planned)
                .await
                .map_err(|error| format!("{}: {error:#}", planned.fault))
        });
    }
    sleep_until(begun + length).await;
    while let Some(done) = doing.join_next().await {
        if let Ok(Err(error)) = done {
            report
                .violations
                .push(format!("a fault could not be done: {error}"));
        }
    }
}

impl World {
    async fn does(&self, planned: Planned) -> Result<()> {
        let mut begun = now_ms();
        match planned.fault {
            Fault::KillCoordinator | Fault::KillBot => {
                let mut worker = self.picked(planned)?.lock().await;
                worker.kill()?;
                sleep(planned.lasts).await;
                worker.start()?;
            }
            Fault::StopCoordinator | Fault::StopBot => {
                let mut worker = self.picked(planned)?.lock().await;
                worker.signal(Signal::STOP)?;
                sleep(planned.lasts).await;
                worker.signal(Signal::CONT)?;
            }
            Fault::KillRedis => {
                let mut redis = self.redis.lock().await;
                begun = now_ms();
                redis.kill();
                sleep(planned.lasts).await;
                redis.restart().await;
            }
            Fault::StopRedis => {
                let redis = self.redis.lock().await;
                begun = now_ms();
                servers::signal(&redis, Signal::STOP)?;
                sleep(planned.lasts).await;
                servers::signal(&redis, Signal::CONT)?;
            }
            Fault::FullMemory => {
                let redis = self.redis.lock().await;
                begun = now_ms();
                fill_memory(&redis, planned.lasts).await?;
            }
            Fault::FlushFunctions => self.tell(&["FUNCTION", "FLUSH"]).await?,
            Fault::FlushScripts => self.tell(&["SCRIPT", "FLUSH"]).await?,
            Fault::DestroyGroups => self.destroy_groups().await?,
            _ => self.disturb(planned).await,
        }
        let (fault, over) = (planned.fault, now_ms());
        let mut done = self
            .done
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        done.push(Done { fault, begun, over });
        Ok(())
    }

    fn picked(&self, planned: Planned) -> Result<&Mutex<Worker>> {
        let many = match planned.fault {
            Fault::KillBot | Fault::StopBot => &self.fleet.bots,
            _ => &self.fleet.coordinators,
        };
        let at = planned.pick as usize % many.len().max(1);
        many.get(at).context("there is none")
    }

    async fn tell(&self, words: &[&str]) -> Result<()> {
        let redis = self.redis.lock().await;
        Ok(redis.ask(words).await?)
    }

    async fn destroy_groups(&self) -> Result<()> {
        let redis = self.redis.lock().await;
        for partition in fleet_worker_sdk::Partitions::DEFAULT.iter() {
            let feed = Keys::default().feed(partition);
            // A feed that nothing was pushed to does not exist, which is an error.
            let _ = redis
                .ask::<u8>(&["XGROUP", "DESTROY", &feed, Keys::GROUP])
                .await;
        }
        Ok(())
    }

    /// Faults of the network: three of four are the bots', whose pushes are at stake.
    async fn disturb(&self, planned: Planned) {
        let proxy = if planned.pick.is_multiple_of(4) {
            &self.coordinators
        } else {
            &self.bots
        };
        let more = planned.pick / 4;
        match planned.fault {
            Fault::CutReply => proxy.cut_before(1 + more % 3),
            Fault::CutReplyWithin => proxy.cut_within(1 + more % 3),
            Fault::HalfOpen => proxy.end_all(Break::HalfOpen),
            Fault::Reset => proxy.end_all(Break::Reset),
            Fault::HoldCalls => proxy.set(|weather| weather.hold_calls = true),
            Fault::HoldReplies => proxy.set(|weather| weather.hold_replies = true),
            Fault::Delay => {
                proxy.set(|weather| weather.delay = Duration::from_millis(5 + more % 200));
            }
            Fault::SlowLine => proxy.set(|weather| weather.rate = Some(20_000 + more % 200_000)),
            _ => proxy.set(|weather| weather.refuse = true),
        }
        sleep(planned.lasts).await;
        match planned.fault {
            Fault::HoldCalls => proxy.set(|weather| weather.hold_calls = false),
            Fault::HoldReplies => proxy.set(|weather| weather.hold_replies = false),
            Fault::Delay => proxy.set(|weather| weather.delay = Duration::ZERO),
            Fault::SlowLine => proxy.set(|weather| weather.rate = None),
            Fault::Refuse => proxy.set(|weather| weather.refuse = false),
            _ => {}
        }
    }

    /// Everything runs and every link is fine.
    async fn heal(&self) -> Result<()> {
        say("healing");
        self.bots.heal();
        self.coordinators.heal();
        self.fleet.start_all().await
    }

    fn describe(&self, history: &History, worked: Duration, report: &mut Report) {
        let done = self
            .done
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for done in done.iter() {
            *report.counts.entry(done.fault.to_string()).or_default() += 1;
        }
        for (whose, proxy) in [("bots", &self.bots), ("coordinators", &self.coordinators)] {
            let harm = proxy.harm();
            let numbers = [
                ("replies cut before the first byte", &harm.cut_before),
                ("replies cut within", &harm.cut_within),
                ("connections reset", &harm.resets),
                ("connections left half open", &harm.half_open),
            ];
            for (what, number) in numbers {
                report
                    .counts
                    .insert(format!("{what}, of {whose}"), number.load(Relaxed));
            }
        }
        let mut times: BTreeMap<(Fault, &str), Vec<u64>> = BTreeMap::new();
        let kills = done.iter().filter(|done| done.fault == Fault::KillRedis);
        let back = kills.map(|done| done.over - done.begun).collect();
        report.time("Redis killed: killed to its first answer", back);
        for done in done.iter() {
            let (since, from) = match done.fault {
                Fault::KillRedis => (done.begun, "killed"),
                Fault::StopRedis | Fault::FullMemory | Fault::HoldCalls | Fault::HoldReplies => {
                    (done.over, "over")
                }
                _ => continue,
            };
            if let Some((first, _)) = history.recovery(since) {
                times.entry((done.fault, from)).or_default().push(first);
            }
        }
        for ((fault, from), times) in times {
            report.time(
                format!("{fault}: {from} to the next acknowledged push"),
                times,
            );
        }
        if let Some(verdict) = &report.verdict {
            let rate = verdict.acknowledged as f64 / worked.as_secs_f64();
            if !has_worked(verdict) {
                report
                    .violations
                    .push("nothing was acknowledged: the run shows nothing".to_owned());
            }
            report
                .settings
                .insert("acknowledged a second", format!("{rate:.0}"));
        }
        report
            .settings
            .insert("seconds", format!("{:.0}", worked.as_secs_f64()));
    }
}

/// A limit that is reached at once, for a while.
async fn fill_memory(redis: &Node, lasts: Duration) -> Result<()> {
    let info: String = redis.ask(&["INFO", "memory"]).await?;
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    redis
        .ask::<()>(&["CONFIG", "SET", "maxmemory", used.unwrap_or("1")])
        .await?;
    sleep(lasts).await;
    redis
        .ask::<()>(&["CONFIG", "SET", "maxmemory", "0"])
        .await?;
    Ok(())
}
