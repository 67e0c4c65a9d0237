//! Where a report belongs, as every command that brings one is told.

use clap::Args;
use fleet_coordinator::place::Place;
use fleet_worker_sdk::{OpenSession, Result};

/// The place of a report, completed from the CI job and the git checkout.
#[derive(Args)]
pub(crate) struct PlaceArgs {
    /// Repository, OWNER/NAME [default: of the CI job or the git checkout]
    #[arg(long, short = 'R', env = "FLEET_REPOSITORY")]
    repository: Option<String>,
    /// Branch or tag [default: of the CI job or the git checkout]
    #[arg(long = "ref", value_name = "REF", env = "FLEET_REF")]
    git_ref: Option<String>,
    /// Commit [default: of the CI job or the git checkout]
    #[arg(long, env = "FLEET_COMMIT")]
    commit: Option<String>,
    /// Tells analyses of the same commit apart [default: 0]
    #[arg(long, env = "FLEET_RUN")]
    run: Option<String>,
}

impl PlaceArgs {
    /// The session that it belongs to.
    ///
    /// # Errors
    /// As [`Place::session`].
    pub(crate) fn session(&self) -> Result<OpenSession> {
        let place = Place::found(Place {
            repository: self.repository.clone(),
            git_ref: self.git_ref.clone(),
            commit: self.commit.clone(),
        });
        place.session(self.run.as_deref())
    }
}
