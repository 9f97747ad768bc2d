use super::*;

fn name() -> ClusterName {
    ClusterName::new("east").unwrap()
}

fn found(kind: Kind, message: &str) -> (Kind, String) {
    (kind, message.to_owned())
}

#[test]
fn a_hindrance_lasts_until_it_is_another_or_gone() {
    let sights = Sights::default();
    assert_eq!(sights.problem(&name()), None);
    sights.note(&name(), Some(found(Kind::Unreachable, "a refuses")));
    let first = sights.problem(&name()).unwrap();
    assert_eq!((first.kind.as_str(), first.message.as_str()), ("cluster_unreachable", "a refuses"));
    assert_eq!(first.cluster, Some(name()));
    sights.hindrances.lock().unwrap().get_mut(&name()).unwrap().since_ms = 1;
    sights.note(&name(), Some(found(Kind::Unreachable, "b refuses")));
    let second = sights.problem(&name()).unwrap();
    assert_eq!((second.message.as_str(), second.since_ms), ("b refuses", Some(1)), "the same, met elsewhere");
    sights.note(&name(), Some(found(Kind::LogInRefused, "who are you")));
    let third = sights.problem(&name()).unwrap();
    assert_eq!(third.kind, "log_in_refused");
    assert!(third.since_ms > Some(1), "it is another");
    sights.note(&name(), None);
    assert_eq!(sights.problem(&name()), None);
}
