//! The token that OAUTHBEARER shows to the brokers.
//!
//! The token is taken as it is: whether it is good is for the broker to say. Its claims are looked at only because
//! librdkafka wants a name and a time for it.

use std::time::{Duration, SystemTime};

use base64::engine::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;

use crate::secrets::{SecretError, SecretSource};

/// A token is read again at four fifths of this, because its file may hold another one long before it expires.
const KEPT_MAX: Duration = Duration::from_mins(5);
/// librdkafka wants a name for the principal; the broker takes its own from the token.
const NAMELESS: &str = "causeway";

/// There is no token to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("`sasl.oauthbearer.token` is not set")]
    Missing,
    #[error("the token for OAUTHBEARER: {0}")]
    Unreadable(#[from] SecretError),
    #[error("the token for OAUTHBEARER is empty")]
    Empty,
    #[error("the token for OAUTHBEARER expired {seconds} s ago")]
    Expired { seconds: i64 },
}

/// What a JWT says of itself; empty for every other token.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: Option<String>,
    pub(super) expires_at_ms: Option<i64>,
}

impl Claims {
    /// Reads the claims without checking the signature.
    pub(super) fn of(token: &str) -> Self {
        Self::read(token).unwrap_or_default()
    }

    fn read(token: &str) -> Option<Self> {
        let [_, payload, _] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let claims: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&payload).ok()?;
        let subject = claims.get("sub").and_then(serde_json::Value::as_str).filter(|subject| !subject.is_empty());
        let expires_at_ms = claims.get("exp").and_then(|time| seconds(time)?.checked_mul(1_000));
        Some(Self { subject: subject.map(str::to_owned), expires_at_ms })
    }
}

/// A `NumericDate` may have a fraction (RFC 7519).
fn seconds(time: &serde_json::Value) -> Option<i64> {
    let number = time.as_number()?;
    number.as_i64().or_else(|| number.to_string().split('.').next()?.parse().ok())
}

/// Reads the token anew.
pub(super) fn read(source: Option<&SecretSource>) -> Result<OAuthToken, TokenError> {
    let token = source.ok_or(TokenError::Missing)?.read()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    describe(token.reveal(), i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

pub(super) fn describe(token: &str, now_ms: i64) -> Result<OAuthToken, TokenError> {
    if token.is_empty() {
        return Err(TokenError::Empty);
    }
    let claims = Claims::of(token);
    let longest = now_ms.saturating_add(i64::try_from(KEPT_MAX.as_millis()).unwrap_or(i64::MAX));
    let lifetime_ms = claims.expires_at_ms.map_or(longest, |expires_at_ms| expires_at_ms.min(longest));
    if lifetime_ms <= now_ms {
        return Err(TokenError::Expired { seconds: now_ms.saturating_sub(lifetime_ms) / 1_000 });
    }
    // librdkafka has no way to be given a name with a zero byte.
    let principal_name = claims.subject.filter(|name| !name.contains('\0')).unwrap_or_else(|| NAMELESS.to_owned());
    Ok(OAuthToken { token: token.to_owned(), principal_name, lifetime_ms })
}
