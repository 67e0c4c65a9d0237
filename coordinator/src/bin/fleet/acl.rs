//! `fleet acl`: users for Redis, each with what it needs and no more.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use fleet_coordinator::acl::{DEFAULT_OFF, Hash, ROLES, Role, line};
use fleet_worker_sdk::keys::{DEFAULT_NAMESPACE, Keys};
use fleet_worker_sdk::{Error, Result};
use serde_json::json;

use crate::exit::Stop;
use crate::output::{note, say};

pub(crate) const EXAMPLES: &str = "\
Without a role, a whole file for `aclfile` in redis.conf: all four users, and the default one off.
Without a password a user is off. Bots that are not trusted get none: they go through a dashboard.

Examples:
  fleet acl > users.acl                                  all of them, to be given passwords
  fleet acl worker --password-file /run/secrets/worker   one, on
  fleet acl admin --hash \"$(printf %s \"$PASSWORD\" | sha256sum | cut -c1-64)\"
  fleet acl worker --setuser | redis-cli                 into a running server, then ACL SAVE";

/// What `fleet acl` is given.
#[derive(Args)]
pub(crate) struct Acl {
    /// Only this user
    #[arg(value_enum)]
    role: Option<Who>,
    /// Namespace of the fleet
    #[arg(long, value_name = "NAME", env = "FLEET_NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// The user's name [default: the namespace and the role, such as fleet-worker]
    #[arg(long, value_name = "NAME", requires = "role")]
    user: Option<String>,
    /// File with the user's password; its hash is written
    #[arg(long, value_name = "FILE", requires = "role", conflicts_with = "hash")]
    password_file: Option<PathBuf>,
    /// SHA-256 of the user's password, in hexadecimal digits
    #[arg(long, value_name = "SHA256", requires = "role")]
    hash: Option<String>,
    /// Write ACL SETUSER commands instead of lines of a file
    #[arg(long)]
    setuser: bool,
    /// Print as JSON: each user with its rules
    #[arg(long)]
    json: bool,
}

/// A role, on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum Who {
    /// A bot's process
    Worker,
    /// A coordinator
    Coordinator,
    /// A dashboard
    Dashboard,
    /// An operator: `fleet dead`, `fleet doctor`
    Admin,
}

impl Who {
    fn role(self) -> Role {
        match self {
            Self::Worker => Role::Worker,
            Self::Coordinator => Role::Coordinator,
            Self::Dashboard => Role::Dashboard,
            Self::Admin => Role::Admin,
        }
    }
}

impl Acl {
    pub(crate) fn run(self) -> Result<(), Stop> {
        let text = self.text().map_err(Stop::Usage)?;
        say(&text)?;
        Ok(())
    }

    fn text(&self) -> Result<String> {
        let keys = Keys::new(&self.namespace)?;
        let password = self.password()?;
        let roles = match self.role {
            Some(who) => vec![who.role()],
            None => ROLES.to_vec(),
        };
        let users: Vec<_> = roles
            .into_iter()
            .map(|role| Ok((self.name(role)?, role)))
            .collect::<Result<_>>()?;
        if password.is_none() {
            note("without a password these users are off; see --password-file");
        }
        if self.json {
            let users: Vec<_> = users
                .iter()
                .map(|(user, role)| {
                    let rules = role.rules(&keys, password.as_ref());
                    json!({ "user": user, "role": role.as_str(), "rules": rules })
                })
                .collect();
            return serde_json::to_string_pretty(&json!({ "users": users }))
                .map(|text| text + "\n")
                .map_err(Error::protocol);
        }
        let mut lines: Vec<_> = users
            .iter()
            .map(|(user, role)| line(user, *role, &keys, password.as_ref()))
            .collect();
        if self.role.is_none() {
            lines.insert(0, DEFAULT_OFF.to_owned());
        }
        let lines = lines.iter().map(|line| match line.strip_prefix("user ") {
            Some(rest) if self.setuser => format!("ACL SETUSER {rest}\n"),
            _ => format!("{line}\n"),
        });
        Ok(lines.collect())
    }

    fn name(&self, role: Role) -> Result<String> {
        let name = match &self.user {
            Some(name) => name.clone(),
            None => format!("{}-{role}", self.namespace),
        };
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            let why = "a user's name is not empty, and has no spaces in it";
            return Err(Error::invalid("user", why));
        }
        Ok(name)
    }

    fn password(&self) -> Result<Option<Hash>> {
        if let Some(hash) = &self.hash {
            return Hash::new(hash).map(Some);
        }
        let Some(path) = &self.password_file else {
            return Ok(None);
        };
        let unreadable = |why: String| Error::invalid(format!("{}", path.display()), why);
        let text = std::fs::read_to_string(path)
            .map_err(|error| unreadable(format!("it cannot be read: {error}")))?;
        // As the clients read it.
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err(unreadable("the file with the password is empty".to_owned()));
        }
        Ok(Some(Hash::of(password)))
    }
}
