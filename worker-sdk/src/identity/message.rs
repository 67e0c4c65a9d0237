//! Messages without what changes from scan to scan.

use std::sync::LazyLock;

use regex::Regex;

/// UUIDs, timestamps, hashes, absolute paths, then numbers; the first that matches wins.
static VOLATILE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let uuid = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
    let time =
        r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?";
    let hash = r"\b[0-9a-fA-F]{12,128}\b";
    // A rooted path of at least two parts: `/home/ci/src/a.rs`, `C:\src\a.rs`.
    let path = r#"(?:\b[A-Za-z]:)?[/\\][^\s/\\:'"`()<>]+(?:[/\\][^\s/\\:'"`()<>]+)+"#;
    let number = r"\d+(?:[.,]\d+)*";
    let any = format!("{uuid}|{time}|{hash}|{path}|{number}");
    Regex::new(&any).ok()
});

/// `message` with digits, hashes, UUIDs, timestamps and absolute paths replaced by `#`, and white
/// space folded.
///
/// ```
/// use fleet_worker_sdk::identity::normalise_message;
///
/// let (today, tomorrow) = ("stale for 19 days", "stale for 20 days");
/// assert_eq!(normalise_message(today), normalise_message(tomorrow));
/// ```
pub fn normalise(message: &str) -> String {
    let mut replaced = String::with_capacity(message.len());
    let mut from = 0;
    // Without groups, which would make the search three times as long.
    let found = VOLATILE
        .iter()
        .flat_map(|volatile| volatile.find_iter(message));
    for place in found {
        let before = message.get(from..place.start()).unwrap_or_default();
        replaced.push_str(before);
        from = place.end();
        // A relative path ends in something rooted; only what begins a word is absolute.
        let start = message.get(..place.start()).unwrap_or_default();
        if is_path(place.as_str()) && start.chars().next_back().is_some_and(in_path) {
            replaced.push_str(&digits_replaced(place.as_str()));
        } else {
            replaced.push('#');
        }
    }
    replaced.push_str(message.get(from..).unwrap_or_default());
    let mut folded = String::with_capacity(replaced.len());
    for word in replaced.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

/// Whether what was found is a path: nothing else that is looked for has a slash in front, or
/// behind a letter and a colon.
fn is_path(found: &str) -> bool {
    let mut chars = found.chars();
    match (chars.next(), chars.next()) {
        (Some('/' | '\\'), _) => true,
        (Some(first), Some(':')) => first.is_alphabetic(),
        _ => false,
    }
}

fn in_path(c: char) -> bool {
    c.is_alphanumeric() || "._-~".contains(c)
}

fn digits_replaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            other => out.push(other),
        }
    }
    out
}
