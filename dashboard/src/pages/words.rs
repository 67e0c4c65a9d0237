//! Values as people read them: counts, scores, times, texts from outside.

use std::fmt;

use jiff::Timestamp;

/// What stands where nothing is known.
pub(crate) const NOTHING: &str = "–";

/// A number with thousands separated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64);

impl Count {
    /// Of a length.
    pub(crate) fn of(length: usize) -> Self {
        Self(length as u64)
    }

    /// Whether there is nothing to count.
    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The word for this many: `""` or `"s"`.
    pub(crate) fn plural(self) -> &'static str {
        if self.0 == 1 { "" } else { "s" }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A time: a `<time>` element whose text says how long ago it was, which the page's script keeps
/// true, and whose title says when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    at: Timestamp,
    now: Timestamp,
    /// Told as a span, for what has been going on since then.
    since: bool,
}

impl Moment {
    /// `at` as seen at `now`: "3 min ago".
    pub(crate) fn ago(at: Timestamp, now: Timestamp) -> Self {
        let since = false;
        Self { at, now, since }
    }

    /// The time since `at`, at `now`: "3 min".
    pub(crate) fn since(at: Timestamp, now: Timestamp) -> Self {
        let since = true;
        Self { at, now, since }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = (self.now.as_second() - self.at.as_second()).max(0);
        let (kind, text) = if self.since {
            ("since", span(seconds))
        } else {
            ("ago", ago(self.at, self.now))
        };
        let exact = exact(self.at);
        let machine = self.at.strftime("%FT%TZ");
        write!(
            f,
            r#"<time datetime="{machine}" title="{exact}" data-age="{kind}">{text}</time>"#
        )
    }
}

// Its text is digits and fixed words only.
impl askama::filters::HtmlSafe for Moment {}

/// A time to the second, for people.
pub(crate) fn exact(at: Timestamp) -> String {
    at.strftime("%F %T UTC").to_string()
}

/// A score with one decimal, or a dash.
pub(crate) fn number(score: Option<f64>) -> String {
    score.map_or_else(|| NOTHING.to_owned(), |score| format!("{score:.1}"))
}

/// A share of 0-1 in per cent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// How long before `now` something was. The future, which clocks make, is now.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.as_second() - then.as_second() {
        ..=4 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// A span of seconds in its largest unit.
pub(crate) fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A duration in milliseconds, to about two digits.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        10_000..60_000 => format!("{} s", ms / 1_000),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// At most `max` characters, with a mark where something was cut. Characters that change the
/// direction of text or show nothing are shown as what they are: a path must read as it is.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let mut shown: String = text.chars().take(max).map(plain).collect();
    if text.chars().nth(max).is_some() {
        shown.push('…');
    }
    shown
}

fn plain(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Whether a link from outside leads to the web and nowhere else.
pub(crate) fn is_web(link: &str) -> bool {
    let scheme = |scheme: &str| {
        let start = link.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme)) && link.len() > scheme.len()
    };
    let clean = link.chars().all(|c| plain(c) == c && !c.is_whitespace());
    clean && (scheme("https://") || scheme("http://"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn thousands_are_set_apart() {
        for (count, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(Count(count).to_string(), shown);
        }
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (before, shown) in [
            (-60, "just now"),
            (0, "just now"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7_200, "2 h ago"),
            (259_200, "3 days ago"),
        ] {
            let then = Timestamp::from_second(1_000_000 - before).unwrap();
            assert_eq!(ago(then, now), shown);
        }
    }

    #[test]
    fn a_moment_is_an_element_with_its_time() {
        let now = Timestamp::from_second(100).unwrap();
        let shown = Moment::ago(Timestamp::from_second(0).unwrap(), now).to_string();
        assert_eq!(
            shown,
            r#"<time datetime="1970-01-01T00:00:00Z" title="1970-01-01 00:00:00 UTC" data-age="ago">1 min ago</time>"#
        );
    }

    #[test]
    fn durations_keep_two_digits() {
        for (ms, shown) in [
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (59_999, "59 s"),
            (61_000, "1 min 1 s"),
            (3_660_000, "1 h 1 min"),
        ] {
            assert_eq!(duration(ms), shown);
        }
    }

    #[test]
    fn an_unknown_score_is_no_number() {
        assert_eq!(number(None), "–");
        assert_eq!(number(Some(83.333)), "83.3");
    }

    #[test]
    fn long_texts_are_cut_between_characters_with_a_mark() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äö", 2), "äö");
    }

    #[test]
    fn a_path_cannot_read_backwards() {
        assert_eq!(
            cut("a\u{202e}sr.exe\u{1b}[31m", 99),
            "a\u{fffd}sr.exe\u{fffd}[31m"
        );
    }

    #[test]
    fn only_web_links_lead_anywhere() {
        for bad in [
            "javascript:alert(1)",
            "java\nscript:alert(1)",
            " https://a.example",
            "https://a.example/\u{202e}b",
            "//a.example",
            "data:text/html,x",
            "https://",
            "vbscript:x",
            "",
        ] {
            assert!(!is_web(bad), "{bad:?}");
        }
        assert!(is_web("https://rules.example/x?y#z") && is_web("HTTP://a.example"));
    }

    proptest! {
        #[test]
        fn a_link_that_is_followed_begins_with_a_web_scheme(link in "\\PC{0,40}") {
            let lower = link.to_lowercase();
            prop_assert!(!is_web(&link) || lower.starts_with("http://") || lower.starts_with("https://"));
        }
    }
}
