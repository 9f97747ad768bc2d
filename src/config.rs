//! The configuration file `causeway.toml`, and its turning into plain typed settings.
//!
//! Owns: finding the file, reading it, the keys it may have, and every sentence about what is wrong in it.
//! Promises: a [`Config`] that exists is consistent (names resolve, numbers are in range, regular expressions
//! compile, no link leads into itself); all problems of a file are reported at once, each with line, column and
//! remedy; a secret is neither printed nor kept where a source for it was given.
//! Does not know: clusters (nothing is contacted), the command line, what the settings are used for.
//!
//! The parsed tree is walked by hand and not by serde, because that keeps the place of every key and value for the
//! messages, goes on after a problem, and joins Kafka's dotted names from TOML's nested tables in one place.

mod certificates;
mod cluster;
mod daemon;
mod error;
mod excerpt;
mod find;
mod jaas;
mod kafka;
mod kafka_names;
mod keys;
mod link;
mod link_entries;
mod link_groups;
mod login;
mod meaning;
mod peers;
mod quantity;
mod reference;
mod report;
mod secret;
mod security;
mod settings;
mod topology;
mod tree;
mod warnings;

use std::path::Path;

use toml::de::DeTable;

pub use error::{ConfigError, Problem};
pub use find::find;
pub use reference::{ReferenceTable, reference};
pub use settings::{
    ClusterConfig, Config, DaemonConfig, DaemonTls, Expose, KafkaValue, LinkConfig, Offsets, PeersConfig, Start,
    SyncConfig, Tuning,
};

use report::Report;
use tree::Table;

impl Config {
    /// Finds and reads the configuration: the explicit file, else `CAUSEWAY_CONFIG`, else `causeway.toml` here, else
    /// `/etc/causeway/causeway.toml`.
    ///
    /// # Errors
    /// No file, an unreadable file, or everything that is wrong in it.
    pub fn load(explicit: Option<&Path>) -> Result<Self, ConfigError> {
        let file = find(explicit)?;
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) => Err(ConfigError::Unreadable { file, error }),
        }
    }

    /// Reads a configuration from its text. `file` is only for the messages.
    ///
    /// # Errors
    /// Everything that is wrong in the text.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let invalid = |problems| ConfigError::Invalid { file: file.to_owned(), problems };
        let mut report = Report::new(text);
        let (root, syntax) = DeTable::parse_recoverable(text);
        if !syntax.is_empty() {
            // After a mistake in the syntax the tree is a guess, and complaints about a guess only confuse.
            report.refuse_syntax(&syntax);
            return Err(invalid(report.into_problems()));
        }
        match read(&mut report, root.get_ref(), file) {
            Some(config) if report.is_clean() => Ok(config),
            _ => Err(invalid(report.into_problems())),
        }
    }
}

/// Reads the whole tree. `None` only after something was reported.
fn read<'t>(report: &mut Report<'t>, root: &'t DeTable<'t>, file: &Path) -> Option<Config> {
    let top = Table::open_top(report, root);
    let daemon = daemon::read(report, top.get("daemon"));
    let (peers, read_peers) = peers::read(report, top.get("peers"), top.get("peer"));
    let clusters = cluster::read_all(report, top.get("cluster"));
    let links = link::read_all(report, top.get("link"));
    let is_exposing = read_peers.values().any(|peer| peer.expose.is_some());
    if !top.was_tried("link") && !is_exposing {
        report.refuse(
            &top.place,
            "there is no link, so there is nothing to do",
            Some("add [link.NAME] with source, target and at least one [[link.NAME.topics]]".to_owned()),
        );
    }
    topology::check(report, &clusters, &links, &read_peers);
    Some(Config {
        daemon: daemon?,
        clusters: clusters.into_iter().filter_map(|(name, cluster)| Some((name, cluster.config?))).collect(),
        links: links.into_iter().filter_map(|link| Some((link.name, link.config?))).collect(),
        peers: peers.ok()?,
        file: file.to_owned(),
    })
}

#[cfg(test)]
mod tests;
