//! The daemon in the cloud has no address of the source: it reads through a session that the other side dialled.

mod faults;
mod sides;

use std::fmt::Write as _;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::line::Line;
use crate::process::{free_port, scratch, write_private};
use crate::workload::{Kind, Workload};

use super::{Shared, finish, rounds, shared, wait_for_growth};

/// Two daemons, the files of both, and the line between them.
struct Sides {
    cloud: Config,
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
    let folder = scratch("peers");
    let (of_cloud, cloud) = keys(&folder, "cloud");
    let (of_onprem, onprem) = keys(&folder, "onprem");
    let port = free_port();
    let line = Line::start(port);
    let in_cloud = Config::new(name, on.source, on.target)
        .cluster("source", &[("via".into(), "onprem".into())])
        .matching(".*")
        .groups(&["match = '.*'"])
        .tail(&format!("{of_cloud}listen = \"127.0.0.1:{port}\"\n[peer.onprem]\nidentity = \"{onprem}\"\n"));
    let on_premises = Config::bare(&format!("{name}-onprem"))
        .cluster("source", &[("bootstrap.servers".into(), on.source.bootstrap())])
        .tail(&format!(
            "{of_onprem}[peer.cloud]\nconnect = [\"127.0.0.1:{}\"]\nidentity = \"{cloud}\"\n\
             expose = {{ cluster = \"source\", topics = [\"{name}.*\"], groups = [\"{name}.*\"] }}\n",
            line.port()
        ));
    Sides { cloud: in_cloud, onprem: on_premises, line }
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
