//! What is said of Kafka properties that are wrong.

use super::messages::check;
use super::*;

/// A file whose cluster `a` has these lines, from line 4 on.
fn with(lines: &str) -> String {
    SMALL.replace("\"a:9092\"", &format!("\"a:9092\"\n{lines}"))
}

#[test]
fn unknown_properties() {
    let kafka = "allowed here: bootstrap.servers, security.protocol, sasl.mechanism, sasl.username, sasl.password, \
                 sasl.oauthbearer.token, sasl.oauthbearer.extensions, ssl.ca.location, ssl.ca.pem, \
                 ssl.certificate.location, ssl.certificate.pem, ssl.key.location, ssl.key.pem, \
                 ssl.endpoint.identification.algorithm, client.id, request.timeout.ms, \
                 socket.connection.setup.timeout.ms, metadata.max.age.ms";
    let unknown = format!(
        "4:1 cluster.a.securty.protocol: unknown key `securty.protocol` (did you mean `security.protocol`? {kafka})"
    );
    let underscore = format!("4:1 cluster.a.client_id: unknown key `client_id` (did you mean `client.id`? {kafka})");
    let short = format!("4:1 cluster.a.password: unknown key `password` (did you mean `sasl.password`? {kafka})");
    check(
        &[
            ("securty.protocol = \"SSL\"", &[&unknown]),
            ("client_id = \"SSL\"", &[&underscore]),
            ("password = \"SSL\"", &[&short]),
        ],
        with,
    );
}

const PROPERTIES: &[(&str, &[&str])] = &[
    (
        "security.protocol = \"SASL_TLS\"",
        &["4:21 cluster.a.security.protocol: `SASL_TLS` is not a value of `security.protocol` \
                   (did you mean `SASL_SSL`? allowed: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL)"],
    ),
    (
        "acks = \"all\"",
        &["4:1 cluster.a.acks: `acks` would have no effect: causeway decides this itself (leave it out)"],
    ),
    (
        "batch.size = 1",
        &["4:1 cluster.a.batch.size: `batch.size` would have no effect: causeway decides this itself (leave it out)"],
    ),
    (
        "client.id = \"x\"\n\"client.id\" = \"y\"",
        &["5:1 cluster.a.client.id: `client.id` is set twice: here and in line 4 (keep one of them)"],
    ),
    (
        "security.protocol = \"SSL\"\nssl.truststore.location = \"/a\"\n  ssl . ca.location = \"/b\"",
        &["6:3 cluster.a.ssl.ca.location: `ssl.ca.location` sets the same as `ssl.truststore.location` in line 5 \
                   (keep one of them)"],
    ),
    (
        "client.id = { file = \"/x\" }",
        &["4:1 cluster.a.client.id: `client.id` is not a secret, so its value must stand here \
                   (write client.id = \"...\")"],
    ),
    ("client.id = [1]", &["4:13 cluster.a.client.id: `client.id` must be a string"]),
    ("client.id = \"\"", &["4:13 cluster.a.client.id: `client.id` is empty"]),
    (
        "request.timeout.ms = 1",
        &["4:22 cluster.a.request.timeout.ms: `request.timeout.ms` is 1000 to 300000, in milliseconds"],
    ),
    (
        "sasl.username = \"u\"",
        &["4:1 cluster.a.sasl.username: `sasl.username` would have no effect: this cluster is reached without \
                   SASL (set security.protocol to SASL_SSL or SASL_PLAINTEXT, or leave it out)"],
    ),
    (
        "security.protocol = \"SASL_PLAINTEXT\"\nssl.ca.location = \"/x\"",
        &[
            "2:2 cluster.a: `sasl.mechanism` is missing (allowed: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER)",
            "5:1 cluster.a.ssl.ca.location: `ssl.ca.location` would have no effect: this cluster is reached \
                     without TLS (set security.protocol to SASL_SSL, or leave it out)",
        ],
    ),
];

#[test]
fn the_properties_of_a_cluster() {
    check(PROPERTIES, with);
    assert_eq!(
        problems(&SMALL.replace("bootstrap.servers = \"a:9092\"", "client.id = 1")),
        ["2:2 cluster.a: `bootstrap.servers` is missing \
          (for example: bootstrap.servers = \"kafka-1:9092,kafka-2:9092\")"]
    );
}

/// Whatever is wrong with a secret, it isn't shown.
#[test]
fn secrets_stay_hidden() {
    for lines in [
        "sasl.password = \"hunter2\"",
        "sasl.passwort = \"hunter2\"\nsasl.password = \"hunter2\"",
        "password = \"hunter2\"",
        "sasl = { password = \"hunter2\", username = 1, what = 2 }",
        "sasl.password = { value = \"hunter2\" }",
        "sasl.password = [\"hunter2\"]",
        "ssl.key.pem = \"hunter2\"\nsecurity.protocol = \"SSL\"",
        "ssl.keystore.key = \"hunter2\"",
        "ssl.keystore.password = \"hunter2\"",
        "sasl.jaas.config = \"PlainLoginModule required username=u password=hunter2\"",
        "sasl.jaas.config = \"hunter2\"",
        "sasl.oauthbearer.client.credentials.client.secret = \"hunter2\"",
        "sasl.password = hunter2",
        "sasl.password = \"hunter2",
        "sasl.password = \"\"\"\nhunter2 \\q\n\"\"\"",
        "sasl.password \"hunter2\"",
        "[cluster.a.sasl]\npassword = \"hunter2\"\noops = \"hunter2\"",
    ] {
        assert!(!problems(&with(lines)).is_empty(), "{lines}");
    }
}

