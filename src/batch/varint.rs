//! Kafka's variable-length integers: zig-zag, seven bits a byte, the low ones first.
//!
//! Owns: reading and writing them.
//! Promises: reading never goes past the bytes given and never past ten bytes; the one-byte case is quick, because a
//! merge reads three and writes three for every record.
//! Does not know: what the numbers mean.

/// Reads a 64-bit number; gives the bytes after it. `None` when the bytes end early or the number does not fit.
pub(super) fn read_long(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut raw = u64::from(first & 0x7f);
    if first >= 0x80 {
        let mut shift = 7_u32;
        loop {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            let low = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit only.
            if shift >= 64 || (shift == 63 && low > 1) {
                return None;
            }
            raw |= low << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
    }
    Some((unzigzag(raw), rest))
}

/// Reads a 32-bit number; gives the bytes after it. `None` when the bytes end early or the number does not fit.
pub(super) fn read(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (number, rest) = read_long(bytes)?;
    Some((i32::try_from(number).ok()?, rest))
}

/// How many bytes [`write_long`] takes for this number.
pub(super) fn len_long(number: i64) -> usize {
    let bits = 64 - (zigzag(number) | 1).leading_zeros();
    usize::try_from(bits.div_ceil(7)).unwrap_or(10)
}

/// Appends a number.
pub(super) fn write_long(out: &mut Vec<u8>, number: i64) {
    let mut raw = zigzag(number);
    while raw >= 0x80 {
        out.push(low_byte(raw) | 0x80);
        raw >>= 7;
    }
    out.push(low_byte(raw));
}

/// Appends bytes after their length; length -1 stands for null.
pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => write_long(out, -1),
        Some(bytes) => {
            write_long(out, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
            out.extend_from_slice(bytes);
        }
    }
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -((raw & 1).cast_signed())
}

const fn low_byte(raw: u64) -> u8 {
    (raw & 0x7f) as u8
}
