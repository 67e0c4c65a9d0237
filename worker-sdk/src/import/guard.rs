//! Refuses JSON of a shape that would cost its reader memory without bound.

use std::fmt;
use std::io::{Error, ErrorKind, Read, Result};

/// Deepest nesting taken. SARIF's own is below 20; tools nest their own in `properties`.
const MAX_DEPTH: u32 = 100;
/// Longest string or number taken, in bytes: a reader holds it whole before anything can cut it.
const MAX_TOKEN: usize = 8 * 1024 * 1024;
/// Largest result, rule or artifact taken, and largest tool with all its rules, in bytes: each is
/// read whole. Ten times the largest tool seen.
const MAX_PART: usize = 32 * 1024 * 1024;
/// Where results, artifacts and a tool's driver begin: in a list or object, of a run, in the list
/// of runs, of the log.
const PART_DEPTH: u32 = 5;

/// Whether a whole text is of a shape that can be read.
pub(super) fn is_sound(text: &[u8]) -> bool {
    Shape::default().first_fault(text).is_none()
}

/// Hands bytes through, and fails at the first one too many.
pub(super) struct Guard<R> {
    inner: R,
    shape: Shape,
    fault: Option<Fault>,
}

impl<R> Guard<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            shape: Shape {
                line: 1,
                ..Shape::default()
            },
            fault: None,
        }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if let Some(fault) = self.fault {
            return Err(Error::new(ErrorKind::InvalidData, fault));
        }
        let read = self.inner.read(buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        let Some((sound, what)) = self.shape.first_fault(bytes) else {
            return Ok(read);
        };
        let (line, column) = (self.shape.line, self.shape.column);
        self.fault = Some(Fault { what, line, column });
        // What comes before it may be wrong in a way that tells a person more.
        if sound > 0 {
            Ok(sound)
        } else {
            self.read(buffer)
        }
    }
}

/// What is too much, and where.
#[derive(Clone, Copy, Debug)]
struct Fault {
    what: What,
    line: u64,
    column: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Depth,
    Token,
    Part,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Depth => write!(f, "it is nested more than {MAX_DEPTH} deep")?,
            What::Token => write!(f, "a string or number is over {MAX_TOKEN} bytes long")?,
            What::Part => write!(f, "a result, or a tool's rules, are over {MAX_PART} bytes")?,
        }
        write!(f, ", at line {}, column {}", self.line, self.column)
    }
}

impl std::error::Error for Fault {}

/// Where a reader is in a JSON text. Not whether that text is right: the parser says that.
#[derive(Debug, Default)]
struct Shape {
    line: u64,
    column: u64,
    depth: u32,
    part: usize,
    token: usize,
    in_string: bool,
    escaped: bool,
}

impl Shape {
    /// How many bytes come before the first fault, and what it is.
    fn first_fault(&mut self, bytes: &[u8]) -> Option<(usize, What)> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let plain = self.pass_text(bytes.get(at..).unwrap_or_default());
            if plain > 0 {
                at += plain;
                continue;
            }
            self.step(*byte);
            let fault = [
                (self.depth > MAX_DEPTH, What::Depth),
                (self.token > MAX_TOKEN, What::Token),
                (self.part > MAX_PART, What::Part),
            ];
            if let Some((_, what)) = fault.into_iter().find(|(is, _)| *is) {
                return Some((at, what));
            }
            at += 1;
        }
        None
    }

    /// Passes over the inside of a string up to what may end it, unless that could be too much;
    /// answers how many bytes that were. Most of a report is inside of strings.
    fn pass_text(&mut self, bytes: &[u8]) -> usize {
        if !self.in_string || self.escaped {
            return 0;
        }
        let plain = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        if self.token + plain > MAX_TOKEN || self.part + plain > MAX_PART {
            return 0;
        }
        self.column += plain as u64;
        self.token += plain;
        if self.depth >= PART_DEPTH {
            self.part += plain;
        }
        plain
    }

    fn step(&mut self, byte: u8) {
        self.column += 1;
        self.token += 1;
        if self.depth >= PART_DEPTH {
            self.part += 1;
        }
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.token = 0;
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.token = 0;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.token = 0;
                if self.depth < PART_DEPTH {
                    self.part = 0;
                }
            }
            b'\n' => {
                self.line += 1;
                self.column = 0;
                self.token = 0;
            }
            b',' | b':' | b' ' | b'\t' | b'\r' => self.token = 0,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault_of(text: &str) -> Option<String> {
        let mut sink = Vec::new();
        let read = Guard::new(text.as_bytes()).read_to_end(&mut sink);
        read.err().map(|error| error.to_string())
    }

    #[test]
    fn nesting_is_counted_outside_strings_only() {
        let brackets = "[".repeat(1_000);
        assert_eq!(
            fault_of(&format!(r#"["{brackets}", "\"{brackets}"]"#)),
            None
        );
        assert_eq!(fault_of(&"[]".repeat(1_000)), None);
        let why = fault_of(&format!("\n\n{brackets}"));
        let expected = "it is nested more than 100 deep, at line 3, column 101";
        assert_eq!(why.as_deref(), Some(expected));
    }

    #[test]
    fn a_long_string_or_number_is_refused_and_many_short_ones_are_not() {
        let long = "1".repeat(MAX_TOKEN + 1);
        for text in [format!("[\"{long}\"]"), format!("[{long}]")] {
            assert!(fault_of(&text).is_some_and(|why| why.contains("string or number")));
        }
        assert_eq!(fault_of(&"\"word\",".repeat(MAX_TOKEN / 4)), None);
    }

    #[test]
    fn one_large_result_is_refused_and_many_small_ones_are_not() {
        let results = r#"{"runs":[{"results":["#;
        let member = r#""a":"some text of a result","#.repeat(1_000);
        let small = format!("{{{member}}},");
        let count = MAX_PART / small.len() + 10;
        assert_eq!(fault_of(&format!("{results}{}", small.repeat(count))), None);
        let large = format!("{results}{{{}", member.repeat(count));
        assert!(fault_of(&large).is_some_and(|why| why.contains("a result")));
    }

    proptest! {
        #[test]
        fn passing_over_text_leads_where_single_steps_lead(text in "[\\[\\]{}\"\\\\a,:\n]{0,60}") {
            let (mut passing, mut stepping) = (Shape::default(), Shape::default());
            prop_assert!(passing.first_fault(text.as_bytes()).is_none());
            text.bytes().for_each(|byte| stepping.step(byte));
            prop_assert_eq!(format!("{passing:?}"), format!("{stepping:?}"));
        }
    }

    #[test]
    fn what_comes_before_the_fault_is_handed_through() {
        let text = format!("nonsense{}", "[".repeat(200));
        let mut guard = Guard::new(text.as_bytes());
        let mut buffer = [0; 512];
        let read = guard.read(&mut buffer).unwrap();
        assert_eq!(read, 8 + MAX_DEPTH as usize);
        assert!(guard.read(&mut buffer).is_err());
    }
}
