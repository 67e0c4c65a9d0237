//! The file of tokens, read anew when it changes: a token is added or taken away without a restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fleet_coordinator::access::{MAX_TOKENS, Tokens};
use fleet_coordinator::config::ConfigError;
use tokio_util::sync::CancellationToken;

/// How often the file is looked at: a token that is taken away is good for so long at most.
pub const LOOK: Duration = Duration::from_secs(5);
/// Largest file, in bytes: a line is at most 150 long, and comments as much again.
const MAX_FILE: u64 = MAX_TOKENS as u64 * 300;

/// Tokens, as their file has them now; cheap to clone.
#[derive(Clone, Debug)]
pub struct TokensFile {
    path: PathBuf,
    current: Arc<RwLock<Arc<Tokens>>>,
}

impl TokensFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::File`] when it cannot be read, has a line that is none, or has no token.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |why: String| ConfigError::File {
            path: path.to_owned(),
            why,
        };
        let tokens = read(path).map_err(refuse)?;
        if tokens.is_empty() {
            let why = "it has no token, so that nobody could come in; `fleet token new` makes one";
            return Err(refuse(why.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            current: Arc::new(RwLock::new(Arc::new(tokens))),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens that are let in now.
    pub fn current(&self) -> Arc<Tokens> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Reads the file again; says whether its tokens are others now. A file that cannot be used
    /// changes nothing; one without tokens lets nobody in.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn refresh(&self) -> Result<bool, String> {
        let tokens = read(&self.path)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **current != tokens;
        if changed {
            *current = Arc::new(tokens);
        }
        Ok(changed)
    }

    /// Looks at the file every [`LOOK`] until `ended`.
    pub async fn watch(self, ended: CancellationToken) {
        let mut complained = None;
        loop {
            tokio::select! {
                () = ended.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let file = self.clone();
            let looked = tokio::task::spawn_blocking(move || file.refresh()).await;
            match looked {
                Ok(Ok(changed)) => {
                    complained = None;
                    if changed {
                        tracing::info!(tokens = self.current().len(), "the tokens have changed");
                    }
                }
                Ok(Err(why)) if complained.as_deref() != Some(&*why) => {
                    tracing::error!(path = %self.path.display(), %why, "the file of tokens cannot be used; those before stay");
                    complained = Some(why);
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

fn read(path: &Path) -> Result<Tokens, String> {
    let size = path.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_FILE {
        return Err(format!("it is over {MAX_FILE} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Tokens::parse(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet_coordinator::access::{Role, Secret};

    #[test]
    fn a_token_comes_and_goes_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let (old, new) = (Secret::fresh().unwrap(), Secret::fresh().unwrap());
        let lines = [old.line(Role::Read, "ann"), new.line(Role::Read, "ann")];
        std::fs::write(&path, &lines[0]).unwrap();
        let file = TokensFile::open(&path).unwrap();
        let knows = |secret: &Secret| file.current().identify(secret.reveal()).is_some();
        assert!(knows(&old) && !knows(&new));
        assert_eq!(file.refresh(), Ok(false));
        std::fs::write(&path, lines.join("\n")).unwrap();
        assert_eq!(file.refresh(), Ok(true));
        assert!(knows(&old) && knows(&new));
        std::fs::write(&path, &lines[1]).unwrap();
        file.refresh().unwrap();
        assert!(!knows(&old) && knows(&new));
        std::fs::write(&path, "nonsense").unwrap();
        file.refresh().unwrap_err();
        assert!(knows(&new), "what cannot be used changes nothing");
        std::fs::write(&path, "# nobody").unwrap();
        file.refresh().unwrap();
        assert!(!knows(&new));
    }

    #[test]
    fn a_file_that_lets_nobody_in_or_is_not_there_is_refused_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        assert!(TokensFile::open(&path).is_err());
        std::fs::write(&path, "\n# none\n").unwrap();
        let why = TokensFile::open(&path).unwrap_err().to_string();
        assert!(why.contains("no token"), "{why}");
    }
}
