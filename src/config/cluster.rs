//! `[cluster.NAME]`: from Kafka's properties to the settings of both clients.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::DeTable;

use super::kafka::Properties;
use super::report::{Place, Report, Reported};
use super::security::{self, Security};
use super::settings::{ClusterConfig, KafkaValue};
use super::tree::Value;
use super::{certificates, login};
use crate::types::{ClusterName, PeerName};
use crate::wire::Settings;

/// A cluster of the file. It is known by name even where something is wrong in it, so that one mistake isn't
/// reported twice.
#[derive(Debug)]
pub(super) struct ReadCluster {
    pub(super) place: Place,
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
                read.insert(name, ReadCluster { place: value.key.clone(), config });
            }
            Err(error) => report.refuse(&value.key, error.to_string(), None),
        }
    }
    read
}

fn read_one<'t>(report: &mut Report<'t>, name: &ClusterName, value: &Value<'t>) -> Option<ClusterConfig> {
    let table = value.table(report, "a table of Kafka properties")?;
    if let Some(via) = via(report, value, table) {
        let wire = Settings::plain(Vec::new(), "causeway");
        return Some(ClusterConfig { name: name.clone(), via: Some(via.ok()?), wire, kafka: BTreeMap::new() });
    }
    let properties = Properties::read(report, value, table);
    let bootstrap = bootstrap(report, &value.key, &properties);
    let security = security::read(report, &properties);
    let tls = match security {
        Ok(Security { is_tls: false, .. }) => Ok(None),
        Ok(_) | Err(Reported) => certificates::read(report, &properties).map(Some),
    };
    let sasl = match security {
        Ok(Security { is_sasl: false, .. }) => Ok(None),
        Err(Reported) if !properties.was_tried("sasl.mechanism") => Ok(None),
        Ok(_) | Err(Reported) => login::read(report, &value.key, &properties).map(Some),
    };
    let client_id = properties.text("client.id").map_or("causeway", |(text, _)| text);
    let mut wire = Settings::plain(bootstrap.clone().unwrap_or_default(), client_id);
    milliseconds(report, &properties, "request.timeout.ms", 300_000, &mut wire.request_timeout);
    milliseconds(report, &properties, "socket.connection.setup.timeout.ms", 300_000, &mut wire.connect_timeout);
    milliseconds(report, &properties, "metadata.max.age.ms", 86_400_000, &mut wire.metadata_age_max);
    bootstrap.and(security.ok())?;
    wire.tls = tls.ok()?;
    wire.sasl = sasl.ok()?;
    let kafka = for_librdkafka(&properties, &wire);
    Some(ClusterConfig { name: name.clone(), via: None, wire, kafka })
}

/// The peer that a cluster is read through. It alone knows addresses and logins, so no other key may stand beside.
fn via<'t>(report: &mut Report<'t>, cluster: &Value<'t>, table: &'t DeTable<'t>) -> Option<Result<PeerName, Reported>> {
    if !table.contains_key("via") {
        return None;
    }
    let mut via = Err(Reported);
    for (key, value) in cluster.named(report, "a table of Kafka properties") {
        if key == "via" {
            via = value.full_text(report).ok_or(Reported).and_then(|text| {
                PeerName::new(text).map_err(|error| {
                    report.refuse(&value.place, error.to_string(), None);
                    Reported
                })
            });
        } else {
            let sentence = format!("`{key}` would have no effect: the cluster is read through a peer (`via`)");
            let help = "the peer's daemon has the addresses and logins; leave it out here".to_owned();
            report.refuse(&value.key, sentence, Some(help));
        }
    }
    Some(via)
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
fn for_librdkafka(properties: &Properties, wire: &Settings) -> BTreeMap<String, KafkaValue> {
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
        if tls.ca.is_none() {
            // Without it a librdkafka with its own OpenSSL looks in a folder of the machine that built it.
            set("ssl.ca.location", "probe".to_owned());
        }
    }
    kafka
}
