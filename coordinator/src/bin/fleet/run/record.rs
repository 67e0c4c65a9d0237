//! The execution of a tool in the fleet: begun while it starts, ended with its report.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fleet_worker_sdk::import::{Continued, Ended};
use fleet_worker_sdk::worker::{ActiveExecution, Fleet, Session};
use fleet_worker_sdk::{Bot, Error, Execution, ExecutionState, Result, Worker, Write};
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::time::timeout;

use super::tool::{Ending, How};
use crate::direct;
use crate::later::SpoolArgs;
use crate::output::complain;
use crate::store::Target;
use crate::upload::{self, Terms};

/// How long a fleet is waited for while nothing else happens: before a tool that requires it, and
/// after one that has ended.
const SOON: Duration = Duration::from_secs(3);
/// File systems keep times as coarse as this: a report may seem that much older than it is.
const COARSE: Duration = Duration::from_secs(2);

/// Where a tool's findings come from.
pub(super) enum Report {
    /// It has none.
    None,
    /// Its standard output.
    Output,
    /// A file it writes, not older than the tool's start.
    File { path: PathBuf, since: SystemTime },
}

impl Report {
    /// A file that the tool is to write.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is a folder.
    pub(super) fn file(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::invalid(
                "report",
                format!("{} is a folder", path.display()),
            ));
        }
        Ok(Self::File {
            path: path.to_owned(),
            since: SystemTime::now(),
        })
    }

    /// Checks that the tool has written it.
    fn fresh(path: &Path, since: SystemTime) -> Result<PathBuf> {
        let wrong = |why: String| Error::invalid("report", format!("{}: {why}", path.display()));
        let written = path.metadata().and_then(|metadata| metadata.modified());
        let written =
            written.map_err(|error| wrong(format!("the tool has not written it: {error}")))?;
        if written + COARSE < since {
            return Err(wrong("it is from before the tool was started".to_owned()));
        }
        Ok(path.to_owned())
    }
}

/// What a tool's execution is recorded with.
pub(super) struct Recording {
    target: Target,
    bot: Bot,
    terms: Terms,
    report: Report,
    spool: SpoolArgs,
}

/// An execution under way.
pub(super) struct Begun {
    pub(super) worker: Worker,
    session: Session,
    execution: ActiveExecution,
}

/// What was recorded.
pub(super) struct Recorded {
    execution: Execution,
    /// Why the tool, or its report, did not end well.
    pub(super) reason: Option<String>,
    /// What became of its report.
    pub(super) summary: Value,
}

impl Recorded {
    /// The outcome in one word.
    pub(super) fn outcome(&self) -> &'static str {
        match self.execution.state {
            ExecutionState::Completed if self.execution.partial => "partial",
            state => state.as_str(),
        }
    }
}

/// What `beginning` comes to, if that is soon.
pub(super) async fn soon(
    beginning: Pin<&mut impl Future<Output = Result<Begun>>>,
) -> Result<Begun> {
    timeout(SOON, beginning).await.unwrap_or_else(|_| {
        Err(Error::Unavailable {
            store: "the fleet".to_owned(),
            why: format!("it has not answered within {} s", SOON.as_secs()),
        })
    })
}

impl Recording {
    pub(super) fn new(
        target: Target,
        bot: Bot,
        terms: Terms,
        report: Report,
        spool: SpoolArgs,
    ) -> Self {
        Self {
            target,
            bot,
            terms,
            report,
            spool,
        }
    }

    /// Keeps the tool's report, should there be one and a folder for it: the next push sends it, as
    /// an attempt of its own. Only a tool that ended well has then looked at everything.
    pub(super) fn keep(&self, ended: &Ending) {
        let Ok(Some(path)) = self.found(ended) else {
            return;
        };
        let terms = Terms {
            partial: ended.how != How::Well,
            ..self.terms.clone()
        };
        match self.spool.keep(&terms, &path, self.bot.id.as_str()) {
            Ok(true) => {
                complain("its report is kept, and sent by the next fleet push or fleet run");
            }
            Ok(false) => {}
            Err(error) => complain(&format!("its report cannot be kept: {error}")),
        }
    }

    /// A worker with a spool where there is one; another run of the bot that uses it, or a folder that
    /// cannot be used, stops nobody.
    async fn worker(&self) -> Result<Worker> {
        let fleet = Fleet::with(self.writer());
        if let Some(folder) = &self.spool.spool_dir {
            match fleet.clone().spool(folder).worker(self.bot.clone()).await {
                Err(error @ Error::Invalid { .. }) => {
                    complain(&format!("running without a spool: {error}"));
                }
                started => return started,
            }
        }
        fleet.worker(self.bot.clone()).await
    }

