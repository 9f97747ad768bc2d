//! TLS, SCRAM and ACLs on both clusters, with the least rights; and each right taken away in turn.

use crate::admin::Acl;
use crate::broker::{Cluster, Options};
use crate::config::Config;
use crate::daemon::{Daemon, causeway};
use crate::jars::{KAFKA_3, KAFKA_4};
use crate::judge::Judge;
use crate::process::{free_port, scratch, write_private};
use crate::security::Security;
use crate::workload::Workload;

use super::{finish, shared, wait_for_growth};

pub(super) const USER: &str = "causeway";
const PASSWORD: &str = "scram-password-of-causeway";

/// (resource type, name, pattern, operation, how the operation is called)
pub(super) type Right = (i8, &'static str, i8, i8, &'static str);

/// Topics are named `secure-...`, the state topic `__causeway.secure`.
const ON_SOURCE: [Right; 2] = [(2, "secure-", 4, 3, "Read"), (2, "secure-", 4, 10, "DescribeConfigs")];
/// Changing settings implies reading them.
pub(super) const ON_TARGET: [Right; 5] = [
    (2, "secure-", 4, 3, "Read"),
    (2, "secure-", 4, 4, "Write"),
    (2, "secure-", 4, 7, "Alter"),
    (2, "secure-", 4, 11, "AlterConfigs"),
    (2, "secure-", 4, 5, "Create"),
];
/// What the state topic needs; `check` is asked about the others one by one.
pub(super) const STATE: [Right; 7] = [
    (2, "__causeway.", 4, 3, "Read"),
    (2, "__causeway.", 4, 4, "Write"),
    (2, "__causeway.", 4, 5, "Create"),
    (2, "__causeway.", 4, 11, "AlterConfigs"),
    (3, "*", 3, 3, "Read"),
    (5, "*", 3, 4, "Write"),
    (5, "*", 3, 8, "Describe"),
];
/// Reading implies describing; with this right besides, taking the other away leaves the topic visible.
const SOURCE_STATE: [Right; 2] = [(2, "__causeway.", 4, 3, "Read"), (2, "secure-", 4, 8, "Describe")];

fn acl((resource_type, resource, pattern, operation, _): Right) -> Acl {
    Acl { resource_type, resource: resource.into(), pattern, operation }
}

pub(super) fn grant(cluster: &Cluster, rights: &[Right]) {
    let all: Vec<Acl> = rights.iter().copied().map(acl).collect();
    cluster.admin().allow(USER, &all);
}

pub(super) fn secured(version: crate::jars::Version) -> Cluster {
    Cluster::start(Options::new(version).secured(Security::new(&[(USER, PASSWORD), ("app", "app-password")])))
}

/// How a user reaches a cluster, as lines of `causeway.toml`.
pub(super) fn reach(cluster: &Cluster, user: &str) -> Vec<(String, String)> {
    let mut lines = cluster.security().client_properties(&scratch("ca"), user);
    lines.push(("bootstrap.servers".into(), cluster.bootstrap()));
    lines
}

fn replaced(mut lines: Vec<(String, String)>, key: &str, value: &str) -> Vec<(String, String)> {
    lines.retain(|(k, _)| k != key);
    lines.push((key.into(), value.into()));
    lines
}

/// Writes the file.
pub(super) fn file_of(config: &Config) -> String {
    let folder = scratch("check");
    let (file, token) = (folder.join("causeway.toml"), folder.join("token"));
    write_private(&token, "token");
    write_private(&file, &config.render("check-1", free_port(), &token.display().to_string()));
    file.display().to_string()
}

/// Writes the file and runs `check` with it: exit code and all that it says.
pub(super) fn check(config: &Config) -> (Option<i32>, String) {
    let output = causeway(&["check", "--config", &file_of(config)]);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains(PASSWORD), "a password was printed");
    (output.status.code(), said)
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn mirrors_with_the_least_rights_and_names_each_missing_one() {
    let (source, target) = (secured(KAFKA_3), secured(KAFKA_4));
    grant(&source, &ON_SOURCE);
    grant(&source, &SOURCE_STATE);
    grant(&target, &ON_TARGET);
    grant(&target, &STATE);
    source.admin().create_topic("secure-orders", 2, &[("retention.ms", "86400000")]);
    source.admin().allow("app", &[acl((2, "secure-orders", 3, 4, "Write"))]);
    let client = reach(&source, "app").into_iter().filter(|(k, _)| k != "bootstrap.servers").collect();
    let running = Workload { client, ..Workload::new(&source.bootstrap(), "secure-orders", 2) }.start();
    let config = Config::new("secure", &source, &target)
        .cluster("source", &reach(&source, USER))
        .cluster("target", &reach(&target, USER))
        .matching("secure-.*");
    let mut daemon = Daemon::start("secure-1", &config);
    wait_for_growth(&target, "secure-orders");
    running.stop();
    finish(&Judge::new(&source, &target, &["secure-orders"]), &mut daemon);
    assert!(!daemon.log().contains(PASSWORD), "a password is in the log");

    let (code, said) = check(&config);
    assert_eq!(code, Some(0), "{said}");
    for (name, cluster, rights) in [("source", &source, &ON_SOURCE[..]), ("target", &target, &ON_TARGET[..])] {
        for right in rights {
            if right.4 == "Create" {
                // Only a topic that is not there yet has to be created.
                source.admin().create_topic("secure-new", 1, &[]);
            }
            cluster.admin().disallow(USER, &acl(*right));
            let (code, said) = check(&config);
            cluster.admin().allow(USER, &[acl(*right)]);
            let is_named = said.contains(&format!("lacks {} on topic", right.4));
            let is_alone = said.matches("FAIL").count() == 1;
            assert!(code == Some(1) && is_named && is_alone, "{name} {right:?}: {code:?}\n{said}");
        }
    }
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_wrong_password_and_a_wrong_ca_are_named() {
    let cluster = secured(KAFKA_4);
    grant(&cluster, &ON_SOURCE);
    let on = shared();
    let config = |source: Vec<(String, String)>| {
        Config::new("secure", &cluster, on.target).cluster("source", &source).matching("secure-.*")
    };
    let (code, said) = check(&config(replaced(reach(&cluster, USER), "sasl.password", "wrong-password")));
    assert!(code == Some(1) && said.contains("source") && said.contains(USER), "{code:?} {said}");
    assert!(!said.contains("wrong-password"), "{said}");
    let stranger = Security::new(&[(USER, PASSWORD)]);
    let folder = scratch("stranger");
    std::fs::write(folder.join("ca.pem"), &stranger.ca_pem).unwrap();
    let wrong_ca = replaced(reach(&cluster, USER), "ssl.ca.location", &folder.join("ca.pem").display().to_string());
    let (code, said) = check(&config(wrong_ca));
    let is_named = said.to_lowercase().contains("certificate") || said.contains("TLS");
    assert!(code == Some(1) && said.contains("source") && is_named, "{code:?} {said}");
}
