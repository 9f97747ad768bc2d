//! `[cluster.NAME]`: from Kafka's properties to the settings of both clients.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kafka::{Properties, Setting};
use super::settings::{ClusterConfig, KafkaValue};
use super::tree::{Place, Report, Value};
use crate::secrets::SecretSource;
use crate::types::{ClusterName, Secret};
use crate::wire::{PemSource, SaslSettings, Settings, TlsSettings};

/// A cluster of the file. It is known by name even where something is wrong in it, so that one mistake isn't
/// reported twice.
#[derive(Debug)]
pub(super) struct ReadCluster {
    pub(super) config: Option<ClusterConfig>,
}

/// Reads all clusters.
pub(super) fn read_all<'t>(
    report: &mut Report<'t>,
    clusters: Option<&Value<'t>>,
) -> BTreeMap<ClusterName, ReadCluster> {
    let mut read = BTreeMap::new();
    for (name, value) in clusters.map(|value| value.named(report, "a table of clusters")).unwrap_or_default() {
        match ClusterName::new(name) {
            Ok(name) => {
                let config = read_one(report, &name, &value);
                read.insert(name, ReadCluster { config });
            }
            Err(error) => report.refuse(&value.key, error.to_string(), None),
        }
    }
    read
}

fn read_one<'t>(report: &mut Report<'t>, name: &ClusterName, value: &Value<'t>) -> Option<ClusterConfig> {
    let table = value.table(report, "a table of Kafka properties")?;
    let properties = Properties::read(report, value, table);
    let bootstrap = bootstrap(report, &value.key, &properties);
    let security = security(report, &properties);
    let (is_tls, is_sasl) = security.unwrap_or((true, true));
    if security.is_some() {
        refuse_without_effect(report, &properties, is_tls, is_sasl);
    }
    let tls = if is_tls { Some(tls(report, &properties)) } else { None };
    let sasl = if security.is_some() && is_sasl { Some(sasl(report, &value.key, &properties)) } else { None };
    let client_id = properties.text("client.id").map_or("causeway", |(text, _)| text);
    let mut wire = Settings::plain(bootstrap?, client_id);
    milliseconds(report, &properties, "request.timeout.ms", 300_000, &mut wire.request_timeout);
    milliseconds(report, &properties, "socket.connection.setup.timeout.ms", 300_000, &mut wire.connect_timeout);
    milliseconds(report, &properties, "metadata.max.age.ms", 86_400_000, &mut wire.metadata_age_max);
    security?;
    wire.tls = tls.map_or(Some(None), |tls| tls.map(Some))?;
    wire.sasl = sasl.map_or(Some(None), |sasl| sasl.map(Some))?;
    let kafka = for_librdkafka(&properties, &wire, is_tls);
    Some(ClusterConfig { name: name.clone(), wire, kafka })
}

fn bootstrap(report: &mut Report<'_>, cluster: &Place, properties: &Properties) -> Option<Vec<String>> {
    let Some((text, setting)) = properties.text("bootstrap.servers") else {
        if !properties.was_tried("bootstrap.servers") {
            let help = "for example: bootstrap.servers = \"kafka-1:9092,kafka-2:9092\"";
            report.refuse(cluster, "`bootstrap.servers` is missing", Some(help.to_owned()));
        }
        return None;
    };
    let mut servers = Vec::new();
    for server in text.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        if let Err(why) = check_address(server) {
            let help = "write host:port, such as kafka-1:9092 or [2001:db8::1]:9092".to_owned();
            report.refuse(&setting.place, format!("`{server}` is not the address of a broker: {why}"), Some(help));
            return None;
        }
        servers.push(server.to_owned());
    }
    if servers.is_empty() {
        report.refuse(&setting.place, format!("`{}` names no broker", setting.spelled), None);
        return None;
    }
    Some(servers)
}

