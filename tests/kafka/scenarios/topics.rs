//! Which topics are mirrored, under which names, with how many partitions and which settings.

use std::time::Duration;

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::process::wait_for;
use crate::workload::Workload;

use super::{RECOVERY, finish, shared};

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn new_topics_and_partitions_are_found() {
    let on = shared();
    let admin = on.source.admin();
    let write = |topic: &str, partitions: i32, name: &str| {
        Workload { name: name.into(), ..Workload::new(&on.source.bootstrap(), topic, partitions) }.write(200);
    };
    admin.create_topic("new-1", 1, &[]);
    write("new-1", 1, "first");
    let mut daemon = Daemon::start("topics-1", &Config::new("new-topics", on.source, on.target).matching("new-.*"));
    Judge::new(on.source, on.target, &["new-1"]).wait();
    admin.create_topic("new-2", 2, &[]);
    write("new-2", 2, "first");
    wait_for("the new topic", RECOVERY, || on.target.admin().partitions("new-2"));
    admin.add_partitions("new-1", 4);
    write("new-1", 4, "second");
    wait_for("the new partitions", RECOVERY, || on.target.admin().partitions("new-1").filter(|count| *count == 4));
    finish(&Judge::new(on.source, on.target, &["new-1", "new-2"]), &mut daemon);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn the_first_entry_that_matches_decides() {
    let on = shared();
    for topic in ["pick.a", "pick.tmp", "pick.logs.x", "pick.named", "other"] {
        on.source.admin().create_topic(topic, 1, &[]);
        Workload::new(&on.source.bootstrap(), topic, 1).write(50);
    }
    let config = Config::new("pick", on.source, on.target)
        .topics(&["match = 'pick\\.logs\\.(.*)'", "rename = 'moved.${1}'"])
        .topics(&["name = 'pick.named'", "prefix = 'there.'"])
        .topics(&["match = 'pick\\..*'", "exclude = 'pick\\.tmp.*'"]);
    let mut daemon = Daemon::start("topics-1", &config);
    let judge = Judge::new(on.source, on.target, &["pick.a"])
        .renamed("pick.logs.x", "moved.x")
        .renamed("pick.named", "there.pick.named");
    finish(&judge, &mut daemon);
    for absent in ["pick.tmp", "pick.logs.x", "pick.named", "other"] {
        assert_eq!(on.target.admin().partitions(absent), None, "{absent}");
    }
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn settings_are_copied_except_the_local_ones() {
    let on = shared();
    let settings = [
        ("retention.ms", "7200000"),
        ("max.message.bytes", "2000000"),
        ("min.insync.replicas", "1"),
        ("unclean.leader.election.enable", "true"),
    ];
    on.source.admin().create_topic("settings", 1, &settings);
    Workload::new(&on.source.bootstrap(), "settings", 1).write(20);
    let mut daemon = Daemon::start("topics-1", &Config::new("settings", on.source, on.target).matching("settings"));
    let config = |name: &str| on.target.admin().config("settings", name);
    wait_for("the settings", RECOVERY, || {
        let exists = on.target.admin().partitions("settings").is_some();
        (exists && config("max.message.bytes").as_deref() == Some("2000000")).then_some(())
    });
    wait_for("retention, once the copy is complete", RECOVERY, || {
        (config("retention.ms").as_deref() == Some("7200000")).then_some(())
    });
    assert_eq!(config("unclean.leader.election.enable").as_deref(), Some("false"));
    assert_eq!(config("message.timestamp.type").as_deref(), Some("CreateTime"));
    on.source.admin().set_configs("settings", &[("max.message.bytes", "3000000")]);
    wait_for("a changed setting", RECOVERY, || {
        (config("max.message.bytes").as_deref() == Some("3000000")).then_some(())
    });
    finish(&Judge::new(on.source, on.target, &["settings"]), &mut daemon);
}

/// History that is older than the topic's retention arrives, and is not eaten on arrival.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn old_history_survives_its_arrival() {
    let on = shared();
    on.source.admin().create_topic("history", 1, &[("retention.ms", "-1")]);
    let age = Duration::from_hours(24 * 30);
    Workload { age, ..Workload::new(&on.source.bootstrap(), "history", 1) }.write(1_000);
    let mut daemon = Daemon::start("topics-1", &Config::new("history", on.source, on.target).matching("history"));
    finish(&Judge::new(on.source, on.target, &["history"]), &mut daemon);
}
