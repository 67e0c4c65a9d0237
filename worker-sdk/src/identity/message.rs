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
    let any = format!("(?P<u>{uuid})|(?P<t>{time})|(?P<h>{hash})|(?P<r>{path})|(?P<n>{number})");
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
    let replaced = match VOLATILE.as_ref() {
        Some(volatile) => volatile.replace_all(message, |found: &regex::Captures<'_>| {
            // A relative path ends in something rooted; only what begins a word is absolute.
            let whole = found.get(0).map_or("", |m| m.as_str());
            let start = found.get(0).map_or(0, |m| m.start());
            let before = message
                .get(..start)
                .and_then(|text| text.chars().next_back());
            let relative = found.name("r").is_some() && before.is_some_and(in_path);
            if relative {
                digits_replaced(whole)
            } else {
                "#".to_owned()
            }
        }),
        None => message.into(),
    };
    replaced.split_whitespace().collect::<Vec<_>>().join(" ")
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
