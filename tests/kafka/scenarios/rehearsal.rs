//! The rehearsal finds what nothing else can see: a record whose contents are not the source's.

use std::fs;
use std::path::Path;

use crate::broker::{Cluster, Options};
use crate::config::{Config, LINK};
use crate::daemon::Daemon;
use crate::group::commit_from_outside;
use crate::jars::KAFKA_4;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::workload::Workload;

use super::{RECOVERY, shared};

/// Where the batch's checksum stands, and what it is of.
const CRC_AT: usize = 17;
const BODY_AT: usize = 21;

/// Alters one byte in the last record of a partition's log, and makes its checksum right again.
fn alter_last_record(segment: &Path) {
    let mut bytes = fs::read(segment).expect("the segment");
    let mut at = 0;
    let (mut begin, mut end) = (0, 0);
    // What follows the last batch is nothing, or zeros.
    while let Some(length) = bytes.get(at + 8..at + 12) {
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        if length == 0 {
            break;
        }
        (begin, end) = (at, at + 12 + length);
        at = end;
    }
    // The last byte counts headers, of which there are none; before it the value ends.
    bytes[end - 2] ^= 1;
    let crc = crc32c::crc32c(&bytes[begin + BODY_AT..end]);
    bytes[begin + CRC_AT..begin + BODY_AT].copy_from_slice(&crc.to_be_bytes());
    fs::write(segment, bytes).expect("the segment");
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_planted_mismatch_is_found() {
    let on = shared();
    let target = Cluster::start(Options::new(KAFKA_4));
    let topic = "rehearsed";
    on.source.admin().create_topic(topic, 1, &[]);
    // Keyed records have a value and no headers.
    let work = Workload { keys: Some(100), ..Workload::new(&on.source.bootstrap(), topic, 1) };
    work.write(50);
    let config = Config::new(topic, on.source, &target).matching(topic).groups(&["match = 'rehearsed-.*'"]);
    let mut daemon = Daemon::start("groups-1", &config);
    Judge::new(on.source, &target, &[topic]).wait();
    let commit = |group: &str, offset| {
        let positions = [(0, offset)].into();
        wait_for("a commit", RECOVERY, || commit_from_outside(&on.source.side_door(), group, topic, &positions, ""));
    };
    commit("rehearsed-well", 10);
    commit("rehearsed-ill", 49);
    let rehearsal = |daemon: &Daemon| Some(daemon.get(&format!("/v1/links/{LINK}"))?.1["groups"]["rehearsal"].clone());
    let told = wait_for("a first rehearsal", RECOVERY, || rehearsal(&daemon).filter(|told| told["matching"] == 2));
    assert_eq!(told["mismatching"], 0, "{told}");

    target.node(1).stop();
    alter_last_record(&target.node(1).home().join(format!("data/{topic}-0/00000000000000000000.log")));
    target.node(1).start();
    target.wait_ready();
    let told = wait_for("the mismatch", RECOVERY, || rehearsal(&daemon).filter(|told| told["mismatching"] == 1));
    assert_eq!(told["matching"], 1, "{told}");
    assert!(told["mismatches"][0].as_str().is_some_and(|first| first.contains("rehearsed-ill")), "{told}");
    let (_, link) = daemon.get(&format!("/v1/links/{LINK}")).expect("an answer");
    assert!(link["problems"].to_string().contains("rehearsed-ill"), "{link}");
    let (_, metrics) = daemon.get("/metrics").expect("metrics");
    let line = format!("causeway_rehearsed_positions{{link=\"{LINK}\",outcome=\"mismatching\"}} 1");
    assert!(metrics.as_str().is_some_and(|metrics| metrics.contains(&line)), "{metrics}");
    let shown = daemon.command(&["status"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    eprintln!("{shown}\n{told}");
    assert!(shown.contains("DO NOT MATCH"), "{shown}");
    assert!(daemon.log().contains("rehearsal: "), "{}", daemon.log());
    daemon.stop();
}