fn check_address(server: &str) -> Result<(), &'static str> {
    if server.contains("://") {
        return Err("it has a protocol; security.protocol says that");
    }
    let (host, port) = server.rsplit_once(':').ok_or("the port is missing")?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    if host.contains(':') && !is_bracketed {
        return Err("IPv6 addresses stand in brackets");
    }
    if host.is_empty() || host.contains(char::is_whitespace) || host.contains(['/', '@']) {
        return Err("the host is not valid");
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => Err("the port is not 1 to 65535"),
    }
}

/// Whether there is TLS, and whether there is SASL.
fn security(report: &mut Report<'_>, properties: &Properties) -> Option<(bool, bool)> {
    let Some((text, setting)) = properties.text("security.protocol") else {
        return (!properties.was_tried("security.protocol")).then_some((false, false));
    };
    let options = [
        ("PLAINTEXT", (false, false)),
        ("SSL", (true, false)),
        ("SASL_PLAINTEXT", (false, true)),
        ("SASL_SSL", (true, true)),
    ];
    // Java takes either case, librdkafka's manual has the small letters.
    let capital = text.to_uppercase();
    let is_known = options.iter().any(|(option, _)| *option == capital);
    report.choose(&setting.place, if is_known { &capital } else { text }, &options)
}

/// A password that is not sent and a certificate that is not checked are worth a complaint: somebody counts on them.
fn refuse_without_effect(report: &mut Report<'_>, properties: &Properties, is_tls: bool, is_sasl: bool) {
    let is_jaas_seen = |setting: &Setting, name: &str| setting.spelled == "sasl.jaas.config" && name != "sasl.username";
    let is_store_seen =
        |setting: &Setting, name: &str| setting.spelled == "ssl.keystore.location" && name != "ssl.key.location";
    for (name, setting) in properties.iter() {
        if is_jaas_seen(setting, name) || is_store_seen(setting, name) {
            continue;
        }
        let (layer, instead) = match (name.starts_with("sasl."), name.starts_with("ssl.")) {
            (true, _) if !is_sasl && is_tls => ("SASL", "SASL_SSL"),
            (true, _) if !is_sasl => ("SASL", "SASL_SSL or SASL_PLAINTEXT"),
            (_, true) if !is_tls && is_sasl => ("TLS", "SASL_SSL"),
            (_, true) if !is_tls => ("TLS", "SSL or SASL_SSL"),
            _ => continue,
        };
        let sentence = format!("`{}` would have no effect: this cluster is reached without {layer}", setting.spelled);
        report.refuse(&setting.key, sentence, Some(format!("set security.protocol to {instead}, or leave it out")));
    }
}

fn tls(report: &mut Report<'_>, properties: &Properties) -> Option<TlsSettings> {
    let ca = pem(report, properties, "ssl.ca");
    let certificate = pem(report, properties, "ssl.certificate");
    let key = pem(report, properties, "ssl.key");
    let was_tried = |name: &str| ["location", "pem"].iter().any(|end| properties.was_tried(&format!("{name}.{end}")));
    for (there, missing) in [("ssl.certificate", "ssl.key"), ("ssl.key", "ssl.certificate")] {
        let setting = properties.get(&format!("{there}.location")).or(properties.get(&format!("{there}.pem")));
        if let Some(setting) = setting.filter(|_| !was_tried(missing)) {
            let sentence = format!("`{}` needs `{missing}.location` beside it", setting.spelled);
            report.refuse(&setting.key, sentence, None);
        }
    }
    let is_hostname_checked = match properties.text("ssl.endpoint.identification.algorithm") {
        None => Some(true),
        Some(("", _)) => Some(false),
        Some((text, setting)) => report.choose(&setting.place, text, &[("https", true), ("none", false)]),
    };
    Some(TlsSettings { ca: ca?, certificate: certificate?, key: key?, is_hostname_checked: is_hostname_checked? })
}

