//! What links and clusters say together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::cluster::ReadCluster;
use super::keys;
use super::link::ReadLink;
use super::peers::ReadPeer;
use super::report::{Place, Report};
use super::settings::ClusterConfig;
use crate::types::{ClusterName, LinkName, PeerName, TopicName};
use crate::wire::SaslSettings;

type Clusters = BTreeMap<ClusterName, ReadCluster>;

/// Refuses what can't work together.
pub(super) fn check(
    report: &mut Report<'_>,
    clusters: &Clusters,
    links: &[ReadLink],
    peers: &BTreeMap<PeerName, ReadPeer>,
) {
    check_peers(report, clusters, peers);
    for link in links {
        check_ends(report, clusters, link);
    }
    refuse_cycles(report, links);
    refuse_shared_targets(report, links);
}

/// Clusters that are read through a peer need the peer; what is exposed needs to be next to us.
fn check_peers(report: &mut Report<'_>, clusters: &Clusters, peers: &BTreeMap<PeerName, ReadPeer>) {
    for cluster in clusters.values() {
        let Some(via) = cluster.config.as_ref().and_then(|config| config.via.as_ref()) else { continue };
        if !peers.contains_key(via) {
            let help = format!("add [peer.{via}] with its identity");
            report.refuse(&cluster.place, format!("there is no peer `{via}`"), Some(help));
        }
    }
    for (expose, place) in peers.values().filter_map(|peer| peer.expose.as_ref()) {
        match clusters.get(&expose.cluster) {
            None => report.refuse(place, format!("there is no cluster `{}`", expose.cluster), None),
            Some(ReadCluster { config: Some(ClusterConfig { via: Some(_), .. }), .. }) => {
                let sentence = format!("`{}` is itself read through a peer", expose.cluster);
                report.refuse(place, sentence, Some("only clusters that we reach directly can be exposed".to_owned()));
            }
            Some(_) => {}
        }
    }
}

fn check_ends(report: &mut Report<'_>, clusters: &Clusters, link: &ReadLink) {
    for (name, place) in [&link.source, &link.target].into_iter().flatten() {
        if !clusters.contains_key(name) {
            let known = || clusters.keys().map(ClusterName::as_str);
            let list = known().collect::<Vec<_>>().join(", ");
            let help = match keys::nearest(name.as_str(), known()) {
                Some(near) => format!("did you mean `{near}`? The clusters are {list}"),
                None if list.is_empty() => format!("add [cluster.{name}] with bootstrap.servers"),
                None => format!("the clusters are {list}"),
            };
            report.refuse(place, format!("there is no cluster `{name}`"), Some(help));
        }
    }
    let (Some((source, _)), Some((target, place))) = (&link.source, &link.target) else { return };
    if source == target {
        report.refuse(place, format!("the link would mirror `{source}` into itself"), None);
        return;
    }
    let of_target = clusters.get(target).and_then(|cluster| cluster.config.as_ref());
    if of_target.is_some_and(|config| config.via.is_some()) {
        let sentence = format!("`{target}` is read through a peer, so it can't be a target");
        let help = "nothing is ever written through a session: run this link on a daemon next to its target";
        report.refuse(place, sentence, Some(help.to_owned()));
        return;
    }
    if of_target.is_some_and(has_extensions) {
        let sentence = format!("`{target}` has `sasl.oauthbearer.extensions`, so it can't be a target");
        let help = "the client that keeps the state on a target can't send them; use another mechanism there";
        report.refuse(place, sentence, Some(help.to_owned()));
    }
    check_principal(report, clusters, link, place);
    let brokers = |name| clusters.get(name).and_then(|cluster| cluster.config.as_ref()).map(|c| &c.wire.bootstrap);
    let (Some(of_source), Some(of_target)) = (brokers(source), brokers(target)) else { return };
    if let Some(shared) = of_source.iter().find(|server| of_target.contains(server)) {
        let sentence = format!("`{source}` and `{target}` are the same cluster: both have the broker {shared}");
        report.refuse(place, sentence, Some("a link needs two different clusters".to_owned()));
    }
}

