//! The `causeway.toml` of a test.
//!
//! Owns: the text of the file.
//! Promises: what the test doesn't say is what an operator would write.
//! Does not know: the daemon's own parser.

use std::fmt::Write as _;

use crate::broker::Cluster;

/// The name of the link that most tests have.
pub const LINK: &str = "test";

/// One file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The group of daemons; each test has its own, so that state topics don't meet.
    pub group: String,
    clusters: Vec<(String, Vec<(String, String)>)>,
    links: Vec<Link>,
    /// What stands at the end, as it is.
    tail: String,
}

/// One link.
#[derive(Debug, Clone)]
struct Link {
    name: String,
    source: String,
    target: String,
    /// How offsets shall relate.
    offsets: &'static str,
    /// More lines of its own table.
    lines: Vec<String>,
    /// More lines of its sync table.
    sync: Vec<String>,
    /// The lines of each topics entry.
    topics: Vec<Vec<String>>,
    /// The lines of each groups entry.
    groups: Vec<Vec<String>>,
}

impl Config {
    /// One link named [`LINK`] from `source` to `target`, without topics yet.
    pub fn new(group: &str, source: &Cluster, target: &Cluster) -> Self {
        Self::bare(group)
            .cluster("source", &plain(source))
            .cluster("target", &plain(target))
            .link(LINK, "source", "target")
    }

    /// Nothing yet.
    pub fn bare(group: &str) -> Self {
        Self { group: group.into(), clusters: Vec::new(), links: Vec::new(), tail: String::new() }
    }

    /// Text for the end of the file.
    pub fn tail(mut self, text: &str) -> Self {
        self.tail.push_str(text);
        self
    }

    /// Without the end of the file, from this text on.
    pub fn without_tail_after(mut self, text: &str) -> Self {
        if let Some(at) = self.tail.find(text) {
            self.tail.truncate(at);
        }
        self
    }

    /// Names a cluster, or replaces how it is reached.
    pub fn cluster(mut self, name: &str, properties: &[(String, String)]) -> Self {
        self.clusters.retain(|(known, _)| known != name);
        self.clusters.push((name.into(), properties.to_vec()));
        self
    }

    /// Adds a link; what follows is about it.
    pub fn link(mut self, name: &str, source: &str, target: &str) -> Self {
        let (name, source, target) = (name.into(), source.into(), target.into());
        let (lines, sync, topics, groups) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        self.links.push(Link { name, source, target, offsets: "preserve", lines, sync, topics, groups });
        self
    }

    /// Mirrors topics whose whole name matches.
    pub fn matching(self, pattern: &str) -> Self {
        self.topics(&[&format!("match = '{pattern}'")])
    }

    /// A topics entry with these lines.
    pub fn topics(mut self, lines: &[&str]) -> Self {
        self.last().topics.push(lines.iter().map(|l| (*l).to_owned()).collect());
        self
    }

    /// A groups entry with these lines.
    pub fn groups(mut self, lines: &[&str]) -> Self {
        self.last().groups.push(lines.iter().map(|l| (*l).to_owned()).collect());
        self
    }

    /// How offsets of the last link shall relate; `preserve` unless said.
    pub fn offsets(mut self, offsets: &'static str) -> Self {
        self.last().offsets = offsets;
        self
    }

    /// A line of the last link's own table.
    pub fn line(mut self, line: &str) -> Self {
        self.last().lines.push(line.into());
        self
    }

    /// A line of the last link's sync table.
    pub fn sync(mut self, line: &str) -> Self {
        self.last().sync.push(line.into());
        self
    }

    fn last(&mut self) -> &mut Link {
        self.links.last_mut().expect("a link")
    }

    /// The file for one daemon.
    pub fn render(&self, id: &str, port: u16, token_file: &str) -> String {
        let mut text = format!(
            "[daemon]\nid = \"{id}\"\ngroup = \"{}\"\nlisten = \"127.0.0.1:{port}\"\n\
             api_token = {{ file = \"{token_file}\" }}\n",
            self.group
        );
        for (name, properties) in &self.clusters {
            let _ = writeln!(text, "\n[cluster.{name}]");
            for (key, value) in properties {
                // A table, such as `{ file = "..." }`, stands as it is.
                let is_table = value.starts_with('{');
                let _ =
                    if is_table { writeln!(text, "{key} = {value}") } else { writeln!(text, "{key} = \"{value}\"") };
            }
        }
        for link in &self.links {
            let name = &link.name;
            let _ = writeln!(text, "\n[link.{name}]\nsource = \"{}\"\ntarget = \"{}\"", link.source, link.target);
            let _ = writeln!(text, "offsets = \"{}\"\nstart = \"earliest\"\n{}", link.offsets, link.lines.join("\n"));
            for entry in &link.topics {
                let _ = writeln!(text, "\n[[link.{name}.topics]]\n{}", entry.join("\n"));
            }
            for entry in &link.groups {
                let _ = writeln!(text, "\n[[link.{name}.groups]]\n{}", entry.join("\n"));
            }
            let _ = writeln!(text, "\n[link.{name}.sync]\ninterval = \"1s\"\n{}", link.sync.join("\n"));
        }
        text.push_str(&self.tail);
        text
    }
}

/// How to reach a cluster without TLS and SASL.
fn plain(cluster: &Cluster) -> Vec<(String, String)> {
    vec![("bootstrap.servers".into(), cluster.bootstrap())]
}
