use super::super::compare::Wish;
use super::super::observe::wishes;
use super::*;
use crate::selection::{Entry, Selection};

fn wish(selection: &Selection, at_source: &[&str], published: &[(&str, TopicRecord)], of: &str) -> Option<Wish> {
    let at_source: Vec<TopicName> = at_source.iter().map(|name| topic(name)).collect();
    let published = published.iter().map(|(name, record)| (topic(name), record.clone())).collect();
    wishes(selection, at_source.iter(), published).seen.remove(&topic(of)).map(|seen| seen.wish)
}

#[test]
fn only_selected_or_published_topics_are_looked_at() {
    let selection = Selection::new(vec![Entry::named("orders")]).unwrap();
    assert!(matches!(wish(&selection, &["orders", "other"], &[], "orders"), Some(Wish::Mirror(_))));
    assert_eq!(wish(&selection, &["orders", "other"], &[], "other"), None);
    let published = [("other", established("other"))];
    assert_eq!(wish(&selection, &["orders", "other"], &published, "other"), Some(Wish::Nothing));
}

#[test]
fn two_topics_for_one_name_are_refused_and_named() {
    let selection = Selection::new(vec![Entry::matching("(a|b)\\.orders").renamed("orders")]).unwrap();
    let both = ["a.orders", "b.orders"];
    let Some(Wish::Collision { message, .. }) = wish(&selection, &both, &[], "a.orders") else { panic!() };
    assert!(message.contains("`a.orders`, `b.orders`"), "{message}");
    assert!(matches!(wish(&selection, &["a.orders"], &[], "a.orders"), Some(Wish::Mirror(_))));
    // The holder of a name keeps it, even when it is gone from the source.
    let published = [("a.orders", established("orders"))];
    let Some(Wish::Collision { message, .. }) = wish(&selection, &["b.orders"], &published, "b.orders") else {
        panic!()
    };
    assert!(message.contains("the mirror of a.orders"), "{message}");
}

#[test]
fn unusable_names_are_problems() {
    let selection = Selection::new(vec![Entry::matching(".*").renamed("${0}/x")]).unwrap();
    let observation = wishes(&selection, [topic("orders")].iter(), Vec::new());
    assert!(observation.seen.is_empty());
    assert_eq!(observation.problems[0].topic, Some(topic("orders")));
}
