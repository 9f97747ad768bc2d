//! Where chance comes from: on a thread that was given a seed, from that seed.
//!
//! Owns: the symbol `getrandom`, by which the standard library (the order of hash maps), tokio (the order of ready
//! branches) and `rand` (pauses with jitter) get their first bytes. Each of them asks once per thread.
//! Promises: two threads with the same seed see the same bytes, as long as they ask in the same order; threads without
//! a seed get the system's.
//! Does not know: who asks.

use std::cell::Cell;
use std::io::Read;

use crate::dice::Dice;

thread_local! {
    static STREAM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Everything random on this thread follows from `seed` now. Must come before anything random happened on it.
pub fn seed(seed: u64) {
    STREAM.set(Some(seed));
}

fn fill(bytes: &mut [u8]) {
    // A call for nothing asks whether there is such a function, once for all threads.
    if bytes.is_empty() {
        return;
    }
    match STREAM.try_with(Cell::get).ok().flatten() {
        Some(state) => {
            let mut dice = Dice::new(state);
            bytes.fill_with(|| dice.next().to_le_bytes()[0]);
            STREAM.set(Some(dice.next()));
        }
        None => std::fs::File::open("/dev/urandom").and_then(|mut system| system.read_exact(bytes)).unwrap(),
    }
}

/// Stands in for the C library's function of this name in this binary.
///
/// # Safety
/// As for the C library's: `buffer` points to `length` bytes that may be written.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "a function of the C library can't be replaced otherwise")]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    let mut bytes = vec![0; length];
    fill(&mut bytes);
    // SAFETY: the caller promises that there is room for `length` bytes.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, length) };
    isize::try_from(length).unwrap()
}

#[test]
fn chance_follows_from_the_seed() {
    let draw = || {
        let run = || {
            seed(7);
            let order: Vec<u32> = (0..20).collect::<std::collections::HashSet<u32>>().into_iter().collect();
            (order, rand::random::<u64>())
        };
        std::thread::spawn(run).join().unwrap()
    };
    assert_eq!(draw(), draw());
}
