//! Changes that wait while no coordinator runs, and how long one takes to have looked at all of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::{
    Batch, BotId, Change, Fingerprint, Identified, OpenSession, ProducerId, SessionId, Transition,
    Write, redis,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::bot::{finding, name};
use crate::checker::Reader;
use crate::children::Worker;
use crate::report::{Report, say};
use crate::servers;

/// Sessions that the changes are spread over.
const SESSIONS: u64 = 1_000;
/// Sessions pushed to at once: enough to keep Redis busy.
const AT_ONCE: u64 = 16;
/// Longest a backlog may take before that is called a fault.
const PATIENCE: Duration = Duration::from_mins(15);

/// Pushes `changes` of one finding each with no coordinator about, then starts one.
pub(crate) async fn run(changes: u64, folder: &Path) -> Result<Report> {
    let redis = servers::durable().await;
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let reader = Arc::new(Reader::open(&url)?);
    reader.store.check().await?;
    let mut report = Report::new("backlog");
    let begun = Instant::now();
    push_all(&reader, changes).await?;
    let pushed = begun.elapsed();
    let waiting = waiting(&reader).await?;
    say(&format!("{waiting} changes wait after {pushed:?}"));
    let mut coordinator = Worker::coordinator(0, &url, None, folder)?;
    coordinator.start()?;
    let begun = Instant::now();
    settled(&reader).await?;
    let settled = begun.elapsed();
    let outdated = reader.outdated().await?;
    let whole = begun.elapsed();
    if outdated > 0 {
        report.violations.push(format!(
            "all changes are settled, and {outdated} sessions are not computed"
        ));
    }
    coordinator.end().await?;
    report.violations.append(&mut coordinator.crashes);
    let fleet = reader.store.rollup().await?;
    if fleet.findings != changes {
        report.violations.push(format!(
            "{changes} findings were pushed, {} are counted",
            fleet.findings
        ));
    }
    let counts = [
        ("findings pushed, one a change", changes),
        ("changes that waited", waiting),
        ("sessions", fleet.sessions),
        (
            "changes settled a second",
            (waiting as f64 / settled.as_secs_f64()) as u64,
        ),
    ];
    report
        .counts
        .extend(counts.map(|(what, count)| (what.to_owned(), count)));
    let times = [
        ("pushed", pushed),
        ("coordinator started to the last change settled", settled),
        ("coordinator started to every session computed", whole),
    ];
    for (what, time) in times {
        report.time(what, vec![time.as_millis() as u64]);
    }
    Ok(report)
}

async fn push_all(reader: &Arc<Reader>, changes: u64) -> Result<()> {
    let mut hands = JoinSet::new();
    for hand in 0..AT_ONCE {
        let reader = Arc::clone(reader);
        hands.spawn(async move {
            for number in (hand..SESSIONS).step_by(AT_ONCE as usize) {
                let share = changes / SESSIONS + u64::from(number < changes % SESSIONS);
                push_session(&reader, number, share).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = hands.join_next().await {
        done??;
    }
    Ok(())
}

async fn push_session(reader: &Reader, number: u64, findings: u64) -> Result<()> {
    let store = &*reader.store;
    let open = OpenSession::new(format!("chaos/backlog-{number}"))?;
    let session = store.open(&open).await?.session;
    let bot = name(0);
    let hand = Hand {
        store,
        session,
        bot: bot.parse()?,
        producer: ProducerId::fresh(),
    };
    let start = Change::Start {
        worker: None,
        reopen: false,
    };
    hand.change(1, 0, start).await?;
    for at in 0..findings {
        let identified = Identified {
            fingerprint: Fingerprint(u128::from(at + 1).to_be_bytes()),
            finding: finding(&bot, at),
        };
        hand.push(at + 2, identified).await?;
    }
    let complete = Change::Complete {
        pushed: findings,
        partial: false,
    };
    hand.change(findings + 2, 1, complete).await
}

/// One execution.
struct Hand<'a> {
    store: &'a dyn Write,
    session: SessionId,
    bot: BotId,
    producer: ProducerId,
}

impl Hand<'_> {
    async fn change(&self, sequence: u64, attempt: u32, change: Change) -> Result<()> {
        let transition = Transition {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt,
            producer: self.producer.clone(),
            sequence,
            change,
        };
        self.store.transition(&transition).await?;
        Ok(())
    }

    async fn push(&self, sequence: u64, identified: Identified) -> Result<()> {
        let batch = Batch {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: 1,
            producer: self.producer.clone(),
            sequence,
            findings: vec![identified],
            again: Vec::new(),
            rules: std::collections::BTreeMap::new(),
        };
        self.store.push(&batch).await?;
        Ok(())
    }
}

/// Entries of all feeds.
async fn waiting(reader: &Reader) -> Result<u64> {
    let link = reader.link();
    let mut waiting = 0;
    for partition in link.partitions().await?.iter() {
        let mut command = redis::cmd("XLEN");
        command.arg(link.keys().feed(partition));
        waiting += link.call::<u64>(&command).await?;
    }
    Ok(waiting)
}

/// Waits until everything was handed out and nothing is held.
async fn settled(reader: &Reader) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while unread(reader).await? || reader.pending().await? > 0 {
        ensure!(
            Instant::now() < deadline,
            "after {PATIENCE:?} changes still wait"
        );
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Whether a feed has what the group was not given yet.
async fn unread(reader: &Reader) -> Result<bool> {
    type Group = std::collections::BTreeMap<String, redis::Value>;
    let link = reader.link();
    for partition in link.partitions().await?.iter() {
        let feed = link.keys().feed(partition);
        let mut command = redis::cmd("XREVRANGE");
        command.arg(&feed).arg("+").arg("-").arg("COUNT").arg(1);
        let last: Vec<(String, redis::Value)> = link.call(&command).await?;
        let Some((last, _)) = last.first() else {
            continue;
        };
        let mut command = redis::cmd("XINFO");
        command.arg("GROUPS").arg(&feed);
        let groups: Vec<Group> = link.call(&command).await?;
        let group = groups.iter().find_map(|group| {
            let name = redis::from_redis_value_ref::<String>(group.get("name")?);
            (name.ok()? == Keys::GROUP).then_some(group)
        });
        // The coordinator has not made it yet.
        let Some(group) = group else { return Ok(true) };
        let given = group
            .get("last-delivered-id")
            .context("a group has no place")?;
        if redis::from_redis_value_ref::<String>(given)? != *last {
            return Ok(true);
        }
    }
    Ok(false)
}
