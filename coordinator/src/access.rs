//! Who may do what: tokens with roles, of which only hashes are kept.
//!
//! A token is 256 random bits, so that its SHA-256 cannot be turned back by guessing; what people
//! choose themselves would need a slow hash, and is refused by its form. A file has a line a token:
//!
//! ```text
//! # role sha256:HASH name
//! ingest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 ci
//! ```
//!
//! A name may have two tokens, so that one can take the other's place without a gap.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use fleet_worker_sdk::{Error, Result};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// What every token begins with, by which people and scanners for secrets know one.
const PREFIX: &str = "fleet_";
/// Random bytes of a token: 256 bits.
const SECRET: usize = 32;
/// What the hash in a line begins with.
const ALGORITHM: &str = "sha256:";
/// Most tokens of a file: each request is compared with all of them, at 50 ns each.
pub const MAX_TOKENS: usize = 1_000;
/// Most tokens of one name: an old one and its successor.
const MAX_OF_NAME: usize = 2;
/// Longest name, in bytes.
const MAX_NAME: usize = 64;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Bringing findings: bots and CI jobs. Sees nothing of what others found.
    Ingest,
    /// Looking: pages, reports, the live view.
    Read,
    /// Looking, and judging findings.
    Triage,
    /// Everything, with commands to workers.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Read, Self::Triage, Self::Admin];

    /// Its word in files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Admin => "admin",
        }
    }

    /// Whether it may do what `needed` may. Bringing findings and reading them are apart: a bot
    /// of a stranger's pull request sees nothing.
    pub fn covers(self, needed: Self) -> bool {
        self == needed || self == Self::Admin || (self == Self::Triage && needed == Self::Read)
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == word);
        found.ok_or_else(|| {
            Error::invalid(
                "role",
                format!(
                    "`{}` is none of ingest, read, triage, admin",
                    word.escape_debug()
                ),
            )
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A token as its owner has it; never shown by `Debug`.
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::Protocol`] when the system has no random numbers.
    pub fn fresh() -> Result<Self> {
        let mut bytes = [0; SECRET];
        getrandom::fill(&mut bytes).map_err(Error::protocol)?;
        Ok(Self(format!("{PREFIX}{}", hex(&bytes))))
    }

    /// The text that is sent with each request.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The line of a file that lets it in.
    pub fn line(&self, role: Role, name: &str) -> String {
        format!("{role} {ALGORITHM}{} {name}", hex(&hash(&self.0)))
    }
}

/// Checks a token's name.
///
/// # Errors
/// [`Error::Invalid`] when it is not of 1 to 64 characters of `[A-Za-z0-9._-]`.
pub fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=MAX_NAME).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    let why = format!("it is not of 1 to {MAX_NAME} letters, digits, `.`, `_` and `-`");
    Err(Error::invalid("name", why))
}

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The token's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// The tokens that are let in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens(Vec<([u8; 32], Identity)>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

impl Tokens {
    /// Reads a file's text.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the number of the line and what is wrong with it, never its text:
    /// somebody may have put the token itself there.
    pub fn parse(text: &str) -> Result<Self> {
        let mut tokens = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: String| Error::invalid(format!("line {}", number + 1), why);
            let entry = entry(line).map_err(|error| wrong(error.to_string()))?;
            tokens.add(entry).map_err(wrong)?;
        }
        Ok(tokens)
    }

    fn add(&mut self, (hash, identity): ([u8; 32], Identity)) -> Result<(), String> {
        let of_name = self
            .0
            .iter()
            .filter(|(_, other)| other.name == identity.name);
        if of_name.count() >= MAX_OF_NAME {
            return Err(format!(
                "`{}` has {MAX_OF_NAME} tokens already; remove the oldest",
                identity.name
            ));
        }
        if self.0.iter().any(|(other, _)| *other == hash) {
            return Err("the same token stands above".to_owned());
        }
        if self.0.len() >= MAX_TOKENS {
            return Err(format!("there are more than {MAX_TOKENS} tokens"));
        }
        self.0.push((hash, identity));
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token it is. Takes the same time whichever it is, and whether it is one.
    pub fn identify(&self, token: &str) -> Option<&Identity> {
        let given = hash(token);
        let mut found = u64::MAX;
        for (place, (known, _)) in self.0.iter().enumerate() {
            let same: Choice = known.as_slice().ct_eq(given.as_slice());
            found.conditional_assign(&(place as u64), same);
        }
        let place = usize::try_from(found).ok()?;
        self.0.get(place).map(|(_, identity)| identity)
    }
}

fn entry(line: &str) -> Result<([u8; 32], Identity)> {
    let mut words = line.split_whitespace();
    let form = || Error::invalid("token", "write it as `role sha256:HASH name`");
    let (Some(role), Some(hash), Some(name), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(form());
    };
    let role = role.parse()?;
    check_name(name)?;
    let hash = hash
        .strip_prefix(ALGORITHM)
        .and_then(unhex)
        .ok_or_else(|| {
            let why =
                "it is not `sha256:` and 64 hexadecimal digits; `fleet token new` makes a line";
            Error::invalid("hash", why)
        })?;
    let name = name.to_owned();
    Ok((hash, Identity { name, role }))
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect::<Option<_>>()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(role: Role, name: &str) -> (Secret, String) {
        let secret = Secret::fresh().unwrap();
        let line = secret.line(role, name);
        (secret, line)
    }

    #[test]
    fn a_token_is_known_by_its_line_and_no_other_is() {
        let (ci, first) = line(Role::Ingest, "ci");
        let (ann, second) = line(Role::Admin, "ann");
        let text = format!("# who may come in\n\n{first}\n  {second}  \n");
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.len(), 2);
        assert_eq!(tokens.identify(ci.reveal()).unwrap().name, "ci");
        assert_eq!(tokens.identify(ann.reveal()).unwrap().role, Role::Admin);
        let other = Secret::fresh().unwrap();
        for stranger in [other.reveal(), "", "ci", first.as_str()] {
            assert_eq!(tokens.identify(stranger), None, "{stranger}");
        }
        assert_eq!(Tokens::default().identify(ci.reveal()), None);
    }

    #[test]
    fn a_hash_is_that_of_the_standard() {
        // FIPS 180-2, B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let tokens = Tokens::parse(&format!("read sha256:{abc} x")).unwrap();
        assert_eq!(tokens.identify("abc").unwrap().role, Role::Read);
    }

    #[test]
    fn two_tokens_of_a_name_are_valid_at_once_and_a_third_is_refused() {
        let (old, first) = line(Role::Read, "ann");
        let (new, second) = line(Role::Triage, "ann");
        let tokens = Tokens::parse(&format!("{first}\n{second}")).unwrap();
        assert_eq!(tokens.identify(old.reveal()).unwrap().role, Role::Read);
        assert_eq!(tokens.identify(new.reveal()).unwrap().role, Role::Triage);
        let third = line(Role::Read, "ann").1;
        let refused = Tokens::parse(&format!("{first}\n{second}\n{third}")).unwrap_err();
        assert!(refused.to_string().contains("line 3"), "{refused}");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_not_repeated() {
        let (secret, good) = line(Role::Read, "ann");
        let token = secret.reveal();
        for bad in [
            format!("read {token} ann"),
            format!("read sha256:{} ann", &token[6..60]),
            format!("{token} sha256:00 ann"),
            "root sha256:00 ann".to_owned(),
            "read sha256:00".to_owned(),
            good.replace("ann", "an/n"),
            format!("{good} more"),
        ] {
            let error = Tokens::parse(&format!("\n{bad}")).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{error}");
            assert!(
                !error.contains(&token[10..40]) || bad.starts_with(token),
                "{error}"
            );
        }
        assert!(!format!("{secret:?}").contains(&token[6..]));
    }

    #[test]
    fn who_brings_findings_does_not_read_them() {
        use Role::{Admin, Ingest, Read, Triage};
        for (role, covered) in [
            (Ingest, vec![Ingest]),
            (Read, vec![Read]),
            (Triage, vec![Read, Triage]),
            (Admin, Role::ALL.to_vec()),
        ] {
            for needed in Role::ALL {
                let covers = covered.contains(&needed);
                assert_eq!(role.covers(needed), covers, "{role} {needed}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_stops_the_reader(text in "(?s).{0,300}") {
            let _ = Tokens::parse(&text);
        }

        #[test]
        fn hexadecimal_reads_back(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        }
    }
}
