//! Where a Redis fleet is: one server, one found through Sentinels, or a cluster.
//!
//! ```text
//! redis[s]://[user[:password]@]host[:port][/db]
//! redis[s]+sentinel://[user[:password]@]sentinel[:port],…/service[/db]
//! redis[s]+cluster://[user[:password]@]node[:port],…
//! ```
//!
//! `rediss` speaks TLS. Parameters, all files: `?password_file=` the password; `ca=` the
//! certificates that are trusted instead of the system's; `cert=` and `key=` the client's own;
//! `sentinel_user=` and `sentinel_password_file=` what Sentinels ask for, if anything.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use redis::{ClientTlsConfig, TlsCertificates};

use crate::error::{Error, Result};

/// Port of a Redis unless given.
const REDIS_PORT: u16 = 6379;
/// Port of a Sentinel unless given.
const SENTINEL_PORT: u16 = 26379;
/// Nodes of one address: any of them is enough to find the others.
const MAX_NODES: usize = 32;
/// Largest file with a password or certificates, in bytes: bundles of a system are about 200 KiB.
const MAX_FILE: u64 = 1024 * 1024;
/// The schemes, for those who wrote another.
pub const SCHEMES: &str = "redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// and rediss+cluster://";

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// How the servers hang together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Standalone,
    /// The master of this name, as Sentinels know it.
    Sentinel(String),
    /// Masters that share the slots.
    Cluster,
}

/// A user and its password; never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The ACL user; none for the default one.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a fleet is and what is needed to get in. Shown without secrets.
#[derive(Clone)]
pub struct Address {
    /// How the servers hang together.
    pub topology: Topology,
    /// The server, the Sentinels, or some nodes of the cluster.
    pub nodes: Vec<Node>,
    /// Number of the database; 0 in a cluster.
    pub db: i64,
    /// For Redis.
    pub credentials: Credentials,
    /// For Sentinels.
    pub sentinel: Credentials,
    /// Certificates when TLS is spoken.
    pub tls: Option<TlsCertificates>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls.is_some() {
            "rediss"
        } else {
            "redis"
        })?;
        f.write_str(match self.topology {
            Topology::Standalone => "://",
            Topology::Sentinel(_) => "+sentinel://",
            Topology::Cluster => "+cluster://",
        })?;
        for (n, node) in self.nodes.iter().enumerate() {
            write!(f, "{}{node}", if n == 0 { "" } else { "," })?;
        }
        match &self.topology {
            Topology::Sentinel(service) => write!(f, "/{service}"),
            Topology::Standalone | Topology::Cluster => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("it has no scheme; write it as redis://host:port"))?;
        let (tls, kind) = match scheme.split_once('+').unwrap_or((scheme, "")) {
            ("redis", kind) => (false, kind),
            ("rediss", kind) => (true, kind),
            _ => return Err(unknown(scheme)),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold an `@` that nobody escaped; a host may not.
        let (credentials, place) = place.rsplit_once('@').unwrap_or(("", place));
        let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
        let (topology, db) = match kind {
            "" => (Topology::Standalone, path),
            "cluster" => (Topology::Cluster, path),
            "sentinel" => {
                let (service, db) = path.split_once('/').unwrap_or((path, ""));
                (Topology::Sentinel(service_name(service)?), db)
            }
            _ => return Err(unknown(scheme)),
        };
        let mut address = Self {
            nodes: nodes(hosts, &topology)?,
            db: database(db, &topology)?,
            topology,
            credentials: read_credentials(credentials)?,
            sentinel: Credentials::default(),
            tls: tls.then_some(TlsCertificates {
                client_tls: None,
                root_cert: None,
            }),
        };
        address.read_parameters(query)?;
        Ok(address)
    }
}

impl Address {
    fn read_parameters(&mut self, query: &str) -> Result<()> {
        let (mut cert, mut key) = (None, None);
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = decoded(value)?;
            match (name, &mut self.tls) {
                ("password_file", _) => self.credentials.password = Some(secret(&value)?),
                ("sentinel_user", _) => self.sentinel.user = Some(value),
                ("sentinel_password_file", _) => self.sentinel.password = Some(secret(&value)?),
                ("ca", Some(tls)) => tls.root_cert = Some(pem("ca", &value)?),
                ("cert", Some(_)) => cert = Some(pem("cert", &value)?),
                ("key", Some(_)) => key = Some(pem("key", &value)?),
                ("ca" | "cert" | "key", None) => {
                    let why = format!("`{name}` is for TLS: write the scheme with `rediss`");
                    return Err(wrong(why));
                }
                _ => {
                    return Err(wrong(format!(
                        "the parameter `{}` is unknown; known are password_file, ca, cert, key, sentinel_user, sentinel_password_file",
                        name.escape_debug()
                    )));
                }
            }
        }
        let client = match (cert, key) {
            (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig {
                client_cert,
                client_key,
            }),
            (None, None) => None,
            _ => return Err(wrong("`cert` and `key` belong together; one is missing")),
        };
        if let Some(tls) = &mut self.tls {
            tls.client_tls = client;
        }
        Ok(())
    }
}

fn wrong(why: impl Into<String>) -> Error {
    Error::invalid("store address", why)
}

fn unknown(scheme: &str) -> Error {
    let scheme = scheme.escape_debug();
    wrong(format!(
        "the scheme `{scheme}` is unknown; known are {SCHEMES}"
    ))
}

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    Ok(text.map_err(|_| wrong("it is not UTF-8"))?.into_owned())
}

fn service_name(text: &str) -> Result<String> {
    let name = decoded(text)?;
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong(
            "it names no service; write it as redis+sentinel://sentinel:26379/mymaster",
        ));
    }
    Ok(name)
}

