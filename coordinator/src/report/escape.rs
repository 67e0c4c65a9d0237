//! Text of others made harmless for each medium.
//!
//! Control characters and those that reverse or hide text are shown as the replacement character
//! everywhere: what a reader sees is what is there.

use std::fmt::Write as _;

/// Whether `c` changes how the text around it looks without being seen: controls, bidirectional
/// overrides and isolates, zero-width characters and the byte order mark.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Stands in for what is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// Appends `text` for HTML text and quoted attributes. Line ends and tabs stay.
pub(super) fn html(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if is_hidden(c) => out.push(REPLACEMENT),
            c => out.push(c),
        }
    }
}

/// Appends `text` for a cell of a Markdown table, on one line, with nothing in it that Markdown or
/// HTML gives a meaning to: markup characters become entities, which no parser takes for markup.
pub(super) fn markdown(out: &mut String, text: &str) {
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A backslash before a pipe would undo an escape by backslash: entities have no such trap.
            '|' | '`' | '*' | '~' | '[' | ']' | '\\' | '!' | '#' | '@' => entity(out, c),
            // Within a word it is no markup, and names stay readable in the source.
            '_' if !(before.is_alphanumeric() && next.is_alphanumeric()) => entity(out, c),
            // An address would become a link of its own accord.
            ':' if next == '/' => entity(out, c),
            '.' if before.eq_ignore_ascii_case(&'w') => entity(out, c),
            c if is_hidden(c) => out.push(REPLACEMENT),
            c => out.push(c),
        }
        before = c;
    }
}

fn entity(out: &mut String, c: char) {
    let _ = write!(out, "&#{};", c as u32);
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
