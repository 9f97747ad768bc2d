//! Two opposite links with the same topic names: what crossed once does not come back.
//!
//! Topics that applications write to on both sides are in `local_writers`.

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::reader::{Logs, read_topic};
use crate::workload::Workload;

use super::{RECOVERY, shared};

const RECORDS: u64 = 500;

fn count(logs: &Logs) -> usize {
    logs.values().map(Vec::len).sum()
}

/// A link leads there, and another one back under the same names. The way back reads everything that the way there
/// wrote, and writes none of it: also not after a kill, when it begins with what it stored.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn what_crossed_once_does_not_come_back() {
    let on = shared();
    let topic = "way-back";
    on.source.admin().create_topic(topic, 1, &[]);
    Workload::new(&on.source.bootstrap(), topic, 1).write(RECORDS);
    let entry = ["match = 'way-back'", "existing_target = 'translate'"];
    let mut there = Daemon::start("way-there", &Config::new("way-there", on.source, on.target).topics(&entry));
    let copied = || {
        let partitions = on.target.admin().partitions(topic);
        partitions.filter(|_| count(&read_topic(&on.target.side_door(), topic)) >= 500)
    };
    wait_for("the copy", RECOVERY, copied);
    let mut back = Daemon::start("way-back", &Config::new("way-back", on.target, on.source).topics(&entry));
    let at_the_end = |back: &Daemon| {
        back.wait_for_partition(topic, 0, RECOVERY, "at the end", |partition| {
            partition["source_position"].as_i64() == Some(500) && partition["state"] == "mirroring"
        });
    };
    at_the_end(&back);
    back.kill();
    back.restart();
    at_the_end(&back);
    there.stop();
    back.stop();
    assert_eq!(count(&read_topic(&on.source.side_door(), topic)), 500);
    assert_eq!(count(&read_topic(&on.target.side_door(), topic)), 500);
}

/// One topic is written on each side, and both links take both topics: so each link is also asked to carry a topic back
/// to where it is written.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn nothing_circles() {
    let on = shared();
    let origins = [(on.source, on.target, "opposite-a"), (on.target, on.source, "opposite-b")];
    for (origin, _, topic) in origins {
        origin.admin().create_topic(topic, 2, &[]);
    }
    let entry = ["match = 'opposite-.*'", "existing_target = 'translate'"];
    let mut there = Daemon::start("opposite-1", &Config::new("opposite-1", on.source, on.target).topics(&entry));
    let mut back = Daemon::start("opposite-2", &Config::new("opposite-2", on.target, on.source).topics(&entry));
    let mut written = 0;
    for part in 0..3 {
        for (origin, _, topic) in origins {
            let name = format!("part-{part}");
            Workload { name, ..Workload::new(&origin.bootstrap(), topic, 2) }.write(500);
        }
        written += 500;
        for (origin, copy, topic) in origins {
            Judge::new(origin, copy, &[topic]).wait();
        }
        match part {
            0 => there.kill(),
            1 => back.stop(),
            _ => continue,
        }
        if part == 0 { there.restart() } else { back.restart() }
    }
    there.stop();
    back.stop();
    for (origin, copy, topic) in origins {
        Judge::new(origin, copy, &[topic]).verify();
        assert_eq!(
            (count(&read_topic(&origin.side_door(), topic)), count(&read_topic(&copy.side_door(), topic))),
            (written, written),
            "{topic}"
        );
    }
}

/// What was copied from a topic goes back there when that topic is gone: the topic of its name that is there now has
/// another life. It does so once, and the way back does not take it for something new.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_recreated_topic_gets_its_records_back() {
    let on = shared();
    let topic = "homecoming";
    for cluster in [on.source, on.target] {
        cluster.admin().create_topic(topic, 1, &[]);
    }
    let entry = ["match = 'homecoming'", "existing_target = 'translate'"];
    Workload::new(&on.target.bootstrap(), topic, 1).write(200);
    let mut back = Daemon::start("home-back", &Config::new("home-back", on.target, on.source).topics(&entry));
    let counts = || [on.source, on.target].map(|cluster| count(&read_topic(&cluster.side_door(), topic)));
    wait_for("the copy", RECOVERY, || (counts() == [200, 200]).then_some(()));
    let mut there = Daemon::start("home-there", &Config::new("home-there", on.source, on.target).topics(&entry));
    let at_the_end = |daemon: &Daemon| {
        daemon.wait_for_partition(topic, 0, RECOVERY, "at the end", |partition| {
            partition["source_position"].as_i64() == Some(200) && partition["state"] == "mirroring"
        });
    };
    at_the_end(&there);
    on.target.admin().delete_topic(topic);
    on.target.admin().create_topic(topic, 1, &[]);
    let remirror = |daemon: &Daemon, reason: &str| {
        wait_for(&format!("{reason} at the topic"), RECOVERY, || {
            (daemon.topic(topic)["error"]["reason"] == reason).then_some(())
        });
        daemon.order("resolve", &serde_json::json!({"topics": [topic], "with": "remirror"}));
    };
    remirror(&there, "target_recreated");
    wait_for("the records to be back", RECOVERY, || (counts() == [200, 200]).then_some(()));
    remirror(&back, "source_recreated");
    at_the_end(&back);
    assert_eq!(counts(), [200, 200]);
    Workload { name: "new".into(), ..Workload::new(&on.target.bootstrap(), topic, 1) }.write(50);
    wait_for("new records on both sides", RECOVERY, || (counts() == [250, 250]).then_some(()));
    there.stop();
    back.stop();
    assert_eq!(counts(), [250, 250]);
}
