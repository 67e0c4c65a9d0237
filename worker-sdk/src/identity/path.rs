//! Paths as the repository names them.

use percent_encoding::percent_decode_str;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// `uri` as a path from the repository's root: `file://` off, percent-decoded, `\` to `/`, no `.`,
/// `..` or doubled slashes, NFC; case kept. A path that leaves the root stays inside it.
///
/// ```
/// use fleet_worker_sdk::identity::normalise_path;
///
/// assert_eq!(normalise_path("./src/../src\\my%20file.rs"), "src/my file.rs");
/// assert_eq!(normalise_path("file:///home/ci/shop/src/a.rs"), "home/ci/shop/src/a.rs");
/// ```
pub fn normalise(uri: &str) -> String {
    if is_plain(uri) {
        return uri.to_owned();
    }
    let path = local(uri).unwrap_or(uri);
    // What does not decode to UTF-8 was no percent-encoding.
    let decoded = percent_decode_str(path)
        .decode_utf8()
        .unwrap_or(path.into());
    let mut parts: Vec<&str> = Vec::new();
    for part in decoded.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/").nfc().collect()
}

/// What a `file:` URI names on this machine: `file:///a`, `file://localhost/a`, `file:/a`.
fn local(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case("file:") {
        return None;
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    match path.strip_prefix("localhost") {
        Some(after) if after.starts_with('/') => Some(after),
        _ => Some(path),
    }
}

/// Whether `uri` starts from a machine's root rather than the repository's.
pub(super) fn is_absolute(uri: &str) -> bool {
    let path = local(uri).unwrap_or(uri);
    let drive = path.as_bytes().get(1) == Some(&b':') && path.starts_with(char::is_alphabetic);
    path.starts_with(['/', '\\']) || drive
}

/// `path` without `root`, both normalised; as it is where it lies elsewhere. No root takes
/// nothing off.
pub(super) fn below<'a>(path: &'a str, root: &str) -> &'a str {
    let inner = path.strip_prefix(root).filter(|_| !root.is_empty());
    inner
        .and_then(|inner| inner.strip_prefix('/'))
        .unwrap_or(path)
}

/// Most paths need nothing done, and there are many of them.
fn is_plain(uri: &str) -> bool {
    let special = |c: char| c == '%' || c == '\\' || c == ':' || c.is_control();
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    !uri.is_empty()
        && !uri.contains(special)
        && !uri.split('/').any(odd)
        && is_nfc_quick(uri.chars()) == IsNormalized::Yes
}
