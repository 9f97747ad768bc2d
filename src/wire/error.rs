//! What can go wrong between us and a broker.

use std::time::Duration;

/// A request that got no usable answer. A broker's error code inside a response is not one of these:
/// the caller reads it there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WireError {
    /// No TCP connection.
    #[error("can't connect to {address}: {reason}")]
    Connect {
        /// `host:port`.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The TLS handshake failed, or our certificate or key can't be used.
    #[error("TLS with {address} failed: {reason}")]
    Tls {
        /// `host:port`.
        address: String,
        /// What the TLS library said.
        reason: String,
    },
    /// The broker refused our SASL mechanism, name or password, or could not prove that it knows it.
    #[error("{address} refused to authenticate {principal}: {reason}")]
    Authentication {
        /// `host:port`.
        address: String,
        /// The user, or the mechanism where there is no user.
        principal: String,
        /// What the broker said.
        reason: String,
    },
    /// No answer within the limit. Whether the broker acted is unknown.
    #[error("no answer from {address} to {api} within {limit:?}")]
    Timeout {
        /// `host:port`.
        address: String,
        /// The API's name.
        api: &'static str,
        /// The limit that passed.
        limit: Duration,
    },
    /// The connection ended before the answer came. Whether the broker acted is unknown.
    #[error("the connection to {address} was lost: {reason}")]
    Closed {
        /// `host:port`.
        address: String,
        /// Why, as far as we know.
        reason: String,
    },
    /// A response announced more bytes than allowed.
    #[error("{address} announced a frame of {bytes} bytes, more than the {bytes_max} allowed")]
    FrameTooLarge {
        /// `host:port`.
        address: String,
        /// What it announced.
        bytes: u64,
        /// What is allowed.
        bytes_max: usize,
    },
    /// The broker and we have no version of this API in common.
    #[error("{address} does not offer {api} in a version that we speak")]
    Unsupported {
        /// `host:port`.
        address: String,
        /// The API's name.
        api: &'static str,
    },
    /// An answer that does not follow the protocol.
    #[error("{address} sent a response to {api} that can't be read: {reason}")]
    Malformed {
        /// `host:port`.
        address: String,
        /// The API's name.
        api: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The request can't be written at this version; nothing was sent.
    #[error("can't encode {api}: {reason}")]
    Encode {
        /// The API's name.
        api: &'static str,
        /// Why.
        reason: String,
    },
    /// We may not use this topic, group or transactional id, so the cluster won't say which broker has it.
    #[error("{what} may not be used: {reason}")]
    Denied {
        /// What we asked for.
        what: String,
        /// The cluster's error.
        reason: String,
    },
    /// Metadata names no such broker, or no leader, at the moment.
    #[error("{what} is not available at the moment: {reason}")]
    NotAvailable {
        /// A broker, partition or coordinator.
        what: String,
        /// What the cluster said.
        reason: String,
    },
}

/// What to do about a [`WireError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Try again after a pause; look the leader up again first.
    Retry,
    /// A person must look (password, certificate, version), but trying again later is right: they may mend it.
    RetrySlowly,
    /// The same request will fail the same way.
    GiveUp,
}

impl WireError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Closed { .. } | Self::NotAvailable { .. } => {
                Advice::Retry
            }
            Self::Tls { .. }
            | Self::Authentication { .. }
            | Self::Malformed { .. }
            | Self::FrameTooLarge { .. }
            | Self::Denied { .. } => Advice::RetrySlowly,
            Self::Unsupported { .. } | Self::Encode { .. } => Advice::GiveUp,
        }
    }

    /// Whether the broker may have acted on the request all the same.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Closed { .. } | Self::Malformed { .. } | Self::FrameTooLarge { .. } => true,
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Authentication { .. }
            | Self::Unsupported { .. }
            | Self::Encode { .. }
            | Self::Denied { .. }
            | Self::NotAvailable { .. } => false,
        }
    }
}
