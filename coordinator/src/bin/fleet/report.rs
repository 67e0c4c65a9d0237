//! `fleet report`: a session's findings as a document.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use fleet_coordinator::client::{ReportQuery, ReportStream};
use fleet_coordinator::report::Format;
use futures_util::StreamExt;
use tempfile::NamedTempFile;

use crate::asking::Asking;
use crate::choice;
use crate::exit::Stop;
use crate::filters::Filters;

pub(crate) const EXAMPLES: &str = "\
SESSION is a session's id or the beginning of it, a repository (its latest session), or `latest`.
Without it: the repository of this checkout, and outside of any, the latest session of all.

Examples:
  fleet report                                    of this checkout, in Markdown
  fleet report acme/shop -o shop.html             the form is that of the file's name
  fleet report latest -s error --format markdown >> $GITHUB_STEP_SUMMARY";

/// What `fleet report` is given.
#[derive(Args)]
pub(crate) struct Report {
    /// Which session
    session: Option<String>,
    /// markdown, json or html [default: that of FILE's name, else markdown]
    #[arg(long)]
    format: Option<Format>,
    /// Where to write it; a file that is there is replaced when the report is whole
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// At most so many findings [default: all]
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    asking: Asking,
}

impl Report {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        let query = ReportQuery {
            format: self.form(),
            findings: self.filters.query().map_err(Stop::Usage)?,
            limit: self.limit,
        };
        let reader = self.asking.reader()?;
        let session = choice::session(&*reader, self.session.as_deref()).await?;
        let report = reader.report(&session, &query).await?;
        match self.output.as_deref() {
            Some(path) if path.as_os_str() != "-" => into_file(report, path).await,
            _ => into(report, &mut std::io::stdout().lock()).await,
        }
    }

    fn form(&self) -> Format {
        let name = self.output.as_deref().and_then(Path::extension);
        let named = match name.and_then(|name| name.to_str()) {
            _ if self.asking.json => Format::Json,
            Some("html" | "htm") => Format::Html,
            Some("json") => Format::Json,
            _ => Format::Markdown,
        };
        self.format.unwrap_or(named)
    }
}

async fn into(mut report: ReportStream, out: &mut impl Write) -> Result<(), Stop> {
    while let Some(part) = report.next().await {
        out.write_all(&part?)?;
    }
    Ok(out.flush()?)
}

/// Writes beside `path` and then in its place: a report that broke off replaces nothing.
async fn into_file(report: ReportStream, path: &Path) -> Result<(), Stop> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    into(report, &mut file).await?;
    share(&file)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A temporary file is its owner's alone; a report is like any other file.
#[cfg(unix)]
fn share(file: &NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(permissions)
}

#[cfg(not(unix))]
fn share(_: &NamedTempFile) -> std::io::Result<()> {
    Ok(())
}
