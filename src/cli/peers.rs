//! Peers in `causeway status`.

use super::human::{ago, known, size, span, words};
use super::show::line;
use super::table::{Align, Table};
use crate::api::json::{DialledBy, Peer, PeerSession, PeerState};

/// One line for each session, and for each peer without one; nothing where there are no peers.
pub(super) fn table(peers: &[Peer], now_ms: i64) -> String {
    if peers.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("PEER", Align::Left),
        ("STATE", Align::Left),
        ("SINCE", Align::Left),
        ("DAEMON THERE", Align::Left),
        ("DIALLED BY", Align::Left),
        ("CONNECTIONS", Align::Right),
        ("ROUND TRIP", Align::Right),
        ("SENT", Align::Right),
        ("RECEIVED", Align::Right),
        ("CREDIT", Align::Right),
        ("RETENTION LEFT", Align::Right),
    ]);
    for peer in peers {
        if peer.sessions.is_empty() {
            table.row(row(peer, None, now_ms));
        }
        for session in &peer.sessions {
            table.row(row(peer, Some(session), now_ms));
        }
    }
    format!("\n{table}")
}

fn row(peer: &Peer, session: Option<&PeerSession>, now_ms: i64) -> Vec<String> {
    let state = match peer.state {
        PeerState::ServedElsewhere => format!("served elsewhere ({})", peer.served_by.join(", ")),
        PeerState::Connected | PeerState::Away => words(peer.state.name()),
    };
    vec![
        peer.name.to_string(),
        state,
        ago(peer.since_ms, now_ms),
        known(session, |session| session.instance.clone()),
        known(session, |session| match session.dialled_by {
            DialledBy::Us => "us".to_owned(),
            DialledBy::Peer => "peer".to_owned(),
        }),
        known(session, |session| format!("{} of {}", session.connections, session.connections_wanted)),
        known(session.and_then(|session| session.round_trip_ms), |ms| format!("{ms:.1} ms")),
        known(session, |session| size(session.sent_bytes)),
        known(session, |session| size(session.received_bytes)),
        known(session, |session| size(session.credit_bytes)),
        known(peer.retention_left_ms, span),
    ]
}

/// What is wrong with peers that should be here.
pub(super) fn troubles(text: &mut String, peers: &[Peer], now_ms: i64) {
    for peer in peers.iter().filter(|peer| peer.state != PeerState::Connected) {
        let Some(error) = &peer.error else { continue };
        line(text, format_args!("peer {}: {}, {}", peer.name, error.message, ago(error.at_ms, now_ms)));
        if let Some(advice) = &error.advice {
            line(text, format_args!("  {advice}"));
        }
    }
}
