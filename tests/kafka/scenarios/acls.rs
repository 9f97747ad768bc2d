//! ACLs of mirror topics: copied from the source, and keeping others from writing.

use std::collections::BTreeSet;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use crate::admin::Acl;
use crate::broker::{Cluster, Options};
use crate::config::{Config, LINK};
use crate::daemon::{Daemon, causeway};
use crate::jars::{KAFKA_3, KAFKA_4, Version};
use crate::judge::Judge;
use crate::process::{free_port, scratch, wait_for, write_private};
use crate::security::Security;
use crate::workload::Workload;

use super::{RECOVERY, shared};

const US: &str = "causeway";
const READ: i8 = 3;
const WRITE: i8 = 4;
const DESCRIBE: i8 = 8;
const ALTER: i8 = 7;
const ALL: i8 = 2;

fn literal(name: &str, operation: i8) -> Acl {
    Acl { resource_type: 2, resource: name.into(), pattern: 3, operation }
}

fn prefixed(name: &str, operation: i8) -> Acl {
    Acl { pattern: 4, ..literal(name, operation) }
}

fn on_cluster(operation: i8) -> Acl {
    Acl { resource_type: 4, ..literal("kafka-cluster", operation) }
}

fn secured(version: Version) -> Cluster {
    let users = [(US, "causeway-password"), ("app", "app-password")];
    Cluster::start(Options::new(version).secured(Security::new(&users)))
}

fn reach(cluster: &Cluster, user: &str) -> Vec<(String, String)> {
    let mut lines = cluster.security().client_properties(&scratch("ca"), user);
    lines.push(("bootstrap.servers".into(), cluster.bootstrap()));
    lines
}

/// What a link needs whatever it does with ACLs.
fn give_rights(source: &Cluster, target: &Cluster) {
    let on_source = [prefixed("orders", READ), prefixed("orders", 10), prefixed("__causeway.", READ)];
    source.admin().allow(US, &on_source);
    let of_mirror = [READ, WRITE, ALTER, 11, 5].map(|operation| prefixed("dr.", operation));
    let of_state = [READ, WRITE, 5, 11].map(|operation| prefixed("__causeway.", operation));
    let others = [
        Acl { resource_type: 3, ..literal("*", READ) },
        Acl { resource_type: 5, ..literal("*", WRITE) },
        Acl { resource_type: 5, ..literal("*", DESCRIBE) },
    ];
    target.admin().allow(US, &[&of_mirror[..], &of_state[..], &others[..]].concat());
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn wait_for_acls(cluster: &Cluster, topic: &str, expected: &[&str]) {
    let expected = names(expected);
    let mut last = BTreeSet::new();
    let begin = std::time::Instant::now();
    while last != expected {
        assert!(begin.elapsed() < RECOVERY, "ACLs of {topic}: {last:?} instead of {expected:?}");
        std::thread::sleep(std::time::Duration::from_millis(100));
        last = cluster.admin().acls_of(topic);
    }
}

/// What hinders the link, as the API says it.
fn problems(daemon: &Daemon) -> String {
    daemon.get(&format!("/v1/links/{LINK}")).map(|(_, link)| link["problems"].to_string()).unwrap_or_default()
}

fn check(config: &Config) -> String {
    let folder = scratch("check");
    let (file, token) = (folder.join("causeway.toml"), folder.join("token"));
    write_private(&token, "token");
    write_private(&file, &config.render("check-1", free_port(), &token.display().to_string()));
    let output = causeway(&["check", "--config", &file.display().to_string()]);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether a user may write a record to a topic.
fn may_write(cluster: &Cluster, user: &str, topic: &str) -> bool {
    struct Outcome(std::sync::Mutex<Option<RDKafkaErrorCode>>);
    impl rdkafka::ClientContext for Outcome {}
    impl ProducerContext for Outcome {
        type DeliveryOpaque = ();
        fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
            let code = match result {
                Ok(message) => message.payload().map(|_| RDKafkaErrorCode::NoError),
                Err((error, _)) => error.rdkafka_error_code(),
            };
            *self.0.lock().unwrap() = code;
        }
    }
    let mut client = ClientConfig::new();
    for (key, value) in reach(cluster, user) {
        client.set(key, value);
    }
    client.set("message.timeout.ms", "20000");
    let producer: BaseProducer<Outcome> = client.create_with_context(Outcome(std::sync::Mutex::default())).unwrap();
    match producer.send(BaseRecord::<(), str>::to(topic).payload("foreign")) {
        Ok(()) => producer.flush(std::time::Duration::from_secs(30)).unwrap(),
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::TopicAuthorizationFailed), _)) => return false,
        Err((error, _)) => panic!("{error}"),
    }
    let code = producer.context().0.lock().unwrap().expect("an outcome");
    assert!(matches!(code, RDKafkaErrorCode::NoError | RDKafkaErrorCode::TopicAuthorizationFailed), "{code}");
    code == RDKafkaErrorCode::NoError
}

