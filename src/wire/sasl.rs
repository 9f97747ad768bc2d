//! SASL over Kafka's own requests (KIP-43, KIP-152): PLAIN, SCRAM, OAUTHBEARER.
//!
//! Secrets are read when they are needed and never become part of an error.

mod scram;

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;

use self::scram::{Hash, Scram};
use super::connection::Line;
use super::versions::Versions;
use super::{ResponseError, SaslSettings, WireError, api_name};
use crate::secrets::SecretSource;
use crate::types::Secret;

/// From here on the tokens are carried by `SaslAuthenticate`, so that errors have a text.
const HANDSHAKE_VERSION: i16 = 1;
/// Random bytes in a SCRAM nonce.
const NONCE_BYTES: usize = 24;

/// One authentication on one connection.
struct Exchange<'a> {
    line: &'a Line,
    principal: &'a str,
    version: i16,
}

/// Authenticates. Answers how long the session may last; `None` for as long as the connection.
pub(super) async fn authenticate(
    line: &Line,
    versions: &Versions,
    settings: &SaslSettings,
) -> Result<Option<Duration>, WireError> {
    let unsupported = |api| WireError::Unsupported { address: line.address().to_owned(), api };
    let version = versions.newest::<SaslAuthenticateRequest>(i16::MAX);
    let version = version.ok_or_else(|| unsupported(api_name::<SaslAuthenticateRequest>()))?;
    if versions.newest::<SaslHandshakeRequest>(HANDSHAKE_VERSION) != Some(HANDSHAKE_VERSION) {
        return Err(unsupported(api_name::<SaslHandshakeRequest>()));
    }
    let (mechanism, principal) = names(settings);
    let exchange = Exchange { line, principal, version };
    let secret = exchange.read(secret_of(settings)).await?;
    exchange.handshake(mechanism).await?;
    let outcome = match settings {
        SaslSettings::Plain { username, .. } => exchange.plain(username, &secret).await,
        SaslSettings::ScramSha256 { username, .. } => exchange.scram(Hash::Sha256, username, &secret).await,
        SaslSettings::ScramSha512 { username, .. } => exchange.scram(Hash::Sha512, username, &secret).await,
        SaslSettings::OAuthBearer { extensions, .. } => exchange.oauth_bearer(&secret, extensions).await,
    };
    let last = outcome.map_err(|error| exchange.in_context(error, &secret))?;
    let lifetime_ms = u64::try_from(last.session_lifetime_ms).unwrap_or_default();
    Ok((lifetime_ms > 0).then_some(Duration::from_millis(lifetime_ms)))
}

fn names(settings: &SaslSettings) -> (&'static str, &str) {
    match settings {
        SaslSettings::Plain { username, .. } => ("PLAIN", username),
        SaslSettings::ScramSha256 { username, .. } => ("SCRAM-SHA-256", username),
        SaslSettings::ScramSha512 { username, .. } => ("SCRAM-SHA-512", username),
        SaslSettings::OAuthBearer { .. } => ("OAUTHBEARER", "OAUTHBEARER"),
    }
}

fn secret_of(settings: &SaslSettings) -> &SecretSource {
    match settings {
        SaslSettings::Plain { password, .. }
        | SaslSettings::ScramSha256 { password, .. }
        | SaslSettings::ScramSha512 { password, .. } => password,
        SaslSettings::OAuthBearer { token, .. } => token,
    }
}

