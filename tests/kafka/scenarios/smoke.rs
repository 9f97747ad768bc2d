//! The thinnest slice: records get across, and a restart neither loses nor repeats any.

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::workload::{Kind, Workload};

use super::{finish, shared};

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_few_plain_records_get_across() {
    let on = shared();
    on.source.admin().create_topic("smoke", 1, &[]);
    let plain = Workload { kind: Kind::Plain, ..Workload::new(&on.source.bootstrap(), "smoke", 1) };
    assert_eq!(plain.write(10).len(), 10);
    let config = Config::new("smoke", on.source, on.target).matching("smoke");
    let mut daemon = Daemon::start("smoke-1", &config);
    let pairs = finish(&Judge::new(on.source, on.target, &["smoke"]), &mut daemon);
    assert_eq!(pairs.values().map(Vec::len).sum::<usize>(), 10);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_restart_goes_on_where_it_stopped() {
    let on = shared();
    on.source.admin().create_topic("smoke-restart", 2, &[]);
    let judge = Judge::new(on.source, on.target, &["smoke-restart"]);
    let config = Config::new("smoke-restart", on.source, on.target).matching("smoke-restart");
    let mut daemon = Daemon::start("smoke-1", &config);
    for part in ["before", "between", "after"] {
        let work = Workload { name: part.into(), ..Workload::new(&on.source.bootstrap(), "smoke-restart", 2) };
        work.write(100);
        if part != "between" {
            judge.wait();
        }
        daemon.stop();
        judge.compare();
        daemon.restart();
    }
    finish(&judge, &mut daemon);
}
