//! Every way to prove who we are, on both clusters; and what happens when the proof changes while the daemon runs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::broker::{Cluster, Options};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::Judge;
use crate::process::{scratch, wait_for, write_private};
use crate::security::{Authority, Security, let_clients_in, write_token};
use crate::workload::Workload;

use super::{RECOVERY, finish, wait_for_growth};

const USER: &str = "mirror";
const PASSWORD: &str = "password-of-mirror";

/// Two clusters where our user may do everything: rights are another scenario's.
fn pair() -> (Cluster, Cluster) {
    let start = |version| {
        let security = Security::new(&[(USER, PASSWORD)]);
        let security = security.super_user(&format!("User:{USER}")).super_user(&format!("User:CN={USER}"));
        Cluster::start(Options::new(version).secured(security))
    };
    std::thread::scope(|scope| {
        let source = scope.spawn(|| start(KAFKA_3));
        let target = scope.spawn(|| start(KAFKA_4));
        (source.join().expect("the source"), target.join().expect("the target"))
    })
}

/// The lines of `causeway.toml` for a cluster's secured listener.
fn at(bootstrap: String, mut lines: Vec<(String, String)>) -> Vec<(String, String)> {
    lines.push(("bootstrap.servers".into(), bootstrap));
    lines
}

fn in_file(path: &Path) -> String {
    format!("{{ file = \"{}\" }}", path.display())
}

/// A secured cluster, and how to reach it.
type Reach<'a> = dyn Fn(&Cluster) -> Vec<(String, String)> + 'a;

fn config(group: &str, source: &Cluster, target: &Cluster, reach: &Reach<'_>) -> Config {
    let config = Config::new(group, source, target).cluster("source", &reach(source));
    config.cluster("target", &reach(target)).matching(&format!("{group}.*"))
}

fn with_certificate(folder: &Path) -> impl Fn(&Cluster) -> Vec<(String, String)> {
    |cluster| at(cluster.mutual_bootstrap(), cluster.security().mutual_properties(&folder_of(folder, cluster)))
}

/// Each cluster has its own authorities.
fn folder_of(base: &Path, cluster: &Cluster) -> PathBuf {
    let own = base.join(cluster.mutual_bootstrap());
    std::fs::create_dir_all(&own).expect("a folder");
    own
}

