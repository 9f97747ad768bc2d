//! The form of the requests that are answered, as tables, and a walk over a request's bytes by its table.
//!
//! Owns: the tables, for the flexible versions (KIP-482) alone.
//! Promises: after the walk every element of every list is there, so that decoding sets aside no more memory than the
//! bytes are worth: the codec believes a list's announced length.
//! Does not know: what the fields mean.

use bytes::Buf;

/// A field, or a list of what follows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    /// So many bytes.
    Fixed(usize),
    /// A compact text; may be null.
    Text,
    /// A compact list of structs with these fields; may be null.
    List(&'static [Since]),
    /// A compact list of numbers of so many bytes.
    Numbers(usize),
    /// A compact list of texts; may be null.
    Texts,
}

use Field::{Fixed, List, Numbers, Text, Texts};

/// A field and the versions that have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since(i16, i16, Field);

const fn always(field: Field) -> Since {
    Since(0, i16::MAX, field)
}

const PARTITIONS: &[Since] = &[always(Text), always(Numbers(4))];

pub(super) const METADATA: &[Since] = &[
    always(List(&[Since(10, i16::MAX, Fixed(16)), always(Text)])),
    always(Fixed(1)),
    Since(8, 10, Fixed(1)),
    always(Fixed(1)),
];
pub(super) const FETCH: &[Since] = &[
    Since(0, 14, Fixed(4)),
    // Wait, least and most bytes, isolation level, session and its epoch.
    always(Fixed(4 + 4 + 4 + 1 + 4 + 4)),
    always(List(&[
        Since(0, 12, Text),
        Since(13, i16::MAX, Fixed(16)),
        always(List(&[always(Fixed(4 + 4 + 8 + 4 + 8 + 4))])),
    ])),
    always(List(&[Since(0, 12, Text), Since(13, i16::MAX, Fixed(16)), always(Numbers(4))])),
    always(Text),
];
pub(super) const LIST_OFFSETS: &[Since] = &[
    always(Fixed(4 + 1)),
    always(List(&[always(Text), always(List(&[always(Fixed(4 + 4 + 8))]))])),
    Since(10, i16::MAX, Fixed(4)),
];
pub(super) const EPOCH_ENDS: &[Since] =
    &[always(Fixed(4)), always(List(&[always(Text), always(List(&[always(Fixed(4 + 4 + 4))]))]))];
pub(super) const DESCRIBE_PRODUCERS: &[Since] = &[always(List(PARTITIONS))];
pub(super) const DESCRIBE_CONFIGS: &[Since] =
    &[always(List(&[always(Fixed(1)), always(Text), always(Texts)])), always(Fixed(1 + 1))];
pub(super) const LIST_GROUPS: &[Since] = &[Since(4, i16::MAX, Texts), Since(5, i16::MAX, Texts)];
pub(super) const OFFSET_FETCH: &[Since] = &[
    always(List(&[always(Text), Since(9, i16::MAX, Text), Since(9, i16::MAX, Fixed(4)), always(List(PARTITIONS))])),
    always(Fixed(1)),
];
pub(super) const FIND_COORDINATOR: &[Since] = &[always(Fixed(1)), always(Texts)];
pub(super) const DESCRIBE_CLUSTER: &[Since] = &[always(Fixed(1)), Since(1, i16::MAX, Fixed(1))];

/// Whether the bytes have this form, to the last one.
pub(super) fn fits(mut bytes: &[u8], fields: &[Since], version: i16) -> bool {
    structure(&mut bytes, fields, version).is_some() && bytes.is_empty()
}

fn structure(bytes: &mut &[u8], fields: &[Since], version: i16) -> Option<()> {
    for Since(first, last, field) in fields {
        if (*first..=*last).contains(&version) {
            one(bytes, *field, version)?;
        }
    }
    // Tagged fields: nothing that is answered here needs any.
    (varint(bytes)? == 0).then_some(())
}

fn one(bytes: &mut &[u8], field: Field, version: i16) -> Option<()> {
    match field {
        Fixed(length) => skip(bytes, length),
        Text => match varint(bytes)? {
            0 => Some(()),
            length => skip(bytes, length - 1),
        },
        Numbers(size) => {
            let count = varint(bytes)?.saturating_sub(1);
            skip(bytes, count.checked_mul(size)?)
        }
        Texts => {
            let count = varint(bytes)?.saturating_sub(1);
            (0..count).try_for_each(|_| one(bytes, Text, version))
        }
        List(fields) => {
            let count = varint(bytes)?.saturating_sub(1);
            (0..count).try_for_each(|_| structure(bytes, fields, version))
        }
    }
}

fn skip(bytes: &mut &[u8], length: usize) -> Option<()> {
    *bytes = bytes.get(length..)?;
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_u32;
    for turn in 0..5 {
        let byte = bytes.try_get_u8().ok()?;
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
