use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError as Code;

use super::error::REMEDIES;
use super::*;
use crate::wire::Settings;

pub(crate) mod broker;
mod real;

fn cluster() -> Cluster {
    Cluster::new(ClusterName::new("aws").unwrap(), Client::new(Settings::plain(vec!["127.0.0.1:1".into()], "test")))
}

const CREATE: Call = Call::new("CreateTopics", "Create");

fn refusal(code: i16, message: Option<&str>) -> ClusterError {
    cluster().accepted(CREATE, || "topic orders".to_owned(), code, message).unwrap_err()
}

#[test]
fn a_missing_permission_is_named_and_other_refusals_name_the_request() {
    let missing = refusal(29, Some("Authorization failed."));
    assert_eq!(
        missing.to_string(),
        "cluster aws refused Create on topic orders: TOPIC_AUTHORIZATION_FAILED (29): Authorization failed."
    );
    assert!(missing.is_permission_missing());
    let exists = refusal(36, Some(""));
    assert_eq!(exists.to_string(), "cluster aws refused CreateTopics on topic orders: TOPIC_ALREADY_EXISTS (36)");
    assert!(!exists.is_permission_missing());
    assert!(cluster().accepted(CREATE, || unreachable!("no error, no name"), 0, None).is_ok());
}

#[test]
fn each_code_has_one_remedy() {
    let mut seen = BTreeSet::new();
    for code in REMEDIES.iter().flat_map(|(_, codes)| *codes) {
        assert!(seen.insert(code.code()), "{code} stands in the table twice");
    }
}

#[test]
fn elections_are_waited_for_people_are_told_and_nonsense_is_given_up() {
    let remedy = |code: Code| refusal(code.code(), None).remedy();
    for passing in [Code::NotLeaderOrFollower, Code::OffsetNotAvailable, Code::RequestTimedOut, Code::NotController] {
        assert_eq!(remedy(passing), Remedy::Retry, "{passing}");
    }
    for mendable in [Code::TopicAuthorizationFailed, Code::PolicyViolation, Code::ThrottlingQuotaExceeded] {
        assert_eq!(remedy(mendable), Remedy::RetrySlowly, "{mendable}");
    }
    for last in [Code::InvalidConfig, Code::TopicAlreadyExists, Code::OffsetOutOfRange] {
        assert_eq!(remedy(last), Remedy::GiveUp, "{last:?}");
    }
    assert_eq!(refusal(999, None).remedy(), Remedy::RetrySlowly, "a code that we don't know");
    assert_eq!(
        refusal(999, None).to_string(),
        "cluster aws refused CreateTopics on topic orders: an unknown error (999)"
    );
}

#[test]
fn permissions_are_kafkas_bits() {
    let some = Permissions::from_kafka(1 << 3 | 1 << 8).unwrap();
    assert!(some.allow(Operation::Read) && some.allow(Operation::Describe) && !some.allow(Operation::Write));
    assert_eq!(Permissions::from_kafka(i32::MIN), None, "not told");
}