/// From missing rights to copied entries, protection, deletions, a kill, and the end of protection.
#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn acls_follow_the_source_and_others_are_kept_from_writing() {
    let (source, target) = (secured(KAFKA_3), secured(KAFKA_4));
    give_rights(&source, &target);
    source.admin().create_topic("orders", 1, &[]);
    Workload::new(&source.side_door(), "orders", 1).write(200);
    source.admin().allow("reader", &[literal("orders", READ)]);
    source.admin().allow("app", &[literal("orders", ALL)]);
    source.admin().allow("team", &[prefixed("ord", DESCRIBE)]);
    source.admin().deny("intern", &[literal("*", READ)]);
    target.admin().allow("app", &[prefixed("dr.", WRITE)]);
    target.admin().allow("local", &[literal("dr.orders", READ)]);
    let config = |protect: bool| {
        Config::new("acls", &source, &target)
            .cluster("source", &reach(&source, US))
            .cluster("target", &reach(&target, US))
            .topics(&["match = 'orders'", "prefix = 'dr.'"])
            .line(&format!("protect = {protect}"))
            .sync("acls = true\nacls_deletions = true")
    };

    let said = check(&config(true));
    let lacks = said.matches("lacks Describe on the cluster").count();
    assert!(lacks == 2 && said.contains("--cluster"), "{said}");
    let mut daemon = Daemon::start("acls-1", &config(true));
    let judge = Judge::new(&source, &target, &[]).renamed("orders", "dr.orders");
    judge.wait();
    wait_for("the missing right to be named", RECOVERY, || {
        problems(&daemon).contains("refused Describe on the cluster").then_some(())
    });
    source.admin().allow(US, &[on_cluster(DESCRIBE)]);
    target.admin().allow(US, &[on_cluster(DESCRIBE)]);
    wait_for("the right to alter to be named", RECOVERY, || {
        problems(&daemon).contains("refused Alter on the cluster").then_some(())
    });
    assert!(check(&config(true)).contains("lacks Alter on the cluster"));
    target.admin().allow(US, &[on_cluster(ALTER)]);

    let copied = ["allow 3 User:app", "allow 3 User:reader", "allow 8 User:team", "deny 3 User:intern"];
    let local = "allow 3 User:local";
    let denied = "deny 4 User:app";
    let all = |more: &[&'static str]| [&copied[..], &[local], more].concat();
    wait_for_acls(&target, "dr.orders", &all(&[denied]));
    wait_for("all problems to be gone", RECOVERY, || (problems(&daemon) == "[]").then_some(()));
    let said = check(&config(true));
    assert!(!said.contains("FAIL"), "{said}");
    assert!(!may_write(&target, "app", "dr.orders"), "protected");

    daemon.kill();
    source.admin().disallow("reader", &literal("orders", READ));
    target.admin().allow("latecomer", &[literal("dr.orders", WRITE)]);
    daemon.restart();
    let without_reader = |more: &[&'static str]| {
        all(more).into_iter().filter(|entry| *entry != "allow 3 User:reader").collect::<Vec<_>>()
    };
    let late = "allow 4 User:latecomer";
    wait_for_acls(&target, "dr.orders", &without_reader(&[denied, late, "deny 4 User:latecomer"]));
    judge.wait();
    daemon.stop();

    let mut daemon = Daemon::start("acls-1", &config(false));
    wait_for_acls(&target, "dr.orders", &without_reader(&[late]));
    judge.verify();
    daemon.stop();
    assert!(may_write(&target, "app", "dr.orders"), "given free");
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn clusters_without_an_authorizer_are_named_and_mirrored() {
    let on = shared();
    on.source.admin().create_topic("no-acls", 1, &[]);
    Workload::new(&on.source.bootstrap(), "no-acls", 1).write(50);
    let config =
        Config::new("no-acls", on.source, on.target).matching("no-acls").line("protect = true").sync("acls = true");
    assert!(check(&config).contains("has no authorizer"), "{}", check(&config));
    let mut daemon = Daemon::start("acls-1", &config);
    Judge::new(on.source, on.target, &["no-acls"]).wait();
    wait_for("the missing authorizer to be named", RECOVERY, || {
        problems(&daemon).contains("authorizer.class.name").then_some(())
    });
    daemon.stop();
}
