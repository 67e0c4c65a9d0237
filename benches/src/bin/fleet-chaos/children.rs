//! The processes of a run, and the signals they get.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::bot::{self, BotArgs};

/// How long a process may take to end by itself when it is told to.
const END: Duration = Duration::from_secs(40);
/// Minutes for which a session is quiet before it is compacted: six seconds, so that a short run has
/// sessions that were.
const COMPACT_AFTER: &str = "0.1";

/// A process that is started again and again in the same way; killed when dropped.
pub(crate) struct Worker {
    /// What it is called in reports and by its log.
    pub(crate) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
    /// How it ended where nobody had told it to.
    pub(crate) crashes: Vec<String>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl Worker {
    fn new(name: String, program: PathBuf, arguments: Vec<String>, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        Self {
            name,
            program,
            arguments,
            log,
            child: None,
            crashes: Vec::new(),
        }
    }

    /// A coordinator of the store at `url` that keeps so many findings, or all, not yet running.
    pub(crate) fn coordinator(
        number: usize,
        url: &str,
        keep: Option<u64>,
        folder: &Path,
    ) -> Result<Self> {
        let arguments = ["--store", url, "--compact-after-minutes", COMPACT_AFTER];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        if let Some(findings) = keep {
            arguments.extend(["--keep-findings".to_owned(), findings.to_string()]);
        }
        let program = beside("fleet-coordinator")?;
        let name = format!("coordinator-{number}");
        Ok(Self::new(name, program, arguments, folder))
    }

    /// A bot, not yet running.
    pub(crate) fn bot(args: &BotArgs, folder: &Path) -> Result<Self> {
        let journal = args.journal.display().to_string();
        let numbers = [
            args.number as u64,
            args.seed,
            args.rate,
            args.round,
            args.group as u64,
            args.bots as u64,
        ];
        let [number, seed, rate, round, group, bots] = numbers.map(|number| number.to_string());
        let words = [
            "bot",
            "--store",
            &args.store,
            "--journal",
            &journal,
            "--number",
            &number,
            "--seed",
            &seed,
            "--rate",
            &rate,
            "--round",
            &round,
            "--group",
            &group,
            "--bots",
            &bots,
        ];
        let program = std::env::current_exe().context("this program cannot be found")?;
        let arguments = words.map(str::to_owned).to_vec();
        Ok(Self::new(
            bot::name(args.number),
            program,
            arguments,
            folder,
        ))
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.is_running()? {
            return Ok(());
        }
        let log = self.open_log()?;
        // Ends with this program, however that ends: nothing is left that fills a disk.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command.arg(&self.program).args(&self.arguments);
        command.stdin(Stdio::null());
        // What the surroundings say of a fleet is not meant for this one.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLEET_")) {
            command.env_remove(name);
        }
        command.stdout(log.try_clone()?).stderr(log);
        let started = command.spawn();
        let program = self.program.display();
        let cannot = || format!("{program} cannot be started with setpriv (of util-linux)");
        self.child = Some(started.with_context(cannot)?);
        Ok(())
    }

    fn open_log(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).open(&self.log)
    }

    /// Whether it runs. One that ended by itself is noted.
    pub(crate) fn is_running(&mut self) -> io::Result<bool> {
        let Some(child) = &mut self.child else {
            return Ok(false);
        };
        let Some(status) = child.try_wait()? else {
            return Ok(true);
        };
        let (name, log) = (&self.name, self.log.display());
        self.crashes
            .push(format!("{name} ended by itself: {status}; see {log}"));
        self.child = None;
        Ok(false)
    }

    /// Its process, while there is one.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let child = self.child.as_ref()?;
        Pid::from_raw(i32::try_from(child.id()).ok()?)
    }

    /// Sends it a signal, if it runs.
    pub(crate) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match self.pid() {
            Some(pid) if self.is_running()? => Ok(kill_process(pid, signal)?),
            _ => Ok(()),
        }
    }

    /// Ends it at once, as kill -9 does.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if self.is_running()?
            && let Some(mut child) = self.child.take()
        {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        let deadline = Instant::now() + END;
        loop {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                if !status.success() {
                    let (name, log) = (&self.name, self.log.display());
                    self.crashes
                        .push(format!("{name} ended badly: {status}; see {log}"));
                }
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} did not end within {END:?}", self.name);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A program that was built together with this one.
fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program cannot be found")?;
    // Tests lie a folder deeper.
    let folders = own.ancestors().skip(1).take(2);
    let mut places = folders.map(|folder| folder.join(name));
    let found = places.find(|place| place.exists());
    found.with_context(|| {
        format!("{name} is not beside {}; build it first: cargo build -p fleet-coordinator --bin {name}", own.display())
    })
}
