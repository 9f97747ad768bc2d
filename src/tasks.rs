//! Running, stopping and waiting for tasks; waiting longer after each failure; bounding memory in bytes.
//!
//! Owns: [`TaskGroup`], [`Life`], [`Backoff`], [`ByteBudget`], and the wall clock.
//! Promises: a group that was closed has no task left; a permit gives its bytes back when it is dropped.
//! Does not know: what the tasks do.

mod backoff;
mod budget;
mod clock;
mod group;
mod life;

pub use backoff::Backoff;
pub use budget::{ByteBudget, BytePermit};
pub use clock::wall_clock_ms;
pub use group::TaskGroup;
pub use life::Life;

#[cfg(test)]
mod tests;
