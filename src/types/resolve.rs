//! What a person may say about a stopped partition.

use serde::{Deserialize, Serialize};

/// How to go on with a stopped partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResolveVerb {
    /// The cause is mended: go on at the same position.
    Retry,
    /// Leave out the batch that can't be copied.
    Skip,
    /// Accept that source offsets are gone: go on at the first one that is there.
    AcceptGap,
    /// The target has other records than expected: go on after them, with a map that says so.
    Translate,
    /// Begin again from the source's log start, after what the target holds.
    Remirror,
}

impl ResolveVerb {
    /// The verb as it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::AcceptGap => "accept-gap",
            Self::Translate => "translate",
            Self::Remirror => "remirror",
        }
    }
}