fn read_credentials(text: &str) -> Result<Credentials> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let some = |text: &str| {
        let text = decoded(text)?;
        Ok::<_, Error>((!text.is_empty()).then_some(text))
    };
    Ok(Credentials {
        user: some(user)?,
        password: some(password)?,
    })
}

fn nodes(hosts: &str, topology: &Topology) -> Result<Vec<Node>> {
    let port = match topology {
        Topology::Sentinel(_) => SENTINEL_PORT,
        Topology::Standalone | Topology::Cluster => REDIS_PORT,
    };
    let nodes: Vec<Node> = hosts
        .split(',')
        .map(|host| node(host, port))
        .collect::<Result<_>>()?;
    match topology {
        Topology::Standalone if nodes.len() > 1 => Err(wrong(
            "it names several servers; write the scheme with `+sentinel` or `+cluster`",
        )),
        _ if nodes.len() > MAX_NODES => Err(wrong(format!("it names more than {MAX_NODES} nodes"))),
        _ => Ok(nodes),
    }
}

fn node(text: &str, port: u16) -> Result<Node> {
    let (host, given) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest
                .split_once(']')
                .ok_or_else(|| wrong("an IPv6 address lacks its closing bracket"))?;
            (host, rest.strip_prefix(':'))
        }
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_name = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_alphanumeric() || ".-_:%".contains(c));
    if !is_name {
        return Err(wrong("it has no host; write it as redis://host:port"));
    }
    let port = given.map_or(Ok(port), |port| {
        let unreadable = || wrong(format!("`{}` is no port", port.escape_debug()));
        port.parse().map_err(|_| unreadable())
    })?;
    Ok(Node {
        host: host.to_owned(),
        port,
    })
}

fn database(text: &str, topology: &Topology) -> Result<i64> {
    let db = match text {
        "" => 0,
        text => text
            .parse::<u16>()
            .map_err(|_| wrong(format!("`{}` is no database number", text.escape_debug())))?,
    };
    if db != 0 && *topology == Topology::Cluster {
        return Err(wrong("a cluster has only database 0"));
    }
    Ok(i64::from(db))
}

fn secret(path: &str) -> Result<String> {
    let text = String::from_utf8(file("password_file", path)?);
    let text = text.map_err(|_| wrong(format!("{path}: the password is not UTF-8")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(wrong(format!(
            "{path}: the file with the password is empty"
        )));
    }
    Ok(text.to_owned())
}

fn pem(what: &str, path: &str) -> Result<Vec<u8>> {
    let bytes = file(what, path)?;
    if !bytes.windows(11).any(|part| part == b"-----BEGIN ") {
        return Err(wrong(format!("{path}: `{what}` is no PEM file")));
    }
    Ok(bytes)
}

fn file(what: &str, path: &str) -> Result<Vec<u8>> {
    let unreadable =
        |error: std::io::Error| wrong(format!("{path}: `{what}` cannot be read: {error}"));
    let size = Path::new(path).metadata().map_err(unreadable)?.len();
    if size > MAX_FILE {
        return Err(wrong(format!("{path}: `{what}` is over {MAX_FILE} bytes")));
    }
    std::fs::read(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(text: &str) -> Address {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[track_caller]
    fn assert_refused(text: &str, why: &str) {
        let error = text.parse::<Address>().expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }

    #[test]
    fn every_form_is_read_and_shown_without_secrets() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://u:p@h:1/2", "redis://h:1"),
            ("rediss://:p%40@h", "rediss://h:6379"),
            ("redis://:a@b@h", "redis://h:6379"),
            ("redis://[::1]:7", "redis://[::1]:7"),
            (
                "redis+sentinel://a,b:1/main/3",
                "redis+sentinel://a:26379,b:1/main",
            ),
            (
                "rediss+cluster://u:p@a:7000,b:7001",
                "rediss+cluster://a:7000,b:7001",
            ),
        ] {
            let address = read(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), shown);
        }
        let address = read("redis://us%3Aer:p%40ss:word@h/4");
        assert_eq!(address.credentials.user.as_deref(), Some("us:er"));
        assert_eq!(address.credentials.password.as_deref(), Some("p@ss:word"));
        assert_eq!(address.db, 4);
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_reason() {
        assert_refused("localhost", "no scheme");
        assert_refused("gopher://h", "`gopher`");
        assert_refused("redis+ring://h", "`redis+ring`");
        assert_refused("redis://", "no host");
        assert_refused("redis://h:port", "`port` is no port");
        assert_refused("redis://h/one", "no database number");
        assert_refused("redis://a,b", "+cluster");
        assert_refused("redis+cluster://a/1", "only database 0");
        assert_refused("redis+sentinel://a", "no service");
        assert_refused("redis://h?ca=/x", "rediss");
        assert_refused("rediss://h?cert=/nowhere", "/nowhere");
        assert_refused("redis://h?timeout=1", "`timeout` is unknown");
        assert_refused("redis://[::1", "bracket");
    }

    #[test]
    fn a_password_comes_from_its_file_without_the_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        let text = format!("redis://bot@h?password_file={}", file.path().display());
        let address = read(&text);
        assert_eq!(address.credentials.password.as_deref(), Some("hunter2"));
        assert!(!format!("{:?}", address.credentials).contains("hunter2"));
        std::fs::write(file.path(), "\n").unwrap();
        assert_refused(&text, "is empty");
    }

    #[test]
    fn certificates_must_be_pem_and_come_in_pairs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        assert_refused(&format!("rediss://h?ca={path}"), "no PEM file");
        std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\n").unwrap();
        assert_refused(&format!("rediss://h?cert={path}"), "belong together");
        let address = read(&format!("rediss://h?ca={path}&cert={path}&key={path}"));
        assert!(address.tls.is_some_and(|tls| tls.client_tls.is_some()));
    }
}
