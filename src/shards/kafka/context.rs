//! What all our librdkafka clients share: configuration, and where their talk goes.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::token;
use crate::secrets::SecretSource;

/// How librdkafka reaches a cluster. Clones share what they have complained of.
#[derive(Clone)]
pub struct Access {
    properties: Vec<(String, String)>,
    oauth_token: Option<SecretSource>,
    complaints: Arc<Mutex<BTreeMap<String, Instant>>>,
}

/// librdkafka repeats a refused login several times a second, by each of its connections.
const COMPLAINT_INTERVAL: Duration = Duration::from_mins(1);

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some of the values are secrets.
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Access").field("properties", &names).finish_non_exhaustive()
    }
}

impl Access {
    /// By librdkafka's properties (`bootstrap.servers`, security), secrets filled in. `oauth_token`: where the token
    /// for OAUTHBEARER is, where that is the mechanism; it is read anew whenever librdkafka asks.
    #[must_use]
    pub fn new(properties: Vec<(String, String)>, oauth_token: Option<SecretSource>) -> Self {
        Self { properties, oauth_token, complaints: Arc::default() }
    }

    /// Whether brokers want to see a token.
    pub(super) fn has_token(&self) -> bool {
        self.oauth_token.is_some()
    }

    /// A configuration with the user's properties, which our own then override.
    #[must_use]
    pub fn config(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        // A broker that came back is found within this; librdkafka's own 10 s would double the time without leases.
        config.set("reconnect.backoff.max.ms", "2000");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("client.id", client_id);
        // A deleted state topic must stay missing until somebody notices, instead of coming back empty and
        // uncompacted.
        config.set("allow.auto.create.topics", "false");
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// What [`ClientContext::generate_oauth_token`] does in all our contexts.
    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn Error>> {
        Ok(token::read(self.oauth_token.as_ref())?)
    }

    /// What [`ClientContext::error`] does in all our contexts.
    pub(super) fn log_error(&self, error: &KafkaError, reason: &str) {
        if needs_a_person(error) && self.is_new(&error.to_string()) {
            tracing::warn!(target: "librdkafka", %error, "{reason}");
        } else {
            tracing::debug!(target: "librdkafka", %error, "{reason}");
        }
    }

    /// Whether this was not said within the last minute. Reasons can't tell: librdkafka puts times into them.
    fn is_new(&self, error: &str) -> bool {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        complaints.retain(|_, said| now.saturating_duration_since(*said) < COMPLAINT_INTERVAL);
        let is_new = !complaints.contains_key(error);
        if is_new {
            complaints.insert(error.to_owned(), now);
        }
        is_new
    }
}

/// Sends librdkafka's log lines to our log, and shows it the token that it asks for. Only what a person has to act on
/// is loud: librdkafka reports each lost connection as an error.
#[derive(Debug, Clone)]
pub struct LogContext {
    access: Access,
}

impl LogContext {
    /// For a client that was configured by the same access.
    #[must_use]
    pub fn new(access: &Access) -> Self {
        Self { access: access.clone() }
    }
}

impl ClientContext for LogContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.access.log_error(&error, reason);
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.access.token()
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

/// Whether an error is about a secret, a certificate or a permission, so that it doesn't pass by itself.
#[must_use]
pub fn needs_a_person(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
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
    })
}