/// What denies others must know ourselves.
fn check_principal(report: &mut Report<'_>, clusters: &Clusters, link: &ReadLink, place: &Place) {
    let target = link.target.as_ref().and_then(|(name, _)| clusters.get(name)?.config.as_ref());
    if let (Some(config), Some(target)) = (&link.config, target)
        && (config.protect || config.sync.acls)
        && config.principals_on(target).is_empty()
    {
        let sentence = format!("who causeway is on `{}` can't be seen from its login", target.name);
        let help = "`protect` and `sync.acls` must never deny causeway itself: write own_principals = \"User:...\" in \
                    the link, as the brokers name it";
        report.refuse(place, sentence, Some(help.to_owned()));
    }
}

fn has_extensions(cluster: &ClusterConfig) -> bool {
    matches!(&cluster.wire.sasl, Some(SaslSettings::OAuthBearer { extensions, .. }) if !extensions.is_empty())
}

/// Two opposite links know each other's records; around a longer way nobody would recognise them.
fn refuse_cycles(report: &mut Report<'_>, links: &[ReadLink]) {
    let edges: Vec<Edge<'_>> = links
        .iter()
        .filter_map(|link| {
            Some(Edge { link: &link.name, from: &link.source.as_ref()?.0, to: &link.target.as_ref()?.0 })
        })
        .filter(|edge| edge.from != edge.to)
        .collect();
    let mut known = BTreeSet::new();
    for (edge, link) in edges.iter().filter_map(|edge| Some((edge, links.iter().find(|link| link.name == *edge.link)?)))
    {
        let Some(way_back) = way_back(&edges, edge) else { continue };
        let round: Vec<_> = std::iter::once(edge).chain(way_back).collect();
        let through: BTreeSet<_> = round.iter().map(|edge| edge.from).collect();
        if !known.insert(through) {
            continue;
        }
        let names = |of: &dyn Fn(&&Edge<'_>) -> String| round.iter().map(of).collect::<Vec<_>>();
        let clusters = names(&|edge| edge.from.to_string()).join(" -> ");
        let names = names(&|edge| format!("`{}`", edge.link)).join(", ");
        let sentence = format!("the links {names} form a cycle: {clusters} -> {}", edge.from);
        let help = "records would go round for ever; link each cluster with each other one that needs its topics \
                    only in a way that leads nowhere back, or use pairs of opposite links";
        report.refuse(&link.place, sentence, Some(help.to_owned()));
    }
}

#[derive(Debug, Clone, Copy)]
struct Edge<'l> {
    link: &'l LinkName,
    from: &'l ClusterName,
    to: &'l ClusterName,
}

/// The shortest way from an edge's end to its beginning that isn't just the opposite link.
fn way_back<'e, 'l>(edges: &'e [Edge<'l>], edge: &Edge<'l>) -> Option<Vec<&'e Edge<'l>>> {
    let mut ways: VecDeque<Vec<&Edge<'l>>> = VecDeque::from([Vec::new()]);
    let mut seen = BTreeSet::from([edge.to]);
    while let Some(way) = ways.pop_front() {
        let at = way.last().map_or(edge.to, |last| last.to);
        for next in edges.iter().filter(|next| next.from == at) {
            let is_opposite = next.from == edge.to && next.to == edge.from;
            if is_opposite || (next.to != edge.from && !seen.insert(next.to)) {
                continue;
            }
            let mut longer = way.clone();
            longer.push(next);
            if next.to == edge.from {
                return Some(longer);
            }
            ways.push_back(longer);
        }
    }
    None
}

/// Two links that name topics which would be one topic of one cluster.
fn refuse_shared_targets(report: &mut Report<'_>, links: &[ReadLink]) {
    let mut taken: BTreeMap<(ClusterName, TopicName), (LinkName, usize)> = BTreeMap::new();
    for link in links {
        let Some(config) = &link.config else { continue };
        for (entry, topic, target) in config.topics.named() {
            let Some(place) = link.entries.get(entry).map(|entry| entry.of("name")) else { continue };
            let line = report.line(place);
            let key = (config.target.clone(), target);
            if let Some((other, other_line)) = taken.get(&key) {
                let (cluster, target) = &key;
                let sentence = format!(
                    "`{topic}` would be the topic `{target}` of `{cluster}`, which link `{other}` makes \
                     already (line {other_line})"
                );
                report.refuse(place, sentence, Some("use `rename` or `prefix` in one of them".to_owned()));
            } else {
                taken.insert(key, (link.name.clone(), line));
            }
        }
    }
}
