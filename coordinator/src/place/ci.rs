//! What continuous integration says of the place it runs in: a table of the variables that each
//! environment documents.
//!
//! Of a pull request the source branch counts: its scans are compared with one another, not with the
//! branch it is to be merged into. The run stays `0`, so that all jobs of a commit meet in one session.

use fleet_worker_sdk::Repository;

use super::{Place, of_remote};

/// One environment: where it says the repository, branch or tag (the first that is set), and commit.
struct Environment {
    repository: &'static str,
    refs: &'static [&'static str],
    commit: &'static str,
}

const fn environment(
    repository: &'static str,
    refs: &'static [&'static str],
    commit: &'static str,
) -> Environment {
    Environment {
        repository,
        refs,
        commit,
    }
}

/// GitHub, Gitea and Forgejo; GitLab; Woodpecker; Drone; `CircleCI`; Travis; Azure Pipelines;
/// Bitbucket; Buildkite; Jenkins. The last, since its names are the least its own.
const ENVIRONMENTS: &[Environment] = &[
    environment(
        "GITHUB_REPOSITORY",
        &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
        "GITHUB_SHA",
    ),
    environment(
        "CI_PROJECT_PATH",
        &["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"],
        "CI_COMMIT_SHA",
    ),
    environment(
        "CI_REPO",
        &[
            "CI_COMMIT_SOURCE_BRANCH",
            "CI_COMMIT_TAG",
            "CI_COMMIT_BRANCH",
        ],
        "CI_COMMIT_SHA",
    ),
    environment(
        "DRONE_REPO",
        &["DRONE_SOURCE_BRANCH", "DRONE_TAG", "DRONE_BRANCH"],
        "DRONE_COMMIT_SHA",
    ),
    environment(
        "CIRCLE_REPOSITORY_URL",
        &["CIRCLE_BRANCH", "CIRCLE_TAG"],
        "CIRCLE_SHA1",
    ),
    environment(
        "TRAVIS_REPO_SLUG",
        &["TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH"],
        "TRAVIS_COMMIT",
    ),
    environment(
        "BUILD_REPOSITORY_NAME",
        &["SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCH"],
        "BUILD_SOURCEVERSION",
    ),
    environment(
        "BITBUCKET_REPO_FULL_NAME",
        &["BITBUCKET_BRANCH", "BITBUCKET_TAG"],
        "BITBUCKET_COMMIT",
    ),
    environment(
        "BUILDKITE_REPO",
        &["BUILDKITE_TAG", "BUILDKITE_BRANCH"],
        "BUILDKITE_COMMIT",
    ),
    environment("GIT_URL", &["CHANGE_BRANCH", "GIT_BRANCH"], "GIT_COMMIT"),
];

/// What the first environment says that names a repository.
pub(super) fn place(variable: impl Fn(&str) -> Option<String>) -> Place {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let known = ENVIRONMENTS.iter().find_map(|environment| {
        let said = set(environment.repository)?;
        let named = || Some(Repository::new(&said).ok()?.to_string());
        let repository = if said.contains(':') {
            of_remote(&said)
        } else {
            named()
        }?;
        Some((environment, repository))
    });
    let Some((environment, repository)) = known else {
        return Place::default();
    };
    let git_ref = environment.refs.iter().find_map(|name| set(name));
    Place {
        repository: Some(repository),
        git_ref: git_ref.map(|name| short(&name).to_owned()),
        commit: set(environment.commit),
    }
}

/// A branch or tag as people write it.
fn short(name: &str) -> &str {
    ["refs/heads/", "refs/tags/", "origin/"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables as a shell would list them, and the repository, ref and commit they say.
    const CASES: [(&str, &str); 10] = [
        (
            "GITHUB_REPOSITORY=a/b GITHUB_HEAD_REF= GITHUB_REF_NAME=main GITHUB_SHA=c",
            "a/b main c",
        ),
        (
            "GITHUB_REPOSITORY=a/b GITHUB_HEAD_REF=fix GITHUB_REF_NAME=7/merge GITHUB_SHA=c",
            "a/b fix c",
        ),
        (
            "CI_PROJECT_PATH=a/b/c CI_COMMIT_REF_NAME=v1 CI_COMMIT_SHA=c",
            "a/b/c v1 c",
        ),
        (
            "CI_REPO=a/b CI_COMMIT_BRANCH=main CI_COMMIT_SHA=c",
            "a/b main c",
        ),
        (
            "DRONE_REPO=a/b DRONE_BRANCH=main DRONE_COMMIT_SHA=c",
            "a/b main c",
        ),
        (
            "CIRCLE_REPOSITORY_URL=git@h:a/b.git CIRCLE_TAG=v1 CIRCLE_SHA1=c",
            "a/b v1 c",
        ),
        (
            "TRAVIS_REPO_SLUG=a/b TRAVIS_BRANCH=main TRAVIS_COMMIT=c",
            "a/b main c",
        ),
        (
            "BUILD_REPOSITORY_NAME=a/b BUILD_SOURCEBRANCH=refs/heads/x/y BUILD_SOURCEVERSION=c",
            "a/b x/y c",
        ),
        (
            "BITBUCKET_REPO_FULL_NAME=a/b BITBUCKET_BRANCH=main BITBUCKET_COMMIT=c",
            "a/b main c",
        ),
        (
            "GIT_URL=https://h/a/b.git GIT_BRANCH=origin/main GIT_COMMIT=c",
            "a/b main c",
        ),
    ];

    #[test]
    fn every_environment_is_understood() {
        for (variables, said) in CASES {
            let set = variables
                .split(' ')
                .filter_map(|variable| variable.split_once('='));
            let found = place(|name| {
                let value = set.clone().find(|(known, _)| *known == name);
                value.map(|(_, value)| value.to_owned())
            });
            let found =
                [found.repository, found.git_ref, found.commit].map(Option::unwrap_or_default);
            assert_eq!(found.join(" "), said, "{variables}");
        }
        assert_eq!(place(|_| None), Place::default());
    }
}
