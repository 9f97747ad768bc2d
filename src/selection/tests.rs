use proptest::prelude::*;

use super::*;
use crate::types::GroupName;

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn target_of(entries: Vec<Entry>, name: &str) -> Option<String> {
    let selection = Selection::new(entries).unwrap();
    selection.select(&topic(name)).unwrap().map(|selected| selected.target.to_string())
}

fn excluding(mut entry: Entry, patterns: &[&str]) -> Entry {
    entry.rule.exclude = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    entry
}

fn prefixed(mut entry: Entry, prefix: &str) -> Entry {
    entry.rule.naming = Naming::Prefix(prefix.to_owned());
    entry
}

fn faults_of(entries: Vec<Entry>) -> Vec<String> {
    Selection::new(entries).unwrap_err().faults.iter().map(ToString::to_string).collect()
}

#[test]
fn the_first_entry_that_matches_decides() {
    let entries = || {
        vec![
            Entry { priority: 10, ..Entry::matching(r"orders\..*") },
            excluding(Entry::matching(r".*"), &[r"tmp\..*", "scratch"]),
            Entry::named("scratch"),
        ]
    };
    let selection = Selection::new(entries()).unwrap();
    let orders = selection.select(&topic("orders.eu")).unwrap().unwrap();
    assert_eq!((orders.entry, orders.settings.priority), (0, 10));
    assert_eq!(selection.select(&topic("users")).unwrap().unwrap().entry, 1);
    assert_eq!(
        selection.decide(&topic("scratch")),
        Decision::NotMirrored(NotMirrored::Excluded { entry: 1 }),
        "an excluded name is decided, later entries don't see it"
    );
    assert_eq!(selection.without_effect().collect::<Vec<_>>(), [(2, 1)]);
    assert_eq!(Selection::default().decide(&topic("users")), Decision::NotMirrored(NotMirrored::NoEntry));
}

#[test]
fn expressions_match_whole_names() {
    assert_eq!(target_of(vec![Entry::matching("orders")], "orders.eu"), None);
    assert_eq!(target_of(vec![Entry::matching("eu")], "orders.eu"), None);
    assert_eq!(target_of(vec![Entry::matching("a|ab")], "ab"), Some("ab".to_owned()));
    assert_eq!(target_of(vec![Entry::matching("a|b")], "ax"), None, "anchors hold for both branches");
    assert_eq!(target_of(vec![excluding(Entry::matching(".*"), &["tmp"])], "tmp2"), Some("tmp2".to_owned()));
}

#[test]
fn names_are_made_by_templates_and_prefixes() {
    let renamed = |pattern: &str, template: &str, name: &str| {
        target_of(vec![Entry::matching(pattern).renamed(template)], name).unwrap()
    };
    assert_eq!(renamed(r"logs\.(.*)", "onprem.logs.${1}", "logs.web"), "onprem.logs.web");
    assert_eq!(renamed(r"logs\.(.*)", "dr.${0}", "logs.web"), "dr.logs.web");
    assert_eq!(renamed(r"(?<area>[a-z]+)\.(\d+)", "${area}-${2}-${1}", "eu.7"), "eu-7-eu");
    assert_eq!(renamed(r"a(-x)?(.*)", "n${1}${2}", "ab"), "nb", "a capture without part in the match is empty");
    assert_eq!(target_of(vec![prefixed(Entry::matching(".*"), "onprem.")], "a"), Some("onprem.a".to_owned()));
    assert_eq!(target_of(vec![Entry::named("a").renamed("b.${0}")], "a"), Some("b.a".to_owned()));
}

