//! From Kafka's properties to the settings of both clients.

use super::*;
use crate::config::kafka_names::{ALIASES, Meaning, SPECIAL, USED, meaning};

/// Cluster `a` with these properties.
fn cluster(properties: &str) -> ClusterConfig {
    let config = good(&with(properties));
    config.clusters[&ClusterName::new("a").unwrap()].clone()
}

fn with(properties: &str) -> String {
    SMALL.replace("\"a:9092\"", &format!("\"a:9092\"\n{properties}"))
}

fn literal(text: &str) -> SecretSource {
    SecretSource::Literal(Secret::new(text.to_owned()))
}

#[test]
fn every_spelling_of_a_property_means_the_same() {
    let spellings = [
        "security.protocol = \"SASL_SSL\"\nsasl.mechanism = \"SCRAM-SHA-512\"\nsasl.username = \"u\"\nsasl.password = \"p\"\n\
         ssl.ca.location = \"/ca.pem\"\nrequest.timeout.ms = 5000",
        "\"security.protocol\" = \"sasl_ssl\"\nsasl = { mechanisms = \"SCRAM-SHA-512\", username = \"u\", password = \"p\" }\n\
         ssl.truststore.location = \"/ca.pem\"\nssl.truststore.type = \"PEM\"\nsocket.timeout.ms = \"5000\"",
        "security.protocol = \"SASL_SSL\"\nssl = { ca.location = \"/ca.pem\" }\nrequest.timeout.ms = 0x1388\n\
         [cluster.a.sasl]\nmechanism = \"SCRAM-SHA-512\"\n\
         jaas.config = 'org.apache.kafka.common.security.scram.ScramLoginModule required username=\"u\" password=\"p\";'",
    ];
    for properties in spellings {
        let read = cluster(properties);
        let expected = SaslSettings::ScramSha512 { username: "u".to_owned(), password: literal("p") };
        assert_eq!(read.wire.sasl, Some(expected), "{properties}");
        let tls = read.wire.tls.as_ref().unwrap();
        assert_eq!(tls.ca, Some(PemSource::File("/ca.pem".into())));
        assert!(tls.is_hostname_checked);
        assert_eq!(read.wire.request_timeout, Duration::from_secs(5));
        let properties: Vec<_> = read.librdkafka_properties().unwrap();
        let expected = [
            ("bootstrap.servers", "a:9092"),
            ("client.id", "causeway"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.password", "p"),
            ("sasl.username", "u"),
            ("security.protocol", properties[5].1.as_str()),
            ("socket.timeout.ms", "5000"),
            ("ssl.ca.location", "/ca.pem"),
            ("ssl.endpoint.identification.algorithm", "https"),
        ];
        let properties: Vec<_> = properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(properties, expected);
        assert!(properties[5].1.eq_ignore_ascii_case("sasl_ssl"));
        assert!(!format!("{read:?}").contains("\"p\""), "a password doesn't print");
    }
}

#[test]
fn mutual_tls_takes_pem_files_and_pem_texts() {
    let files = cluster("security.protocol = \"SSL\"\nssl.certificate.location = \"/c\"\nssl.key.location = \"/k\"");
    let store = cluster("security.protocol = \"SSL\"\nssl.keystore.type = \"PEM\"\nssl.keystore.location = \"/both\"");
    let texts = cluster(
        "security.protocol = \"SSL\"\nssl.keystore.certificate.chain = \"-----BEGIN C\"\nssl.key.pem = { file = \"/k\" }\n\
         ssl.ca.pem = \"-----BEGIN A\"\nssl.endpoint.identification.algorithm = \"\"",
    );
    let file = |path: &str| Some(PemSource::File(path.into()));
    let text = |text: &str| Some(PemSource::Inline(Secret::new(text.to_owned())));
    let of = |cluster: &ClusterConfig| {
        let tls = cluster.wire.tls.clone().unwrap();
        (tls.ca, tls.certificate, tls.key, tls.is_hostname_checked)
    };
    assert_eq!(of(&files), (None, file("/c"), file("/k"), true));
    assert_eq!(of(&store), (None, file("/both"), file("/both"), true));
    assert_eq!(of(&texts), (text("-----BEGIN A"), text("-----BEGIN C"), file("/k"), false));
    assert_eq!(files.kafka["ssl.ca.location"], KafkaValue::Text("probe".to_owned()));
    assert_eq!(texts.kafka["ssl.endpoint.identification.algorithm"], KafkaValue::Text("none".to_owned()));
    assert!(!texts.kafka.contains_key("ssl.ca.location"));
}

#[test]
fn tokens_come_from_where_they_are_told() {
    let sasl = |token: &str| {
        let more = "security.protocol = \"SASL_SSL\"\nsasl.mechanism = \"OAUTHBEARER\"\n\
                    sasl.oauthbearer.extensions = \"logicalCluster=lkc-1, identityPoolId=pool\"";
        let read = cluster(&format!("{more}\n{token}"));
        assert!(read.kafka.keys().all(|name| !name.contains("oauthbearer")));
        match read.wire.sasl.unwrap() {
            SaslSettings::OAuthBearer { token, extensions } => {
                assert_eq!(extensions.len(), 2);
                assert_eq!(extensions[0], ("logicalCluster".to_owned(), "lkc-1".to_owned()));
                token
            }
            other => panic!("{other:?}"),
        }
    };
    let file = SecretSource::File("/run/token".into());
    assert_eq!(sasl("sasl.oauthbearer.token = { file = \"/run/token\" }"), file);
    assert_eq!(sasl("sasl.oauthbearer.token.endpoint.url = \"file:///run/token\""), file);
    assert_eq!(sasl("sasl.oauthbearer.token.env = \"TOKEN\""), SecretSource::Env("TOKEN".to_owned()));
}

#[test]
fn numbers_and_booleans_are_texts_to_kafka() {
    let read = cluster(
        "client.id = 7\nsecurity.protocol = \"SASL_PLAINTEXT\"\nsasl.mechanism = \"PLAIN\"\nsasl.username = true\n\
         sasl.password = 123456\nmetadata.max.age.ms = \"60000\"\nsocket.connection.setup.timeout.ms = 2000",
    );
    assert_eq!(read.wire.client_id, "7");
    assert_eq!(read.wire.connect_timeout, Duration::from_secs(2));
    assert_eq!(read.wire.sasl, Some(SaslSettings::Plain { username: "true".to_owned(), password: literal("123456") }));
}

#[test]
fn brokers_are_a_text_or_a_list() {
    let bootstrap = |value: &str| {
        let config = good(&SMALL.replace("bootstrap.servers = \"a:9092\"", value));
        config.clusters[&ClusterName::new("a").unwrap()].wire.bootstrap.clone()
    };
    assert_eq!(bootstrap("bootstrap.servers = \"a:1, [::1]:2,\""), ["a:1", "[::1]:2"]);
    assert_eq!(bootstrap("bootstrap.servers = [\"a:1\", \"b:2\"]"), ["a:1", "b:2"]);
    assert_eq!(bootstrap("metadata.broker.list = \"a:1\""), ["a:1"]);
}

#[test]
fn secrets_are_read_when_the_properties_are_asked_for() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let read = cluster(&format!(
        "security.protocol = \"SASL_SSL\"\nsasl.mechanism = \"PLAIN\"\nsasl.username = \"u\"\nsasl.password = {{ file = \"{}\" }}",
        file.path().display()
    ));
    for password in ["one", "two"] {
        std::fs::write(file.path(), format!("{password}\n")).unwrap();
        let properties = read.librdkafka_properties().unwrap();
        assert!(properties.contains(&("sasl.password".to_owned(), password.to_owned())));
    }
    drop(file);
    assert!(read.librdkafka_properties().is_err());
}