/// `NAME.location` or `NAME.pem`. The outer `None` only after something was reported.
fn pem(report: &mut Report<'_>, properties: &Properties, name: &str) -> Option<Option<PemSource>> {
    let (location, text) = (format!("{name}.location"), format!("{name}.pem"));
    let Some(setting) = properties.get(&text) else {
        let file = properties.text(&location).map(|(path, _)| PemSource::File(path.into()));
        return if file.is_none() && properties.was_tried(&location) { None } else { Some(file) };
    };
    if let Some(other) = properties.get(&location) {
        let sentence = format!("`{}` and `{}` are both set", setting.spelled, other.spelled);
        report.refuse(&setting.key, sentence, Some("keep one of them".to_owned()));
        return None;
    }
    let text = match &setting.value {
        KafkaValue::Text(text) => text.clone(),
        KafkaValue::Secret(SecretSource::Literal(text)) => text.reveal().to_owned(),
        KafkaValue::Secret(SecretSource::File(path)) => return Some(Some(PemSource::File(path.clone()))),
        // A process's environment doesn't change, so it may as well be read now.
        KafkaValue::Secret(source @ SecretSource::Env(_)) => match source.read() {
            Ok(text) => text.reveal().to_owned(),
            Err(error) => {
                report.refuse(&setting.place, error.to_string(), None);
                return None;
            }
        },
    };
    if !text.contains("-----BEGIN ") {
        let help = format!("it begins with -----BEGIN; for a file use {location}");
        report.refuse(&setting.place, format!("`{}` is not a PEM text", setting.spelled), Some(help));
        return None;
    }
    Some(Some(PemSource::Inline(Secret::new(text))))
}

/// The mechanisms that can be chosen, and those that can't although Kafka has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
    OAuthBearer,
    Gssapi,
    MskIam,
}

fn sasl(report: &mut Report<'_>, cluster: &Place, properties: &Properties) -> Option<SaslSettings> {
    let Some((text, setting)) = properties.text("sasl.mechanism") else {
        if !properties.was_tried("sasl.mechanism") {
            let help = "allowed: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER";
            report.refuse(cluster, "`sasl.mechanism` is missing", Some(help.to_owned()));
        }
        return None;
    };
    let instead = Some("use SCRAM-SHA-512, PLAIN, OAUTHBEARER or a TLS certificate (security.protocol = \"SSL\")");
    let mechanism = match text {
        "GSSAPI" => Mechanism::Gssapi,
        "AWS_MSK_IAM" => Mechanism::MskIam,
        _ => {
            let options = [
                ("PLAIN", Mechanism::Plain),
                ("SCRAM-SHA-256", Mechanism::ScramSha256),
                ("SCRAM-SHA-512", Mechanism::ScramSha512),
                ("OAUTHBEARER", Mechanism::OAuthBearer),
            ];
            report.choose(&setting.place, text, &options)?
        }
    };
    match mechanism {
        Mechanism::Gssapi => {
            report.refuse(&setting.place, "Kerberos (GSSAPI) is not supported", instead.map(str::to_owned));
            None
        }
        Mechanism::MskIam => {
            let sentence = "AWS_MSK_IAM is not supported, because its logins can't be made from fixed secrets";
            report.refuse(&setting.place, sentence, instead.map(str::to_owned));
            None
        }
        Mechanism::OAuthBearer => oauth_bearer(report, setting, properties),
        Mechanism::Plain | Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            let (username, password) = login(report, setting, properties, mechanism)?;
            Some(match mechanism {
                Mechanism::ScramSha256 => SaslSettings::ScramSha256 { username, password },
                Mechanism::ScramSha512 => SaslSettings::ScramSha512 { username, password },
                _ => SaslSettings::Plain { username, password },
            })
        }
    }
}

fn login(
    report: &mut Report<'_>,
    mechanism: &Setting,
    properties: &Properties,
    chosen: Mechanism,
) -> Option<(String, SecretSource)> {
    refuse_others(report, properties, mechanism, &["sasl.oauthbearer.token", "sasl.oauthbearer.extensions"]);
    need(report, properties, mechanism, &["sasl.username", "sasl.password"]);
    if let Some(is_scram) = properties.jaas_is_scram
        && is_scram == (chosen == Mechanism::Plain)
    {
        let module = if is_scram { "ScramLoginModule" } else { "PlainLoginModule" };
        report.refuse(
            &mechanism.place,
            format!("`sasl.jaas.config` has a {module}, which is for another mechanism"),
            None,
        );
    }
    let (username, _) = properties.text("sasl.username")?;
    Some((username.to_owned(), properties.secret("sasl.password")?.clone()))
}

