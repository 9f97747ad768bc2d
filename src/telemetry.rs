//! Logs and metrics.
//!
//! Owns: the metric registry, which is handed in and never global, so that several daemons can run in one process;
//! the table of metric names; log set-up.
//! Promises: a metric that was registered shows up in [`Metrics::render`] until it is forgotten; nothing grows with
//! the number of observations; logs go to stderr.
//! Does not know: what is measured and logged.

mod histogram;
pub mod logs;
pub mod names;
mod registry;
mod render;

pub use registry::{Labels, Metrics};

#[cfg(test)]
mod tests;
