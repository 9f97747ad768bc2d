use super::*;

fn status(is_here: bool, since_ms: u64) -> PeerStatus {
    PeerStatus {
        peer: PeerName::new("p").unwrap(),
        is_here,
        since: Duration::from_millis(since_ms),
        sessions: Vec::new(),
        trouble: None,
    }
}

fn known(peer: Option<(bool, i64)>, at_ms: i64) -> DaemonRecord {
    let seen = |(is_here, since_ms)| (PeerName::new("p").unwrap(), PeerSeenRecord { is_here, since_ms });
    DaemonRecord {
        version: String::new(),
        digests: BTreeMap::new(),
        started_at_ms: 0,
        listen: String::new(),
        peers: peer.map(seen).into_iter().collect(),
        at_ms,
    }
}

#[test]
fn an_absence_is_remembered_across_restarts() {
    let now = 100_000;
    let since = |status, before, at| seen(&status, &known(before, at), now).since_ms;
    assert_eq!(since(status(false, 500), None, 0), 99_500, "nothing was known");
    assert_eq!(since(status(false, 500), Some((false, 7_000)), 90_000), 7_000, "it was away before already");
    assert_eq!(since(status(false, 500), Some((true, 7_000)), 90_000), 90_000, "it went while nobody looked");
    assert_eq!(since(status(false, 50_000), Some((true, 7_000)), 90_000), 50_000, "it was seen to go");
    assert_eq!(since(status(true, 500), Some((true, 7_000)), 90_000), 99_500, "a session is as old as it is");
    assert_eq!(since(status(true, 500), Some((false, 7_000)), 90_000), 99_500);
}
