//! Where a report belongs: repository, ref and commit, as far as the surroundings know.
//!
//! What was given wins, then what the CI job says, then what git says: a CI checkout is often
//! detached or shallow, and its remote may be a cache.

mod ci;

use std::path::Path;
use std::process::{Command, Stdio};

use fleet_worker_sdk::{OpenSession, Repository, Result};

/// What is known of the place, not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `owner/name`.
    pub repository: Option<String>,
    /// Branch or tag.
    pub git_ref: Option<String>,
    /// Commit hash.
    pub commit: Option<String>,
}

impl Place {
    /// What `self` leaves open, as `other` has it; nothing where they are of two repositories,
    /// for a commit of the one means nothing in the other.
    fn or(self, other: Self) -> Self {
        if let (Some(one), Some(two)) = (&self.repository, &other.repository)
            && !one.eq_ignore_ascii_case(two)
        {
            return self;
        }
        Self {
            repository: self.repository.or(other.repository),
            git_ref: self.git_ref.or(other.git_ref),
            commit: self.commit.or(other.commit),
        }
    }

    fn is_whole(&self) -> bool {
        self.repository.is_some() && self.git_ref.is_some() && self.commit.is_some()
    }

    /// The place of a report: what was given, completed from this process's surroundings.
    pub fn found(given: Self) -> Self {
        let place = given.or(ci::place(|name| std::env::var(name).ok()));
        if place.is_whole() {
            return place;
        }
        place.or(Self::of_git(|arguments| git(Path::new("."), arguments)))
    }

    /// The place of the checkout at `folder`, as git knows it; its repository is named after the
    /// folder where there is no remote.
    pub fn of_checkout(folder: &Path) -> Self {
        let mut place = Self::of_git(|arguments| git(folder, arguments));
        let named = || of_remote(&folder.canonicalize().ok()?.to_string_lossy());
        place.repository = place.repository.or_else(named);
        place
    }

    fn of_git(git: impl Fn(&[&str]) -> Option<String>) -> Self {
        // A checkout without a remote is named after its folder.
        let named = || git(&["rev-parse", "--show-toplevel"]);
        let remote = git(&["remote", "get-url", "origin"]).or_else(named);
        Self {
            repository: remote.as_deref().and_then(of_remote),
            git_ref: git(&["symbolic-ref", "--quiet", "--short", "HEAD"]),
            commit: git(&["rev-parse", "--verify", "--quiet", "HEAD"]),
        }
    }

    /// The session of this place and `run`.
    ///
    /// # Errors
    /// [`fleet_worker_sdk::Error::Invalid`] naming the part that is missing or not allowed.
    pub fn session(&self, run: Option<&str>) -> Result<OpenSession> {
        let Some(repository) = &self.repository else {
            return Err(fleet_worker_sdk::Error::invalid(
                "repository",
                "none is given and none was found here; give it with --repository OWNER/NAME",
            ));
        };
        let mut open = OpenSession::new(repository)?
            .git_ref(self.git_ref.as_deref().unwrap_or_default())
            .commit(self.commit.as_deref().unwrap_or_default());
        if let Some(run) = run {
            open = open.run(run);
        }
        open.check()?;
        Ok(open)
    }
}

/// `owner/name` of a remote's address: `https://host/owner/name.git`, `git@host:owner/name.git`,
/// `ssh://git@host:22/owner/name`; of a folder, its name.
fn of_remote(remote: &str) -> Option<String> {
    let remote = remote.trim();
    let path = match remote.split_once("://") {
        Some(("file", path)) => path.rsplit('/').find(|part| !part.is_empty())?,
        Some((_, rest)) => rest.split_once('/')?.1,
        None => match remote.split_once(':') {
            Some((host, path)) if !host.contains('/') => path,
            _ => remote.rsplit('/').find(|part| !part.is_empty())?,
        },
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    Repository::new(path).ok().map(|name| name.to_string())
}

/// What git says about a folder; nothing where there is no git or no checkout.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_of_every_form_name_their_repository() {
        for (remote, name) in [
            ("https://github.com/acme/shop.git", "acme/shop"),
            (
                "https://user:secret@gitlab.example/group/sub/shop",
                "group/sub/shop",
            ),
            ("git@github.com:acme/shop.git\n", "acme/shop"),
            ("ssh://git@host:2222/acme/shop.git", "acme/shop"),
            ("/srv/git/shop.git", "shop"),
            ("file:///srv/git/shop.git", "shop"),
            ("../shop", "shop"),
        ] {
            assert_eq!(of_remote(remote).as_deref(), Some(name), "{remote}");
        }
        assert_eq!(of_remote("https://host/a b"), None);
        assert_eq!(of_remote(""), None);
    }

    #[test]
    fn what_is_given_wins_then_the_ci_then_git() {
        let ci = |name: &str| match name {
            "CI_PROJECT_PATH" => Some("acme/shop".to_owned()),
            "CI_COMMIT_SHA" => Some("c1".to_owned()),
            "CI_COMMIT_REF_NAME" => Some("of-ci".to_owned()),
            _ => None,
        };
        let git = |arguments: &[&str]| match arguments {
            ["remote", ..] => Some("git@h:acme/shop".to_owned()),
            ["symbolic-ref", ..] => Some("of-git".to_owned()),
            _ => None,
        };
        let given = Place {
            commit: Some("given".to_owned()),
            ..Place::default()
        };
        let place = given.or(ci::place(ci)).or(Place::of_git(git));
        assert_eq!(place.commit.as_deref(), Some("given"));
        assert_eq!(place.git_ref.as_deref(), Some("of-ci"));
        assert_eq!(place.repository.as_deref(), Some("acme/shop"));
        assert_eq!(ci::place(ci).commit.as_deref(), Some("c1"));
    }

    #[test]
    fn a_commit_of_another_repository_is_not_taken() {
        let given = Place {
            repository: Some("acme/other".to_owned()),
            ..Place::default()
        };
        let git = |arguments: &[&str]| match arguments {
            ["remote", ..] => Some("git@h:acme/shop".to_owned()),
            _ => Some("x".to_owned()),
        };
        assert_eq!(given.clone().or(Place::of_git(git)), given);
        let same = Place {
            repository: Some("Acme/Shop".to_owned()),
            ..Place::default()
        };
        assert_eq!(same.or(Place::of_git(git)).commit.as_deref(), Some("x"));
    }

    #[test]
    fn a_place_without_a_repository_says_how_to_give_one() {
        let error = Place::default().session(None).unwrap_err().to_string();
        assert!(error.contains("--repository"), "{error}");
    }
}
