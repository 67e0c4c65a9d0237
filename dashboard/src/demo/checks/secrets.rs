//! Strings that look like credentials.

use fleet_worker_sdk::{Level, Tier};

use crate::demo::check::{Check, Found, Look, RuleText};

pub(super) const CHECK: Check = Check {
    bot: "secret-scan",
    tier: Tier::Verifier,
    category: "security",
    after: &["size-scan"],
    description: "Verifies that no credentials are in the text",
    rules: &[
        RuleText {
            id: "private-key",
            text: "A private key belongs into a secret store",
        },
        RuleText {
            id: "access-token",
            text: "This looks like a token of a service",
        },
        RuleText {
            id: "password-in-url",
            text: "A password in an address ends up in logs",
        },
    ],
    look: Look::Text(look),
};

/// How tokens of services begin, and how many characters follow at least.
const TOKENS: [(&str, usize); 5] = [
    ("ghp_", 36),
    ("github_pat_", 40),
    ("AKIA", 16),
    ("xoxb-", 20),
    ("glpat-", 20),
];

fn look(path: &str, text: &str, found: &mut Found) {
    found.lines(path, text, |line| {
        if line.trim_start().starts_with("-----BEGIN ") && line.contains("PRIVATE KEY-----") {
            return Some((Level::Error, "private-key", "a private key".to_owned()));
        }
        if let Some((start, _)) = TOKENS
            .iter()
            .find(|(start, rest)| has_token(line, start, *rest))
        {
            return Some((
                Level::Error,
                "access-token",
                format!("a token that begins with {start}"),
            ));
        }
        has_password(line).then(|| {
            (
                Level::Warning,
                "password-in-url",
                "a password in an address".to_owned(),
            )
        })
    });
}

fn has_token(line: &str, start: &str, rest: usize) -> bool {
    let part_of_token = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    line.split(|c| !part_of_token(c)).any(|word| {
        word.strip_prefix(start)
            .is_some_and(|token| token.len() >= rest)
    })
}

fn has_password(line: &str) -> bool {
    line.split("://").skip(1).any(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || "/\"'`<>{}…*".contains(c));
        let host = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let credentials = host
            .split_once('@')
            .and_then(|(before, _)| before.split_once(':'));
        credentials.is_some_and(|(_, password)| !password.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::broken;
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_found() {
        let token = format!("key = AKIA{}", "0".repeat(16));
        assert_eq!(
            broken(&CHECK, "a", &token),
            [("access-token".to_owned(), 1)]
        );
        assert_eq!(
            broken(&CHECK, "a", "redis://u:p@h"),
            [("password-in-url".to_owned(), 1)]
        );
        assert_eq!(
            broken(&CHECK, "a", "redis://h:6379 me@x AKIA https://a/b:c@d"),
            []
        );
    }
}
