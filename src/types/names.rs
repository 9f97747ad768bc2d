//! Names and identifiers, one type each, so that a link's name can't be passed for a topic's.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Names of links, clusters and daemon groups use letters, digits, `-` and `_`.
    #[error("`{0}` is not a valid name: use 1 to 100 letters, digits, `-` or `_`")]
    Own(String),
    /// Kafka's rule for topics: 1 to 249 of letters, digits, `.`, `_`, `-`; not `.` or `..`.
    #[error("`{0}` is not a valid topic name: use 1 to 249 letters, digits, `.`, `_` or `-`")]
    Topic(String),
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text against the rule of this kind of name.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                $check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of a link, as in `[link.NAME]`.
    LinkName,
    check_own
);
name!(
    /// The name of a cluster in our configuration, as in `[cluster.NAME]`. Not Kafka's cluster id.
    ClusterName,
    check_own
);
name!(
    /// The name of a peer (another daemon, or the group it belongs to), as in `[peer.NAME]`.
    PeerName,
    check_own
);
name!(
    /// The name of a Kafka topic.
    TopicName,
    check_topic
);
name!(
    /// The name of a Kafka consumer group. Kafka allows any text, also the empty one.
    GroupName,
    check_nothing
);

fn check_own(text: &str) -> Result<(), InvalidName> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=100).contains(&text.len()) && text.chars().all(is_allowed) {
        Ok(())
    } else {
        Err(InvalidName::Own(text.to_owned()))
    }
}

fn check_topic(text: &str) -> Result<(), InvalidName> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_valid = (1..=249).contains(&text.len()) && text.chars().all(is_allowed) && text != "." && text != "..";
    if is_valid { Ok(()) } else { Err(InvalidName::Topic(text.to_owned())) }
}

#[expect(clippy::unnecessary_wraps, reason = "the macro wants one form for all checks")]
fn check_nothing(_text: &str) -> Result<(), InvalidName> {
    Ok(())
}

/// The index of a partition within its topic, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionIndex(pub i32);

impl fmt::Display for PartitionIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A Kafka broker's `node.id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokerId(pub i32);

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id that a cluster gives to one life of a topic (KIP-516). A recreated topic has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(pub uuid::Uuid);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition's index.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// Puts a topic and an index together.
    #[must_use]
    pub fn new(topic: TopicName, partition: PartitionIndex) -> Self {
        Self { topic, partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
