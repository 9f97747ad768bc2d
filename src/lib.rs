//! causeway keeps Kafka topics of one cluster alive in another.
#![forbid(unsafe_code)]

pub mod types;

pub mod secrets;
pub mod tasks;

pub mod batch;
pub mod offset_map;
pub mod wire;

pub mod selection;
pub mod telemetry;
pub mod shards;
pub mod store;
pub mod cluster;
pub mod mirror;
pub mod sync;
pub mod preflight;
pub mod link;
pub mod api;
pub mod config;
pub mod daemon;
pub mod cli;
