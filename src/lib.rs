//! causeway keeps Kafka topics of one cluster alive in another.
#![forbid(unsafe_code)]

pub mod types;

pub mod secrets;
pub mod tasks;

pub mod batch;
pub mod offset_map;
pub mod wire;

pub mod api;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod daemon;
pub mod link;
pub mod mirror;
pub mod preflight;
pub mod selection;
pub mod shards;
pub mod store;
pub mod sync;
pub mod telemetry;
