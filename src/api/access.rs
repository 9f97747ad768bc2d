//! Who may ask, and who may order.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::error::ApiError;
use crate::secrets::SecretSource;
use crate::types::Secret;

/// The rules for callers.
#[derive(Debug)]
pub(super) struct Access {
    /// On loopback: the configured host, which callers may use as a name beside the usual ones.
    pub(super) loopback_host: Option<String>,
    pub(super) api_token: Option<SecretSource>,
}

impl Access {
    /// Whether these headers show the token.
    async fn check_token(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(source) = self.api_token.clone() else {
            return Err(ApiError::Forbidden(
                "nothing can be changed through this API because daemon.api_token is not set in the configuration"
                    .to_owned(),
            ));
        };
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        let shown = shown.ok_or(ApiError::Unauthorized)?;
        // A file on a mount that hangs must not hold up the other callers.
        let token = tokio::task::spawn_blocking(move || source.read()).await;
        let token = token.map_err(|error| ApiError::Unavailable(format!("daemon.api_token: {error}")))?;
        let token = token.map_err(|error| ApiError::Unavailable(format!("daemon.api_token: {error}")))?;
        if token.reveal().is_empty() {
            return Err(ApiError::Unavailable("daemon.api_token is empty".to_owned()));
        }
        if is_same(&token, shown) { Ok(()) } else { Err(ApiError::Unauthorized) }
    }

    /// Whether a page of another site made the browser ask us: with DNS rebinding its name leads to our address, but
    /// the browser still says the name.
    fn check_host(&self, request: &Request) -> Result<(), ApiError> {
        let Some(own) = &self.loopback_host else { return Ok(()) };
        let header = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
        for host in [request.uri().authority().map(Authority::as_str), header].into_iter().flatten() {
            if !is_loopback_name(host, own) {
                return Err(ApiError::Forbidden(format!(
                    "this API listens on loopback and does not answer to the name `{host}`; use localhost or 127.0.0.1"
                )));
            }
        }
        Ok(())
    }
}

/// Refuses calls that go to a name which is not ours.
pub(super) async fn only_to_our_name(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    access.check_host(&request)?;
    Ok(next.run(request).await)
}

/// Refuses calls without the token, before their body is read.
pub(super) async fn only_with_token(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    access.check_token(request.headers()).await?;
    Ok(next.run(request).await)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares without telling by its duration how much is right: digests have one length and nothing of the token shows
/// in which of their bytes differ.
fn is_same(token: &Secret, shown: &str) -> bool {
    let (token, shown) = (Sha256::digest(token.reveal()), Sha256::digest(shown));
    let differences = token.iter().zip(shown.iter()).fold(0, |differences, (one, other)| differences | (one ^ other));
    std::hint::black_box(differences) == 0
}

fn is_loopback_name(host: &str, own: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let is_loopback_address = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback_address || name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case(own)
}
