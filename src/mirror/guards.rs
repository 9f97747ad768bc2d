//! The guards against what is known to go wrong, and a way for tests to do without one of them.
//!
//! Owns: [`Guard`], [`Guards`].
//! Promises: without the feature `test-hazards`, which no release is built with, all of them are on and nothing can
//! switch one off.
//! Does not know: what each of them guards.

/// A guard of the data path. The hazards are named as in the tests that provoke them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The log is looked at before anything is sent again (H1, H3).
    LookBeforeResend,
    /// One append at a time until the broker is known to know us (H2).
    OneBeforeFirstAck,
    /// What a former owner may have sent instead of us is read back (H4).
    ReadBack,
    /// Producer state is asked for before the log end.
    SequenceFirst,
    /// An answer is good only without an error, at the expected base offset.
    AnswerCheck,
    /// What is sent again are the same bytes.
    SameBatches,
    /// The log end counts, and not the high watermark.
    LogEnd,
}

/// Which guards are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Guards {
    #[cfg(feature = "test-hazards")]
    off: Option<Guard>,
}

impl Guards {
    /// All of them; with the feature `test-hazards` all but the one that the environment variable
    /// `CAUSEWAY_TEST_GUARD_OFF` names.
    #[must_use]
    pub fn from_environment() -> Self {
        #[cfg(feature = "test-hazards")]
        {
            let off = match std::env::var("CAUSEWAY_TEST_GUARD_OFF").as_deref() {
                Ok("look-before-resend") => Some(Guard::LookBeforeResend),
                Ok("one-before-first-ack") => Some(Guard::OneBeforeFirstAck),
                Ok("read-back") => Some(Guard::ReadBack),
                Ok("sequence-first") => Some(Guard::SequenceFirst),
                Ok("answer-check") => Some(Guard::AnswerCheck),
                Ok("same-batches") => Some(Guard::SameBatches),
                Ok("log-end") => Some(Guard::LogEnd),
                Ok(_) | Err(_) => None,
            };
            if let Some(off) = off {
                tracing::error!(guard = ?off, "a guard is switched off for a test: data will be lost or doubled");
            }
            Self { off }
        }
        #[cfg(not(feature = "test-hazards"))]
        Self {}
    }

    /// All of them but this one.
    #[cfg(feature = "test-hazards")]
    #[must_use]
    pub const fn without(guard: Guard) -> Self {
        Self { off: Some(guard) }
    }

    /// Whether a guard is on.
    #[cfg(feature = "test-hazards")]
    #[must_use]
    pub fn is_on(self, guard: Guard) -> bool {
        self.off != Some(guard)
    }

    /// Whether a guard is on: always.
    #[cfg(not(feature = "test-hazards"))]
    #[must_use]
    pub const fn is_on(self, _guard: Guard) -> bool {
        true
    }
}