/// What our own names lead to is accepted by librdkafka itself.
#[test]
fn librdkafka_knows_every_property_that_it_is_given() {
    let read = cluster(
        "security.protocol = \"sasl_ssl\"\nsasl.mechanism = \"SCRAM-SHA-256\"\nsasl.username = \"u\"\nsasl.password = \"p\"\n\
         ssl.endpoint.identification.algorithm = \"none\"\nrequest.timeout.ms = 300000\nmetadata.max.age.ms = 86400000\n\
         socket.connection.setup.timeout.ms = 300000",
    );
    let mut client = rdkafka::ClientConfig::new();
    client.extend(read.librdkafka_properties().unwrap());
    client.create_native_config().unwrap();
}

#[test]
fn names_are_known_once() {
    let all: Vec<_> = USED
        .iter()
        .map(|row| row.key)
        .chain(ALIASES.iter().map(|(alias, _)| *alias))
        .chain(SPECIAL.iter().map(|(name, _)| *name))
        .collect();
    for name in &all {
        assert_eq!(all.iter().filter(|other| other == &name).count(), 1, "{name}");
        assert!(matches!(meaning(name), Some(Meaning::Used(_) | Meaning::Alias(_) | Meaning::Special(_))), "{name}");
    }
    assert!(matches!(meaning("sasl.kerberos.keytab"), Some(Meaning::Refused(..))));
    assert!(matches!(meaning("acks"), Some(Meaning::Decided)));
    assert!(meaning("ack").is_none());
}
