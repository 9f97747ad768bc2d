use super::super::acls::{Pattern, Resource, source_rights, target_rights};
use super::*;
use crate::selection::Naming;

fn plan(entries: Vec<Entry>) -> Plan {
    link(entries, cluster("onprem", "kafka-1:9093", Some("causeway")), cluster("aws", "b-1.msk:9092", None))
}

/// The patterns of topics, on the source and on the target.
fn patterns(entry: Entry) -> (Pattern, Pattern) {
    let plan = plan(vec![entry]);
    let first = |rights: Vec<super::super::acls::Right>| match rights.into_iter().next().unwrap().resource {
        Resource::Topic(pattern) => pattern,
        other => panic!("{other:?}"),
    };
    (first(source_rights(&plan.links[0])), first(target_rights(&plan.links[0])))
}

fn literal(name: &str) -> Pattern {
    Pattern::Literal(name.to_owned())
}

fn prefixed(beginning: &str) -> Pattern {
    Pattern::Prefixed(beginning.to_owned())
}

#[test]
fn the_least_rights_as_commands() {
    let commands = acls(&plan(vec![Entry::matching("orders\\..*"), Entry::named("logs")]), None);
    let on = |address: &str, principal: &str| {
        format!(
            "kafka-acls --bootstrap-server {address} --command-config admin.properties --add \
             --allow-principal {principal}"
        )
    };
    let source = on("kafka-1:9093", "User:causeway");
    let target = on("b-1.msk:9092", "User:CAUSEWAY");
    let all = "--operation Create --operation Read --operation Write --operation Alter --operation AlterConfigs";
    let expected = [
        format!(
            "{source} --operation Read --operation DescribeConfigs --topic orders. --resource-pattern-type prefixed"
        ),
        format!("{source} --operation Read --operation DescribeConfigs --topic logs"),
        format!("{source} --operation Read --topic __causeway. --resource-pattern-type prefixed"),
        format!("{target} {all} --topic orders. --resource-pattern-type prefixed"),
        format!("{target} {all} --topic logs"),
        format!(
            "{target} --operation Create --operation Read --operation Write --operation DescribeConfigs \
             --topic __causeway.prod"
        ),
        format!("{target} --operation Read --group prod"),
        format!("{target} --operation Write --transactional-id causeway-prod- --resource-pattern-type prefixed"),
    ];
    assert_eq!(commands, expected);
}

#[test]
fn a_principal_that_is_given_counts_and_is_quoted() {
    let commands = acls(&plan(vec![Entry::matching(".*")]), Some("User:CN=it's me"));
    assert!(commands[0].contains(r"--allow-principal 'User:CN=it'\''s me' "), "{}", commands[0]);
    assert!(commands[0].ends_with("--topic '*'"), "{}", commands[0]);
}

#[test]
fn expressions_become_what_they_begin_with() {
    for (expression, beginning) in [
        (".*", ""),
        ("orders", "orders"),
        (r"orders\..*", "orders."),
        ("orders?", "order"),
        ("logs-[a-z]+", "logs-"),
        ("a|b", ""),
        ("(a|b)c", ""),
        ("x(a|b)", "x"),
        (r"x[|]y", "x"),
        (r"a\d", "a"),
        ("ab{2}", "a"),
        ("ab+", "ab"),
        (r"a\.b*", "a."),
    ] {
        assert_eq!(patterns(Entry::matching(expression)), (prefixed(beginning), prefixed(beginning)), "{expression}");
    }
}

#[test]
fn names_on_the_target_follow_the_entry() {
    let with_prefix = |mut entry: Entry| {
        entry.rule.naming = Naming::Prefix("onprem.".to_owned());
        entry
    };
    assert_eq!(patterns(with_prefix(Entry::named("orders"))).1, literal("onprem.orders"));
    assert_eq!(patterns(with_prefix(Entry::matching("orders.*"))).1, prefixed("onprem.orders"));
    let renamed = |expression: &str, template: &str| patterns(Entry::matching(expression).renamed(template)).1;
    assert_eq!(renamed(r"logs\.(.*)", "onprem.logs.${1}"), prefixed("onprem.logs."));
    assert_eq!(renamed(r"logs\.(.*)", "x.${0}"), prefixed("x.logs."));
    assert_eq!(renamed(r"logs\.(.*)", "${1}"), prefixed(""));
    assert_eq!(patterns(Entry::named("orders").renamed("x.${0}")).1, literal("x.orders"));
    assert_eq!(patterns(Entry::named("orders").renamed("x.${0}.y")).1, prefixed("x.orders"));
    assert_eq!(patterns(Entry::named("orders").renamed("other")).1, literal("other"));
}

#[test]
fn a_report_reads_from_top_to_bottom() {
    let mut report = Report::default();
    assert_eq!((report.verdict(), report.exit_code()), (Level::Ok, 0));
    report.ok("cluster aws (target)", "b-1:9092 answers");
    report.warn("cluster aws (target)", "this", "mend this");
    report.fail("link a", "that", "mend that");
    let expected = "\
cluster aws (target)
  ok    b-1:9092 answers
  warn  this
          -> mend this
link a
  FAIL  that
          -> mend that
it won't work: 1 to mend, 1 to look at";
    assert_eq!(report.to_string(), expected);
    assert_eq!(report.exit_code(), 1);
}
