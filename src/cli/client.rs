//! Talking to a daemon's API.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::arguments::ApiOptions;
use super::error::CliError;
use crate::api::json::{ErrorBody, Link, Links};
use crate::secrets::SecretSource;
use crate::types::LinkName;

/// Longer than the API itself waits.
const TIMEOUT: Duration = Duration::from_secs(40);
/// A list of very many partitions is some tens of megabytes.
const ANSWER_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// A daemon's API.
pub(super) struct Client {
    agent: Agent,
    base: String,
    timeout: Duration,
    /// Whether what is sent can't be read on the way.
    is_private: bool,
    token: Option<SecretSource>,
}

impl Client {
    pub(super) fn new(options: &ApiOptions) -> Result<Self, CliError> {
        let wrong = |what: &str| {
            let help = "write it as http://HOST:PORT or https://HOST:PORT, with --api or CAUSEWAY_API";
            CliError::usage(format!("`{}` is not the address of an API: {what}", options.api), help)
        };
        let uri: Uri = options.api.parse().map_err(|_| wrong("it is not a URL"))?;
        let host = uri.host().ok_or_else(|| wrong("it has no host"))?;
        let is_loopback = is_loopback(host);
        let is_https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it begins with neither http:// nor https://")),
        };
        let mut config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("causeway/", env!("CARGO_PKG_VERSION")));
        if is_loopback {
            // A proxy of the environment is never meant for this machine itself.
            config = config.proxy(None);
        }
        if is_https {
            config = config.tls_config(tls(options.ca.as_deref())?);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            timeout: TIMEOUT,
            base: options.api.trim_end_matches('/').to_owned(),
            is_private: is_https || is_loopback,
            token: options.token_file.clone().map(SecretSource::File),
        })
    }

    /// The same, for calls that may take so long.
    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks, and keeps the answer as it came: a newer daemon may say more than this program knows.
    pub(super) fn get(&self, path: &str) -> Result<Value, CliError> {
        let request = self.agent.get(format!("{}{path}", self.base));
        let answer = request.config().timeout_global(Some(self.timeout)).build().call();
        self.read(answer.map_err(|error| self.unreachable(&error))?)
    }

    /// Orders, with the token.
    pub(super) fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, CliError> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        if let Some(source) = &self.token {
            if !self.is_private {
                let help = "use https, or run the command on the daemon's own machine";
                return Err(CliError::usage(format!("the token would travel unencrypted to {}", self.base), help));
            }
            let token = source.read().map_err(|error| CliError::Usage { message: error.to_string(), help: None })?;
            request = request.header("Authorization", format!("Bearer {}", token.reveal()));
        }
        self.read(request.send_json(body).map_err(|error| self.unreachable(&error))?)
    }

    /// The link that is meant: the one that was named, or the only one there is.
    pub(super) fn link(&self, wanted: Option<&LinkName>) -> Result<LinkName, CliError> {
        if let Some(link) = wanted {
            return Ok(link.clone());
        }
        let links: Links = parse(&self.get("/v1/links")?)?;
        match links.links.as_slice() {
            [Link { name, .. }] => Ok(name.clone()),
            [] => Err(CliError::plain("the daemon has no links")),
            several => {
                let names: Vec<&str> = several.iter().map(|link| link.name.as_str()).collect();
                Err(CliError::usage("which link is meant?", format!("add --link with one of: {}", names.join(", "))))
            }
        }
    }

    fn read(&self, mut answer: Response<Body>) -> Result<Value, CliError> {
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = text.map_err(|error| self.unreachable(&error))?;
        let not_ours = || {
            let help = "is this the `daemon.listen` address of a causeway daemon?";
            CliError::failed(format!("{} answered {status}, but not as a causeway daemon does", self.base), help)
        };
        // 503 with a readiness in it is an answer, not an error.
        let value: Value = serde_json::from_str(&text).map_err(|_| not_ours())?;
        match serde_json::from_value::<ErrorBody>(value.clone()) {
            Ok(body) if body.error.code == "unauthorized" => Err(CliError::failed(
                "the daemon did not accept the token",
                "name the file that holds its daemon.api_token with --token-file or CAUSEWAY_TOKEN_FILE",
            )),
            Ok(body) => Err(CliError::plain(body.error.message)),
            Err(_) if status.is_success() || status.as_u16() == 503 => Ok(value),
            Err(_) => Err(not_ours()),
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> CliError {
        let help = "is the daemon running there? --api or CAUSEWAY_API names another address, --ca the CA of https";
        CliError::failed(format!("no answer from the daemon at {}: {error}", self.base), help)
    }
}

/// The known form of an answer.
pub(super) fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, CliError> {
    T::deserialize(value).map_err(|error| {
        let help = "daemon and command are probably of different versions; --output json shows the answer as it is";
        CliError::failed(format!("the daemon's answer can't be read: {error}"), help)
    })
}

/// A name as one segment of a path, or as a value in a query.
pub(super) fn encode(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn tls(ca: Option<&Path>) -> Result<TlsConfig, CliError> {
    let roots = if let Some(path) = ca {
        certificates_of(path)?
    } else {
        let found = rustls_native_certs::load_native_certs();
        found.certs.iter().map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned()).collect()
    };
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

fn certificates_of(path: &Path) -> Result<Vec<Certificate<'static>>, CliError> {
    let wrong = |what: String| CliError::Usage { message: format!("{}: {what}", path.display()), help: None };
    let pem = std::fs::read(path).map_err(|error| wrong(format!("can't read it: {error}")))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item.map_err(|error| wrong(error.to_string()))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            PemItem::PrivateKey(_) => {
                return Err(wrong("holds a private key; a CA file has certificates only".to_owned()));
            }
            _ => {}
        }
    }
    if certificates.is_empty() { Err(wrong("holds no certificate in PEM form".to_owned())) } else { Ok(certificates) }
}
