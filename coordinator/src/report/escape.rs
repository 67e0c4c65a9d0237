//! Text of others made harmless for each medium.
//!
//! Control characters and those that reverse or hide text are shown as the replacement character
//! everywhere: what a reader sees is what is there.

/// Whether `c` changes how the text around it looks without being seen: controls, bidirectional
/// overrides and isolates, zero-width characters and the byte order mark.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Stands in for what is not shown.
const REPLACEMENT: &str = "\u{fffd}";

/// Appends `text` for HTML text and quoted attributes. Line ends and tabs stay.
pub(crate) fn html(out: &mut String, text: &str) {
    replace(out, text, |_, c, _| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        '\n' | '\t' => None,
        c => is_hidden(c).then_some(REPLACEMENT),
    });
}

/// Appends `text` for a cell of a Markdown table, on one line, with nothing in it that Markdown or
/// HTML gives a meaning to: markup characters become entities, which no parser takes for markup.
/// (A backslash before a pipe would undo an escape by backslash.)
pub(crate) fn markdown(out: &mut String, text: &str) {
    replace(out, text, |before, c, next| match c {
        '\n' | '\r' | '\t' => Some(" "),
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '|' => Some("&#124;"),
        '`' => Some("&#96;"),
        '*' => Some("&#42;"),
        '~' => Some("&#126;"),
        '[' => Some("&#91;"),
        ']' => Some("&#93;"),
        '\\' => Some("&#92;"),
        '!' => Some("&#33;"),
        '#' => Some("&#35;"),
        '@' => Some("&#64;"),
        // Within a word it is no markup, and names stay readable in the source.
        '_' => (!is_word(before) || !is_word(next)).then_some("&#95;"),
        // An address would become a link of its own accord.
        ':' => (next == b'/').then_some("&#58;"),
        '.' => before.eq_ignore_ascii_case(&b'w').then_some("&#46;"),
        c => is_hidden(c).then_some(REPLACEMENT),
    });
}

/// Letters and digits of ASCII; a name beside other letters is escaped, which is right as well.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Appends `text` with some characters replaced, told by the character and the bytes beside it.
/// Runs of what is never replaced are copied whole: that is what makes long reports fast.
fn replace(
    out: &mut String,
    text: &str,
    replacement: impl Fn(u8, char, u8) -> Option<&'static str>,
) {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(b' ');
    let mut copied = 0;
    for (at, &b) in bytes.iter().enumerate() {
        // Letters, digits, blanks, and the second and later bytes of a character.
        if is_word(b) || b == b' ' || (0x80..0xc0).contains(&b) {
            continue;
        }
        let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else {
            continue;
        };
        let before = if at == 0 { b' ' } else { byte(at - 1) };
        if let Some(replacement) = replacement(before, c, byte(at + 1)) {
            out.push_str(text.get(copied..at).unwrap_or_default());
            out.push_str(replacement);
            copied = at + c.len_utf8();
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(escape: fn(&mut String, &str), text: &str) -> String {
        let mut out = String::new();
        escape(&mut out, text);
        out
    }

    #[test]
    fn markup_is_shown_and_not_obeyed() {
        assert_eq!(of(html, "<b a='1'>&"), "&lt;b a=&#39;1&#39;&gt;&amp;");
        assert_eq!(
            of(markdown, "a|b\n`c` <i>"),
            "a&#124;b &#96;c&#96; &lt;i&gt;"
        );
        assert_eq!(
            of(markdown, "_a_b_ http://w www.x"),
            "&#95;a_b&#95; http&#58;//w www&#46;x"
        );
        assert_eq!(of(markdown, "\\| [x](y)"), "&#92;&#124; &#91;x&#93;(y)");
    }

    #[test]
    fn text_that_hides_or_reverses_is_made_visible() {
        for escape in [html, markdown] {
            assert_eq!(
                of(escape, "a\u{202e}b\u{1b}c\u{200b}"),
                "a\u{fffd}b\u{fffd}c\u{fffd}"
            );
        }
    }

    proptest! {
        #[test]
        fn html_has_no_markup_of_its_input(text in "\\PC*|[<>&\"'a/]*") {
            let escaped = of(html, &text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
        }

        #[test]
        fn a_markdown_cell_is_one_line_without_markup(text in any::<String>()) {
            let escaped = of(markdown, &text);
            let markup = ['|', '`', '<', '>', '\n', '\r', '\\', '*', '[', '\u{202e}'];
            prop_assert!(!escaped.contains(markup));
        }
    }
}
