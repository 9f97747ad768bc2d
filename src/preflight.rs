//! `causeway check`: whether the links would work, before they run.
//!
//! Owns: the questions to ask of both clusters, what follows from the answers, and the least rights a link needs.
//! Promises: nothing is created, changed or written anywhere, except that a cluster counts one producer id as given
//! away; every finding that is not in order has a sentence with the particulars and a remedy.
//! Does not know: the configuration file, the commands, the running daemon.

mod acls;
mod forward;
mod groups;
mod link;
mod reach;
mod report;
mod rights;
mod topics;

use std::collections::BTreeMap;

pub use acls::acls;
pub use report::{Finding, Level, Report};

use crate::selection::{GroupSelection, Selection};
use crate::types::{ClusterName, LinkName, TopicName};
use crate::wire;

/// What is to be checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The links.
    pub links: Vec<LinkPlan>,
}

/// One link.
#[derive(Debug, Clone)]
pub struct LinkPlan {
    /// Its name.
    pub name: LinkName,
    /// The cluster that is read.
    pub source: ClusterPlan,
    /// The cluster that is written.
    pub target: ClusterPlan,
    /// What it mirrors.
    pub selection: Selection,
    /// Which consumer groups are synchronised.
    pub groups: GroupSelection,
    /// Whether offsets are to be the same on both sides.
    pub are_offsets_preserved: bool,
    /// The most offsets by which an empty mirror partition is brought to where the copy begins.
    pub fast_forward_max: u64,
    /// The topic on the target that keeps the state.
    pub state_topic: TopicName,
    /// The consumer group by which daemons share the work, on the target.
    pub group: String,
    /// This daemon's id: part of its transactional ids.
    pub daemon_id: String,
    /// What it does besides mirroring.
    pub extras: Extras,
}

/// What a link does besides mirroring, and needs rights for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// The ACLs of topics are copied.
    pub is_copying_acls: bool,
    /// Others are kept from writing to mirror topics.
    pub is_protecting: bool,
    /// MirrorMaker's topics on the target, where they are written.
    pub mirrormaker_topics: Vec<TopicName>,
}

/// One cluster.
#[derive(Debug, Clone)]
pub struct ClusterPlan {
    /// Its name in the configuration.
    pub name: ClusterName,
    /// How to reach it.
    pub settings: wire::Settings,
}

impl ClusterPlan {
    /// Kafka's name for whom we authenticate as, where the configuration tells it. With mutual TLS it is what the
    /// brokers make of the certificate.
    fn principal(&self) -> Option<String> {
        use wire::SaslSettings::{OAuthBearer, Plain, ScramSha256, ScramSha512};
        match &self.settings.sasl {
            Some(Plain { username, .. } | ScramSha256 { username, .. } | ScramSha512 { username, .. }) => {
                Some(format!("User:{username}"))
            }
            Some(OAuthBearer { .. }) | None => None,
        }
    }
}

impl LinkPlan {
    /// The beginning of the transactional ids that daemons of the group write their state with.
    fn transactional_id_prefix(&self) -> String {
        format!("causeway-{}-", self.group)
    }
}

/// Asks both clusters of each link. Takes as long as the slowest unreachable broker's time-out, a few times over.
pub async fn check(plan: &Plan) -> Report {
    let mut report = Report::default();
    let mut clusters = BTreeMap::new();
    for link in &plan.links {
        for (cluster, role) in [(&link.source, reach::Role::Source), (&link.target, reach::Role::Target)] {
            // One cluster can be the source of one link and the target of another: it is looked at for both.
            let is_known = clusters.contains_key(&(cluster.name.clone(), role));
            if !is_known {
                let reached = reach::reach(cluster, role, &mut report).await;
                clusters.insert((cluster.name.clone(), role), reached);
            }
        }
    }
    for link in &plan.links {
        let reached = |cluster: &ClusterPlan, role| clusters.get(&(cluster.name.clone(), role)).cloned().flatten();
        let source = reached(&link.source, reach::Role::Source);
        let target = reached(&link.target, reach::Role::Target);
        link::check(link, source.as_ref(), target.as_ref(), &mut report).await;
    }
    report
}

#[cfg(test)]
mod tests;
