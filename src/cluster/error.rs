//! Why a cluster did not do what it was asked, and what to do then.

use kafka_protocol::error::ResponseError as Code;

use super::Cluster;
use crate::types::ClusterName;
use crate::wire::{Advice, Route, WireError};

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
    #[error("cluster {cluster} refused {operation} on {resource}: {code_name} ({code}){}", appended(message))]
    Refused {
        /// Which cluster.
        cluster: ClusterName,
        /// For a missing permission the permission, such as `Describe`; otherwise the API's name.
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

#[expect(clippy::ref_option, reason = "that is what the error's format string has")]
fn appended(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
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

/// Passing conditions: elections, moved leaders and coordinators, overload, a topic that not all brokers know yet.
const PASSING: &[Code] = &[
    Code::UnknownTopicOrPartition,
    Code::LeaderNotAvailable,
    Code::NotLeaderOrFollower,
    Code::RequestTimedOut,
    Code::BrokerNotAvailable,
    Code::ReplicaNotAvailable,
    Code::StaleControllerEpoch,
    Code::NetworkException,
    Code::CoordinatorLoadInProgress,
    Code::CoordinatorNotAvailable,
    Code::NotCoordinator,
    Code::NotController,
    Code::NotEnoughReplicas,
    Code::NotEnoughReplicasAfterAppend,
    Code::RebalanceInProgress,
    Code::ConcurrentTransactions,
    Code::OperationNotAttempted,
    Code::KafkaStorageError,
    Code::ReassignmentInProgress,
    Code::FetchSessionIdNotFound,
    Code::InvalidFetchSessionEpoch,
    Code::ListenerNotFound,
    Code::FencedLeaderEpoch,
    Code::UnknownLeaderEpoch,
    Code::OffsetNotAvailable,
    Code::PreferredLeaderNotAvailable,
    Code::EligibleLeadersNotAvailable,
    Code::UnstableOffsetCommit,
    Code::UnknownTopicId,
    Code::InconsistentTopicId,
    Code::FetchSessionTopicIdError,
];

/// What a person can mend on the cluster, without a change to the question: permissions, policies, quotas, capacity.
const MENDABLE: &[Code] = &[
    Code::UnknownServerError,
    Code::CorruptMessage,
    Code::TopicAuthorizationFailed,
    Code::GroupAuthorizationFailed,
    Code::ClusterAuthorizationFailed,
    Code::TransactionalIdAuthorizationFailed,
    Code::DelegationTokenAuthorizationFailed,
    Code::UnsupportedSaslMechanism,
    Code::IllegalSaslState,
    Code::SaslAuthenticationFailed,
    Code::SecurityDisabled,
    Code::PolicyViolation,
    Code::ThrottlingQuotaExceeded,
    Code::InvalidReplicationFactor,
    Code::InvalidReplicaAssignment,
    Code::LogDirNotFound,
];

/// What the same question will be answered with again.
const FINAL: &[Code] = &[
    Code::OffsetOutOfRange,
    Code::InvalidFetchSize,
    Code::MessageTooLarge,
    Code::InvalidTopicException,
    Code::RecordListTooLarge,
    Code::InvalidGroupId,
    Code::InvalidTimestamp,
    Code::UnsupportedVersion,
    Code::TopicAlreadyExists,
    Code::InvalidPartitions,
    Code::InvalidConfig,
    Code::InvalidRequest,
    Code::UnsupportedForMessageFormat,
    Code::OutOfOrderSequenceNumber,
    Code::DuplicateSequenceNumber,
    Code::InvalidProducerEpoch,
    Code::InvalidTxnState,
    Code::InvalidProducerIdMapping,
    Code::UnknownProducerId,
    Code::UnsupportedCompressionType,
    Code::GroupIdNotFound,
    Code::InvalidRecord,
    Code::ProducerFenced,
    Code::ResourceNotFound,
    Code::DuplicateResource,
];

impl ClusterError {
    /// What to do about it. A code that stands in no list is a broker's that is newer than we are, or one that does
    /// not belong to our questions: a person should see it, and trying slowly does no harm.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Wire { error, .. } => match error.advice() {
                Advice::Retry => Remedy::Retry,
                Advice::RetrySlowly => Remedy::RetrySlowly,
                Advice::GiveUp => Remedy::GiveUp,
            },
            Self::Refused { code, .. } => remedy_of(*code),
        }
    }

    /// Kafka's error code, where the broker sent one.
    #[must_use]
    pub fn code(&self) -> Option<i16> {
        match self {
            Self::Wire { .. } => None,
            Self::Refused { code, .. } => Some(*code),
        }
    }

    /// Whether the broker refused because we lack a permission.
    #[must_use]
    pub fn is_permission_missing(&self) -> bool {
        match self {
            Self::Wire { error, .. } => matches!(error, WireError::Denied { .. }),
            Self::Refused { code, .. } => is_authorization(*code),
        }
    }

    /// Whether the topic (or the partition) does not exist, as far as the broker that answered knows.
    #[must_use]
    pub fn is_unknown_topic(&self) -> bool {
        self.code() == Some(Code::UnknownTopicOrPartition.code())
    }
}

