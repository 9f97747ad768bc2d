//! The form of messages, as tables, and a walk over a message's bytes by its table.
//!
//! Owns: the walk, for the flexible versions (KIP-482) alone; the tables of the responses that a peer may give.
//! Promises: after the walk every element of every list is there, so that decoding sets aside no more memory than the
//! bytes are worth: the codec believes a list's announced length, and an announced length of two billion ends the
//! process.
//! Does not know: what the fields mean.

mod responses;

use bytes::Buf;

pub(super) use responses::{judge, known_versions};

/// A field, or a list of what follows.
#[derive(Debug, Clone, Copy)]
pub enum Field {
    /// So many bytes.
    Fixed(usize),
    /// A compact text, or compact bytes; may be null.
    Text,
    /// A compact list of structs with these fields; may be null.
    List(&'static [Since]),
    /// A compact list of numbers of so many bytes.
    Numbers(usize),
    /// A compact list of texts; may be null.
    Texts,
    /// The tagged fields of this struct, by number. Other numbers may be met, too.
    Tags(&'static [(u32, Tagged)]),
}

/// What a tagged field holds.
#[derive(Debug, Clone, Copy)]
pub enum Tagged {
    /// One field.
    One(Field),
    /// A struct.
    Struct(&'static [Since]),
}

/// A field and the versions that have it.
#[derive(Debug, Clone, Copy)]
pub struct Since(pub i16, pub i16, pub Field);

/// A field of all versions.
#[must_use]
pub const fn always(field: Field) -> Since {
    Since(0, i16::MAX, field)
}

/// A message whose bytes are looked through.
struct Walk<'a> {
    bytes: &'a [u8],
    version: i16,
    /// Elements of lists that may yet come: in memory each takes more than its bytes.
    elements_left: usize,
    /// Tagged fields without a meaning that may yet come.
    unknown_tags_left: usize,
}

/// Whether the bytes have this form, to the last one, without any tagged field.
#[must_use]
pub fn fits(bytes: &[u8], fields: &[Since], version: i16) -> bool {
    // A request's size bounds what it can hold.
    let elements_left = bytes.len();
    Walk { bytes, version, elements_left, unknown_tags_left: 0 }.whole(fields).is_some()
}

/// The same for what others may have added tagged fields to.
fn fits_within(bytes: &[u8], fields: &[Since], version: i16, elements: usize, unknown_tags: usize) -> bool {
    Walk { bytes, version, elements_left: elements, unknown_tags_left: unknown_tags }.whole(fields).is_some()
}

impl Walk<'_> {
    fn whole(mut self, fields: &[Since]) -> Option<()> {
        self.structure(fields)?;
        self.bytes.is_empty().then_some(())
    }

    fn structure(&mut self, fields: &[Since]) -> Option<()> {
        let mut known: &[(u32, Tagged)] = &[];
        for Since(first, last, field) in fields {
            if !(*first..=*last).contains(&self.version) {
                continue;
            }
            match field {
                Field::Tags(tags) => known = tags,
                field => self.one(*field)?,
            }
        }
        self.tags(known)
    }

    fn tags(&mut self, known: &[(u32, Tagged)]) -> Option<()> {
        for _ in 0..self.varint()? {
            let (number, size) = (self.varint()?, self.varint()?);
            let rest = self.bytes.get(size..)?;
            let known = known.iter().find(|(known, _)| usize::try_from(*known) == Ok(number));
            match known {
                Some((_, Tagged::One(field))) => self.one(*field)?,
                Some((_, Tagged::Struct(fields))) => self.structure(fields)?,
                None => {
                    self.unknown_tags_left = self.unknown_tags_left.checked_sub(1)?;
                    self.bytes = rest;
                }
            }
            // The codec doesn't look at the size of a tag that it knows.
            if self.bytes.len() != rest.len() {
                return None;
            }
        }
        Some(())
    }

    fn one(&mut self, field: Field) -> Option<()> {
        match field {
            Field::Fixed(length) => self.skip(length),
            Field::Text => match self.varint()? {
                0 => Some(()),
                length => self.skip(length - 1),
            },
            Field::Numbers(size) => {
                let count = self.varint()?.saturating_sub(1);
                self.skip(count.checked_mul(size)?)
            }
            Field::Texts => (0..self.elements()?).try_for_each(|_| self.one(Field::Text)),
            Field::List(fields) => (0..self.elements()?).try_for_each(|_| self.structure(fields)),
            Field::Tags(_) => None,
        }
    }

    /// The length of a list, as far as so many are allowed.
    fn elements(&mut self) -> Option<usize> {
        let count = self.varint()?.saturating_sub(1);
        self.elements_left = self.elements_left.checked_sub(count)?;
        Some(count)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.bytes = self.bytes.get(length..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0_u32;
        for turn in 0..5 {
            let byte = self.bytes.try_get_u8().ok()?;
            let bits = u32::from(byte & 0x7f);
            if turn == 4 && bits > 0x0f {
                return None;
            }
            value |= bits << (7 * turn);
            if byte & 0x80 == 0 {
                return usize::try_from(value).ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
