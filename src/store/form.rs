//! The stored form: JSON keys and values, each value with the version of its form.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Key, Value};

/// A state record that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state record can't be read: {0}")]
pub struct UnreadableRecord(pub String);

/// The version of every form. It rises when a reader of the former version must not go on without understanding;
/// optional fields are added without it.
const VERSION: u32 = 1;

/// The types of keys that this version knows.
const TYPES: [&str; 11] =
    ["link", "topic", "position", "plan", "map", "resolution", "group", "takeover", "request", "daemon", "acls"];

#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "type")]
    name: String,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    v: u32,
    #[serde(flatten)]
    form: &'a T,
}

/// Reads a record of a state topic: ours, or another group's (for its producer ids). `Ok(None)`: of a type that this
/// version does not know and may skip. A null value is a removal.
pub fn parse(key: &[u8], value: Option<&[u8]>) -> Result<Option<(Key, Option<Value>)>, UnreadableRecord> {
    let Some(key) = parse_key(key)? else { return Ok(None) };
    let value = value.map(|value| parse_value(&key, value)).transpose()?;
    Ok(Some((key, value)))
}

/// Reads a key alone; `None`: of a type that this version does not know.
pub(super) fn parse_key(key: &[u8]) -> Result<Option<Key>, UnreadableRecord> {
    let unreadable = |error| UnreadableRecord(format!("key `{}`: {error}", excerpt(key)));
    let name = serde_json::from_slice::<TypeOnly>(key).map_err(unreadable)?.name;
    if !TYPES.contains(&name.as_str()) {
        return Ok(None);
    }
    serde_json::from_slice(key).map(Some).map_err(unreadable)
}

/// Reads the value that belongs to a key.
pub(super) fn parse_value(key: &Key, value: &[u8]) -> Result<Value, UnreadableRecord> {
    match key {
        Key::Link { .. } => form(key, value).map(Value::Link),
        Key::Topic { .. } => form(key, value).map(Value::Topic),
        Key::Position { .. } => form(key, value).map(Value::Position),
        Key::Plan { .. } => form(key, value).map(Value::Plan),
        Key::Map { .. } => form(key, value).map(Value::Map),
        Key::Resolution { .. } => form(key, value).map(Value::Resolution),
        Key::Group { .. } => form(key, value).map(Value::Group),
        Key::Takeover { .. } => form(key, value).map(Value::Takeover),
        Key::Request { .. } => form(key, value).map(Value::Request),
        Key::Daemon { .. } => form(key, value).map(Value::Daemon),
        Key::Acls { .. } => form(key, value).map(Value::Acls),
    }
}

fn form<T: DeserializeOwned>(key: &Key, value: &[u8]) -> Result<T, UnreadableRecord> {
    let unreadable = |error| UnreadableRecord(format!("{}: {error}", key_text(key)));
    let version = serde_json::from_slice::<VersionOnly>(value).map_err(unreadable)?.v;
    if version > VERSION {
        let key = key_text(key);
        let message = format!("{key} is written in version {version}, this daemon reads up to {VERSION}: upgrade it");
        return Err(UnreadableRecord(message));
    }
    serde_json::from_slice(value).map_err(unreadable)
}

/// The stored form of a key. The same key always gives the same bytes: compaction compares them.
pub(super) fn encode_key(key: &Key) -> Result<Vec<u8>, UnreadableRecord> {
    serde_json::to_vec(key).map_err(|error| UnreadableRecord(error.to_string()))
}

/// The stored form of a value; `None` when it is not of the key's kind.
pub(super) fn encode_value(key: &Key, value: &Value) -> Result<Vec<u8>, UnreadableRecord> {
    match (key, value) {
        (Key::Link { .. }, Value::Link(form)) => encode(form),
        (Key::Topic { .. }, Value::Topic(form)) => encode(form),
        (Key::Position { .. }, Value::Position(form)) => encode(form),
        (Key::Plan { .. }, Value::Plan(form)) => encode(form),
        (Key::Map { .. }, Value::Map(form)) => encode(form),
        (Key::Resolution { .. }, Value::Resolution(form)) => encode(form),
        (Key::Group { .. }, Value::Group(form)) => encode(form),
        (Key::Takeover { .. }, Value::Takeover(form)) => encode(form),
        (Key::Request { .. }, Value::Request(form)) => encode(form),
        (Key::Daemon { .. }, Value::Daemon(form)) => encode(form),
        (Key::Acls { .. }, Value::Acls(form)) => encode(form),
        (key, _) => Err(UnreadableRecord(format!("{} was given a value of another kind", key_text(key)))),
    }
}

fn encode<T: Serialize>(form: &T) -> Result<Vec<u8>, UnreadableRecord> {
    serde_json::to_vec(&Versioned { v: VERSION, form }).map_err(|error| UnreadableRecord(error.to_string()))
}

/// A key as shown to people.
pub(super) fn key_text(key: &Key) -> String {
    serde_json::to_string(key).unwrap_or_else(|_| format!("{key:?}"))
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(200).collect()
}