    fn writer(&self) -> Arc<dyn Write> {
        match &self.target {
            Target::Http(writer) => Arc::new(writer.clone()),
            Target::Direct(store) => store.clone(),
        }
    }

    /// Registers the bot, and starts its execution.
    ///
    /// # Errors
    /// As the fleet's.
    pub(super) async fn begin(&self) -> Result<Begun> {
        let worker = self.worker().await?;
        self.spool.send_kept(&self.target).await;
        let session = worker.open(self.terms.open.clone()).await?;
        let execution = session.start_over().await?;
        Ok(Begun {
            worker,
            session,
            execution,
        })
    }

    /// Ends the execution as the tool ended, with what its report says.
    ///
    /// # Errors
    /// As the fleet's; the execution is failed then, or will be when its worker is missed.
    pub(super) async fn end(&self, begun: Begun, ended: &Ending) -> Result<Recorded> {
        let Begun {
            worker,
            session,
            execution,
        } = begun;
        let recorded = self.ended(&session, execution, ended).await;
        // Stops the beats; that it cannot be said is no news after the error above.
        let stopped = worker.stop().await;
        let recorded = recorded?;
        stopped.map(|()| recorded)
    }

    async fn ended(
        &self,
        session: &Session,
        execution: ActiveExecution,
        ended: &Ending,
    ) -> Result<Recorded> {
        let found = match self.found(ended) {
            Ok(found) => found,
            Err(error) => return fail(execution, ended, Some(&error)).await,
        };
        let Some(path) = found else {
            return match &ended.how {
                How::Well => Ok(Recorded {
                    execution: execution.complete().await?.execution,
                    reason: None,
                    summary: Value::Null,
                }),
                How::Code | How::Cut(_) => fail(execution, ended, None).await,
            };
        };
        self.import(session, execution, ended, &path).await
    }

    /// The report's file; none where there is none to be had, which is no error when the tool did
    /// not end well.
    fn found(&self, ended: &Ending) -> Result<Option<PathBuf>> {
        let found = match (&self.report, &ended.output) {
            (Report::File { path, since }, _) => Report::fresh(path, *since),
            (Report::Output, Some(Ok(file))) => nonempty(file),
            (Report::Output, Some(Err(error))) => Err(error.clone()),
            (Report::None, _) | (Report::Output, None) => return Ok(None),
        };
        match found {
            Ok(path) => Ok(Some(path)),
            Err(error) if ended.how == How::Well => Err(error),
            Err(_) => Ok(None),
        }
    }

    async fn import(
        &self,
        session: &Session,
        execution: ActiveExecution,
        ended: &Ending,
        path: &Path,
    ) -> Result<Recorded> {
        let ongoing = execution.hand_over().await?;
        let continued = Continued {
            ongoing: ongoing.clone(),
            ended: match &ended.how {
                How::Well => Ended::Well,
                How::Code => Ended::Unsure,
                How::Cut(_) => Ended::Cut,
            },
        };
        let terms = Terms {
            continued: Some(continued),
            ..self.terms.clone()
        };
        let sent = match &self.target {
            Target::Http(store) => upload::send(store, &terms, path, false).await,
            Target::Direct(store) => direct::send(&**store, &terms, path, false).await,
        };
        let (summary, wrong) = match sent {
            Ok(summary) => (summary, None),
            Err(error) => {
                let why = format!("its report was refused: {error}");
                // One that was refused for what is in it still runs; of others nobody can say.
                let failed = ongoing
                    .fail(&*self.writer(), session.id(), &self.bot.id, &why)
                    .await;
                if failed.is_err() {
                    return Err(error);
                }
                (Value::Null, Some(why))
            }
        };
        let progress = session.progress().await?;
        let execution = progress.execution(&self.bot.id).cloned();
        Ok(Recorded {
            execution: execution.ok_or_else(|| Error::not_found("execution", &self.bot.id))?,
            reason: wrong.or_else(|| ended.reason()),
            summary,
        })
    }
}

fn nonempty(file: &NamedTempFile) -> Result<PathBuf> {
    let size = file.path().metadata().map_or(0, |metadata| metadata.len());
    if size == 0 {
        return Err(Error::invalid(
            "report",
            "the tool has written nothing to its standard output",
        ));
    }
    Ok(file.path().to_owned())
}

async fn fail(
    execution: ActiveExecution,
    ended: &Ending,
    wrong: Option<&Error>,
) -> Result<Recorded> {
    let reason = match (ended.reason(), wrong) {
        (Some(reason), _) => reason,
        (None, Some(wrong)) => wrong.to_string(),
        (None, None) => "it failed".to_owned(),
    };
    let execution = execution.fail(&reason).await?.execution;
    Ok(Recorded {
        execution,
        reason: Some(reason),
        summary: Value::Null,
    })
}
