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
