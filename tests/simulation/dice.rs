//! Chance that follows from a number.

use std::time::Duration;

/// A small generator (splitmix64): a schedule must be the same on every machine.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Dice of their own, so that what one part of a run throws does not depend on how often another one does.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn is(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// Milliseconds between the two, each order of magnitude as likely as another.
    pub fn pause(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        let longest = self.between(from_ms, to_ms);
        Duration::from_millis(if self.is(2) { longest } else { self.between(from_ms, longest) })
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}
