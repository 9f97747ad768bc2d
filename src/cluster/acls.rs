//! ACLs of topics: reading, adding and removing them.

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::describe_acls_response::DescribeAclsResource;
use kafka_protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};

use super::error::Call;
use super::{Cluster, ClusterError, text};
use crate::wire::{ResponseError, Route};

/// One entry of an authorizer about topics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicAcl {
    /// Which topics.
    pub pattern: TopicPattern,
    /// Who, such as `User:alice`; `User:*` is everybody.
    pub principal: String,
    /// From where; `*` is everywhere.
    pub host: String,
    /// What.
    pub operation: AclOperation,
    /// Whether it is allowed or denied.
    pub permission: AclPermission,
}

/// The topics that an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicPattern {
    /// The topic of this name; `*` is every topic.
    Literal(String),
    /// All topics whose names begin so.
    Prefixed(String),
}

impl TopicPattern {
    /// Whether it is about a topic of this name.
    #[must_use]
    pub fn covers(&self, topic: &str) -> bool {
        match self {
            Self::Literal(name) => name == topic || name == "*",
            Self::Prefixed(beginning) => topic.starts_with(beginning),
        }
    }
}

/// What an entry allows or denies on topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AclOperation {
    /// Everything.
    All,
    /// Read records.
    Read,
    /// Write records.
    Write,
    /// Create.
    Create,
    /// Delete the topic or its records.
    Delete,
    /// Change partitions.
    Alter,
    /// See that it exists.
    Describe,
    /// See settings.
    DescribeConfigs,
    /// Change settings.
    AlterConfigs,
}

/// Whether an entry gives or takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AclPermission {
    /// It beats every `Allow`.
    Deny,
    /// Without one of these nothing is permitted, as brokers are usually set.
    Allow,
}

/// Kafka's numbers.
const OPERATIONS: [(AclOperation, i8); 9] = [
    (AclOperation::All, 2),
    (AclOperation::Read, 3),
    (AclOperation::Write, 4),
    (AclOperation::Create, 5),
    (AclOperation::Delete, 6),
    (AclOperation::Alter, 7),
    (AclOperation::Describe, 8),
    (AclOperation::DescribeConfigs, 10),
    (AclOperation::AlterConfigs, 11),
];
const TOPIC: i8 = 2;
const ANY: i8 = 1;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

/// Rights on ACLs are rights on the cluster.
const SEE: Call = Call::new("DescribeAcls", "Describe");
const ADD: Call = Call::new("CreateAcls", "Alter");
const REMOVE: Call = Call::new("DeleteAcls", "Alter");
const RESOURCE: &str = "the cluster (for its ACLs)";
/// Entries of one request. `KRaft` makes a record of each, and a controller takes 10,000 records at once.
const ENTRIES_PER_REQUEST: usize = 500;

impl AclOperation {
    /// The operation as `kafka-acls` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::Delete => "Delete",
            Self::Alter => "Alter",
            Self::Describe => "Describe",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::AlterConfigs => "AlterConfigs",
        }
    }

    /// The operation that `kafka-acls` spells so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        OPERATIONS.iter().map(|(operation, _)| *operation).find(|operation| operation.name() == name)
    }

    fn number(self) -> i8 {
        OPERATIONS.iter().find(|(operation, _)| *operation == self).map_or(ANY, |(_, number)| *number)
    }
}

impl std::fmt::Display for TopicAcl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let permission = match self.permission {
            AclPermission::Allow => "allow",
            AclPermission::Deny => "deny",
        };
        let (operation, principal) = (self.operation.name(), &self.principal);
        match &self.pattern {
            TopicPattern::Literal(name) => write!(f, "{permission} {operation} for {principal} on topic {name}"),
            TopicPattern::Prefixed(name) => write!(f, "{permission} {operation} for {principal} on topics {name}*"),
        }
    }
}

impl Cluster {
    /// All entries about topics, also those for all topics and for beginnings of names. Takes `Describe` on the
    /// cluster; a cluster without an authorizer refuses with 54. Entries of kinds that are newer than we are are
    /// left out.
    pub async fn topic_acls(&self) -> Result<Vec<TopicAcl>, ClusterError> {
        let request = DescribeAclsRequest::default()
            .with_resource_type_filter(TOPIC)
            .with_resource_name_filter(None)
            .with_pattern_type_filter(ANY)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(ANY)
            .with_permission_type(ANY);
        let response = self.call(Route::Any, &request).await?;
        self.accepted(SEE, || RESOURCE.to_owned(), response.error_code, response.error_message.as_deref())?;
        Ok(response.resources.iter().flat_map(entries).collect())
    }

