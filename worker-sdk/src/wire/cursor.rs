//! A place in MessagePack bytes. What is there is borrowed, what is not wanted is passed over.

/// Reads value by value; none where a value is torn or of another kind.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<usize> {
        self.array()
            .map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn u32(&mut self) -> Option<usize> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    /// How many pairs a map has.
    #[inline]
    pub(super) fn map(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ 0x80..=0x8f => Some(usize::from(short & 0x0f)),
            0xde => self.u16(),
            0xdf => self.u32(),
            _ => None,
        }
    }

    /// How many values a list has.
    #[inline]
    pub(super) fn list(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ 0x90..=0x9f => Some(usize::from(short & 0x0f)),
            0xdc => self.u16(),
            0xdd => self.u32(),
            _ => None,
        }
    }

    /// A text that may not be UTF-8.
    #[inline]
    pub(super) fn raw_text(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            short @ 0xa0..=0xbf => usize::from(short & 0x1f),
            0xd9 => usize::from(self.byte()?),
            0xda => self.u16()?,
            0xdb => self.u32()?,
            _ => return None,
        };
        self.take(length)
    }

    /// A text.
    #[inline]
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.raw_text()?).ok()
    }

    /// Bytes that are no text.
    #[inline]
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            0xc4 => usize::from(self.byte()?),
            0xc5 => self.u16()?,
            0xc6 => self.u32()?,
            _ => return None,
        };
        self.take(length)
    }

    /// A whole number, in whatever width it is written.
    #[inline]
    pub(super) fn number(&mut self) -> Option<u32> {
        let number = match self.byte()? {
            short @ 0x00..=0x7f => return Some(u32::from(short)),
            0xcc => u64::from(self.byte()?),
            0xcd => u64::from(u16::from_be_bytes(self.array()?)),
            0xce => u64::from(u32::from_be_bytes(self.array()?)),
            0xcf => u64::from_be_bytes(self.array()?),
            0xd0 => u64::try_from(i8::from_be_bytes(self.array()?)).ok()?,
            0xd1 => u64::try_from(i16::from_be_bytes(self.array()?)).ok()?,
            0xd2 => u64::try_from(i32::from_be_bytes(self.array()?)).ok()?,
            0xd3 => u64::try_from(i64::from_be_bytes(self.array()?)).ok()?,
            _ => return None,
        };
        u32::try_from(number).ok()
    }

    /// A number with a fraction, or a whole one.
    pub(super) fn fraction(&mut self) -> Option<f32> {
        match self.rest.first()? {
            0xca => {
                self.byte();
                self.array().map(f32::from_be_bytes)
            }
            0xcb => {
                self.byte();
                self.array().map(|bytes| f64::from_be_bytes(bytes) as f32)
            }
            _ => self.number().map(|number| number as f32),
        }
    }

    /// Whether nothing stands here, which is then passed over.
    #[inline]
    pub(super) fn nil(&mut self) -> bool {
        let nil = self.rest.first() == Some(&0xc0);
        if nil {
            self.byte();
        }
        nil
    }

    /// What `read` makes of what stands here; the inner none where nothing does.
    #[allow(
        clippy::option_option,
        reason = "the outer none is a torn value, the inner one that there is none"
    )]
    #[inline]
    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.nil() {
            return Some(None);
        }
        read(self).map(Some)
    }

    /// Passes over one value, however deep it is nested; answers its bytes.
    pub(super) fn pass(&mut self) -> Option<&'a [u8]> {
        let from = self.rest;
        // Counted and not called anew for what is nested, whose depth is anybody's.
        let mut left = 1_u64;
        while left > 0 {
            left = left - 1 + self.pass_head()?;
        }
        from.get(..from.len() - self.rest.len())
    }

    /// Passes over a value without what is nested in it; answers how many values that are.
    fn pass_head(&mut self) -> Option<u64> {
        let length = match self.byte()? {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 0,
            short @ 0x80..=0x8f => return Some(2 * u64::from(short & 0x0f)),
            short @ 0x90..=0x9f => return Some(u64::from(short & 0x0f)),
            short @ 0xa0..=0xbf => usize::from(short & 0x1f),
            0xc4 | 0xd9 => usize::from(self.byte()?),
            0xc5 | 0xda => self.u16()?,
            0xc6 | 0xdb => self.u32()?,
            0xc7 => usize::from(self.byte()?) + 1,
            0xc8 => self.u16()? + 1,
            0xc9 => self.u32()? + 1,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 | 0xd4 => 2,
            0xd5 => 3,
            0xca | 0xce | 0xd2 => 4,
            0xd6 => 5,
            0xcb | 0xcf | 0xd3 => 8,
            0xd7 => 9,
            0xd8 => 17,
            0xdc => return self.u16().map(|count| count as u64),
            0xdd => return self.u32().map(|count| count as u64),
            0xde => return self.u16().map(|count| 2 * count as u64),
            0xdf => return self.u32().map(|count| 2 * count as u64),
            // 0xc1 is never written.
            0xc1 => return None,
        };
        self.take(length).map(|_| 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f32>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
            Just(Value::from("x".repeat(70_000))),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..20)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_is_passed_over_whole(value in values(), rest in proptest::collection::vec(any::<u8>(), 0..9)) {
            let value = rmp_serde::to_vec(&value).unwrap();
            let bytes = [value.as_slice(), &rest].concat();
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.pass().unwrap(), value.as_slice());
            prop_assert_eq!(cursor.rest, rest.as_slice());
        }

        #[test]
        fn numbers_are_read_in_every_width(number in any::<u32>(), wide in any::<bool>(), signed in any::<bool>()) {
            let mut bytes = match (wide, signed) {
                (false, _) => rmp_serde::to_vec(&number).unwrap(),
                (true, false) => [&[0xcf][..], &u64::from(number).to_be_bytes()].concat(),
                (true, true) => [&[0xd3][..], &i64::from(number).to_be_bytes()].concat(),
            };
            prop_assert_eq!(Cursor::new(&bytes).number(), Some(number));
            bytes.pop();
            prop_assert_eq!(Cursor::new(&bytes).number(), None);
        }
    }

    #[test]
    fn what_is_nested_too_deep_for_a_stack_is_passed_over() {
        let mut bytes = vec![0x91; 1_000_000];
        bytes.push(0xc0);
        assert_eq!(Cursor::new(&bytes).pass().unwrap().len(), bytes.len());
        bytes.pop();
        assert_eq!(Cursor::new(&bytes).pass(), None);
    }

    #[test]
    fn nothing_and_something_are_told_apart() {
        let bytes = rmp_serde::to_vec(&json!([null, "text", 7, 0.5])).unwrap();
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(cursor.list(), Some(4));
        assert_eq!(cursor.optional(Cursor::text), Some(None));
        assert_eq!(cursor.optional(Cursor::text), Some(Some("text")));
        assert_eq!(cursor.optional(Cursor::text), None);
        assert_eq!(cursor.fraction(), Some(0.5));
    }

    #[test]
    fn a_number_below_zero_is_none() {
        assert_eq!(Cursor::new(&[0xff]).number(), None);
        assert_eq!(Cursor::new(&[0xd0, 0xff]).number(), None);
        assert_eq!(Cursor::new(&[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]).number(), None);
    }
}
