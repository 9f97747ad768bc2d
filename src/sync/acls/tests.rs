use std::collections::BTreeSet;

use proptest::prelude::*;

use super::compare::{Decision, Index, Seen, Wish, acl, decide};
use crate::cluster::{AclOperation, AclPermission, TopicAcl, TopicPattern};
use crate::store::{AclEntry, AclsRecord};
use crate::types::TopicName;

const US: &str = "User:causeway";

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn literal(name: &str) -> TopicPattern {
    TopicPattern::Literal(name.to_owned())
}

fn prefixed(name: &str) -> TopicPattern {
    TopicPattern::Prefixed(name.to_owned())
}

fn allow(pattern: TopicPattern, principal: &str, operation: AclOperation) -> TopicAcl {
    let (principal, host) = (format!("User:{principal}"), "*".to_owned());
    TopicAcl { pattern, principal, host, operation, permission: AclPermission::Allow }
}

fn deny(pattern: TopicPattern, principal: &str, operation: AclOperation) -> TopicAcl {
    TopicAcl { permission: AclPermission::Deny, ..allow(pattern, principal, operation) }
}

/// A round for `orders`, mirrored as `dr.orders`.
struct Round {
    source: Vec<TopicAcl>,
    target: Vec<TopicAcl>,
    record: Option<AclsRecord>,
    is_deleting: bool,
    is_protecting: bool,
    is_mirror: bool,
}

impl Round {
    fn new(source: Vec<TopicAcl>, target: Vec<TopicAcl>) -> Self {
        Self { source, target, record: None, is_deleting: false, is_protecting: false, is_mirror: true }
    }

    fn decide(&self) -> Decision {
        let own_principals = BTreeSet::from([US.to_owned()]);
        let wish =
            Wish { is_deleting: self.is_deleting, is_protecting: self.is_protecting, own_principals: &own_principals };
        let (source, target) = (Index::new(self.source.clone()), Index::new(self.target.clone()));
        let seen = Seen {
            source_topic: &topic("orders"),
            target_topic: &topic("dr.orders"),
            is_mirror: self.is_mirror,
            source: Some(&source),
            target: &target,
            record: self.record.as_ref(),
        };
        decide(wish, seen)
    }

    /// What is there after the round.
    fn carried_out(mut self) -> Self {
        let decision = self.decide();
        let of = |entries: &BTreeSet<AclEntry>| -> Vec<TopicAcl> {
            entries.iter().map(|entry| acl(&topic("dr.orders"), entry).unwrap()).collect()
        };
        let removed = of(&decision.remove);
        self.target.retain(|acl| !removed.contains(acl));
        self.target.extend(of(&decision.add));
        self.record = Some(decision.after);
        self
    }
}

fn shown(entries: &BTreeSet<AclEntry>) -> Vec<String> {
    entries.iter().map(|entry| acl(&topic("dr.orders"), entry).unwrap().to_string()).collect()
}

#[test]
fn rights_to_read_are_copied_and_rights_to_write_are_not() {
    use AclOperation::{All, Describe, Read, Write};
    let source = vec![
        allow(literal("orders"), "reader", Read),
        allow(literal("orders"), "writer", Write),
        allow(literal("orders"), "owner", All),
        allow(prefixed("ord"), "team", Describe),
        allow(literal("*"), "audit", Read),
        allow(literal("other"), "other", Read),
        allow(prefixed("oth"), "other", Read),
        deny(prefixed("o"), "intern", Write),
        allow(literal("orders"), "causeway", Read),
    ];
    let decision = Round::new(source, vec![allow(prefixed("dr."), "causeway", All)]).decide();
    let expected = [
        "allow Read for User:audit on topic dr.orders",
        "deny Write for User:intern on topic dr.orders",
        "allow Read for User:owner on topic dr.orders",
        "allow Read for User:reader on topic dr.orders",
        "allow Describe for User:team on topic dr.orders",
    ];
    assert_eq!(shown(&decision.add), expected);
    assert_eq!((decision.after.copied.clone(), decision.remove.len()), (decision.add.clone(), 0));
    assert_eq!(decision.before, decision.after, "noted before it is added");
}

#[test]
fn what_hits_everybody_is_left_out_with_what_it_forbids() {
    use AclOperation::{All, Describe, Read};
    let ours = allow(prefixed("dr."), "causeway", All);
    let source = vec![
        allow(literal("orders"), "reader", Read),
        allow(literal("orders"), "owner", All),
        allow(literal("orders"), "guest", Describe),
        deny(literal("orders"), "*", Read),
    ];
    let decision = Round::new(source, vec![ours]).decide();
    assert_eq!(shown(&decision.add), ["allow Describe for User:guest on topic dr.orders"]);
    assert_eq!(decision.left_out, [deny(literal("orders"), "*", Read)]);
}

#[test]
fn a_topic_without_any_entry_gets_one_for_us_first() {
    let source = vec![allow(literal("orders"), "reader", AclOperation::Read)];
    let mut round = Round::new(source, Vec::new()).carried_out();
    assert!(round.target.contains(&allow(literal("dr.orders"), "causeway", AclOperation::All)));
    round.target.push(allow(literal("dr.orders"), "somebody", AclOperation::Read));
    round.is_deleting = true;
    assert_eq!(round.decide().remove.len(), 0, "and keeps it when others come");
}

