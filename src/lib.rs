//! causeway keeps Kafka topics of one cluster alive in another: a daemon that mirrors records across regions, and that
//! an operator can trust on the day the first region burns down.
//!
//! Aims, in this order: no loss, no wrong order, no duplicate, honest status, easy to read, fast.
//!
//! # The idea
//!
//! A *link* is a configured source cluster -> target cluster relation. Record batches are forwarded without
//! decompressing them: a batch gets a new header, with the link's own *data producer id* and the next sequence of its
//! partition, and goes to the target as a plain idempotent append. So **every append is a compare-and-swap**: the
//! target's leader takes it only if nothing was appended by this link in between. Two daemons that both believe to own
//! a partition write the same next records; one append lands, the other is refused or recognised as a duplicate.
//! Nothing is ever concluded from an answer that got lost: the target's log end and producer state decide.
//!
//! The daemon keeps no files. State is a compacted topic on the target cluster, `__causeway.<group>`, written in small
//! transactions that prove at each write that the writer still owns its share (KIP-447). Being assigned a partition
//! of that topic, by Kafka's ordinary group protocol, is owning a *shard* of the mirror partitions.
//!
//! # Where to begin reading
//!
//! [`mirror`] is the heart; its page follows one batch from source to target. Then [`store`] (what is remembered),
//! [`link`] (who works on what), [`daemon`] (how it is put together).
//!
//! # Floors
//!
//! A module uses only modules on floors below its own, never a neighbour, never one above; `tests/tidy.rs` checks it.
//!
//! | floor | modules |
//! |---|---|
//! | 0 | [`types`]: the vocabulary |
//! | 1 | [`tasks`], [`telemetry`], [`secrets`] |
//! | 2 | pure: [`batch`], [`offset_map`], [`selection`]; door: [`wire`] |
//! | 3 | [`shards`]: membership, transactional writer; [`emulator`]: an in-memory Kafka; [`peer`]: sessions |
//! | 4 | [`store`]: the state topic |
//! | 5 | [`cluster`]: the port onto a Kafka cluster |
//! | 6 | [`mirror`]: the data path; [`sync`]: control loops; [`preflight`]: `check` |
//! | 7 | [`link`]: one link as a whole |
//! | 8 | [`api`]: HTTP |
//! | 9 | [`config`]: the file |
//! | 10 | [`daemon`] |
//! | 11 | [`demo`]: two emulated clusters, a workload, a daemon |
//! | 12 | [`cli`] |
//!
//! # What a part does not know
//!
//! - [`batch`], [`offset_map`] and [`selection`] know no tokio, no clock, no log, no broker.
//! - [`wire`] does not know what an error code means; [`mirror`] has the one table for appends.
//! - [`mirror`] does not know how topics are chosen, nor how state is stored.
//! - Only [`config`] knows the file, only [`api`] the public JSON, only [`store`] the stored form.
//! - rdkafka is membership and state. The data path and all admin calls use [`wire`]: rdkafka hands out decoded
//!   records only, and lacks most of the calls that are needed.
#![forbid(unsafe_code)]

pub mod types;

pub mod secrets;
pub mod tasks;
pub mod telemetry;

pub mod batch;
pub mod offset_map;
pub mod selection;
pub mod wire;

pub mod emulator;
pub mod peer;
pub mod shards;

pub mod store;

pub mod cluster;

pub mod mirror;
pub mod preflight;
pub mod sync;

pub mod link;

pub mod api;

pub mod config;

pub mod daemon;

pub mod demo;

pub mod cli;
