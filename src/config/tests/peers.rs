use super::*;
use crate::peer::Identity;
use crate::types::{ClusterName, PeerName};

const OWN: &str = "[peers]\ncertificate = \"a.pem\"\nkey = { file = \"a.key\" }\n";

#[test]
fn both_samples_of_a_source_initiated_link() {
    let name = |text| PeerName::new(text).unwrap();
    let onprem = sample("peers.onprem.toml");
    assert!(onprem.links.is_empty());
    let peers = onprem.peers.unwrap();
    assert_eq!(peers.peers[0].connect[0].to_string(), "dr.example:9443");
    assert_eq!((peers.peers[0].connections, peers.listen), (8, None));
    let expose = &peers.exposed[&name("aws")];
    assert!(expose.exposure.has_topic("orders.eu") && !expose.exposure.has_topic("orders"));
    assert!(expose.exposure.has_group("billing"));
    let cloud = sample("peers.cloud.toml");
    assert_eq!(cloud.clusters[&ClusterName::new("onprem").unwrap()].via, Some(name("onprem")));
    let peers = cloud.peers.unwrap();
    assert_eq!(peers.listen.as_deref(), Some("0.0.0.0:9443"));
    assert_eq!(peers.peers[0].identity, "onprem.example".parse::<Identity>().unwrap());
    assert!(peers.exposed.is_empty());
}

#[test]
fn what_is_wrong_with_peers_is_said() {
    let cases = [
        ("[peer.x]\nidentity = \"a.b\"\n", "`[peers]` is missing"),
        ("[peers]\nkey = { file = \"a\" }\n", "`certificate` is missing"),
        (&format!("{OWN}[peer.x]\nconnect = [\"a:1\"]\n"), "`identity` is missing"),
        (&format!("{OWN}[peer.x]\nconnect = [\"a:1\"]\nidentity = \"sha256:12\"\n"), "is no identity"),
        (&format!("{OWN}[peer.x]\nconnect = [\"a\"]\nidentity = \"a.b\"\n"), "`a` is not an address"),
        (&format!("{OWN}[peer.x]\nidentity = \"a.b\"\n"), "neither side of `x` would dial"),
        (&format!("{OWN}listen = \"9443\"\n"), "`9443` is not an address to listen on"),
        (
            &format!("{OWN}[peer.x]\nconnect = \"a:1\"\nidentity = \"a.b\"\nexpose = {{ cluster = \"none\" }}\n"),
            "there is no cluster `none`",
        ),
        (
            &format!(
                "{OWN}[peer.x]\nconnect = \"a:1\"\nidentity = \"a.b\"\n\
                 expose = {{ cluster = \"a\", topics = [\"(\"] }}\n"
            ),
            "is no regular expression",
        ),
        (
            &format!("{OWN}[peer.x]\nconnect = \"a:1\"\nidentity = \"a.b\"\nproxy_user = \"u\"\n"),
            "a proxy's login needs `proxy`",
        ),
    ];
    for (text, sentence) in cases {
        let found = problems(&format!("{text}{SMALL}"));
        assert!(found.iter().any(|problem| problem.contains(sentence)), "{text}: {found:?}");
    }
}

#[test]
fn a_cluster_through_a_peer_has_no_other_key_and_is_no_target() {
    let link = "[link.l]\nsource = \"a\"\ntarget = \"b\"\n[[link.l.topics]]\nmatch = \".*\"\n";
    let whole = |a: &str, b: &str, peer: &str| {
        format!("[cluster.a]\n{a}\n[cluster.b]\n{b}\n{OWN}[peer.{peer}]\nconnect = \"a:1\"\nidentity = \"a.b\"\n{link}")
    };
    let direct = "bootstrap.servers = \"b:1\"";
    good(&whole("via = \"x\"", direct, "x"));
    let cases = [
        (whole("via = \"x\"", direct, "y"), "there is no peer `x`"),
        (whole("via = \"x\"\nclient.id = \"c\"", direct, "x"), "`client` would have no effect"),
        (whole(direct, "via = \"x\"", "x"), "`b` is read through a peer, so it can't be a target"),
    ];
    for (text, sentence) in cases {
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.contains(sentence)), "{text}: {found:?}");
    }
}
