//! What each side sees, and that all of a direct link works over a peer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::checker::Direction;
use crate::config::LINK;
use crate::daemon::{Daemon, causeway};
use crate::group::{Member, committed};
use crate::judge::Judge;
use crate::process::wait_for;
use crate::workload::Workload;

use super::super::{RECOVERY, finish, shared, wait_for_growth};
use super::sides;

/// What a daemon says of its peer.
fn peer(daemon: &Daemon) -> Value {
    daemon.get("/v1/peers").map(|(_, told)| told["peers"][0].clone()).unwrap_or_default()
}

fn wait_for_peer(daemon: &Daemon, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let ask = || Some(peer(daemon)).filter(|told| is_it(told));
    wait_for(&format!("peer: {what}, not {}", peer(daemon)), RECOVERY, ask)
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn all_that_a_direct_link_does_works_over_a_peer() {
    let name = "peers-all";
    let on = shared();
    let settings = [("retention.ms", "86400000")];
    on.source.admin().create_topic(name, 2, &settings);
    Workload::new(&on.source.bootstrap(), name, 2).write(300);
    let sides = sides(&on, name);
    let mut onprem = Daemon::start("peers-all-onprem", &sides.onprem);
    let mut cloud = Daemon::start("peers-all-cloud", &sides.cloud);
    Judge::new(on.source, on.target, &[name]).wait();

    // Groups, where they are read and where they go on.
    let group = format!("{name}-readers");
    let mut member = Member::join(&on.source.side_door(), &group, name);
    member.read(100);
    let positions = member.commit();
    member.leave();
    wait_for("the group's positions on the target", RECOVERY, || {
        let there = committed(&on.target.side_door(), &group, name, 2);
        let there: BTreeMap<i32, i64> = there.into_iter().map(|(partition, (offset, _))| (partition, offset)).collect();
        (there == positions).then_some(())
    });
    // Settings, new partitions, new topics.
    on.source.admin().set_configs(name, &[("retention.ms", "172800000")]);
    on.source.admin().add_partitions(name, 3);
    let later = format!("{name}-later");
    on.source.admin().create_topic(&later, 1, &[]);
    Workload { name: "more".into(), ..Workload::new(&on.source.bootstrap(), name, 3) }.write(300);
    Workload::new(&on.source.bootstrap(), &later, 1).write(50);
    Judge::new(on.source, on.target, &[name, &later]).wait();
    let retention = || on.target.admin().config(name, "retention.ms");
    wait_for("the topic's retention", RECOVERY, || (retention()? == "172800000").then_some(()));
    // Look-ups, and waiting for a copy.
    assert_eq!(cloud.translate(Direction::Forward, name, 0, 0).translation, "exact");
    let question = format!("/v1/links/{LINK}/await?topic={name}&partition=0&offset=10&timeout=5s");
    let (status, told) = cloud.get(&question).expect("an answer");
    assert!(status == 200 && told["reached"] == true, "{status} {told}");

    // Nothing of the cloud's daemon leads to the source: neither to its brokers nor to the relay before them.
    let dialled = cloud.ports_dialled();
    let of = |addresses: String| -> Vec<u16> {
        addresses.split(',').filter_map(|address| address.rsplit(':').next()?.parse().ok()).collect()
    };
    for port in of(on.source.bootstrap()).into_iter().chain(of(on.source.side_door())) {
        assert!(!dialled.contains(&port), "{port} of the source among {dialled:?}");
    }
    assert!(of(on.target.bootstrap()).iter().any(|port| dialled.contains(port)), "{dialled:?}");

    finish(&Judge::new(on.source, on.target, &[name, &later]), &mut cloud);
    onprem.stop();
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn each_side_tells_of_the_session_and_of_its_absence() {
    let name = "peers-told";
    let on = shared();
    on.source.admin().create_topic(name, 2, &[("retention.ms", "3600000")]);
    let running = Workload { rate: 200, ..Workload::new(&on.source.bootstrap(), name, 2) }.start();
    let sides = sides(&on, name);
    let mut onprem = Daemon::start("peers-told-onprem", &sides.onprem);
    let mut cloud = Daemon::start("peers-told-cloud", &sides.cloud);
    wait_for_growth(on.target, name);
    for (daemon, dialled_by) in [(&cloud, "peer"), (&onprem, "us")] {
        let told = wait_for_peer(daemon, "connected", |told| {
            let session = &told["sessions"][0];
            told["state"] == "connected" && session["connections"] == 8 && session["round_trip_ms"].is_number()
        });
        let session = &told["sessions"][0];
        assert_eq!((&session["dialled_by"], &session["connections_wanted"]), (&dialled_by.into(), &8.into()), "{told}");
        assert!(session["sent_bytes"].as_u64() > Some(100) && session["received_bytes"].as_u64() > Some(100), "{told}");
    }
    let told = wait_for_peer(&cloud, "retention left", |told| told["retention_left_ms"].is_u64());
    assert!(told["retention_left_ms"].as_u64() <= Some(3_600_000), "{told}");
    assert_eq!((&told["clusters"][0], &peer(&onprem)["exposes"]), (&"source".into(), &"source".into()));
    let shown = cloud.command(&["status"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("RETENTION LEFT") && shown.contains("connected"), "{shown}");
    let metrics = cloud.get("/metrics").expect("metrics").1;
    assert!(metrics.as_str().expect("text").contains("causeway_peer_up{peer=\"onprem\"} 1"));

    // `check` from each side, while the daemons run.
    for (daemon, wanted) in [(&onprem, "there is a session with peers-told-cloud"), (&cloud, "it dials us")] {
        let checked = causeway(&["check", "--config", &daemon.config_file()]);
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(said.contains(wanted), "{said}\n{}", String::from_utf8_lossy(&checked.stderr));
    }

    // The premises go away: since when, and what retention leaves, which runs down; also across a restart.
    onprem.stop();
    let away = wait_for_peer(&cloud, "away", |told| told["state"] == "away" && told["error"].is_object());
    let left = away["retention_left_ms"].as_u64().expect("it is known");
    wait_for_peer(&cloud, "less retention", |told| told["retention_left_ms"].as_u64() < Some(left - 1_500));
    std::thread::sleep(Duration::from_secs(5));
    cloud.restart_after_kill();
    let again = wait_for_peer(&cloud, "away since then", |told| {
        told["state"] == "away" && told["since_ms"].as_i64() <= away["since_ms"].as_i64().map(|since| since + 3_000)
    });
    let told = wait_for_peer(&cloud, "retention", |told| told["retention_left_ms"].is_u64());
    assert!(told["retention_left_ms"].as_u64() < Some(left), "{told} after {again}");
    running.stop();
    onprem.restart();
    wait_for_peer(&cloud, "connected", |told| told["state"] == "connected");
    finish(&Judge::new(on.source, on.target, &[name]), &mut cloud);
    onprem.stop();
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn whoever_is_taken_off_the_list_reads_nothing_more() {
    let name = "peers-revoked";
    let on = shared();
    on.source.admin().create_topic(name, 2, &[]);
    let running = Workload { rate: 200, ..Workload::new(&on.source.bootstrap(), name, 2) }.start();
    let sides = sides(&on, name);
    let mut onprem = Daemon::start("peers-revoked-onprem", &sides.onprem);
    let mut cloud = Daemon::start("peers-revoked-cloud", &sides.cloud);
    wait_for_growth(on.target, name);
    // The cloud takes the premises off its list while they are connected.
    let without = sides.cloud.clone();
    cloud.reconfigure(&without.without_tail_after("[peer.onprem]").tail(
        "[peer.onprem]\nidentity = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n",
    ));
    wait_for_peer(&onprem, "away", |told| told["state"] == "away");
    wait_for_peer(&cloud, "away", |told| told["state"] == "away");
    // What is wrong is said where it can be mended; the premises learn that they were refused.
    wait_for_peer(&onprem, "refused", |told| {
        told["error"]["message"].as_str().is_some_and(|message| message.contains("TLS with"))
    });
    assert!(!peer(&onprem).to_string().contains("0000000000000000"), "{}", peer(&onprem));
    wait_for("the cloud's word on it", RECOVERY, || cloud.log().contains("does not show").then_some(()));
    cloud.reconfigure(&sides.cloud);
    wait_for_growth(on.target, name);
    running.stop();
    finish(&Judge::new(on.source, on.target, &[name]), &mut cloud);
    onprem.stop();
}
