//! A peer that is here, one that is away, and one that another daemon has.

use crate::api::json::{DialledBy, Peer, PeerError, PeerSession, PeerState};
use crate::types::{ClusterName, PeerName};

pub(super) fn all() -> Vec<Peer> {
    let here = Peer {
        name: PeerName::new("onprem").unwrap(),
        state: PeerState::Connected,
        since_ms: crate::tasks::wall_clock_ms() - 8_000_000,
        sessions: vec![PeerSession {
            instance: "onprem-1".to_owned(),
            dialled_by: DialledBy::Peer,
            connections: 8,
            connections_wanted: 8,
            up_ms: Some(8_000_000),
            round_trip_ms: Some(81.5),
            streams: 12,
            credit_bytes: 134_217_728,
            queued_bytes: 0,
            sent_bytes: 1_048_576,
            received_bytes: 73_400_320_000,
        }],
        served_by: vec!["causeway-2".to_owned()],
        clusters: vec![ClusterName::new("onprem").unwrap()],
        exposes: None,
        retention_left_ms: Some(600_000_000),
        error: None,
    };
    let away = Peer {
        name: PeerName::new("plant").unwrap(),
        state: PeerState::Away,
        sessions: Vec::new(),
        served_by: Vec::new(),
        clusters: vec![ClusterName::new("plant").unwrap()],
        retention_left_ms: Some(90_000_000),
        error: Some(PeerError {
            message: "can't connect to plant.example:9443: connection refused".to_owned(),
            advice: Some("look at the address, the port and the firewall".to_owned()),
            at_ms: crate::tasks::wall_clock_ms() - 8_000_000,
        }),
        ..here.clone()
    };
    let elsewhere = Peer {
        name: PeerName::new("ship").unwrap(),
        state: PeerState::ServedElsewhere,
        served_by: vec!["causeway-2".to_owned()],
        error: None,
        exposes: Some(ClusterName::new("aws").unwrap()),
        ..away.clone()
    };
    vec![here, away, elsewhere]
}