/// Mirrors a topic from one secured cluster to the other, which both let us in this way.
fn mirrors(name: &str, folder: &Path, source: &Cluster, target: &Cluster, reach: &Reach<'_>) {
    source.admin().create_topic(name, 2, &[]);
    let running = Workload::new(&source.side_door(), name, 2).start();
    let mut daemon = Daemon::start(&format!("{name}-1"), &config(name, source, target, reach));
    wait_for_growth(target, name);
    running.stop();
    finish(&Judge::new(source, target, &[name]), &mut daemon);
    assert!(!daemon.log().contains(PASSWORD), "a password is in the log");
    let key = std::fs::read_to_string(folder_of(folder, target).join("client.key")).unwrap_or("PRIVATE".into());
    assert!(!daemon.log().contains(key.lines().nth(1).unwrap_or("PRIVATE KEY")), "a private key is in the log");
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn plain_and_scram_256_passwords() {
    let (source, target) = pair();
    let folder = scratch("logins");
    for (name, mechanism) in [("plain", "PLAIN"), ("scram256", "SCRAM-SHA-256")] {
        let reach =
            |c: &Cluster| at(c.bootstrap(), c.security().sasl_properties(&folder_of(&folder, c), mechanism, USER));
        mirrors(name, &folder, &source, &target, &reach);
    }
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_client_certificate() {
    let (source, target) = pair();
    let folder = scratch("logins");
    for cluster in [&source, &target] {
        cluster.security().clients.write_client(&folder_of(&folder, cluster), USER);
    }
    mirrors("mutual", &folder, &source, &target, &with_certificate(&folder));
}

/// Waits until new records have arrived, after something that broke every connection.
fn goes_on(target: &Cluster, topic: &str, daemon: &mut Daemon) {
    wait_for_growth(target, topic);
    assert!(daemon.is_alive(), "the daemon has ended");
}

/// Tells a thread that it may end.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_token_is_renewed_from_its_file() {
    const LIFETIME: Duration = Duration::from_secs(20);
    let (source, target) = pair();
    let folder = scratch("token");
    let token = folder.join("token");
    write_token(&token, USER, LIFETIME);
    let reach = |c: &Cluster| {
        let mut lines = c.security().bare_properties(&folder_of(&folder, c), "OAUTHBEARER");
        lines.push(("sasl.oauthbearer.token".into(), in_file(&token)));
        at(c.bootstrap(), lines)
    };
    source.admin().create_topic("token", 2, &[]);
    let running = Workload::new(&source.side_door(), "token", 2).start();
    // As the program that keeps the token fresh would: until the end of the test.
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                write_token(&token, USER, LIFETIME);
                std::thread::sleep(LIFETIME / 10);
            }
        });
        let _ends_also_when_it_fails = AtTheEnd(&is_over);
        let mut daemon = Daemon::start("token-1", &config("token", &source, &target, &reach));
        // Three lives of a token: every connection has to show a new one, and a broker hangs up on those that don't.
        let begin = Instant::now();
        while begin.elapsed() < LIFETIME * 3 {
            goes_on(&target, "token", &mut daemon);
        }
        running.stop();
        finish(&Judge::new(&source, &target, &["token"]), &mut daemon);
    });
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_certificate_is_replaced_while_the_daemon_runs() {
    let (source, target) = pair();
    let folder = scratch("certificates");
    let config = config("rotated", &source, &target, &with_certificate(&folder));
    for cluster in [&source, &target] {
        cluster.security().clients.write_client(&folder_of(&folder, cluster), USER);
    }
    source.admin().create_topic("rotated", 2, &[]);
    let running = Workload::new(&source.side_door(), "rotated", 2).start();
    let mut daemon = Daemon::start("rotated-1", &config);
    wait_for_growth(&target, "rotated");
    for cluster in [&source, &target] {
        let authority = Authority::new();
        authority.write_client(&folder_of(&folder, cluster), USER);
        let node = cluster.node(1);
        node.stop();
        let_clients_in(node.home(), &[&authority]);
        node.start();
        cluster.wait_ready();
        goes_on(&target, "rotated", &mut daemon);
    }
    running.stop();
    finish(&Judge::new(&source, &target, &["rotated"]), &mut daemon);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_password_is_replaced_while_the_daemon_runs() {
    const NEXT: &str = "the-next-password";
    let (source, target) = pair();
    let folder = scratch("passwords");
    let password = folder.join("password");
    write_private(&password, PASSWORD);
    let reach = |c: &Cluster| {
        let mut lines = c.security().sasl_properties(&folder_of(&folder, c), "SCRAM-SHA-512", USER);
        lines.retain(|(key, _)| key != "sasl.password");
        lines.push(("sasl.password".into(), in_file(&password)));
        at(c.bootstrap(), lines)
    };
    source.admin().create_topic("password", 2, &[]);
    let running = Workload::new(&source.side_door(), "password", 2).start();
    let mut daemon = Daemon::start("password-1", &config("password", &source, &target, &reach));
    wait_for_growth(&target, "password");
    // The brokers change it first: until the file follows, whoever connects is refused, and that is shown.
    for cluster in [&source, &target] {
        cluster.admin().set_password(USER, NEXT);
        cluster.node(1).stop();
        cluster.node(1).start();
        cluster.wait_ready();
    }
    wait_for("a refused login in the metrics", RECOVERY, || {
        let (_, metrics) = daemon.get("/metrics")?;
        let line = "causeway_access_problems{cluster=\"source\",kind=\"authentication\"} 1";
        metrics.as_str()?.contains(line).then_some(())
    });
    let status = daemon.command(&["status"]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("log in refused") && said.contains(USER) && !said.contains(PASSWORD), "{said}");
    write_private(&password, NEXT);
    goes_on(&target, "password", &mut daemon);
    running.stop();
    finish(&Judge::new(&source, &target, &["password"]), &mut daemon);
    assert!(!daemon.log().contains(PASSWORD) && !daemon.log().contains(NEXT), "a password is in the log");
}
