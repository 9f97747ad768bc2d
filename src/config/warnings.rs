//! What works, but should be looked at.

use std::path::Path;

use super::settings::{ClusterConfig, Config, KafkaValue};
use crate::secrets::SecretSource;
use crate::wire::{PemSource, SaslSettings};

impl Config {
    /// Looks at files and settings for what an operator should know: secrets that others can read or nobody can,
    /// passwords that cross the network in the clear, entries without effect. Reads the permissions of files, and
    /// no contents.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut has_literal = false;
        for (what, source) in self.secrets() {
            match source {
                SecretSource::Literal(_) => has_literal = true,
                SecretSource::Env(name) if std::env::var_os(name).is_none() => {
                    warnings.push(format!("{what}: the environment variable {name} is not set"));
                }
                SecretSource::Env(_) => {}
                SecretSource::File(path) => warnings.extend(check_file(&what, path)),
            }
        }
        for cluster in self.clusters.values() {
            if let Some(PemSource::File(path)) = cluster.wire.tls.as_ref().and_then(|tls| tls.key.as_ref()) {
                warnings.extend(check_file(&format!("cluster.{}: the private key", cluster.name), path));
            }
            warnings.extend(in_the_clear(cluster));
        }
        if has_literal && is_readable_by_others(&self.file) == Ok(true) {
            warnings.push(format!(
                "{} holds secrets and can be read by every user of this machine: use {{ file = \"...\" }}, or \
                 chmod o-r",
                self.file.display()
            ));
        }
        for (name, link) in &self.links {
            for (entry, deciding) in link.topics.without_effect() {
                warnings.push(format!(
                    "link.{name}.topics[{entry}] has no effect: topics[{deciding}] decides on that name first"
                ));
            }
        }
        // A PEM key in a file is both a secret and a certificate's key.
        warnings.sort();
        warnings.dedup();
        warnings
    }

    /// All secrets, with what they are for.
    fn secrets(&self) -> impl Iterator<Item = (String, &SecretSource)> {
        let daemon = &self.daemon;
        let token = daemon.api_token.iter().map(|source| ("daemon.api_token".to_owned(), source));
        let key = daemon.tls.iter().map(|tls| ("daemon.tls_key".to_owned(), &tls.key));
        let oauth = |cluster: &'_ ClusterConfig| match &cluster.wire.sasl {
            Some(SaslSettings::OAuthBearer { .. }) => Some(format!("cluster.{}.sasl.oauthbearer.token", cluster.name)),
            _ => None,
        };
        let tokens = self.clusters.values().filter_map(move |cluster| match &cluster.wire.sasl {
            Some(SaslSettings::OAuthBearer { token, .. }) => oauth(cluster).map(|name| (name, token)),
            _ => None,
        });
        let kafka = self.clusters.values().flat_map(|cluster| {
            cluster.kafka.iter().filter_map(|(name, value)| match value {
                KafkaValue::Secret(source) => Some((format!("cluster.{}.{name}", cluster.name), source)),
                KafkaValue::Text(_) => None,
            })
        });
        token.chain(key).chain(tokens).chain(kafka)
    }
}

fn check_file(what: &str, path: &Path) -> Option<String> {
    match is_readable_by_others(path) {
        Ok(true) => Some(format!("{what}: {} can be read by every user of this machine: chmod o-r", path.display())),
        Ok(false) => None,
        Err(error) => Some(format!("{what}: can't read {}: {error}", path.display())),
    }
}

fn is_readable_by_others(path: &Path) -> Result<bool, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    Ok(metadata.permissions().mode() & 0o004 != 0)
}

fn in_the_clear(cluster: &ClusterConfig) -> Option<String> {
    let name = &cluster.name;
    match (&cluster.wire.sasl, &cluster.wire.tls) {
        (Some(SaslSettings::Plain { .. } | SaslSettings::OAuthBearer { .. }), None) => Some(format!(
            "cluster.{name}: the password or token crosses the network in the clear; use security.protocol = \
             \"SASL_SSL\""
        )),
        (_, Some(tls)) if !tls.is_hostname_checked => Some(format!(
            "cluster.{name}: brokers' names are not checked, so anybody with a certificate of the same authority can \
             play a broker"
        )),
        _ => None,
    }
}
