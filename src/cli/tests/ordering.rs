use super::{Daemon, TOKEN};
use crate::api::json::{OrderAction, TopicSelection};
use crate::types::{PartitionIndex, ResolveVerb};

const REQUEST: &str = "00000000-0000-0000-0000-000000000007";

#[test]
fn orders_say_what_they_will_do() {
    let daemon = Daemon::start();
    let done = daemon.order(&["pause", "--link", "onprem-to-aws", "--topic", "orders", "--topic", "orders.eu"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(
        done.stdout,
        format!(
            "pause on link onprem-to-aws is ordered ({REQUEST}):\n  orders-0: mirroring -> pause\n  orders.eu-0: \
             mirroring -> pause\n"
        )
    );
    let done = daemon.order(&["resume", "--link", "onprem-to-aws", "--all", "--dry-run"]);
    assert!(done.stdout.starts_with("resume on link onprem-to-aws would do this:\n  audit.log: "), "{}", done.stdout);
    let arguments = ["--topic", "audit.log", "--partition", "0", "--with", "skip", "--why", "not needed"];
    let done = daemon.order(&[&["resolve", "--link", "onprem-to-aws"][..], &arguments].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);

    let orders: Vec<_> = daemon.backend.orders().into_iter().map(|(_, order)| order).collect();
    assert_eq!(
        orders.iter().map(|order| order.action).collect::<Vec<_>>(),
        [
            OrderAction::Pause,
            OrderAction::Resume,
            OrderAction::Resolve { partition: Some(PartitionIndex(0)), with: ResolveVerb::Skip },
        ]
    );
    assert_eq!((orders[1].dry_run, &orders[1].topics), (true, &TopicSelection::All));
    assert_eq!(orders[2].why.as_deref(), Some("not needed"));
    assert!(!orders[0].who.is_empty() && !orders[0].who.starts_with("API caller"), "{}", orders[0].who);
}

#[test]
fn refusals_are_the_daemons_own_words() {
    let daemon = Daemon::start();
    let done = daemon.order(&["pause", "--link", "aws-to-onprem", "--all"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert_eq!(done.stderr, "error: link `aws-to-onprem` is served elsewhere; ask a daemon there\n");
}

#[test]
fn an_order_without_the_right_token_says_where_to_put_it() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("wrong"), "wrong").unwrap();
    let pause = ["pause", "--link", "onprem-to-aws", "--all"];
    for done in
        [daemon.command(&pause), daemon.command(&[&pause[..], &["--token-file", &daemon.path("wrong")]].concat())]
    {
        assert_eq!(done.code, 1);
        assert!(done.stderr.starts_with("error: the daemon did not accept the token\nhelp: "), "{}", done.stderr);
    }
    assert!(daemon.backend.orders().is_empty());
}

#[test]
fn the_token_does_not_travel_unencrypted() {
    let daemon = Daemon::start();
    let file = daemon.path("token");
    // The last --api wins; nothing is sent to this address.
    let arguments = ["pause", "--link", "l", "--all", "--token-file", &file, "--api", "http://kafka.example:8480"];
    let done = super::command(&arguments);
    assert_eq!(done.code, 2);
    assert!(done.stderr.starts_with("error: the token would travel unencrypted"), "{}", done.stderr);
    assert!(!done.stderr.contains(TOKEN));
    drop(daemon.runtime);
}
