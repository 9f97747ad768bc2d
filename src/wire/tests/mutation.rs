//! Broken variants of valid messages: what a fuzzer would make of a corpus, the same on every run.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Bytes that are worth a try wherever a length or a count may stand.
const HUGE: [&[u8]; 5] =
    [&[0xff, 0xff, 0xff, 0xff, 0x0f], &[0xff, 0xff, 0xff, 0x07], &[0x7f, 0xff, 0xff, 0xff], &[0x80, 0, 0, 0], &[0xff]];

/// Hands so many broken variants of a message to `take`.
pub(crate) fn mutants(valid: &[u8], rounds: usize, seed: u64, mut take: impl FnMut(&[u8])) {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..rounds {
        let mut bytes = valid.to_vec();
        for _ in 0..random.random_range(1..=3) {
            mutate(&mut bytes, &mut random);
        }
        take(&bytes);
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut StdRng) {
    if bytes.is_empty() {
        bytes.push(random.random());
        return;
    }
    let at = random.random_range(0..bytes.len());
    let to = random.random_range(at..=bytes.len());
    match random.random_range(0..7) {
        0 => bytes[at] ^= 1 << random.random_range(0..8),
        1 => bytes[at] = random.random(),
        2 => {
            let huge = HUGE[random.random_range(0..HUGE.len())];
            let end = (at + huge.len()).min(bytes.len());
            bytes.splice(at..end, huge.iter().copied());
        }
        3 => drop(bytes.drain(at..to)),
        4 => {
            let again = bytes[at..to].to_vec();
            bytes.splice(at..at, again);
        }
        5 => bytes.truncate(at),
        _ => {
            let more: Vec<u8> = (0..random.random_range(1..20)).map(|_| random.random()).collect();
            bytes.splice(at..at, more);
        }
    }
}
