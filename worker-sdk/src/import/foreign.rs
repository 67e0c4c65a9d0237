//! What a report looks like that is none.

/// Bytes of it that are shown.
const SHOWN: usize = 40;

/// Why a file that begins like this is no report; none where it may be one.
pub(super) fn refusal(start: &[u8]) -> Option<String> {
    let blank = start.iter().take_while(|byte| byte.is_ascii_whitespace());
    let blank = blank.count();
    let (before, rest) = start.split_at_checked(blank)?;
    if rest.is_empty() {
        return Some(
            "it is empty; a scan that found nothing still writes a log with no results".to_owned(),
        );
    }
    let lines = || before.split(|byte| *byte == b'\n');
    let line = lines().count();
    let column = lines().next_back().map_or(0, <[u8]>::len) + 1;
    let looks = looks_like(rest)?;
    Some(format!(
        "it is not JSON; it looks like {looks}, at line {line}, column {column}"
    ))
}

fn looks_like(rest: &[u8]) -> Option<String> {
    let looks = match rest {
        // The parser says what else is wrong with JSON.
        [b'{' | b'[', ..] => return None,
        [b'<', ..] => "XML or HTML",
        [b'P', b'K', ..] => "a ZIP archive",
        [b'-', b'-', b'-', ..] => "YAML",
        [0 | 0xfe | 0xff, ..] => "binary data or UTF-16 text",
        _ => return Some(format!("plain text, {:?}", first_words(rest))),
    };
    Some(looks.to_owned())
}

fn first_words(rest: &[u8]) -> String {
    let start = rest.get(..SHOWN).unwrap_or(rest);
    let line = start.split(|byte| *byte == b'\n').next();
    let text = String::from_utf8_lossy(line.unwrap_or_default());
    text.trim_end().trim_end_matches('\u{fffd}').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_that_of_the_first_character() {
        let why = refusal(b"\n \n   Scan done\nmore").unwrap();
        assert!(why.contains("\"Scan done\", at line 3, column 4"), "{why}");
        assert_eq!(refusal(b"\r\n\t {"), None);
        assert!(refusal(b"   ").unwrap().contains("empty"));
    }

    #[test]
    fn a_terminals_escapes_are_shown_not_sent() {
        let why = refusal(b"\x1b[31mred").unwrap();
        assert!(!why.contains('\u{1b}'), "{why}");
    }
}
