//! Reading query parameters: each error names the parameter.

use std::collections::BTreeMap;

use super::backend::{KnownOffset, TranslateQuestion};
use super::error::{ApiError, nearest};
use crate::types::{NegativeOffset, PartitionIndex, SourceOffset, TargetOffset, TopicName};

/// The parameters of a query, each at most once.
#[derive(Debug)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Refuses parameters that are not known here or stand twice.
    pub(super) fn new(pairs: Vec<(String, String)>, known: &[&str]) -> Result<Self, ApiError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                let nearest = nearest(&name, known.iter().copied());
                let hint = nearest.map_or_else(|| known.join(", "), |nearest| format!("did you mean `{nearest}`?"));
                return Err(bad(&name, &format!("there is no such parameter: {hint}")));
            }
            if parameters.insert(name.clone(), value).is_some() {
                return Err(bad(&name, "stands twice"));
            }
        }
        Ok(Self(parameters))
    }

    fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.0.get(name).map(String::as_str).ok_or_else(|| bad(name, "is missing"))
    }

    /// The question of `translate`.
    pub(super) fn translate_question(&self) -> Result<TranslateQuestion, ApiError> {
        let topic = TopicName::new(self.required("topic")?).map_err(|error| bad("topic", &error.to_string()))?;
        let partition = self.required("partition")?;
        let partition = partition.parse::<i32>().ok().filter(|partition| *partition >= 0);
        let partition = partition.ok_or_else(|| bad("partition", "must be a whole number from 0"))?;
        let offset = self.required("offset")?;
        let offset = offset.parse::<i64>().map_err(|_| bad("offset", "must be a whole number from 0"))?;
        let negative = |error: NegativeOffset| bad("offset", &error.to_string());
        let offset = match self.0.get("direction").map(String::as_str) {
            None | Some("forward") => KnownOffset::Source(SourceOffset::new(offset).map_err(negative)?),
            Some("reverse") => KnownOffset::Target(TargetOffset::new(offset).map_err(negative)?),
            Some(other) => return Err(bad("direction", &format!("`{other}` is neither `forward` nor `reverse`"))),
        };
        Ok(TranslateQuestion { topic, partition: PartitionIndex(partition), offset })
    }
}

/// A parameter that makes no sense.
pub(super) fn bad(parameter: &str, message: &str) -> ApiError {
    ApiError::BadParameter { parameter: parameter.to_owned(), message: message.to_owned() }
}
