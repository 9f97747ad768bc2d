//! Control loops of a link: what exists on the source is made to exist on the target.
//!
//! Owns: which topics are mirrored, and the topic records that say so; the existence, the partition counts and the
//! settings of mirror topics.
//! Promises: each round observes, compares, applies, in this order, and the comparison is pure. A mapping that was
//! published is never pointed elsewhere. A topic that was deleted or recreated, on either side, is never made anew
//! silently: that would copy it twice, or hide a loss. What can't be done for one topic is told and doesn't hold up
//! the others. Nothing is written that did not change.
//! Does not know: how records are copied, who asked for a pause, other links.
//!
//! # Settings of a mirror topic
//! It gets what is set on the source topic itself (not what the source's brokers default to), with these exceptions:
//! - What depends on the cluster stays local: minimal in-sync replicas, unclean elections, throttled replicas, tiered
//!   storage, message formats.
//! - `compression.type` is always `producer`: batches arrive compressed as the source has them, and a target that
//!   compresses again would pay for it and no longer hold the same bytes.
//! - Timestamps are the source's: `message.timestamp.type` is `CreateTime`, and the limits on them are wide open.
//! - `max.message.bytes` is raised to what is in force at the source, so that every batch fits, and never reset.
//! - Retention goes by record timestamps, so that it would delete old history as fast as it arrives. It is switched
//!   off until every partition has caught up once; then it becomes the source's, or the target's default.
//!
//! A setting that is reset at the source is reset here if it came from there. Others that somebody sets on the mirror
//! topic are left alone. What somebody changes of those that came from here is set again, or left until the source
//! changes it: [`Drift`].

pub mod acls;
mod apply;
mod compare;
mod drift;
mod error;
mod groups;
mod make;
pub mod mirrormaker;
mod observe;
mod publish;
mod record;
mod round;
mod settings;
mod stop;
mod topics;

pub use drift::Drift;
pub use error::SyncError;
pub use groups::{
    GroupParts, GroupPosition, GroupReport, GroupSettings, GroupSync, GroupsSummary, Mapped, Maps, Rehearsal,
};
pub use stop::{StopReason, resolve_topic};
pub use topics::{Problem, RoundReport, Settings, TopicSync};

#[cfg(test)]
mod tests;
