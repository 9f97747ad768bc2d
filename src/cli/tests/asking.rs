use serde_json::Value;

use super::{Daemon, command};
use crate::api::fake::{FakeBackend, mirroring};

/// Ages depend on the day of the test.
fn without_ages(text: &str) -> String {
    regex::Regex::new(r"(stopped|since) (\d+ (d|h|min|s) ?)+ago").unwrap().replace_all(text, "$1 AGE ago").into_owned()
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn status_shows_links_problems_and_stops() {
    let done = Daemon::start().command(&["status"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(without_ages(&done.stdout), include_str!("status.txt"));
}

#[test]
fn a_daemon_that_is_not_ready_says_why() {
    let daemon = Daemon::start();
    daemon.backend.reasons.lock().unwrap().push("the state topic is being read".to_owned());
    let done = daemon.command(&["status", "--link", "aws-to-onprem"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(lines(&done.stdout)[0].rsplit_once(": ").unwrap().1, "not ready");
    assert_eq!(lines(&done.stdout)[1], "  the state topic is being read");
    assert!(!done.stdout.contains("onprem-to-aws"));
}

#[test]
fn topics_are_listed() {
    let done = Daemon::start().command(&["topics"]);
    assert!(done.stdout.starts_with(include_str!("topics.txt")), "{}", done.stdout);
    assert!(done.stdout.contains("--with retry|skip"), "{}", done.stdout);
}

#[test]
fn one_topic_is_shown_with_its_partitions() {
    let done = Daemon::start().command(&["topics", "orders.eu"]);
    assert_eq!(done.stdout, include_str!("topic.txt"));
}

#[test]
fn a_topic_that_is_not_there_is_refused_with_the_nearest() {
    let done = Daemon::start().command(&["topics", "ordesr"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert_eq!(done.stderr, "error: link `onprem-to-aws` mirrors no topic `ordesr`; did you mean `orders`?\n");
}

#[test]
fn what_is_not_known_is_shown_as_such() {
    let mut backend = FakeBackend::default();
    let mut partition = mirroring(0, 0, None);
    (partition.lag_records, partition.source_high_watermark, partition.daemon) = (None, None, None);
    backend.topics[1].partitions = vec![partition];
    let done = Daemon::start_over(backend, false).command(&["topics", "orders"]);
    assert_eq!(
        lines(&done.stdout)[3],
        "        0  mirroring          1990000               -    -         -          1990000     23 h 53 min  -"
    );
}

#[test]
fn translations_are_sentences() {
    let daemon = Daemon::start();
    let ask = |more: &[&str]| {
        let question = ["translate", "--link", "onprem-to-aws", "--topic", "orders", "--partition", "0", "--offset"];
        let done = daemon.command(&[&question, more].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.stdout
    };
    assert_eq!(ask(&["12"]), "orders-0 source offset 12: target offset 10 (exact)\n");
    assert_eq!(
        ask(&["1000"]),
        "orders-0 source offset 1000: target offset 998 (next: the first mirrored record after it)\n"
    );
    assert_eq!(ask(&["5000"]), "orders-0 source offset 5000: not yet mirrored\n");
    assert_eq!(ask(&["1"]), "orders-0 source offset 1: older than the offset map\n");
    assert_eq!(ask(&["10", "--reverse"]), "orders-0 target offset 10: source offset 12 (exact)\n");
}

#[test]
fn a_link_must_be_named_where_there_are_several() {
    let done = Daemon::start().command(&["translate", "--topic", "orders", "--partition", "0", "--offset", "1"]);
    assert_eq!(done.code, 2);
    assert_eq!(
        done.stderr,
        "error: which link is meant?\nhelp: add --link with one of: aws-to-onprem, onprem-to-aws\n"
    );
}

#[test]
fn json_is_what_the_daemon_said() {
    let daemon = Daemon::start();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&daemon.command(&[arguments, &["--output", "json"]].concat()).stdout).unwrap()
    };
    let status = json(&["status"]);
    assert_eq!((&status["readiness"]["ready"], &status["links"][1]["producer_id"]), (&true.into(), &4001.into()));
    let topics = json(&["topics"]);
    assert_eq!(topics["links"][1]["topics"][0]["partitions"][0]["error"]["resolve"][0], "retry");
    let one = json(&["topics", "orders", "--link", "onprem-to-aws"]);
    assert_eq!(one["links"][0]["topics"][0]["source_topic"], "orders");
    let translated =
        json(&["translate", "--link", "onprem-to-aws", "--topic", "orders", "--partition", "0", "--offset", "12"]);
    assert_eq!(translated["target_offset"], 10);
}

#[test]
fn an_api_with_tls_is_trusted_by_its_ca_file_only() {
    let daemon = Daemon::start_over(FakeBackend::default(), true);
    let trusted = daemon.command(&["topics", "--ca", &daemon.path("certificate.pem")]);
    assert_eq!(trusted.code, 0, "{}", trusted.stderr);
    let unknown = daemon.command(&["topics"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("certificate") || unknown.stderr.contains("UnknownIssuer"), "{}", unknown.stderr);
    let no_ca = daemon.command(&["topics", "--ca", &daemon.path("key.pem")]);
    assert_eq!((no_ca.code, no_ca.stderr.contains("holds a private key")), (2, true), "{}", no_ca.stderr);
}

#[test]
fn another_server_is_not_taken_for_a_daemon() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = std::io::Read::read(&mut stream, &mut request).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        std::io::Write::write_all(&mut stream, answer).unwrap();
    });
    let done = command(&["topics", "--api", &format!("http://{address}")]);
    server.join().unwrap();
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("but not as a causeway daemon does"), "{}", done.stderr);
}

#[test]
fn messages_can_not_steer_the_terminal() {
    let mut backend = FakeBackend::default();
    if let Some(stop) = &mut backend.topics[0].partitions[0].error {
        stop.message = "broker says \u{1b}[2Jboo".to_owned();
    }
    let done = Daemon::start_over(backend, false).command(&["status"]);
    assert!(done.stdout.contains("broker says \u{fffd}[2Jboo"), "{}", done.stdout);
}

#[test]
fn groups_are_listed_and_one_is_shown() {
    let daemon = Daemon::start();
    let all = daemon.command(&["groups"]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    assert!(all.stdout.contains("onprem-to-aws  billing  dr.billing  consumer          2  conflict"), "{}", all.stdout);
    let one = daemon.command(&["groups", "billing", "--link", "onprem-to-aws"]);
    assert!(one.stdout.starts_with("billing of onprem-to-aws: consumer group, dr.billing on the target\n"));
    assert!(one.stdout.contains("orders          1           1042           1040  exact"), "{}", one.stdout);
}

#[test]
fn waiting_ends_well_or_says_how_far_it_is() {
    let daemon = Daemon::start();
    let ask = |offset: &str| {
        let link = ["await", "--link", "onprem-to-aws", "--topic", "orders", "--partition", "0"];
        daemon.command(&[&link[..], &["--offset", offset, "--timeout", "10ms"]].concat())
    };
    let there = ask("500");
    assert_eq!(
        (there.code, there.stdout.as_str()),
        (0, "orders-0 source offset 500 is on the target, at target offset 498\n")
    );
    let late = ask("1004");
    assert_eq!((late.code, late.stdout.as_str()), (1, ""));
    assert!(late.stderr.contains("the copy is at source offset 1000, 5 offsets short"), "{}", late.stderr);
}