#[test]
fn internal_topics_are_selected_only_by_name_and_ours_never() {
    let internal = ["__consumer_offsets", "__x", "connect-configs", "connect-offsets", "connect-status"];
    let all = Selection::new(vec![Entry::matching(".*"), Entry::matching("__.*")]).unwrap();
    for name in internal.into_iter().chain(["mm2-offset-syncs.b.internal", "mm2.internal"]) {
        assert_eq!(all.decide(&topic(name)), Decision::NotMirrored(NotMirrored::Internal), "{name}");
    }
    assert_eq!(all.decide(&topic("__causeway.dr")), Decision::NotMirrored(NotMirrored::Own));
    for name in ["connect-logs", "mm2.topic", "internal", "_schemas"] {
        assert!(matches!(all.decide(&topic(name)), Decision::Mirrored(_)), "{name}");
    }
    let named = vec![Entry::matching(".*"), Entry::named("connect-configs")];
    assert_eq!(target_of(named, "connect-configs"), Some("connect-configs".to_owned()));
}

#[test]
fn faults_name_the_entry_and_the_field() {
    let bad = vec![
        Entry::matching("ok"),
        excluding(Entry::matching("a("), &["b["]),
        Entry::matching("a)|(b"),
        Entry::matching("x(.)").renamed("y${2}"),
        Entry::matching("x").renamed("y$1"),
        Entry::matching("x").renamed("y${1"),
        Entry::named("__causeway.dr"),
        Entry::named("a b"),
        excluding(Entry::named("a"), &["a"]),
        Entry { replication_factor: Some(0), ..Entry::named("z") },
    ];
    let expected = [
        "entry 1, match: not a regular expression: unclosed group",
        "entry 1, exclude: not a regular expression: unclosed character class",
        "entry 2, match: not a regular expression: unopened group",
        "entry 3, rename: there is no capture `${2}` in `match`; it has `${0}` (the whole name) and `${1}`",
        "entry 4, rename: write `${1}` in place of `$1`",
        "entry 5, rename: `${` has no closing `}`",
        "entry 6, name: `__causeway.dr` is one of causeway's own topics, which are never mirrored",
        "entry 7, name: `a b` is not a valid topic name: use 1 to 249 letters, digits, `.`, `_` or `-`",
        "entry 8, exclude: `exclude` goes with `match`; an entry with `name` selects one name only",
        "entry 9, replication_factor: a replication factor is 1 to 32767, not 0",
    ];
    assert_eq!(faults_of(bad), expected);
}

#[test]
fn exact_names_are_checked_against_the_target_at_once() {
    assert_eq!(
        faults_of(vec![Entry::named("a").renamed("x"), Entry::named("b").renamed("x")]),
        ["entry 1, name: `b` would have the name `x` on the target, as `a` of entry 0 has"]
    );
    assert_eq!(
        faults_of(vec![Entry::named("a").renamed("${0} b")]),
        ["entry 0, rename: `a b` is not a valid topic name: use 1 to 249 letters, digits, `.`, `_` or `-`"]
    );
    assert_eq!(
        faults_of(vec![Entry::named("__consumer_offsets")]),
        ["entry 0, name: brokers let no producer write to `__consumer_offsets`; \
          use `rename` to give the mirror topic another name"]
    );
    let copied = target_of(vec![Entry::named("__consumer_offsets").renamed("old${0}")], "__consumer_offsets");
    assert_eq!(copied, Some("old__consumer_offsets".to_owned()));
}

#[test]
fn a_plan_names_collisions_and_unusable_names() {
    let long = "l".repeat(245);
    let selection =
        Selection::new(vec![Entry::matching(r"(.*)\.v\d").renamed("${1}"), prefixed(Entry::matching("l+"), "long.")])
            .unwrap();
    let topics = ["a.v1", "b.v1", "a.v2", "other", &long, ".v3", "a.v1"];
    let plan = selection.plan(topics.map(topic));
    assert_eq!(plan.mirrored.keys().map(TopicName::as_str).collect::<Vec<_>>(), ["b.v1"]);
    let collisions: Vec<_> = plan.collisions.iter().map(ToString::to_string).collect();
    assert_eq!(collisions, ["topics `a.v1`, `a.v2` would all have the name `a` on the target"]);
    let unusable: Vec<_> = plan.unusable.iter().map(|unusable| unusable.source_topic.as_str()).collect();
    assert_eq!(unusable, [".v3", long.as_str()]);
}

