//! Settings that somebody changes on a mirror topic.

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::workload::Workload;

use super::{RECOVERY, Shared, shared};

fn wait_for_setting(on: &Shared, topic: &str, name: &str, value: &str) {
    wait_for(&format!("{name}={value} on {topic}"), RECOVERY, || {
        (on.target.admin().config(topic, name).as_deref() == Some(value)).then_some(())
    });
}

/// A mirror topic with its source's settings, caught up.
fn mirrored(on: &Shared, topic: &str, drift: &str) -> Daemon {
    let admin = on.source.admin();
    admin.create_topic(topic, 1, &[("retention.ms", "7200000"), ("segment.ms", "3600000")]);
    Workload::new(&on.source.bootstrap(), topic, 1).write(50);
    let config = Config::new(topic, on.source, on.target).matching(topic).sync(&format!("drift = '{drift}'"));
    let daemon = Daemon::start("drift-1", &config);
    Judge::new(on.source, on.target, &[topic]).wait();
    wait_for("retention, once the copy is complete", RECOVERY, || {
        (on.target.admin().config(topic, "retention.ms").as_deref() == Some("7200000")).then_some(())
    });
    daemon
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn changes_by_hand_are_reverted() {
    let on = shared();
    let mut daemon = mirrored(&on, "drift-revert", "revert");
    let by_hand = [("retention.ms", "60000"), ("message.timestamp.type", "LogAppendTime"), ("flush.messages", "7")];
    on.target.admin().set_configs("drift-revert", &by_hand);
    wait_for_setting(&on, "drift-revert", "retention.ms", "7200000");
    wait_for_setting(&on, "drift-revert", "message.timestamp.type", "CreateTime");
    let left = on.target.admin().config("drift-revert", "flush.messages");
    assert_eq!(left.as_deref(), Some("7"), "what the source does not set is left alone");
    daemon.stop();
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn changes_by_hand_are_respected_until_the_source_changes_them() {
    let on = shared();
    let topic = "drift-respect";
    let mut daemon = mirrored(&on, topic, "respect");
    on.target.admin().set_configs(topic, &[("retention.ms", "60000")]);
    // That a later change arrives shows that a round was made meanwhile.
    on.source.admin().set_configs(topic, &[("segment.ms", "1800000")]);
    wait_for_setting(&on, topic, "segment.ms", "1800000");
    assert_eq!(on.target.admin().config(topic, "retention.ms").as_deref(), Some("60000"));
    daemon.kill();
    daemon.restart();
    on.source.admin().set_configs(topic, &[("segment.ms", "900000")]);
    wait_for_setting(&on, topic, "segment.ms", "900000");
    let kept = on.target.admin().config(topic, "retention.ms");
    assert_eq!(kept.as_deref(), Some("60000"), "also after a restart");
    on.source.admin().set_configs(topic, &[("retention.ms", "5400000")]);
    wait_for_setting(&on, topic, "retention.ms", "5400000");
    daemon.stop();
}
