//! Encoded findings, end to end in chunks that are never moved or freed one by one.

/// Smallest chunk: a session of a dozen findings should not hold a megabyte.
const MIN_CHUNK: usize = 4 * 1024;
/// Largest chunk: what is left free at the end of the last one stays below 1 % of a large session.
const MAX_CHUNK: usize = 256 * 1024;

/// Append-only storage of byte strings.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    chunks: Vec<Vec<u8>>,
    held: usize,
}

/// Where one lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    chunk: u32,
    start: u32,
    length: u32,
}

/// A part of a body. 16 bits do: a body has at most 64 KiB, and a header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u16,
    length: u16,
}

impl Bodies {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Body {
        let fits = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= bytes.len();
        if !self.chunks.last().is_some_and(fits) {
            // As much again as there is: chunks double until they are large enough.
            let size = self.held.clamp(MIN_CHUNK, MAX_CHUNK).max(bytes.len());
            self.held += size;
            self.chunks.push(Vec::with_capacity(size));
        }
        let chunk = self.chunks.len().saturating_sub(1) as u32;
        let mut start = 0;
        if let Some(last) = self.chunks.last_mut() {
            start = last.len() as u32;
            last.extend_from_slice(bytes);
        }
        let length = bytes.len() as u32;
        Body {
            chunk,
            start,
            length,
        }
    }

    pub(super) fn get(&self, body: Body) -> &[u8] {
        let (start, end) = (body.start as usize, (body.start + body.length) as usize);
        let chunk = self.chunks.get(body.chunk as usize);
        chunk.and_then(|c| c.get(start..end)).unwrap_or_default()
    }

    pub(super) fn weight(&self) -> usize {
        self.held + self.chunks.capacity() * size_of::<Vec<u8>>()
    }
}

impl Span {
    /// The text as UTF-8, empty where the span is not one of `body`.
    pub(super) fn of(self, body: &[u8]) -> &[u8] {
        let start = usize::from(self.start);
        body.get(start..start + usize::from(self.length))
            .unwrap_or_default()
    }
}

/// Where `text` lies in `body`, if it was borrowed from it.
pub(super) fn span_of(body: &[u8], text: &str) -> Option<Span> {
    let start = (text.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    if start + text.len() > body.len() {
        return None;
    }
    Some(Span {
        start: u16::try_from(start).ok()?,
        length: u16::try_from(text.len()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_whatever_their_size() {
        let mut bodies = Bodies::default();
        let sizes = [0, 1, 4_000, 200, 70_000, 300_000, 3];
        let kept: Vec<_> = sizes
            .iter()
            .map(|&size| (size, bodies.push(&vec![size as u8; size])))
            .collect();
        for (size, body) in kept {
            assert_eq!(bodies.get(body), vec![size as u8; size]);
        }
    }

    #[test]
    fn a_small_session_holds_a_small_chunk() {
        let mut bodies = Bodies::default();
        bodies.push(b"one");
        assert!(bodies.weight() < 2 * MIN_CHUNK);
    }

    #[test]
    fn spans_point_into_their_body_only() {
        let body = b"head message tail";
        let text = std::str::from_utf8(&body[5..12]).unwrap();
        assert_eq!(span_of(body, text).unwrap().of(body), b"message");
        let elsewhere = String::from("message");
        assert!(span_of(body, &elsewhere).is_none());
    }
}
