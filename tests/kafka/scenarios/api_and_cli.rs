//! What an operator sees and orders: HTTP, commands, exit codes.

use serde_json::{Value, json};

use crate::config::{Config, LINK};
use crate::daemon::{Daemon, causeway};
use crate::judge::Judge;
use crate::process::{free_port, scratch, wait_for};
use crate::reader::watermarks;
use crate::workload::Workload;

use super::{RECOVERY, finish, shared};

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn status_and_orders() {
    let on = shared();
    on.source.admin().create_topic("api", 2, &[]);
    Workload::new(&on.source.bootstrap(), "api", 2).write(200);
    let mut daemon = Daemon::start("api-1", &Config::new("api", on.source, on.target).matching("api"));
    let judge = Judge::new(on.source, on.target, &["api"]);
    judge.wait();

    for path in ["/healthz", "/readyz", "/v1/links", "/openapi.json", "/", "/metrics"] {
        assert_eq!(daemon.get(path).map(|(status, _)| status), Some(200), "{path}");
    }
    assert!(daemon.get("/metrics").unwrap().1.as_str().unwrap().contains("causeway_"));
    assert_eq!(daemon.get("/v1/links/nobody").unwrap().0, 404);
    let caught_up = |p: &Value| p["lag_records"] == 0 && p["source_position"] == p["source_last_stable"];
    for partition in 0..2 {
        daemon.wait_for_partition("api", partition, RECOVERY, "no lag", caught_up);
    }
    let topic = daemon.topic("api");
    assert_eq!((&topic["source_topic"], &topic["target_topic"]), (&json!("api"), &json!("api")));
    assert_eq!(topic["state"], "mirroring");

    daemon.order("pause", &json!({"topics": ["api"]}));
    daemon.wait_for_state("api", 0, "paused", RECOVERY);
    daemon.wait_for_state("api", 1, "paused", RECOVERY);
    let ends = || watermarks(&on.target.side_door(), "api");
    let before = ends();
    Workload { name: "paused".into(), ..Workload::new(&on.source.bootstrap(), "api", 2) }.write(100);
    let is_behind = |p: &Value| p["lag_records"].as_i64().is_some_and(|lag| lag > 0);
    daemon.wait_for_partition("api", 0, RECOVERY, "lag while paused", is_behind);
    assert_eq!(ends(), before);
    daemon.order("resume", &json!({"topics": "all"}));
    finish(&judge, &mut daemon);
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn commands_answer_in_json_and_with_exit_codes() {
    let on = shared();
    on.source.admin().create_topic("cli", 1, &[]);
    Workload::new(&on.source.bootstrap(), "cli", 1).write(50);
    let mut daemon = Daemon::start("cli-1", &Config::new("cli", on.source, on.target).matching("cli"));
    Judge::new(on.source, on.target, &["cli"]).wait();
    let run = |arguments: &[&str]| {
        let output = daemon.command(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text)))
    };
    for command in ["status", "topics"] {
        let (code, value) = run(&[command, "--output", "json"]);
        assert!(code == Some(0) && (value.is_object() || value.is_array()), "{command}: {code:?} {value}");
        assert_eq!(run(&[command]).0, Some(0), "{command} as a table");
    }
    let check = causeway(&["check", "--config", &daemon.config_file()]);
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));
    let acls = causeway(&["check", "--acls", "--config", &daemon.config_file()]);
    assert!(String::from_utf8_lossy(&acls.stdout).contains("kafka-acls"));
    assert_eq!(run(&["pause", "--no-such-flag"]).0, Some(2));
    daemon.stop();
    assert_eq!(daemon.command(&["status"]).status.code(), Some(1));
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn a_wrong_file_is_refused_and_an_unreachable_cluster_is_named() {
    let on = shared();
    let folder = scratch("wrong");
    let file = folder.join("causeway.toml");
    std::fs::write(&file, "[cluster.a]\nbootstrap.servers = \"x:1\"\nsecurty.protocol = \"SSL\"\n").unwrap();
    let path = file.display().to_string();
    let refused = causeway(&["run", "--config", &path]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("securty.protocol") && said.contains("security.protocol") && said.contains('3'), "{said}");

    let nobody = format!("127.0.0.1:{}", free_port());
    let config = Config::new("nobody", on.source, on.target)
        .cluster("source", &[("bootstrap.servers".into(), nobody.clone())])
        .matching("nobody");
    std::fs::write(&file, config.render("nobody-1", free_port(), &path)).unwrap();
    let check = causeway(&["check", "--config", &path]);
    let said = format!("{}{}", String::from_utf8_lossy(&check.stdout), String::from_utf8_lossy(&check.stderr));
    assert_eq!(check.status.code(), Some(1), "{said}");
    assert!(said.contains("source") && said.contains(&nobody), "{said}");

    // `run` keeps trying, is ready all the same, and says what is wrong.
    let mut daemon = Daemon::start("nobody-1", &config);
    wait_for("the problem in the status", RECOVERY, || {
        let (_, link) = daemon.get(&format!("/v1/links/{LINK}"))?;
        link["problems"].as_array().filter(|problems| !problems.is_empty()).map(|_| ())
    });
    assert!(daemon.is_alive());
    daemon.stop();
}
