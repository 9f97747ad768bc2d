//! Why a cluster did not do what it was asked.

use crate::types::ClusterName;
use crate::wire::WireError;

/// A question or an order that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// No usable answer.
    #[error("cluster {cluster}: {error}")]
    Wire {
        /// Which cluster.
        cluster: ClusterName,
        /// What happened.
        #[source]
        error: WireError,
    },
    /// The broker answered with an error code.
    #[error("cluster {cluster} refused {operation} on {resource}: {code_name} ({code}){}", message.as_deref().map(|m| format!(": {m}")).unwrap_or_default())]
    Refused {
        /// Which cluster.
        cluster: ClusterName,
        /// What was asked, such as `Describe`, or the API's name.
        operation: &'static str,
        /// What it was about, such as `topic orders`.
        resource: String,
        /// Kafka's error code.
        code: i16,
        /// Its name.
        code_name: String,
        /// The broker's own words, where it sent any.
        message: Option<String>,
    },
}

/// What to do about a [`ClusterError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Look the leader or coordinator up again and try again after a pause.
    Retry,
    /// A person must look (permission, password, policy); keep trying slowly and say so.
    RetrySlowly,
    /// The same question will fail the same way.
    GiveUp,
}

impl ClusterError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        todo!()
    }

    /// Kafka's error code, where the broker sent one.
    #[must_use]
    pub fn code(&self) -> Option<i16> {
        match self {
            Self::Wire { .. } => None,
            Self::Refused { code, .. } => Some(*code),
        }
    }
}
