//! Orders: the calls that change something, and what became of them.

use serde::de::{self, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::types::{PartitionIndex, ResolveVerb, TopicName};

/// What a person wants of a link, checked for form. The server makes it from the path, the body and the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What to do.
    pub action: OrderAction,
    /// With which topics, by their names at the source.
    pub topics: TopicSelection,
    /// Only say what would happen.
    pub dry_run: bool,
    /// Who wants it, as the caller says; at most 200 characters.
    pub who: String,
    /// Why, as the caller says; at most 1000 characters.
    pub why: Option<String>,
}

/// What an order says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderAction {
    /// Stop copying, keep the position.
    Pause,
    /// Go on.
    Resume,
    /// Deal with stopped partitions.
    Resolve {
        /// `None`: all stopped partitions of the topics.
        partition: Option<PartitionIndex>,
        /// How.
        with: ResolveVerb,
    },
}

/// Which topics an order is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicSelection {
    /// All mirror topics of the link, and the link itself.
    All,
    /// These, by their names at the source; at least one.
    These(Vec<TopicName>),
}

/// The body of `POST /v1/links/{link}/{pause|resume|resolve}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    /// A list of source topics, or `"all"`.
    pub topics: TopicSelection,
    /// Only with `resolve`: one partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<PartitionIndex>,
    /// Only with `resolve`, and needed there: how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<ResolveVerb>,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Who wants it; kept with the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why; kept with the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDone {
    /// Whether it only says what would happen.
    pub dry_run: bool,
    /// The stored order's id; the owner of the link carries it out within moments. `null` in a dry run, and when
    /// nothing had to be done.
    pub request: Option<Uuid>,
    /// What is, or would be, affected.
    pub affected: Vec<Affected>,
}

/// One thing that an order affects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// The source topic.
    pub topic: TopicName,
    /// The partition; `null`: all of the topic.
    #[serde(default)]
    pub partition: Option<PartitionIndex>,
    /// What happens to it, as a sentence: from which state to which, and what is left out.
    pub effect: String,
}

impl OrderAction {
    /// The word in the path.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Resolve { .. } => "resolve",
        }
    }
}

impl TopicSelection {
    /// Whether a topic is meant.
    #[must_use]
    pub fn contains(&self, topic: &TopicName) -> bool {
        match self {
            Self::All => true,
            Self::These(topics) => topics.contains(topic),
        }
    }
}

impl Serialize for TopicSelection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::These(topics) => {
                let mut list = serializer.serialize_seq(Some(topics.len()))?;
                for topic in topics {
                    list.serialize_element(topic)?;
                }
                list.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for TopicSelection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SelectionVisitor)
    }
}

struct SelectionVisitor;

impl<'de> Visitor<'de> for SelectionVisitor {
    type Value = TopicSelection;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of source topics, or \"all\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TopicSelection, E> {
        if text == "all" { Ok(TopicSelection::All) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<TopicSelection, A::Error> {
        let mut topics = Vec::new();
        while let Some(topic) = list.next_element()? {
            topics.push(topic);
        }
        // An empty list is more likely a script that found nothing than a person who wants nothing.
        if topics.is_empty() { Err(de::Error::invalid_length(0, &self)) } else { Ok(TopicSelection::These(topics)) }
    }
}
