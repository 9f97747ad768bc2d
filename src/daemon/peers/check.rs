//! What `check` says of the sessions, from this side's point of view.

use std::sync::Arc;
use std::time::Duration;

use super::settings;
use crate::cluster::{Cluster, via};
use crate::config::{Config, PeersConfig};
use crate::peer::{InstanceId, PeerSettings, PeerStatus, Peers, ServeNothing, Settings};
use crate::preflight::Report;
use crate::tasks::wall_clock_ms;
use crate::types::{ClusterName, PeerName};
use crate::wire;

/// How long a peer is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// A certificate that expires sooner is worth a word.
const EXPIRES_SOON_DAYS: i64 = 14;
const DAY_SECONDS: i64 = 86_400;

/// Looks at our certificate, at the port, dials the peers that are to be dialled, and looks at what each side of an
/// `expose` sees. Peers are not taken on the port: that is for the daemon that runs.
pub(in crate::daemon) async fn check(config: &Config, report: &mut Report) {
    let Some(of_peers) = &config.peers else { return };
    let own = settings(config, of_peers);
    // Under the daemon's own id this would take the place of its sessions.
    let instance = InstanceId::new(&format!("{}.check", own.instance)).unwrap_or(own.instance);
    let started = Peers::start(Settings { instance, listen: None, ..own }, Arc::new(ServeNothing)).await;
    let peers = match started {
        Ok(peers) => peers,
        Err(error) => return report.fail("peers", error.to_string(), error.advice().unwrap_or_default()),
    };
    check_certificate(&peers, report).await;
    check_port(of_peers, report).await;
    for peer in &of_peers.peers {
        check_peer(config, of_peers, &peers, peer, report).await;
        check_exposed(config, of_peers, &peer.name, report).await;
    }
    peers.close().await;
}

async fn check_certificate(peers: &Peers, report: &mut Report) {
    match peers.own_certificate().await {
        Ok(own) => {
            let days = (own.expires_at - wall_clock_ms() / 1000) / DAY_SECONDS;
            let sentence = format!("our certificate is {}, valid for {days} days", own.identity);
            if days >= EXPIRES_SOON_DAYS {
                report.ok("peers", sentence);
            } else {
                report.warn("peers", sentence, "renew it; the files are read again by themselves");
            }
        }
        Err(error) => report.fail("peers", error.to_string(), error.advice().unwrap_or_default()),
    }
}

/// Whether the port can be listened on, or is.
async fn check_port(of_peers: &PeersConfig, report: &mut Report) {
    let Some(listen) = &of_peers.listen else { return };
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) => report.ok("peers", format!("{listen} can be listened on; no daemon does at the moment")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            report.ok("peers", format!("{listen} is listened on: by the daemon that runs, if one does"));
        }
        Err(error) => {
            let advice = "`listen` takes an address of this machine, and a port that this user may have";
            report.fail("peers", format!("{listen} can't be listened on: {error}"), advice);
        }
    }
}

async fn check_peer(config: &Config, of_peers: &PeersConfig, peers: &Peers, peer: &PeerSettings, report: &mut Report) {
    let about = format!("peer {}", peer.name);
    if peer.connect.is_empty() {
        let listen = of_peers.listen.as_deref().unwrap_or_default();
        let sentence = format!("it dials us at {listen}, and must show {}: its own check tells more", peer.identity);
        return report.ok(&about, sentence);
    }
    // Names that can't be looked up and the like show as trouble, not as an error.
    let is_up = matches!(tokio::time::timeout(PATIENCE, peers.wait_for(&peer.name)).await, Ok(Ok(())));
    let status = peers.status().into_iter().find(|status| status.peer == peer.name);
    let trouble = status.as_ref().and_then(|status| status.trouble.clone());
    match (is_up, trouble) {
        (true, None) => report.ok(&about, format!("there is a session with {}", instances(status.as_ref()))),
        (true, Some(trouble)) => {
            let sentence = format!("there is a session with {}, but: {}", instances(status.as_ref()), trouble.reason);
            report.warn(&about, sentence, trouble.advice.unwrap_or("look at the daemon there"));
        }
        (false, trouble) => {
            let (reason, advice) = trouble
                .map_or_else(|| ("nothing answered".to_owned(), None), |trouble| (trouble.reason, trouble.advice));
            return report.fail(&about, reason, advice.unwrap_or("look at the daemon there"));
        }
    }
    for cluster in config.clusters.values().filter(|cluster| cluster.via.as_ref() == Some(&peer.name)) {
        let remote = via(cluster.name.clone(), peers.clone(), peer.name.clone(), "causeway-check");
        check_via(config, &cluster.name, &remote, report).await;
    }
}

fn instances(status: Option<&PeerStatus>) -> String {
    let sessions = status.map(|status| status.sessions.as_slice()).unwrap_or_default();
    sessions.iter().map(|session| session.instance.to_string()).collect::<Vec<_>>().join(", ")
}

/// Whether the peer exposes what our links want to read.
async fn check_via(config: &Config, name: &ClusterName, remote: &Cluster, report: &mut Report) {
    let about = format!("cluster {name} (through a peer)");
    let listed = match remote.metadata(None).await {
        Ok(listed) => listed,
        Err(error) => return report.fail(&about, error.to_string(), "has the other side an `expose` for us?"),
    };
    for link in config.links.values().filter(|link| link.source == *name) {
        let plan = link.topics.plan(listed.topics.keys().cloned());
        let mirrored = plan.mirrored.len();
        let sentence =
            format!("the peer exposes {} topics, link {} mirrors {mirrored}", listed.topics.len(), link.name);
        if mirrored > 0 {
            report.ok(&about, sentence);
        } else {
            report.warn(&about, sentence, "name the topics in `expose` on the other side");
        }
        for topic in link.topics.named().map(|(_, topic, _)| topic).filter(|topic| !listed.topics.contains_key(topic)) {
            let sentence = format!("link {} names topic {topic}, which the peer does not show", link.name);
            report.warn(&about, sentence, "it does not exist, or is not in `expose` on the other side");
        }
    }
}

/// What a peer will see of our cluster.
async fn check_exposed(config: &Config, of_peers: &PeersConfig, peer: &PeerName, report: &mut Report) {
    let Some(expose) = of_peers.exposed.get(peer) else { return };
    let about = format!("peer {peer}");
    let Some(cluster) = config.clusters.get(&expose.cluster) else { return };
    let direct = Cluster::new(cluster.name.clone(), wire::Client::new(cluster.wire.clone()));
    match direct.metadata(None).await {
        Ok(listed) => {
            let shown = listed.topics.keys().filter(|topic| expose.exposure.has_topic(topic.as_str())).count();
            let sentence = format!("it may read {shown} of {} topics of {}", listed.topics.len(), cluster.name);
            if shown > 0 {
                report.ok(&about, sentence);
            } else {
                report.warn(&about, sentence, "`topics` in `expose` matches none");
            }
        }
        Err(error) => report.fail(&about, error.to_string(), "the cluster that is exposed must be reached from here"),
    }
}
