//! The names of Kafka client properties: those that are used, those that mean one of them, and what to answer to
//! all the others.

use super::keys::Row;

/// What a property's name means here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meaning {
    /// One that is used, with its own name.
    Used(&'static Row),
    /// Another name of one that is used.
    Alias(&'static Row),
    /// It needs a look at its value.
    Special(Special),
    /// It can't be used; the sentence says why, and what to write instead.
    Refused(&'static str, &'static str),
    /// It tunes what causeway decides itself.
    Decided,
}

/// Names that Java users bring along and that stand for something else, depending on the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// A user and a password in one text.
    JaasConfig,
    /// A PEM file with a key and its certificates.
    KeystoreLocation,
    /// Only `PEM` will do.
    StoreType,
    /// A `file:` address is a token file.
    TokenEndpoint,
}

const fn row(
    key: &'static str,
    form: &'static str,
    default: &'static str,
    allowed: &'static str,
    about: &'static str,
) -> Row {
    Row { key, form, default, allowed, about }
}

/// The properties that are used.
pub(super) static USED: [Row; 18] = [
    row(
        "bootstrap.servers",
        "string or list",
        "required",
        "`host:port`, separated by commas",
        "some brokers of the cluster; the others are found through them",
    ),
    row(
        "security.protocol",
        "string",
        "`PLAINTEXT`",
        "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT`, `SASL_SSL`",
        "how the brokers' listener is secured",
    ),
    row(
        "sasl.mechanism",
        "string",
        "required with SASL",
        "`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`, `OAUTHBEARER`",
        "how causeway proves who it is",
    ),
    row("sasl.username", "string", "required with PLAIN and SCRAM", "not empty", "the user"),
    row("sasl.password", "secret", "required with PLAIN and SCRAM", "not empty", "its password"),
    row(
        "sasl.oauthbearer.token",
        "secret",
        "required with OAUTHBEARER",
        "not empty",
        "the token; a file is read anew at each authentication",
    ),
    row(
        "sasl.oauthbearer.extensions",
        "string",
        "none",
        "`key=value`, separated by commas",
        "SASL extensions that go with the token; not for a cluster that is a target",
    ),
    row("ssl.ca.location", "path", "the system's certificates", "PEM file", "the certificates to trust"),
    row("ssl.ca.pem", "string", "none", "PEM text, instead of `ssl.ca.location`", "the same in the file itself"),
    row(
        "ssl.certificate.location",
        "path",
        "none",
        "PEM file; goes with a key",
        "our certificate chain, for mutual TLS",
    ),
    row(
        "ssl.certificate.pem",
        "string",
        "none",
        "PEM text, instead of `ssl.certificate.location`",
        "the same in the file itself",
    ),
    row("ssl.key.location", "path", "none", "PEM file, not encrypted; goes with a certificate", "its private key"),
    row("ssl.key.pem", "secret", "none", "PEM text, instead of `ssl.key.location`", "the same as a secret"),
    row(
        "ssl.endpoint.identification.algorithm",
        "string",
        "`https`",
        "`https`; `none` or the empty text = off",
        "whether the broker's certificate must carry the name that was dialled",
    ),
    row("client.id", "string", "`causeway`", "not empty", "shows up in the brokers' logs and quotas"),
    row(
        "request.timeout.ms",
        "integer",
        "`30000`",
        "1000 to 300000",
        "limit for one request, in milliseconds; anew with each 64 KiB of an answer",
    ),
    row(
        "socket.connection.setup.timeout.ms",
        "integer",
        "`10000`",
        "1000 to 300000",
        "limit for connecting, TLS and authentication together, in milliseconds",
    ),
    row(
        "metadata.max.age.ms",
        "integer",
        "`60000`",
        "1000 to 86400000",
        "leaders are looked up again after this time, in milliseconds",
    ),
];

