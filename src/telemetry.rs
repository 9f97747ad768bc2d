//! Logs and metrics.
//!
//! Owns: the metrics recorder, which is handed in and never global, so that several daemons can run in one process;
//! the table of metric names; log set-up.
//! Promises: what was counted shows up in [`Metrics::render`]; a gauge does for as long as it is kept; logs go to
//! stderr.
//! Does not know: what is measured and logged.

pub mod logs;
pub mod names;
mod recorder;

pub use recorder::{Labels, Metrics};

#[cfg(test)]
mod tests;