impl Exchange<'_> {
    /// Files may be on a slow volume, so they are not read on a thread that others need.
    async fn read(&self, source: &SecretSource) -> Result<Secret, WireError> {
        let source = source.clone();
        let read = tokio::task::spawn_blocking(move || source.read().map_err(|error| error.to_string())).await;
        read.unwrap_or_else(|error| Err(error.to_string())).map_err(|reason| self.refused(reason))
    }

    async fn handshake(&self, mechanism: &'static str) -> Result<(), WireError> {
        let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let response: SaslHandshakeResponse = self.line.call(&request, HANDSHAKE_VERSION).await?;
        match ResponseError::try_from_code(response.error_code) {
            None => Ok(()),
            Some(ResponseError::UnsupportedSaslMechanism) => {
                let offered: Vec<&str> = response.mechanisms.iter().map(StrBytes::as_str).collect();
                Err(self.refused(format!("the listener offers {}, not {mechanism}", offered.join(", "))))
            }
            Some(error) => Err(self.refused(format!("{error} at the handshake"))),
        }
    }

    async fn send(&self, token: String) -> Result<SaslAuthenticateResponse, WireError> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(token));
        let response = self.line.call(&request, self.version).await?;
        match ResponseError::try_from_code(response.error_code) {
            None => Ok(response),
            Some(error) => {
                let said = response.error_message.filter(|message| !message.is_empty());
                Err(self.refused(said.map_or_else(|| error.to_string(), |message| message.to_string())))
            }
        }
    }

    async fn plain(&self, username: &str, password: &Secret) -> Result<SaslAuthenticateResponse, WireError> {
        self.send(format!("\0{username}\0{}", password.reveal())).await
    }

    async fn scram(
        &self,
        hash: Hash,
        username: &str,
        password: &Secret,
    ) -> Result<SaslAuthenticateResponse, WireError> {
        let scram = Scram::new(hash, username, password.clone(), &rand::random::<[u8; NONCE_BYTES]>());
        let first = self.send(scram.first_message()).await?;
        let first = self.text(&first.auth_bytes)?;
        // Stretching the password takes milliseconds, or more if the broker says so.
        let last = tokio::task::spawn_blocking(move || scram.answer(&first)).await;
        let last = last.map_err(|error| self.refused(error.to_string()))?;
        let (message, expected) = last.map_err(|error| self.refused(error.to_string()))?;
        let response = self.send(message).await?;
        expected.check(&self.text(&response.auth_bytes)?).map_err(|error| self.refused(error.to_string()))?;
        Ok(response)
    }

    async fn oauth_bearer(
        &self,
        token: &Secret,
        extensions: &[(String, String)],
    ) -> Result<SaslAuthenticateResponse, WireError> {
        let mut message = format!("n,,\x01auth=Bearer {}\x01", token.reveal());
        for (name, value) in extensions {
            let is_name = !name.is_empty() && name != "auth" && name.chars().all(|c| c.is_ascii_alphabetic());
            let is_value = value.chars().all(|c| (' '..='~').contains(&c) || "\t\r\n".contains(c));
            if !is_name || !is_value {
                return Err(self.refused(format!("`{name}` is not a valid SASL extension")));
            }
            message.push_str(name);
            message.push('=');
            message.push_str(value);
            message.push('\x01');
        }
        message.push('\x01');
        let response = self.send(message).await?;
        if response.auth_bytes.is_empty() {
            return Ok(response);
        }
        // RFC 7628: the reason comes as a challenge, which has to be answered before the error itself comes.
        let challenge = self.text(&response.auth_bytes)?;
        self.send("\x01".to_owned()).await?;
        Err(self.refused(challenge))
    }

    fn text(&self, token: &Bytes) -> Result<String, WireError> {
        let text = std::str::from_utf8(token).map(str::to_owned);
        text.map_err(|_| self.refused("its answer is not a text".to_owned()))
    }

    fn in_context(&self, error: WireError, secret: &Secret) -> WireError {
        match error {
            // A broker that echoes what we sent must not bring the secret into our messages.
            WireError::Authentication { reason, .. } if !secret.reveal().is_empty() => {
                self.refused(reason.replace(secret.reveal(), "***"))
            }
            // Some brokers refuse by hanging up.
            WireError::Closed { address, reason } => {
                WireError::Closed { address, reason: format!("{reason} while authenticating {}", self.principal) }
            }
            other => other,
        }
    }

    fn refused(&self, reason: String) -> WireError {
        let address = self.line.address().to_owned();
        WireError::Authentication { address, principal: self.principal.to_owned(), reason }
    }
}

#[cfg(test)]
mod tests;