#[test]
fn a_rename_never_leads_into_our_own_topics() {
    let selection = Selection::new(vec![Entry::matching("x(.*)").renamed("__causeway.${1}")]).unwrap();
    assert!(matches!(
        selection.select(&topic("xdr")),
        Err(UnusableTarget { reason: UnusableReason::Own(_), entry: 0, .. })
    ));
}

#[test]
fn groups_have_the_same_rules_without_internal_names() {
    let rule = |which, exclude: &[&str], naming| Rule {
        which,
        exclude: exclude.iter().map(|&text| text.to_owned()).collect(),
        naming,
    };
    let groups = GroupSelection::new(vec![
        rule(Which::Name("billing".to_owned()), &[], Naming::Rename("dr-${0}".to_owned())),
        rule(Which::Match(".*".to_owned()), &["console-consumer-.*"], Naming::Same),
    ])
    .unwrap();
    let decide = |name: &str| groups.decide(&GroupName::new(name).unwrap());
    let same =
        |name: &str, entry| GroupDecision::Synchronised(SelectedGroup { target: GroupName::new(name).unwrap(), entry });
    assert_eq!(decide("billing"), same("dr-billing", 0));
    assert_eq!(decide("__any name, also ä"), same("__any name, also ä", 1));
    assert_eq!(decide("console-consumer-7"), GroupDecision::Excluded { entry: 1 });
    assert_eq!(GroupSelection::default().decide(&GroupName::new("x").unwrap()), GroupDecision::NoEntry);
    assert!(GroupSelection::new(vec![rule(Which::Match("(".to_owned()), &[], Naming::Same)]).is_err());
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let text = prop_oneof![r"[a-c(.)*|\[\]?_-]{0,6}", Just(r"(a+)(b*).*".to_owned()), Just(".*".to_owned())];
    let template = prop_oneof![r"[a-c.${}012]{0,8}", Just("${1}-${2}".to_owned()), Just("x.${0}".to_owned())];
    (any::<bool>(), text.clone(), proptest::option::of(text), proptest::option::of(template)).prop_map(
        |(is_named, text, exclude, template)| {
            let mut entry = if is_named { Entry::named(&text) } else { Entry::matching(&text) };
            entry.rule.exclude.extend(exclude);
            if let Some(template) = template {
                entry = entry.renamed(&template);
            }
            entry
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_entries_and_names_get_one_decision(
        entries in prop::collection::vec(any_entry(), 0..4),
        names in prop::collection::vec("[a-c._-]{1,8}", 0..12),
    ) {
        let topics: Vec<_> = names.iter().filter_map(|name| TopicName::new(name).ok()).collect();
        let again = Selection::new(entries.clone());
        match Selection::new(entries) {
            Err(error) => {
                prop_assert!(!error.faults.is_empty());
                prop_assert_eq!(error, again.unwrap_err());
            }
            Ok(selection) => {
                let plan = selection.plan(topics.iter().cloned());
                let mut reversed = topics.clone();
                reversed.reverse();
                let again = again.unwrap();
                prop_assert_eq!(&plan, &again.plan(reversed));
                let mut targets: Vec<_> = plan.mirrored.values().map(|selected| &selected.target).collect();
                targets.sort();
                targets.dedup();
                prop_assert_eq!(targets.len(), plan.mirrored.len());
                for topic in &topics {
                    let is_planned = plan.mirrored.contains_key(topic)
                        || plan.collisions.iter().any(|collision| collision.source_topics.contains(topic))
                        || plan.unusable.iter().any(|unusable| unusable.source_topic == *topic);
                    let is_decided = !matches!(selection.decide(topic), Decision::NotMirrored(_));
                    prop_assert_eq!(is_planned, is_decided);
                }
            }
        }
    }
}