/// What is known of codes, without a default for those that stand here.
pub(super) const REMEDIES: &[(Remedy, &[Code])] =
    &[(Remedy::Retry, PASSING), (Remedy::RetrySlowly, MENDABLE), (Remedy::GiveUp, FINAL)];

fn remedy_of(code: i16) -> Remedy {
    let is_in = |list: &[Code]| list.iter().any(|listed| listed.code() == code);
    REMEDIES.iter().find(|(_, list)| is_in(list)).map_or(Remedy::RetrySlowly, |(remedy, _)| *remedy)
}

fn is_authorization(code: i16) -> bool {
    [
        Code::TopicAuthorizationFailed,
        Code::GroupAuthorizationFailed,
        Code::ClusterAuthorizationFailed,
        Code::TransactionalIdAuthorizationFailed,
        Code::DelegationTokenAuthorizationFailed,
    ]
    .iter()
    .any(|listed| listed.code() == code)
}

/// One kind of request: its name, and the permission that it needs on its resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// The API's name.
    pub(super) api: &'static str,
    /// The permission, as `kafka-acls` spells it.
    pub(super) permission: &'static str,
}

impl Call {
    pub(super) const fn new(api: &'static str, permission: &'static str) -> Self {
        Self { api, permission }
    }
}

impl Cluster {
    /// Turns an error code into an error that says what was asked about what; code 0 is none.
    pub(super) fn accepted(
        &self,
        call: Call,
        resource: impl FnOnce() -> String,
        code: i16,
        message: Option<&str>,
    ) -> Result<(), ClusterError> {
        if code == 0 { Ok(()) } else { Err(self.refusal(call, resource(), code, message)) }
    }

    /// The same for the answer to an order, which only the controller carries out: another broker's refusal means
    /// that the controller moved.
    pub(super) fn accepted_by_controller(
        &self,
        call: Call,
        resource: impl FnOnce() -> String,
        code: i16,
        message: Option<&str>,
    ) -> Result<(), ClusterError> {
        if code == Code::NotController.code() {
            self.client.forget_coordinator(&Route::Controller);
        }
        self.accepted(call, resource, code, message)
    }

    pub(super) fn refusal(&self, call: Call, resource: String, code: i16, message: Option<&str>) -> ClusterError {
        ClusterError::Refused {
            cluster: self.name.clone(),
            operation: if is_authorization(code) { call.permission } else { call.api },
            resource,
            code,
            code_name: kafka_name(code),
            // Brokers often send the generic text of the code, or an empty one: no news either way.
            message: message.filter(|message| !message.is_empty()).map(str::to_owned),
        }
    }
}

/// The code's name as Kafka's documentation writes it.
fn kafka_name(code: i16) -> String {
    let Some(known) = Code::try_from_code(code).filter(|known| !matches!(known, Code::Unknown(_))) else {
        return "an unknown error".to_owned();
    };
    let mut name = String::new();
    for letter in known.to_string().chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
