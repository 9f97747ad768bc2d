//! Whether a request has the shape that its API has, before a codec sets memory aside for what it claims to hold.
//!
//! Owns: a walk over the bytes along a one-line description of the API.
//! Promises: a request that passes has as many elements as it says, within a limit.
//! Does not know: what the fields mean.
//!
//! A description: `1 2 4 8 u` are that many bytes (`u`: 16), `s` is a string, `b` is bytes, `(...)` an array of
//! structures, `[...]` an array of one plain thing. `s@3-5` stands in versions 3 to 5 only, `s@3` from version 3 on.
//! Spaces mean nothing, but must stand between a version and a field that is a digit.

use bytes::Buf;

/// No request of an honest client has more elements; each takes some hundred bytes once it is decoded.
const ELEMENTS_MAX: usize = 200_000;

/// Whether these bytes are a request of this shape in this version.
pub(crate) fn fits(shape: &str, version: i16, is_flexible: bool, body: &[u8]) -> bool {
    let mut walk = Walk { rest: body, version, is_flexible, elements: 0 };
    walk.structure(shape.as_bytes()).is_some()
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    is_flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn structure(&mut self, shape: &[u8]) -> Option<()> {
        self.fields(shape)?;
        if self.is_flexible {
            let tags = self.length_unsigned()?;
            for _ in 0..tags {
                self.length_unsigned()?;
                let length = self.length_unsigned()?;
                self.skip(length)?;
                self.count(1)?;
            }
        }
        Some(())
    }

    fn fields(&mut self, mut shape: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = shape.split_first() {
            shape = rest;
            let inner = match kind {
                b'(' | b'[' => {
                    let end = closing(shape)?;
                    let inner = shape.get(..end)?;
                    shape = shape.get(end + 1..)?;
                    inner
                }
                _ => &[],
            };
            let (is_there, rest) = self.is_in_version(shape);
            shape = rest;
            if is_there {
                self.field(*kind, inner)?;
            }
        }
        Some(())
    }

    fn field(&mut self, kind: u8, inner: &[u8]) -> Option<()> {
        match kind {
            b'1' => self.skip(1),
            b'2' => self.skip(2),
            b'4' => self.skip(4),
            b'8' => self.skip(8),
            b'u' => self.skip(16),
            b's' | b'b' => {
                let length = self.length(kind == b's')?;
                self.skip(length)
            }
            b'(' | b'[' => {
                let count = self.length(false)?;
                self.count(count)?;
                for _ in 0..count {
                    if kind == b'(' { self.structure(inner)? } else { self.fields(inner)? }
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    /// The length in front of a string, of bytes, of an array; null is as long as nothing.
    fn length(&mut self, is_string: bool) -> Option<usize> {
        if self.is_flexible {
            return Some(self.length_unsigned()?.saturating_sub(1));
        }
        let length = if is_string { i32::from(self.rest.try_get_i16().ok()?) } else { self.rest.try_get_i32().ok()? };
        if length == -1 { Some(0) } else { usize::try_from(length).ok() }
    }

    fn length_unsigned(&mut self) -> Option<usize> {
        let mut value = 0_usize;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.rest.try_get_u8().ok()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    fn count(&mut self, more: usize) -> Option<()> {
        self.elements = self.elements.checked_add(more)?;
        (self.elements <= ELEMENTS_MAX).then_some(())
    }

    /// Reads the versions behind a field: `@3`, `@3-5`, or nothing.
    fn is_in_version<'b>(&self, shape: &'b [u8]) -> (bool, &'b [u8]) {
        let Some(rest) = shape.strip_prefix(b"@") else { return (true, shape) };
        let (first, rest) = number(rest);
        let Some(rest) = rest.strip_prefix(b"-") else { return (self.version >= first, rest) };
        let (last, rest) = number(rest);
        ((first..=last).contains(&self.version), rest)
    }
}

fn number(shape: &[u8]) -> (i16, &[u8]) {
    let digits = shape.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = shape.split_at(digits);
    (digits.iter().fold(0, |value, digit| value * 10 + i16::from(digit - b'0')), rest)
}

/// Where the bracket that was just opened is closed.
fn closing(shape: &[u8]) -> Option<usize> {
    let mut depth = 0;
    shape.iter().position(|byte| match byte {
        b'(' | b'[' => {
            depth += 1;
            false
        }
        b')' | b']' if depth == 0 => true,
        b')' | b']' => {
            depth -= 1;
            false
        }
        _ => false,
    })
}