#[test]
fn what_is_gone_at_the_source_is_removed_where_that_is_wanted_and_only_what_is_ours() {
    let of = |name: &str| allow(literal("dr.orders"), name, AclOperation::Read);
    let source = vec![
        allow(literal("orders"), "reader", AclOperation::Read),
        allow(literal("orders"), "there", AclOperation::Read),
    ];
    let mut round = Round::new(source, vec![of("there"), of("local")]).carried_out();
    assert_eq!(shown(&round.record.as_ref().unwrap().copied), ["allow Read for User:reader on topic dr.orders"]);
    round.source.clear();
    let kept = round.decide();
    assert_eq!((kept.add.len(), kept.remove.len(), &kept.after), (0, 0, round.record.as_ref().unwrap()));
    round.is_deleting = true;
    let gone = round.decide();
    assert_eq!(shown(&gone.remove), ["allow Read for User:reader on topic dr.orders"]);
    let round = round.carried_out();
    assert_eq!(round.target, [of("there"), of("local")]);
    assert!(round.record.unwrap().copied.is_empty());
}

#[test]
fn whoever_else_may_write_is_denied_it_until_protection_ends() {
    use AclOperation::{All, Read, Write};
    let target = vec![
        allow(prefixed("dr."), "app", Write),
        allow(literal("*"), "admin", All),
        allow(literal("dr.orders"), "reader", Read),
        allow(prefixed("dr."), "causeway", Write),
        allow(literal("dr.orders"), "*", Write),
        allow(literal("elsewhere"), "other", Write),
    ];
    let mut round = Round { is_protecting: true, ..Round::new(Vec::new(), target.clone()) };
    assert!(round.decide().is_open_to_everybody);
    round = round.carried_out();
    let denied = ["deny Write for User:admin on topic dr.orders", "deny Write for User:app on topic dr.orders"];
    assert_eq!(shown(&round.record.as_ref().unwrap().protecting), denied);
    round = round.carried_out();
    assert_eq!(shown(&round.record.as_ref().unwrap().protecting), denied, "a second round has nothing to do");
    round.is_protecting = false;
    assert_eq!(round.carried_out().target, target);
}

#[test]
fn a_topic_that_is_mirrored_no_more_is_given_free() {
    let target = vec![allow(literal("dr.orders"), "app", AclOperation::Write)];
    let mut round = Round { is_protecting: true, ..Round::new(Vec::new(), target.clone()) }.carried_out();
    assert_eq!(round.target.len(), 2);
    round.is_mirror = false;
    let round = round.carried_out();
    assert_eq!((round.target, round.record.unwrap().protecting.len()), (target, 0));
}

#[test]
fn what_somebody_denied_already_stays_theirs() {
    let theirs = deny(literal("dr.orders"), "app", AclOperation::Write);
    let target = vec![allow(literal("dr.orders"), "app", AclOperation::Write), theirs.clone()];
    let mut round = Round { is_protecting: true, ..Round::new(Vec::new(), target) }.carried_out();
    assert!(round.record.as_ref().unwrap().protecting.is_empty());
    round.is_protecting = false;
    assert!(round.carried_out().target.contains(&theirs));
}

fn some_acls(names: &'static [&'static str]) -> impl Strategy<Value = Vec<TopicAcl>> {
    let pattern = prop_oneof![
        proptest::sample::select(names).prop_map(literal),
        proptest::sample::select(names).prop_map(|name| prefixed(&name[..2])),
        Just(literal("*")),
    ];
    let principal = proptest::sample::select(&["a", "b", "*", "causeway"][..]);
    let operation = proptest::sample::select(
        &[AclOperation::All, AclOperation::Read, AclOperation::Write, AclOperation::Alter][..],
    );
    let one = (pattern, principal, operation, any::<bool>()).prop_map(|(pattern, principal, operation, is_allowed)| {
        if is_allowed { allow(pattern, principal, operation) } else { deny(pattern, principal, operation) }
    });
    proptest::collection::btree_set(one, 0..8).prop_map(|acls| acls.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever there is: one round is enough, we are never denied anything by it, nobody is given a right to write,
    /// and switching all off gives back what others had.
    #[test]
    fn rounds_settle_and_harm_nobody(
        source in some_acls(&["orders", "other"]),
        target in some_acls(&["dr.orders", "dr.other"]),
        is_deleting: bool,
        is_protecting: bool,
    ) {
        let before: BTreeSet<TopicAcl> = target.iter().cloned().collect();
        let round = Round { is_deleting, is_protecting, ..Round::new(source, target) };
        let first = round.decide();
        for entry in &first.add {
            let hits_us = entry.is_denied && (entry.principal == US || entry.principal == "User:*");
            let gives_write = !entry.is_denied && entry.principal != US
                && matches!(entry.operation.as_str(), "All" | "Write");
            prop_assert!(!hits_us && !gives_write, "{:?}", entry);
        }
        let mut round = round.carried_out();
        let second = round.decide();
        prop_assert_eq!((second.add.len(), second.remove.len()), (0, 0));
        prop_assert_eq!(&Some(second.after), &round.record);
        round.source.clear();
        round.is_deleting = true;
        round.is_protecting = false;
        let after: BTreeSet<TopicAcl> = round.carried_out().target.into_iter().collect();
        prop_assert_eq!(after, before);
    }
}