    /// Adds entries; those that are there already stay. Takes `Alter` on the cluster. Answers with those that were
    /// refused one by one.
    pub async fn add_topic_acls(&self, acls: &[TopicAcl]) -> Result<Vec<(TopicAcl, ClusterError)>, ClusterError> {
        let mut refused = Vec::new();
        for some in acls.chunks(ENTRIES_PER_REQUEST) {
            let request = CreateAclsRequest::default().with_creations(some.iter().map(creation).collect());
            let response = self.call(Route::Controller, &request).await?;
            for (acl, result) in some.iter().zip(&response.results) {
                let message = result.error_message.as_deref();
                let code = result.error_code;
                let outcome = self.accepted_by_controller(ADD, || about(acl, code), code, message);
                refused.extend(outcome.err().map(|error| (acl.clone(), error)));
            }
            if response.results.len() < some.len() {
                return Err(self.left_out(ADD, "some of the entries"));
            }
        }
        Ok(refused)
    }

    /// Removes exactly these entries; those that are not there are no error. Takes `Alter` on the cluster. Answers
    /// with those that were refused one by one.
    pub async fn remove_topic_acls(&self, acls: &[TopicAcl]) -> Result<Vec<(TopicAcl, ClusterError)>, ClusterError> {
        let mut refused = Vec::new();
        for some in acls.chunks(ENTRIES_PER_REQUEST) {
            let request = DeleteAclsRequest::default().with_filters(some.iter().map(filter).collect());
            let response = self.call(Route::Controller, &request).await?;
            for (acl, result) in some.iter().zip(&response.filter_results) {
                let of_match = result.matching_acls.iter().map(|matching| matching.error_code).find(|code| *code != 0);
                let code = if result.error_code == 0 { of_match.unwrap_or(0) } else { result.error_code };
                let message = result.error_message.as_deref();
                let outcome = self.accepted_by_controller(REMOVE, || about(acl, code), code, message);
                refused.extend(outcome.err().map(|error| (acl.clone(), error)));
            }
            if response.filter_results.len() < some.len() {
                return Err(self.left_out(REMOVE, "some of the entries"));
            }
        }
        Ok(refused)
    }
}

impl ClusterError {
    /// Whether the cluster has no authorizer, and so no ACLs at all.
    #[must_use]
    pub fn is_without_authorizer(&self) -> bool {
        self.code() == Some(ResponseError::SecurityDisabled.code())
    }
}

/// A missing right is one on the cluster; any other refusal is about the entry.
fn about(acl: &TopicAcl, code: i16) -> String {
    if code == ResponseError::ClusterAuthorizationFailed.code() { RESOURCE.to_owned() } else { acl.to_string() }
}

fn entries(resource: &DescribeAclsResource) -> impl Iterator<Item = TopicAcl> {
    let name = resource.resource_name.to_string();
    let pattern = match (resource.resource_type, resource.pattern_type) {
        (TOPIC, LITERAL) => Some(TopicPattern::Literal(name)),
        (TOPIC, PREFIXED) => Some(TopicPattern::Prefixed(name)),
        (_, _) => None,
    };
    resource.acls.iter().filter_map(move |told| {
        Some(TopicAcl {
            pattern: pattern.clone()?,
            principal: told.principal.to_string(),
            host: told.host.to_string(),
            operation: OPERATIONS.iter().find(|(_, number)| *number == told.operation)?.0,
            permission: match told.permission_type {
                DENY => AclPermission::Deny,
                ALLOW => AclPermission::Allow,
                _ => return None,
            },
        })
    })
}

fn parts(acl: &TopicAcl) -> (&str, i8, i8) {
    let permission = match acl.permission {
        AclPermission::Deny => DENY,
        AclPermission::Allow => ALLOW,
    };
    match &acl.pattern {
        TopicPattern::Literal(name) => (name, LITERAL, permission),
        TopicPattern::Prefixed(name) => (name, PREFIXED, permission),
    }
}

fn creation(acl: &TopicAcl) -> AclCreation {
    let (name, pattern, permission) = parts(acl);
    AclCreation::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(name))
        .with_resource_pattern_type(pattern)
        .with_principal(text(&acl.principal))
        .with_host(text(&acl.host))
        .with_operation(acl.operation.number())
        .with_permission_type(permission)
}

fn filter(acl: &TopicAcl) -> DeleteAclsFilter {
    let (name, pattern, permission) = parts(acl);
    DeleteAclsFilter::default()
        .with_resource_type_filter(TOPIC)
        .with_resource_name_filter(Some(text(name)))
        .with_pattern_type_filter(pattern)
        .with_principal_filter(Some(text(&acl.principal)))
        .with_host_filter(Some(text(&acl.host)))
        .with_operation(acl.operation.number())
        .with_permission_type(permission)
}
