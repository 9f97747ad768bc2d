//! Two opposite links with the same topic names: each record crosses once, and none comes back.

use crate::checker::compare;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::assert_none;
use crate::process::wait_for;
use crate::reader::{Logs, read_topic};
use crate::record::{Entry, Identity};
use crate::workload::Workload;

use super::{RECOVERY, shared};

const TOPIC: &str = "opposite";

/// Only what one side's producer wrote.
fn by(log: &[Entry], producer: &str) -> Vec<Entry> {
    let mark = format!("/{producer}/");
    log.iter().filter(|e| Identity::of(e).to_string().contains(&mark)).cloned().collect()
}

fn count(logs: &Logs) -> usize {
    logs.values().map(Vec::len).sum()
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn nothing_circles() {
    let on = shared();
    let (a, b) = (on.source, on.target);
    a.admin().create_topic(TOPIC, 2, &[]);
    b.admin().create_topic(TOPIC, 2, &[]);
    let entry = ["match = 'opposite'", "local_writers = true", "existing_target = 'translate'"];
    let mut to_b = Daemon::start("opposite-ab", &Config::new("opposite-ab", a, b).topics(&entry));
    let mut to_a = Daemon::start("opposite-ba", &Config::new("opposite-ba", b, a).topics(&entry));
    let sides = [(a, "wrote-a"), (b, "wrote-b")];
    let write = |part: u64| {
        let work = |(cluster, name): (&crate::broker::Cluster, &str)| {
            let name = format!("{name}-{part}");
            Workload { name, ..Workload::new(&cluster.bootstrap(), TOPIC, 2) }.start()
        };
        let running = sides.map(work);
        for work in &running {
            wait_for("600 records", RECOVERY, || (work.sent() >= 600).then_some(()));
        }
        running.map(|r| r.stop().len()).iter().sum::<usize>()
    };
    let mut written = 0;
    for part in 0..3 {
        written += write(part);
        // What circles would come before the last records of the next part: order is kept.
        for (cluster, _) in sides {
            wait_for("both sides' records", RECOVERY, || {
                (count(&read_topic(&cluster.side_door(), TOPIC)) >= written).then_some(())
            });
        }
        match part {
            0 => to_b.kill(),
            1 => to_a.stop(),
            _ => continue,
        }
        if part == 0 { to_b.restart() } else { to_a.restart() }
    }
    to_a.stop();
    to_b.stop();
    let (at_a, at_b) = (read_topic(&a.side_door(), TOPIC), read_topic(&b.side_door(), TOPIC));
    assert_eq!((count(&at_a), count(&at_b)), (written, written));
    for partition in 0..2 {
        for part in 0..3 {
            let (name_a, name_b) = (format!("wrote-a-{part}"), format!("wrote-b-{part}"));
            let (log_a, log_b) = (&at_a[&partition], &at_b[&partition]);
            assert_none(&compare(partition, &by(log_a, &name_a), &by(log_b, &name_a)).0);
            assert_none(&compare(partition, &by(log_b, &name_b), &by(log_a, &name_b)).0);
        }
    }
}

/// Without local writers on the second cluster: a link leads there, and another one back under the same names.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_way_back_carries_nothing_that_came_from_there() {
    let on = shared();
    let topic = "way-back";
    on.source.admin().create_topic(topic, 1, &[]);
    let work = Workload::new(&on.source.bootstrap(), topic, 1);
    work.write(500);
    let entry = ["match = 'way-back'", "local_writers = true", "existing_target = 'translate'"];
    let mut there = Daemon::start("way-there", &Config::new("way-there", on.source, on.target).topics(&entry));
    let copied =
        || on.target.admin().partitions(topic).filter(|_| count(&read_topic(&on.target.side_door(), topic)) >= 500);
    wait_for("the copy", RECOVERY, copied);
    let mut back = Daemon::start("way-back", &Config::new("way-back", on.target, on.source).topics(&entry));
    // A record written at the far end afterwards comes back behind whatever else would.
    let far = Workload { name: "far".into(), ..Workload::new(&on.target.bootstrap(), topic, 1) };
    far.write(8);
    let is_back = || !by(&read_topic(&on.source.side_door(), topic)[&0], "far").is_empty();
    wait_for("the far record", RECOVERY, || is_back().then_some(()));
    there.stop();
    back.stop();
    assert_eq!(count(&read_topic(&on.source.side_door(), topic)), 508);
    assert_eq!(count(&read_topic(&on.target.side_door(), topic)), 508);
}
