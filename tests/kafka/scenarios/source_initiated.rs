//! The daemon in the cloud has no address of the source: it reads through a session that the other side dialled.

mod faults;
mod sides;

use std::fmt::Write as _;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};

use crate::broker::Cluster;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::line::Line;
use crate::process::{free_port, scratch, write_private};
use crate::workload::{Kind, Workload};

use super::{Shared, finish, rounds, shared, wait_for_growth};

/// The files of two daemons, and the line between them.
struct Sides {
    cloud: Config,
    /// For a second daemon in the cloud, which the line leads to as well where there is one.
    second_cloud: Config,
    onprem: Config,
    line: Line,
}

/// Writes a key and its certificate, and returns the lines of `[peers]` and what pins the key.
fn keys(folder: &Path, name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![format!("{name}.example")]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let at = |what: &str| folder.join(format!("{name}.{what}"));
    write_private(&at("pem"), &certificate.pem());
    write_private(&at("key"), &key.serialize_pem());
    let mut pin = "sha256:".to_owned();
    for byte in Sha256::digest(key.subject_public_key_info()) {
        let _ = write!(pin, "{byte:02x}");
    }
    let (certificate, key) = (at("pem").display().to_string(), at("key").display().to_string());
    (format!("\n[peers]\ncertificate = \"{certificate}\"\nkey = {{ file = \"{key}\" }}\n"), pin)
}

/// The files of both sides: in the cloud, on the premises. The peer may read the topics and groups that begin so.
fn sides(on: &Shared, name: &str) -> Sides {
    sides_with((on.source, on.target), name, 0)
}

/// The same between these two, with a line of so many bytes a second.
fn sides_with((source, target): (&Cluster, &Cluster), name: &str, rate: u64) -> Sides {
    let folder = scratch("peers");
    let (of_cloud, cloud) = keys(&folder, "cloud");
    let (of_onprem, onprem) = keys(&folder, "onprem");
    let ports = [free_port(), free_port()];
    let line = Line::start(&ports, rate);
    let in_cloud = |port: u16| {
        Config::new(name, source, target)
            .cluster("source", &[("via".into(), "onprem".into())])
            .matching(".*")
            .groups(&["match = '.*'"])
            .tail(&format!("{of_cloud}listen = \"127.0.0.1:{port}\"\n[peer.onprem]\nidentity = \"{onprem}\"\n"))
    };
    let on_premises = Config::bare(&format!("{name}-onprem"))
        .cluster("source", &[("bootstrap.servers".into(), source.bootstrap())])
        .tail(&format!(
            "{of_onprem}[peer.cloud]\nconnect = [\"127.0.0.1:{}\"]\nidentity = \"{cloud}\"\n\
             expose = {{ cluster = \"source\", topics = [\"{name}.*\"], groups = [\"{name}.*\"] }}\n",
            line.port()
        ));
    Sides { cloud: in_cloud(ports[0]), second_cloud: in_cloud(ports[1]), onprem: on_premises, line }
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn everything_gets_across_while_both_daemons_die() {
    let on = shared();
    on.source.admin().create_topic("peers-orders", 4, &[]);
    on.source.admin().create_topic("hidden-from-peers", 1, &[]);
    let work = Workload { rate: 500, ..Workload::new(&on.source.bootstrap(), "peers-orders", 4) };
    let hidden = Workload { kind: Kind::Plain, ..Workload::new(&on.source.bootstrap(), "hidden-from-peers", 1) };
    hidden.write(10);
    let in_transactions = Workload { name: "t".into(), kind: Kind::Transactional(30), rate: 100, ..work.clone() };
    let running = [work.start(), in_transactions.start()];
    let sides = sides(&on, "peers");
    // No order of starting: the side that reads comes first here.
    let mut cloud = Daemon::start("peers-cloud", &sides.cloud);
    let mut onprem = Daemon::start("peers-onprem", &sides.onprem);
    for _ in 0..rounds() {
        wait_for_growth(on.target, "peers-orders");
        onprem.restart_after_kill();
        wait_for_growth(on.target, "peers-orders");
        cloud.restart_after_kill();
    }
    wait_for_growth(on.target, "peers-orders");
    for running in running {
        running.stop();
    }
    finish(&Judge::new(on.source, on.target, &["peers-orders"]), &mut cloud);
    assert_eq!(on.target.admin().partitions("hidden-from-peers"), None, "what is not exposed is not even seen");
    onprem.stop();
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn several_daemons_on_each_side_behind_a_load_balancer() {
    let name = "peers-several";
    let on = shared();
    on.source.admin().create_topic(name, 6, &[]);
    let running = Workload { rate: 500, ..Workload::new(&on.source.bootstrap(), name, 6) }.start();
    let sides = sides(&on, name);
    let mut daemons = [
        ("peers-several-onprem-1", &sides.onprem),
        ("peers-several-cloud-1", &sides.cloud),
        ("peers-several-onprem-2", &sides.onprem),
        ("peers-several-cloud-2", &sides.second_cloud),
    ]
    .map(|(id, config)| Daemon::start(id, config));
    for _ in 0..rounds() {
        for daemon in &mut daemons {
            wait_for_growth(on.target, name);
            daemon.kill();
            // The other one of its side serves, or takes over.
            wait_for_growth(on.target, name);
            daemon.restart();
        }
    }
    wait_for_growth(on.target, name);
    running.stop();
    let [mut onprem, mut cloud, mut second_onprem, mut second_cloud] = daemons;
    onprem.stop();
    cloud.stop();
    finish(&Judge::new(on.source, on.target, &[name]), &mut second_cloud);
    second_onprem.stop();
}