fn oauth_bearer(report: &mut Report<'_>, mechanism: &Setting, properties: &Properties) -> Option<SaslSettings> {
    refuse_others(report, properties, mechanism, &["sasl.username", "sasl.password"]);
    need(report, properties, mechanism, &["sasl.oauthbearer.token"]);
    let mut extensions = Vec::new();
    if let Some((text, setting)) = properties.text("sasl.oauthbearer.extensions") {
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let parts = pair.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
            // RFC 7628: keys are letters only, and `auth` is the token itself.
            let is_key = |key: &str| !key.is_empty() && key != "auth" && key.chars().all(|c| c.is_ascii_alphabetic());
            let Some((key, value)) = parts.filter(|(key, _)| is_key(key)) else {
                let help = "write key=value pairs, such as logicalCluster=lkc-1,identityPoolId=pool-2".to_owned();
                report.refuse(&setting.place, format!("`{pair}` is not a SASL extension"), Some(help));
                return None;
            };
            extensions.push((key.to_owned(), value.to_owned()));
        }
    }
    Some(SaslSettings::OAuthBearer { token: properties.secret("sasl.oauthbearer.token")?.clone(), extensions })
}

fn need(report: &mut Report<'_>, properties: &Properties, mechanism: &Setting, names: &[&str]) {
    for name in names.iter().filter(|name| !properties.was_tried(name)) {
        let mechanism_name = properties.text("sasl.mechanism").map_or("", |(text, _)| text);
        report.refuse(&mechanism.key, format!("`{name}` is missing; {mechanism_name} needs it"), None);
    }
}

fn refuse_others(report: &mut Report<'_>, properties: &Properties, mechanism: &Setting, names: &[&str]) {
    for setting in names.iter().filter_map(|name| properties.get(name)) {
        let chosen = properties.text("sasl.mechanism").map_or("", |(text, _)| text);
        let sentence = format!("`{}` would have no effect with {chosen}", setting.spelled);
        let line = report.line(&mechanism.key);
        report.refuse(&setting.key, sentence, Some(format!("sasl.mechanism is in line {line}")));
    }
}

fn milliseconds(report: &mut Report<'_>, properties: &Properties, name: &str, most: u64, into: &mut Duration) {
    let Some((text, setting)) = properties.text(name) else { return };
    match text.parse::<u64>() {
        Ok(number) if (1_000..=most).contains(&number) => *into = Duration::from_millis(number),
        Ok(_) | Err(_) => {
            let sentence = format!("`{}` is 1000 to {most}, in milliseconds", setting.spelled);
            report.refuse(&setting.place, sentence, None);
        }
    }
}

/// The same settings under librdkafka's names.
fn for_librdkafka(properties: &Properties, wire: &Settings, is_tls: bool) -> BTreeMap<String, KafkaValue> {
    let mut kafka: BTreeMap<String, KafkaValue> = properties
        .iter()
        // librdkafka has no property for a token that it doesn't fetch itself.
        .filter(|(name, _)| !name.starts_with("sasl.oauthbearer."))
        .map(|(name, setting)| {
            // What librdkafka calls request.timeout.ms is about produce requests only.
            let name = if name == "request.timeout.ms" { "socket.timeout.ms" } else { name };
            (name.to_owned(), setting.value.clone())
        })
        .collect();
    let mut set = |name: &str, value: String| kafka.insert(name.to_owned(), KafkaValue::Text(value));
    set("bootstrap.servers", wire.bootstrap.join(","));
    set("client.id", wire.client_id.clone());
    if let Some(tls) = &wire.tls {
        let algorithm = if tls.is_hostname_checked { "https" } else { "none" };
        set("ssl.endpoint.identification.algorithm", algorithm.to_owned());
        if is_tls && tls.ca.is_none() {
            // Without it a librdkafka with its own OpenSSL looks in a folder of the machine that built it.
            set("ssl.ca.location", "probe".to_owned());
        }
    }
    kafka
}
