//! The state topic: record forms, the view of everything, own writes under a lease.
//!
//! Owns: `__causeway.<group>` on the target cluster, the forms of its records, and what this daemon knows of them.
//! Promises: what [`Store::write`] accepted was written under a lease that was valid at that moment; a lease is
//! handed out only when everything that its predecessor wrote has been read.
//! Does not know: what the records mean to the data path.

mod doors;
mod form;
mod handle;
mod hanging;
mod kafka;
mod keeper;
mod open;
mod reader;
mod records;
mod shard_hash;
mod topic;
mod view;

pub use doors::{Doors, Sink};
pub use form::{UnreadableRecord, parse};
pub use handle::{Lease, Settings, ShardEvent, Store, StoreError, Write};
pub use open::state_topic;
pub use records::{
    AclEntry, AclsRecord, DaemonRecord, GroupPositionRecord, GroupRecord, HolderRecord, Key, LinkRecord, LinkState,
    MapRecord, OffsetsRecord, PartitionState, PeerSeenRecord, PlanRecord, PositionRecord, RequestAction, RequestRecord,
    ResolutionRecord, SettingsRecord, StartAt, StatusRecord, StopRecord, TakeoverRecord, TopicRecord, TopicState,
    Value,
};
pub use shard_hash::SHARDS;
pub use view::View;

#[cfg(test)]
mod tests;
