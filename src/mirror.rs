//! The data path: from a batch at the source to an acknowledged batch at the target.
//!
//! Owns: fetchers, partition pipelines, producers, settling of unknown outcomes, positions.
//! Promises: per partition no loss, no wrong order, no duplicate; what can't be settled stops that partition only.
//! Does not know: how topics are chosen, who asked for a pause, how state is stored.

pub mod fetch;
