//! Why a round could not be made.

use crate::cluster::{ClusterError, Remedy};
use crate::store::StoreError;

/// A round that could not be made as a whole. What concerns one topic only is in the round's report.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SyncError {
    /// The source or the target could not be asked what exists.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The state could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SyncError {
    /// Whether the loop must end: this daemon has no right to go on with the link.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Cluster(_) | Self::Store(StoreError::Unavailable(_)) => false,
            Self::Store(StoreError::LeaseLost { .. } | StoreError::Unusable(_)) => true,
        }
    }

    /// Whether it passes without anybody doing something.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Cluster(error) => error.remedy() == Remedy::Retry,
            Self::Store(StoreError::Unavailable(_)) => true,
            Self::Store(StoreError::LeaseLost { .. } | StoreError::Unusable(_)) => false,
        }
    }
}
