//! What all our librdkafka clients share: configuration, and where their talk goes.

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A configuration with the user's properties, which our own then override.
#[must_use]
pub fn client_config(properties: &[(String, String)], client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    // A broker that came back is found within this; librdkafka's own 10 s would double the time without leases.
    config.set("reconnect.backoff.max.ms", "2000");
    for (name, value) in properties {
        config.set(name, value);
    }
    config.set("client.id", client_id);
    // A deleted state topic must stay missing until somebody notices, instead of coming back empty and uncompacted.
    config.set("allow.auto.create.topics", "false");
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Sends librdkafka's log lines to our log. Only what a person has to act on is loud: librdkafka reports each lost
/// connection as an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogContext;

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for LogContext {}

/// What [`ClientContext::log`] does in all our contexts.
pub(super) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
        | RDKafkaLogLevel::Notice
        | RDKafkaLogLevel::Info
        | RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// What [`ClientContext::error`] does in all our contexts.
pub(super) fn log_error(error: &KafkaError, reason: &str) {
    let needs_a_person = error.rdkafka_error_code().is_some_and(|code| {
        matches!(
            code,
            RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::SSL
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
        )
    });
    if needs_a_person {
        tracing::warn!(target: "librdkafka", %error, "{reason}");
    } else {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}