/// Other names of properties that are used.
pub(super) static ALIASES: [(&str, &str); 7] = [
    ("metadata.broker.list", "bootstrap.servers"),
    ("sasl.mechanisms", "sasl.mechanism"),
    ("ssl.truststore.location", "ssl.ca.location"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("ssl.keystore.key", "ssl.key.pem"),
    ("socket.timeout.ms", "request.timeout.ms"),
];

/// Names that need a look at their value.
pub(super) static SPECIAL: [(&str, Special); 5] = [
    ("sasl.jaas.config", Special::JaasConfig),
    ("ssl.keystore.location", Special::KeystoreLocation),
    ("ssl.keystore.type", Special::StoreType),
    ("ssl.truststore.type", Special::StoreType),
    ("sasl.oauthbearer.token.endpoint.url", Special::TokenEndpoint),
];

const ENCRYPTED_KEY: (&str, &str) = (
    "encrypted private keys are not supported",
    "decrypt the key with `openssl pkcs8 -in KEY -out NEW_KEY` and protect the file by its permissions",
);
const STORE_PASSWORD: (&str, &str) = (
    "PEM files have no password, and other stores are not supported",
    "leave it out; see ssl.ca.location and ssl.key.location",
);
const TLS_CHOICE: (&str, &str) =
    ("the choice of TLS versions and ciphers is not configurable: TLS 1.3 and 1.2 with safe ciphers", "leave it out");
const KERBEROS: (&str, &str) = (
    "Kerberos (GSSAPI) is not supported",
    "use SCRAM-SHA-512, PLAIN, OAUTHBEARER or a TLS certificate; see sasl.mechanism",
);
const OAUTH: (&str, &str) = (
    "causeway doesn't fetch OAuth tokens itself",
    "let another program write the token to a file and say sasl.oauthbearer.token = { file = \"/path\" }",
);
const JAVA_CLASS: (&str, &str) =
    ("Java classes mean nothing here", "leave it out; for tokens use sasl.oauthbearer.token = { file = \"/path\" }");

/// Names, and beginnings of names, that are answered with a sentence. The first that fits counts.
static REFUSED: [(&str, (&str, &str)); 27] = [
    ("ssl.key.password", ENCRYPTED_KEY),
    ("ssl.keystore.password", STORE_PASSWORD),
    ("ssl.truststore.password", STORE_PASSWORD),
    ("ssl.enabled.protocols", TLS_CHOICE),
    ("ssl.protocol", TLS_CHOICE),
    ("ssl.provider", TLS_CHOICE),
    ("ssl.cipher.suites", TLS_CHOICE),
    ("ssl.curves.list", TLS_CHOICE),
    ("ssl.sigalgs.list", TLS_CHOICE),
    ("ssl.engine.", TLS_CHOICE),
    ("ssl.secure.random.implementation", TLS_CHOICE),
    ("ssl.keymanager.algorithm", TLS_CHOICE),
    ("ssl.trustmanager.algorithm", TLS_CHOICE),
    ("security.providers", TLS_CHOICE),
    (
        "enable.ssl.certificate.verification",
        ("certificates are always verified", "name the certificates to trust with ssl.ca.location"),
    ),
    ("ssl.crl.location", ("revocation lists are not supported", "leave it out")),
    ("ssl.ca.certificate.stores", ("certificate stores of Windows are not supported", "use ssl.ca.location")),
    ("https.ca.", OAUTH),
    ("sasl.kerberos.", KERBEROS),
    ("sasl.oauthbearer.", OAUTH),
    ("enable.sasl.oauthbearer.unsecure.jwt", OAUTH),
    ("sasl.login.callback.handler.class", JAVA_CLASS),
    ("sasl.client.callback.handler.class", JAVA_CLASS),
    ("sasl.login.", OAUTH),
    (
        "config.providers",
        ("config providers are not supported", "write secrets as { env = \"NAME\" } or { file = \"/path\" }"),
    ),
    ("plugin.library.paths", JAVA_CLASS),
    ("metric.reporters", ("causeway serves its own metrics", "read them at /metrics of the daemon's `listen` address")),
];

/// Properties of Java's and librdkafka's clients that tune what causeway decides itself.
static DECIDED: &str = "\
acks allow.auto.create.topics api.version.fallback.ms api.version.request api.version.request.timeout.ms \
auto.commit.enable auto.commit.interval.ms auto.offset.reset batch.num.messages batch.size bootstrap.controllers \
broker.address.family broker.address.ttl broker.version.fallback buffer.memory check.crcs client.dns.lookup \
client.rack compression.codec compression.gzip.level compression.level compression.lz4.level compression.type \
compression.zstd.level connections.max.idle.ms coordinator.query.interval.ms debug default.api.timeout.ms \
delivery.timeout.ms enable.auto.commit enable.auto.offset.store enable.gapless.guarantee enable.idempotence \
enable.metrics.push enable.partition.eof enable.random.seed exclude.internal.topics fetch.error.backoff.ms \
fetch.max.bytes fetch.max.wait.ms fetch.message.max.bytes fetch.min.bytes fetch.queue.backoff.ms fetch.wait.max.ms \
group.id group.instance.id group.protocol group.protocol.type group.remote.assignor heartbeat.interval.ms \
interceptor.classes isolation.level key.deserializer key.serializer linger.ms log.connection.close log.thread.name \
log_level max.block.ms max.in.flight max.in.flight.requests.per.connection max.partition.fetch.bytes \
max.poll.interval.ms max.poll.records max.request.size message.copy.max.bytes message.max.bytes \
message.send.max.retries message.timeout.ms metadata.max.idle.ms metadata.recovery.rebootstrap.trigger.ms \
metadata.recovery.strategy metrics.num.samples metrics.recording.level metrics.sample.window.ms \
partition.assignment.strategy partitioner partitioner.adaptive.partitioning.enable \
partitioner.availability.timeout.ms partitioner.class partitioner.ignore.keys queue.buffering.backpressure.threshold \
queue.buffering.max.kbytes queue.buffering.max.messages queue.buffering.max.ms queued.max.messages.kbytes \
queued.min.messages queuing.strategy receive.buffer.bytes receive.message.max.bytes reconnect.backoff.max.ms \
reconnect.backoff.ms request.required.acks retries retry.backoff.max.ms retry.backoff.ms send.buffer.bytes \
session.timeout.ms share.acknowledgement.mode share.acquire.mode socket.connection.setup.timeout.max.ms \
socket.keepalive.enable socket.max.fails socket.nagle.disable socket.receive.buffer.bytes socket.send.buffer.bytes \
statistics.interval.ms sticky.partitioning.linger.ms topic.blacklist topic.metadata.propagation.max.ms \
topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms topic.metadata.refresh.sparse \
transaction.timeout.ms transaction.two.phase.commit.enable transactional.id value.deserializer value.serializer";

/// What a name means; `None` when no Kafka client has it.
pub(super) fn meaning(name: &str) -> Option<Meaning> {
    let used = |name: &str| USED.iter().find(|row| row.key == name);
    if let Some(row) = used(name) {
        return Some(Meaning::Used(row));
    }
    if let Some(row) = ALIASES.iter().find(|(alias, _)| *alias == name).and_then(|(_, own)| used(own)) {
        return Some(Meaning::Alias(row));
    }
    if let Some((_, special)) = SPECIAL.iter().find(|(key, _)| *key == name) {
        return Some(Meaning::Special(*special));
    }
    let fits = |key: &str| key == name || key.ends_with('.') && name.starts_with(key);
    if let Some((_, (why, instead))) = REFUSED.iter().find(|(key, _)| fits(key)) {
        return Some(Meaning::Refused(why, instead));
    }
    DECIDED.split_whitespace().any(|decided| decided == name).then_some(Meaning::Decided)
}

/// Whether a name is a Kafka property whose value may be shown.
pub(super) fn is_public(name: &str) -> bool {
    match meaning(name) {
        Some(Meaning::Used(row) | Meaning::Alias(row)) => row.form != "secret",
        Some(Meaning::Special(special)) => special != Special::JaasConfig,
        Some(Meaning::Decided) => true,
        Some(Meaning::Refused(..)) | None => false,
    }
}
