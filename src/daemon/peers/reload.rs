//! Taking back what a peer was allowed, without a restart.
//!
//! Owns: looking at the configuration file for `[peer.NAME]` tables that went, or changed their `identity` or `expose`.
//! Promises: whoever was taken off the list has no connection a few seconds later; a file that can't be read, or is
//! wrong, changes nothing; peers that are new, and all other settings, wait for the next start.
//! Does not know: how sessions are cut.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::exposed;
use crate::config::{Config, Expose, PeersConfig};
use crate::daemon::Daemon;
use crate::peer::Identity;
use crate::types::PeerName;

/// Time between two looks at the file.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// What the file says of peers, as far as it is followed.
#[derive(Debug, Clone, Default)]
struct Listed {
    identities: Vec<(PeerName, Identity)>,
    exposed: BTreeMap<PeerName, Expose>,
}

impl Listed {
    fn of(config: Option<&PeersConfig>) -> Self {
        let Some(config) = config else { return Self::default() };
        let identities = config.peers.iter().map(|peer| (peer.name.clone(), peer.identity.clone())).collect();
        Self { identities, exposed: config.exposed.clone() }
    }

    /// Peers that may read something else than they might.
    fn exposed_otherwise(&self, before: &Self) -> Vec<PeerName> {
        let names: BTreeSet<&PeerName> = self.exposed.keys().chain(before.exposed.keys()).collect();
        let is_other = |name: &&PeerName| !is_same(self.exposed.get(name), before.exposed.get(name));
        names.into_iter().filter(is_other).cloned().collect()
    }
}

fn is_same(one: Option<&Expose>, other: Option<&Expose>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            (&one.cluster, &one.topics, &one.groups) == (&other.cluster, &other.topics, &other.groups)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

impl Daemon {
    /// Follows the list of peers in the file, until it is dropped.
    pub(in crate::daemon) async fn follow_list_of_peers(&self) {
        if self.peers.is_none() {
            return;
        }
        let mut listed = Listed::of(self.config.peers.as_ref());
        let mut seen = None;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let Ok(text) = tokio::fs::read_to_string(&self.config.file).await else { continue };
            if seen.as_ref() == Some(&text) {
                continue;
            }
            match Config::parse(&text, &self.config.file) {
                Ok(config) => listed = self.take_list(&listed, config.peers.as_ref()),
                Err(error) => tracing::warn!(%error, "the configuration file is wrong now; the list of peers stays"),
            }
            seen = Some(text);
        }
    }

    fn take_list(&self, before: &Listed, config: Option<&PeersConfig>) -> Listed {
        let now = Listed::of(config);
        let (Some(peers), Some(server)) = (&self.peers, &self.server) else { return now };
        if now.identities != before.identities {
            tracing::info!("the list of peers has changed");
            peers.allow(&now.identities);
        }
        let otherwise = now.exposed_otherwise(before);
        if !otherwise.is_empty() {
            server.expose(config.map(|config| exposed(config, &self.clusters)).unwrap_or_default());
        }
        for peer in otherwise {
            tracing::info!(%peer, "what the peer may read has changed: its connections are made anew");
            peers.cut(&peer);
        }
        now
    }
}

#[cfg(test)]
mod tests;
