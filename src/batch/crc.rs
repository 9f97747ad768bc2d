//! What a change in front of some bytes does to a CRC-32C over all of them, without looking at those bytes.
//!
//! Owns: that one calculation. A CRC is the remainder of a polynomial over single bits, so bytes behind a difference
//! multiply it by a power of x.
//! Promises: about a microsecond for any length (the `crc32c` crate's `crc32c_combine` says the same with matrices,
//! in ten to forty times as long, and every restamped batch needs it).
//! Does not know: batches.

/// Castagnoli's polynomial, lowest power first in the highest bit, as everywhere here.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x to the power of 8: one byte further.
const ONE_BYTE: u32 = 1 << 23;
/// x to the power of 0.
const ONE: u32 = 1 << 31;

/// What a difference of two CRCs becomes when the same `bytes` bytes follow both.
pub(super) fn difference_behind(difference: u32, bytes: usize) -> u32 {
    let mut power = ONE_BYTE;
    let mut factor = ONE;
    let mut rest = bytes;
    while rest > 0 {
        if rest & 1 == 1 {
            factor = multiply(factor, power);
        }
        power = multiply(power, power);
        rest >>= 1;
    }
    multiply(factor, difference)
}

/// The product of two polynomials, reduced. No branches: what is multiplied is random.
const fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0;
    let mut shifted = b;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        product ^= shifted & ((a >> bit) & 1).wrapping_neg();
        shifted = (shifted >> 1) ^ (POLYNOMIAL & (shifted & 1).wrapping_neg());
    }
    product
}
