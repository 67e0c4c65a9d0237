//! The tool's process: started, signalled, timed out, waited for.

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use fleet_worker_sdk::{Error, Result, Worker};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::output::{self, Capture, Kept};

/// Time to end after being asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// How long the output of a tool that has ended is still waited for: what it started in the
/// background may hold it open for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The code of timeout(1).
const TIMED_OUT: u8 = 124;
/// The codes of a shell.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// A tool to be run.
pub(super) struct Tool {
    program: OsString,
    arguments: Vec<OsString>,
    capture: Capture,
    timeout: Option<Duration>,
    /// An operator wants it to end.
    told: CancellationToken,
}

/// How a tool ended.
pub(super) struct Ending {
    /// What this command exits with.
    pub(super) code: u8,
    /// What happened.
    pub(super) how: How,
    /// What it wrote to standard output, where that was kept.
    pub(super) output: Option<Result<NamedTempFile>>,
}

/// What happened to a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It ended with a code that means success.
    Well,
    /// It ended with another code.
    Code,
    /// It was ended by a signal, by its time, by an operator, or never started; why.
    Cut(String),
}

impl Ending {
    fn cut(code: u8, why: String) -> Self {
        Self {
            code,
            how: How::Cut(why),
            output: None,
        }
    }

    /// Whether its exit code may mean anything.
    pub(super) fn is_unsure(&self) -> bool {
        self.how == How::Code
    }

    /// Why it did not end well.
    pub(super) fn reason(&self) -> Option<String> {
        match &self.how {
            How::Well => None,
            How::Code => Some(format!("exit code {}", self.code)),
            How::Cut(why) => Some(why.clone()),
        }
    }
}

impl Tool {
    /// The tool of a command line.
    pub(super) fn new(
        command: &[OsString],
        capture: Capture,
        timeout: Option<Duration>,
    ) -> Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| Error::invalid("command", "it is missing"))?;
        let mut tool = Self {
            program: program.clone(),
            arguments: arguments.to_vec(),
            capture,
            timeout,
            told: CancellationToken::new(),
        };
        if capture == Capture::Cargo {
            tool.ask_for_messages();
        }
        Ok(tool)
    }

    /// Adds Cargo's flag where it is missing.
    fn ask_for_messages(&mut self) {
        let is_cargo = Path::new(&self.program)
            .file_name()
            .is_some_and(|name| name == "cargo");
        let own = self
            .arguments
            .iter()
            .take_while(|argument| *argument != "--");
        let asked = own
            .clone()
            .any(|argument| argument.to_string_lossy().starts_with("--message-format"));
        let subcommand = own
            .clone()
            .position(|argument| !argument.to_string_lossy().starts_with(['-', '+']));
        if let (true, false, Some(at)) = (is_cargo, asked, subcommand) {
            let colours = std::io::stderr().is_terminal();
            let format = if colours {
                "json-diagnostic-rendered-ansi"
            } else {
                "json"
            };
            self.arguments
                .insert(at + 1, format!("--message-format={format}").into());
        }
    }

    /// Ends the tool when an operator says so to `worker`.
    pub(super) fn obey(&self, worker: &Worker) {
        let (worker, told) = (worker.clone(), self.told.clone());
        tokio::spawn(async move {
            worker.cancelled().await;
            told.cancel();
        });
    }

    /// Runs it to its end.
    pub(super) async fn run(&self, success: Vec<u8>) -> Ending {
        let signals = match listen() {
            Ok(signals) => signals,
            Err(error) => {
                return Ending::cut(NOT_EXECUTABLE, format!("signals cannot be heard: {error}"));
            }
        };
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => return self.not_started(&error),
        };
        let keeping = child
            .stdout
            .take()
            .map(|stdout| tokio::spawn(output::take(self.capture, stdout)));
        let (status, why) = self.wait(&mut child, signals).await;
        let output = match keeping {
            Some(keeping) => Some(kept(keeping).await),
            None => None,
        };
        let (code, how) = read(status, why, &success);
        Ending { code, how, output }
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if self.capture != Capture::None {
            command.stdout(Stdio::piped());
        }
        if !on_terminal() {
            // A group of its own, so that what it starts hears signals, too. On a terminal it has to
            // stay in the terminal's, or it could not read from it.
            command.process_group(0);
        }
        command.spawn()
    }

    fn not_started(&self, error: &std::io::Error) -> Ending {
        let name = self.program.to_string_lossy();
        let why = format!("{name} cannot be started: {error}");
        crate::output::complain(&why);
        let code = if error.kind() == ErrorKind::NotFound {
            NOT_FOUND
        } else {
            NOT_EXECUTABLE
        };
        Ending::cut(code, why)
    }

    /// Waits for its end, passing signals on; answers why it had to end, if it had.
    async fn wait(
        &self,
        child: &mut Child,
        mut signals: mpsc::Receiver<Signal>,
    ) -> (std::io::Result<ExitStatus>, Option<Why>) {
        let far = Duration::from_hours(24 * 365);
        let mut timeout = Instant::now() + self.timeout.unwrap_or(far);
        let mut kill = Instant::now() + far;
        let mut why = None;
        loop {
            tokio::select! {
                status = child.wait() => return (status, why),
                Some(signal) = signals.recv() => {
                    // The terminal has told its whole group already.
                    let heard = on_terminal() && matches!(signal, Signal::INT | Signal::QUIT);
                    if !heard {
                        tell(child, if why.is_some() { Signal::KILL } else { signal });
                    }
                    if signal == Signal::TERM || signal == Signal::HUP {
                        kill = kill.min(Instant::now() + GRACE);
                    }
                    why.get_or_insert(Why::Signal);
                }
                () = self.told.cancelled(), if why.is_none() => {
                    why = Some(Why::Operator);
                    tell(child, Signal::TERM);
                    kill = Instant::now() + GRACE;
                }
                () = sleep_until(timeout) => {
                    why = Some(Why::Time(self.timeout.unwrap_or_default()));
                    tell(child, Signal::TERM);
                    (timeout, kill) = (Instant::now() + far, Instant::now() + GRACE);
                }
                () = sleep_until(kill) => {
                    tell(child, Signal::KILL);
                    kill = Instant::now() + far;
                }
            }
        }
    }
}

