//! A record as a consumer sees it, and what it says about itself.
//!
//! Owns: [`Entry`], [`Identity`] and its text form.
//! Promises: pure.
//! Does not know: how records are written or read.

use std::fmt;

/// One record of a partition's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its offset in the log that it was read from.
    pub offset: i64,
    /// The key, which may be absent or empty.
    pub key: Option<Vec<u8>>,
    /// The value, which may be absent or empty.
    pub value: Option<Vec<u8>>,
    /// The headers in order; names may repeat, values may be absent.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// `CreateTime` in ms; `None` where there is none (-1).
    pub timestamp: Option<i64>,
}

/// Which record this is: written into the record by the workload, so that a record in the wrong place shows itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(String);

const MARK: &str = "cw!";
const END: char = '!';

impl Identity {
    /// The `number`-th record that `producer` wrote to this partition.
    pub fn new(topic: &str, partition: i32, producer: &str, number: u64) -> Self {
        Self(format!("{MARK}{topic}/{partition}/{producer}/{number}{END}"))
    }

    /// The bytes to be put into a value or a key.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it was written for this partition (of whatever topic name).
    pub fn belongs_to(&self, partition: i32) -> bool {
        self.0.split('/').nth(1).is_none_or(|p| p == partition.to_string())
    }

    /// What a record says that it is: by its value, else its key, else its first header; else all it contains.
    pub fn of(entry: &Entry) -> Self {
        let header = entry.headers.first().and_then(|h| h.1.as_deref());
        let places = [entry.value.as_deref(), entry.key.as_deref(), header];
        places.into_iter().flatten().find_map(parse).unwrap_or_else(|| {
            Self(format!("{:?} {:?} {:?} {:?}", entry.key, entry.value, entry.headers, entry.timestamp))
        })
    }
}

fn parse(bytes: &[u8]) -> Option<Identity> {
    let rest = bytes.strip_prefix(MARK.as_bytes())?;
    let end = rest.iter().position(|b| *b == END as u8)?;
    let text = std::str::from_utf8(rest.get(..end)?).ok()?;
    Some(Identity(format!("{MARK}{text}{END}")))
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().take(120).collect::<String>().fmt(f)
    }
}
