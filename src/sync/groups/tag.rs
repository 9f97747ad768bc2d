//! The tag in the metadata of a committed offset, by which we know our own.

/// What every tag begins with, its version included.
const BEGINNING: &str = "causeway/1 ";
/// Kafka's default for `offset.metadata.max.bytes`.
const METADATA_BYTES_MAX: usize = 4096;

/// The tag of positions that come from one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    /// The tag of positions of the cluster with this id.
    pub(super) fn of(cluster_id: &str) -> Self {
        Self(format!("{BEGINNING}{cluster_id}"))
    }

    /// Whether a position carries it.
    pub(super) fn is_on(&self, metadata: &str) -> bool {
        metadata.strip_prefix(self.0.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    }

    /// The metadata of a position of ours: the tag, then what the consumer had committed with it, where there is room.
    pub(super) fn put_on(&self, metadata: &str) -> String {
        let is_too_long = self.0.len() + 1 + metadata.len() > METADATA_BYTES_MAX;
        if metadata.is_empty() || is_too_long { self.0.clone() } else { format!("{} {metadata}", self.0) }
    }
}
