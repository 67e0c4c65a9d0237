//! The checkout that a demonstration looks at.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use fleet_coordinator::place::Place;
use fleet_worker_sdk::{OpenSession, Result};
use serde::{Deserialize, Serialize};

use super::check::{Found, Look};

/// Files looked at: more make a round longer than its minute.
const MAX_FILES: usize = 5_000;
/// Larger files are data, not text to be read, in bytes.
const MAX_BYTES: u64 = 512 * 1024;
/// Folders left out where git does not say which files are the project's.
const NOT_OURS: [&str; 4] = ["target", "node_modules", "vendor", "__pycache__"];

/// A folder and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Checkout {
    pub(super) root: PathBuf,
    pub(super) repository: String,
    pub(super) git_ref: String,
    pub(super) commit: String,
}

impl Checkout {
    /// The checkout at `root`.
    pub(super) fn at(root: &Path) -> anyhow::Result<Self> {
        let absolute = root
            .canonicalize()
            .with_context(|| format!("{} cannot be looked at", root.display()))?;
        ensure!(absolute.is_dir(), "{} is no folder", root.display());
        let place = Place::of_checkout(&absolute);
        Ok(Self {
            root: absolute,
            repository: place
                .repository
                .unwrap_or_else(|| "demo/checkout".to_owned()),
            git_ref: place.git_ref.unwrap_or_default(),
            commit: place.commit.unwrap_or_default(),
        })
    }

    /// The session of one run of the demonstration.
    pub(super) fn session(&self, run: &str) -> Result<OpenSession> {
        let open = OpenSession::new(&self.repository)?.git_ref(&self.git_ref);
        Ok(open.commit(&self.commit).run(run))
    }

    /// What a check finds; blocks while it reads.
    pub(super) fn look(&self, look: Look, category: &'static str) -> Found {
        let mut found = Found::of(category);
        let paths = self.paths();
        match look {
            Look::Paths(look) => look(&paths, &mut found),
            Look::Text(look) => {
                for path in paths {
                    if let Some(text) = text(&self.root.join(&path)) {
                        look(&path, &text, &mut found);
                    }
                }
            }
            Look::Others => {}
        }
        found
    }

    /// Its files, relative to it, in order; those whose names are no text are left out.
    fn paths(&self) -> Vec<String> {
        let mut paths = tracked(&self.root).unwrap_or_else(|| walked(&self.root));
        paths.sort_unstable();
        // While a merge is open, git names a file once for each side.
        paths.dedup();
        paths.truncate(MAX_FILES);
        paths
    }
}

/// What git tracks; nothing where the folder is no checkout.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let names = output.stdout.split(|byte| *byte == 0);
    let names = names.filter(|name| !name.is_empty());
    let readable = names.filter_map(|name| String::from_utf8(name.to_vec()).ok());
    output.status.success().then(|| readable.collect())
}

/// What lies there, hidden and made folders left out.
fn walked(root: &Path) -> Vec<String> {
    let (mut paths, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue; // not ours to read
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // What a link leads to may be anywhere, or above.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
                folders.push(entry.path());
            } else if kind.is_file()
                && let Ok(path) = entry.path().strip_prefix(root)
                && let Some(path) = path.to_str()
            {
                paths.push(path.to_owned());
            }
            if paths.len() >= MAX_FILES {
                return paths;
            }
        }
    }
    paths
}

/// A file's text; none when it is large, no text, no plain file or not there any more.
fn text(path: &Path) -> Option<String> {
    let kind = path.symlink_metadata().ok()?;
    if !kind.is_file() || kind.len() > MAX_BYTES {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Checkout) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let checkout = Checkout::at(folder.path()).unwrap();
        (folder, checkout)
    }

    #[test]
    fn a_folder_without_git_is_walked_and_odd_files_are_no_text() {
        let large = vec![b'a'; MAX_BYTES as usize + 1];
        let (_folder, checkout) = checkout(&[
            ("a\nb.rs", b"x"),
            ("target/made.rs", b"x"),
            (".hidden/x", b"x"),
            ("sub/binary", b"\0"),
            ("sub/latin1", b"\xe9"),
            ("sub/large", &large),
        ]);
        assert_eq!(
            checkout.paths(),
            ["a\nb.rs", "sub/binary", "sub/large", "sub/latin1"]
        );
        let readable = |path: &String| text(&checkout.root.join(path)).is_some();
        assert_eq!(
            checkout
                .paths()
                .iter()
                .filter(|path| readable(path))
                .count(),
            1
        );
        assert!(checkout.session("demo-1").is_ok());
    }

    #[test]
    fn what_is_no_folder_is_refused_with_its_name() {
        let (folder, _) = checkout(&[("file", b"x")]);
        let error = Checkout::at(&folder.path().join("file")).unwrap_err();
        assert!(error.to_string().contains("is no folder"), "{error}");
        assert!(Checkout::at(&folder.path().join("nowhere")).is_err());
    }

    #[test]
    fn a_file_in_an_open_merge_is_looked_at_once() {
        let (folder, checkout) = checkout(&[("both", b"x")]);
        let git = |arguments: &[&str], input: &str| {
            let mut git = Command::new("git");
            let git = git.arg("-C").arg(folder.path()).args(arguments);
            let mut git = git.stdin(Stdio::piped()).spawn().unwrap();
            std::io::Write::write_all(&mut git.stdin.take().unwrap(), input.as_bytes()).unwrap();
            assert!(git.wait().unwrap().success());
        };
        git(&["init", "-q"], "");
        let side = |n: u8| format!("100644 e69de29bb2d1d6434b8b29ae775ad8c2e48c5391 {n}\tboth\n");
        git(&["update-index", "--index-info"], &(side(2) + &side(3)));
        assert_eq!(tracked(folder.path()).unwrap().len(), 2);
        assert_eq!(checkout.paths(), ["both"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_nowhere() {
        let (folder, checkout) = checkout(&[("a", b"x")]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("out")).unwrap();
        assert_eq!(checkout.paths(), ["a"]);
    }
}
