use super::*;

fn listed(peers: &str) -> Listed {
    let text = format!(
        "[cluster.a]\nbootstrap.servers = \"a:1\"\n[peers]\ncertificate = \"a.pem\"\nkey = {{ file = \"a.key\" }}\n\
         listen = \"127.0.0.1:1\"\n{peers}"
    );
    let config = Config::parse(&text, std::path::Path::new("test.toml")).unwrap_or_else(|error| panic!("{error}"));
    Listed::of(config.peers.as_ref())
}

#[test]
fn a_list_shows_who_may_read_something_else() {
    let expose = |name: &str, topics: &str| {
        format!(
            "[peer.{name}]\nidentity = \"{name}.example\"\nexpose = {{ cluster = \"a\", topics = [\"{topics}\"] }}\n"
        )
    };
    let before = listed(&[expose("one", "x"), expose("two", "x"), expose("three", "x")].concat());
    let now = listed(&[expose("one", "x"), expose("two", "y"), expose("four", "x")].concat());
    let names: Vec<String> = now.exposed_otherwise(&before).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["four", "three", "two"]);
    assert!(before.exposed_otherwise(&before).is_empty());
    assert_ne!(before.identities, now.identities);
}