#[test]
fn the_addresses_of_brokers() {
    let whole = |server: &str| SMALL.replace("\"a:9092\"", &format!("\"ok:1,{server}\""));
    for (server, why) in [
        ("kafka-1", "the port is missing"),
        ("kafka-1:0", "the port is not 1 to 65535"),
        ("kafka-1:99999", "the port is not 1 to 65535"),
        (":9092", "the host is not valid"),
        ("::1:9092", "IPv6 addresses stand in brackets"),
        ("SSL://kafka-1:9092", "it has a protocol; security.protocol says that"),
    ] {
        let expected = format!(
            "3:21 cluster.a.bootstrap.servers: `{server}` is not the address of a broker: {why} \
             (write host:port, such as kafka-1:9092 or [2001:db8::1]:9092)"
        );
        assert_eq!(problems(&whole(server)), [expected]);
    }
}

/// A file whose cluster `a` has TLS and SASL, and these lines from line 5 on.
fn secured_with(lines: &str) -> String {
    with(&format!("security.protocol = \"SASL_SSL\"\n{lines}"))
}

const LOGINS: &[(&str, &[&str])] = &[
    (
        "sasl.mechanism = \"scram-sha-512\"",
        &["5:18 cluster.a.sasl.mechanism: `scram-sha-512` is not a value of `sasl.mechanism` \
                   (did you mean `SCRAM-SHA-512`? allowed: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER)"],
    ),
    (
        "sasl.mechanism = \"PLAIN\"",
        &[
            "5:1 cluster.a.sasl.mechanism: `sasl.username` is missing; PLAIN needs it",
            "5:1 cluster.a.sasl.mechanism: `sasl.password` is missing; PLAIN needs it",
        ],
    ),
    (
        "sasl.mechanism = \"OAUTHBEARER\"\nsasl.username = \"u\"",
        &[
            "5:1 cluster.a.sasl.mechanism: `sasl.oauthbearer.token` is missing; OAUTHBEARER needs it",
            "6:1 cluster.a.sasl.username: `sasl.username` would have no effect with OAUTHBEARER \
                     (sasl.mechanism is in line 5)",
        ],
    ),
    (
        "sasl.mechanism = \"PLAIN\"\nsasl.jaas.config = \"ScramLoginModule required username=u password=hunter2;\"",
        &["5:18 cluster.a.sasl.mechanism: `sasl.jaas.config` has a ScramLoginModule, which is for another mechanism"],
    ),
    (
        "sasl.mechanism = \"PLAIN\"\nsasl.jaas.config = \"x.Krb5LoginModule required;\"",
        &["6:1 cluster.a.sasl.jaas.config: `sasl.jaas.config` names `Krb5LoginModule`, which is not supported \
                   (Kerberos is not supported; use SCRAM-SHA-512, PLAIN, OAUTHBEARER or a TLS certificate)"],
    ),
];

#[test]
fn logins() {
    let instead = "use SCRAM-SHA-512, PLAIN, OAUTHBEARER or a TLS certificate (security.protocol = \"SSL\")";
    let gssapi = format!("5:18 cluster.a.sasl.mechanism: Kerberos (GSSAPI) is not supported ({instead})");
    let iam = format!(
        "5:18 cluster.a.sasl.mechanism: AWS_MSK_IAM is not supported, because its logins can't be made from fixed \
         secrets ({instead})"
    );
    check(&[("sasl.mechanism = \"GSSAPI\"", &[&gssapi]), ("sasl.mechanism = \"AWS_MSK_IAM\"", &[&iam])], secured_with);
    check(LOGINS, secured_with);
}

const CERTIFICATES: &[(&str, &[&str])] = &[
    (
        "ssl.certificate.location = \"/c\"",
        &["8:1 cluster.a.ssl.certificate.location: `ssl.certificate.location` needs `ssl.key.location` beside it"],
    ),
    (
        "ssl.ca.pem = \"/etc/ca.pem\"",
        &["8:14 cluster.a.ssl.ca.pem: `ssl.ca.pem` is not a PEM text \
                   (it begins with -----BEGIN; for a file use ssl.ca.location)"],
    ),
    (
        "ssl.truststore.location = \"/trust.jks\"",
        &["8:27 cluster.a.ssl.truststore.location: `ssl.truststore.location` must be a PEM file, not a `.jks` store \
                   (make a PEM file with `keytool -exportcert -rfc -keystore STORE -alias NAME` and say ssl.ca.location)"],
    ),
    (
        "ssl.truststore.type = \"PKCS12\"",
        &["8:23 cluster.a.ssl.truststore.type: stores of type `PKCS12` are not supported, only PEM files \
                   (make a PEM file with `keytool -exportcert -rfc -keystore STORE -alias NAME` and say ssl.ca.location)"],
    ),
    (
        "ssl.key.password = \"hunter2\"",
        &["8:1 cluster.a.ssl.key.password: `ssl.key.password` can't be used: encrypted private keys are not \
                   supported (decrypt the key with `openssl pkcs8 -in KEY -out NEW_KEY` and protect the file by its \
                   permissions)"],
    ),
    (
        "ssl.endpoint.identification.algorithm = \"http\"",
        &["8:41 cluster.a.ssl.endpoint.identification.algorithm: `http` is not a value of \
                   `ssl.endpoint.identification.algorithm` (did you mean `https`? allowed: https, none)"],
    ),
];

#[test]
fn certificates() {
    let plain = "sasl.mechanism = \"PLAIN\"\nsasl.username = \"u\"\nsasl.password = \"p\"\n";
    check(CERTIFICATES, |lines| secured_with(&format!("{plain}{lines}")));
}