/// Why a tool was asked to end.
#[derive(Debug)]
enum Why {
    Signal,
    Operator,
    Time(Duration),
}

fn read(status: std::io::Result<ExitStatus>, why: Option<Why>, success: &[u8]) -> (u8, How) {
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            return (
                NOT_EXECUTABLE,
                How::Cut(format!("its end was not heard: {error}")),
            );
        }
    };
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
        (None, Some(signal)) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        (None, None) => u8::MAX,
    };
    match (why, status.signal()) {
        (Some(Why::Time(limit)), _) => (
            TIMED_OUT,
            How::Cut(format!("it ran out of its {} s", limit.as_secs())),
        ),
        (Some(Why::Operator), _) => (code, How::Cut("an operator ended it".to_owned())),
        (_, Some(signal)) => (code, How::Cut(format!("it was ended by signal {signal}"))),
        (Some(Why::Signal), None) if !success.contains(&code) => (
            code,
            How::Cut(format!(
                "it was interrupted, and ended with exit code {code}"
            )),
        ),
        (_, None) if success.contains(&code) => (code, How::Well),
        (_, None) => (code, How::Code),
    }
}

async fn kept(keeping: tokio::task::JoinHandle<Result<Kept>>) -> Result<NamedTempFile> {
    match tokio::time::timeout(LAST_WORDS, keeping).await {
        Ok(Ok(kept)) => kept?.report(),
        Ok(Err(error)) => Err(Error::invalid("standard output", error.to_string())),
        Err(_) => Err(Error::invalid(
            "standard output",
            "the tool has ended, but something that it started still holds it open",
        )),
    }
}

fn on_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Signals the tool, and where it has a group of its own, all of that.
fn tell(child: &Child, signal: Signal) {
    let pid = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let Some(pid) = pid else { return };
    let told = if on_terminal() {
        kill_process(pid, signal)
    } else {
        kill_process_group(pid, signal)
    };
    if let Err(error) = told {
        tracing::debug!(%error, "a signal was not passed on; the tool has ended");
    }
}

/// The signals that are passed on.
fn listen() -> std::io::Result<mpsc::Receiver<Signal>> {
    let (to, signals) = mpsc::channel(8); // a person presses no faster
    for (kind, signal) in [
        (SignalKind::interrupt(), Signal::INT),
        (SignalKind::terminate(), Signal::TERM),
        (SignalKind::hangup(), Signal::HUP),
        (SignalKind::quit(), Signal::QUIT),
    ] {
        let mut heard = unix::signal(kind)?;
        let to = to.clone();
        tokio::spawn(async move {
            while heard.recv().await.is_some() {
                if to.send(signal).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(signals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(command: &[&str]) -> Vec<String> {
        let command: Vec<OsString> = command.iter().map(Into::into).collect();
        let tool = Tool::new(&command, Capture::Cargo, None).unwrap();
        tool.arguments
            .iter()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn cargo_is_asked_for_messages_unless_it_was() {
        assert!(
            arguments(&["cargo", "clippy", "--", "-Dwarnings"])[1]
                .starts_with("--message-format=json")
        );
        assert!(
            arguments(&["/x/cargo", "+nightly", "check"])[2].starts_with("--message-format=json")
        );
        assert_eq!(
            arguments(&["cargo", "check", "--message-format=json"]).len(),
            2
        );
        assert_eq!(arguments(&["make", "clippy"]), ["clippy"]);
    }

    #[test]
    fn an_end_is_read_as_a_shell_would() {
        let exit = |code: i32| Ok(ExitStatus::from_raw(code << 8));
        assert_eq!(read(exit(0), None, &[0]), (0, How::Well));
        assert_eq!(read(exit(1), None, &[0]), (1, How::Code));
        assert_eq!(read(exit(1), None, &[0, 1]), (1, How::Well));
        let (code, how) = read(Ok(ExitStatus::from_raw(9)), None, &[0]);
        assert_eq!(
            (code, how),
            (137, How::Cut("it was ended by signal 9".to_owned()))
        );
        let (code, how) = read(exit(0), Some(Why::Time(Duration::from_secs(1))), &[0]);
        assert_eq!(code, TIMED_OUT);
        assert!(matches!(how, How::Cut(_)));
    }
}
