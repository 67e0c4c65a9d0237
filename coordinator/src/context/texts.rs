//! Texts end to end in chunks that are never moved or freed one by one.

use std::ops::Range;

/// Smallest chunk: small enough for an allocator's fast path, and a few findings long.
const MIN_CHUNK: usize = 1_000;
/// Largest chunk: what is left free at the end of the last one stays below 1 % of a large context.
const MAX_CHUNK: usize = 64 * 1024;

/// Append-only storage of texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    chunks: Vec<String>,
    held: usize,
}

/// Where one lies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    chunk: u32,
    start: u32,
    length: u32,
}

impl Span {
    pub(super) const EMPTY: Self = Self {
        chunk: u32::MAX,
        start: 0,
        length: 0,
    };
}

impl Texts {
    #[inline]
    pub(super) fn push(&mut self, text: &str) -> Span {
        if let Some(last) = self.chunks.last_mut()
            && last.capacity() - last.len() >= text.len()
        {
            let start = last.len() as u32;
            last.push_str(text);
            return Span {
                chunk: self.chunks.len() as u32 - 1,
                start,
                length: text.len() as u32,
            };
        }
        self.push_into_new(text)
    }

    #[cold]
    fn push_into_new(&mut self, text: &str) -> Span {
        // As much again as there is: chunks double until they are large enough.
        let size = self.held.clamp(MIN_CHUNK, MAX_CHUNK).max(text.len());
        let mut chunk = String::with_capacity(size);
        self.held += chunk.capacity();
        chunk.push_str(text);
        self.chunks.push(chunk);
        Span {
            chunk: self.chunks.len() as u32 - 1,
            start: 0,
            length: text.len() as u32,
        }
    }

    #[inline]
    pub(super) fn get(&self, span: Span) -> &str {
        let place = self.place(span);
        place
            .and_then(|(chunk, place)| chunk.get(place))
            .unwrap_or_default()
    }

    /// Whether the text that lies there is `text`. Most that are not differ in length, which is not
    /// looked for where they lie.
    #[inline]
    pub(super) fn is(&self, span: Span, text: &str) -> bool {
        if span.length as usize != text.len() {
            return false;
        }
        let place = self.place(span);
        place.and_then(|(chunk, place)| chunk.as_bytes().get(place)) == Some(text.as_bytes())
    }

    #[inline]
    fn place(&self, span: Span) -> Option<(&str, Range<usize>)> {
        let chunk = self.chunks.get(span.chunk as usize)?;
        let start = span.start as usize;
        Some((chunk, start..start + span.length as usize))
    }

    /// Bytes it takes, free room included.
    pub(super) fn weight(&self) -> usize {
        self.held + self.chunks.capacity() * size_of::<String>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_whatever_their_size() {
        let mut texts = Texts::default();
        let written = [0, 1, 900, 200, 70_000, 300_000, 3].map(|size| "é".repeat(size));
        let spans = written.clone().map(|text| texts.push(&text));
        for (text, span) in written.iter().zip(spans) {
            assert_eq!(texts.get(span), text);
            assert!(texts.is(span, text) && !texts.is(span, "ab"));
        }
    }

    #[test]
    fn a_small_context_holds_a_small_chunk() {
        let mut texts = Texts::default();
        texts.push("one");
        assert!(texts.weight() < 2 * MIN_CHUNK);
    }
}
