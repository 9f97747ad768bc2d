//! Reading query parameters: each error names the parameter.

use std::collections::BTreeMap;
use std::time::Duration;

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

    /// A time with its unit, such as `1500ms`, `30s` or `5m`; a bare number counts seconds. A longer one than `most` is
    /// refused.
    pub(super) fn duration(&self, name: &str, default: Duration, most: Duration) -> Result<Duration, ApiError> {
        let Some(text) = self.0.get(name) else { return Ok(default) };
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text.get(digits.len()..).unwrap_or_default();
        let number = digits.parse::<u64>().ok();
        let duration = match (number, unit) {
            (Some(number), "ms") => Duration::from_millis(number),
            (Some(number), "s" | "") => Duration::from_secs(number),
            (Some(number), "m" | "min") => Duration::from_secs(number.saturating_mul(60)),
            (_, _) => return Err(bad(name, "must be a time such as 500ms, 30s or 5m")),
        };
        if duration > most {
            return Err(bad(name, &format!("is at most {} s", most.as_secs())));
        }
        Ok(duration)
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
