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
    let path = uri
        .strip_prefix("file://")
        .or_else(|| uri.strip_prefix("file:"))
        .unwrap_or(uri);
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

/// Most paths need nothing done, and there are many of them.
fn is_plain(uri: &str) -> bool {
    let special = |c: char| c == '%' || c == '\\' || c == ':' || c.is_control();
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    !uri.is_empty()
        && !uri.contains(special)
        && !uri.split('/').any(odd)
        && is_nfc_quick(uri.chars()) == IsNormalized::Yes
}
