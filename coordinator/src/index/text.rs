//! Free text: which findings have it, whatever its case.

use fleet_worker_sdk::wire;
use memchr::memchr2_iter;

use super::{Index, Row};

/// Looks for a text in the four places, whatever its case. Paths, rules and elements repeat:
/// each is searched once, when a finding first asks.
pub(super) struct Text<'a> {
    index: &'a Index,
    needle: Needle,
    rules: Vec<Option<bool>>,
    files: Vec<Option<bool>>,
    elements: Vec<Option<bool>>,
}

impl<'a> Text<'a> {
    pub(super) fn new(index: &'a Index, text: &str) -> Self {
        Self {
            index,
            needle: Needle::new(text),
            rules: vec![None; index.rule_names.len()],
            files: vec![None; index.files.len()],
            elements: vec![None; index.elements.len()],
        }
    }

    pub(super) fn is_in(&mut self, position: u32, row: &Row) -> bool {
        let (index, needle) = (self.index, &mut self.needle);
        let named = [
            (&index.rule_names, &mut self.rules, row.rule),
            (&index.files, &mut self.files, row.file),
            (&index.elements, &mut self.elements, row.element),
        ];
        for (names, known, id) in named {
            if once(known, id, || {
                needle.is_in(names.text(id).unwrap_or_default().as_bytes())
            }) {
                return true;
            }
        }
        let stored = index.stored.get(position as usize);
        stored.is_some_and(|stored| {
            let body = index.bodies.get(stored.body);
            match stored.message {
                Some(message) => needle.is_in(message.of(body)),
                None => wire::columns(body)
                    .is_ok_and(|columns| needle.is_in(columns.message.as_bytes())),
            }
        })
    }
}

fn once(known: &mut [Option<bool>], id: u32, ask: impl FnOnce() -> bool) -> bool {
    match known.get_mut(id as usize) {
        Some(known) => *known.get_or_insert_with(ask),
        None => ask(),
    }
}

/// A text to look for.
struct Needle {
    /// In lower case.
    folded: String,
    /// Its seldomest byte, in both cases, and where it stands: looked for first.
    seldom: (u8, u8, usize),
    /// The text searched in lower case, where it is not ASCII; kept to spare an allocation each.
    buffer: String,
}

/// Bytes of English prose and code, most frequent first.
const FREQUENT: &[u8] = b" etaoinsrlducmphgf.-_/ybw:vk";

impl Needle {
    fn new(text: &str) -> Self {
        let mut folded = String::new();
        fold(text, &mut folded);
        let frequency = |byte: u8| {
            FREQUENT
                .iter()
                .position(|b| *b == byte)
                .unwrap_or(usize::MAX)
        };
        let bytes = folded.bytes().enumerate();
        let (place, seldom) = bytes.max_by_key(|(_, b)| frequency(*b)).unwrap_or_default();
        Self {
            seldom: (seldom, seldom.to_ascii_uppercase(), place),
            folded,
            buffer: String::new(),
        }
    }

    fn is_in(&mut self, text: &[u8]) -> bool {
        if text.len() < self.folded.len() && text.is_ascii() {
            return false;
        }
        if text.is_ascii() {
            return self.is_in_ascii(text);
        }
        let Ok(text) = std::str::from_utf8(text) else {
            return false;
        };
        fold(text, &mut self.buffer);
        self.buffer.contains(&self.folded)
    }

    /// Without a copy in lower case, which would cost more than the search.
    fn is_in_ascii(&self, text: &[u8]) -> bool {
        let (lower, upper, place) = self.seldom;
        let needle = self.folded.as_bytes();
        memchr2_iter(lower, upper, text).any(|at| {
            let start = at.checked_sub(place);
            let there = start.and_then(|start| text.get(start..start + needle.len()));
            there.is_some_and(|there| there.eq_ignore_ascii_case(needle))
        })
    }
}

/// Lower case, character by character, so that a part of a text folds to a part of its fold.
fn fold(text: &str, into: &mut String) {
    into.clear();
    into.extend(text.chars().flat_map(char::to_lowercase));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_needle_is_found_where_lower_case_has_it(
            text in "[aAbBkK\u{212a}\u{dc}\u{fc} .]{0,24}",
            needle in "[aAbBkK\u{212a}\u{dc}\u{fc} .]{1,3}",
        ) {
            let expected = text.to_lowercase().contains(&needle.to_lowercase());
            prop_assert_eq!(Needle::new(&needle).is_in(text.as_bytes()), expected);
        }
    }
}
