use super::*;
use crate::secrets::SecretSource;
use crate::selection::Entry;
use crate::types::Secret;
use crate::wire::SaslSettings;

mod formatting;
mod judging;
mod real;

fn cluster(name: &str, address: &str, user: Option<&str>) -> ClusterPlan {
    let mut settings = wire::Settings::plain(vec![address.to_owned()], "test");
    settings.sasl = user.map(|user| SaslSettings::Plain {
        username: user.to_owned(),
        password: SecretSource::Literal(Secret::new(user.to_owned())),
    });
    ClusterPlan { name: ClusterName::new(name).unwrap(), settings }
}

fn link(entries: Vec<Entry>, source: ClusterPlan, target: ClusterPlan) -> Plan {
    let link = LinkPlan {
        name: LinkName::new("onprem-to-aws").unwrap(),
        source,
        target,
        selection: Selection::new(entries).unwrap(),
        groups: GroupSelection::default(),
        are_offsets_preserved: false,
        fast_forward_max: 1_000_000_000,
        state_topic: TopicName::new("__causeway.prod").unwrap(),
        group: "prod".to_owned(),
        daemon_id: "one".to_owned(),
        extras: Extras::default(),
    };
    Plan { links: vec![link] }
}
