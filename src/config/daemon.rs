//! `[daemon]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::keys;
use super::link::measured;
use super::quantity::{self, show_size};
use super::report::{Report, Reported};
use super::secret;
use super::settings::{DaemonConfig, DaemonTls};
use super::tree::{Table, Value};
use crate::secrets::SecretSource;
use crate::types::{LinkName, TopicName};

const PORT: u16 = 8480;
const MAP_BYTES_MAX: u64 = 256 << 20;

/// Reads the table, or takes its defaults. `None` only after something was reported.
pub(super) fn read<'t>(report: &mut Report<'t>, value: Option<&Value<'t>>) -> Option<DaemonConfig> {
    let Some(value) = value else {
        return Some(DaemonConfig {
            id: host_name(),
            group: "causeway".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            api_token: None,
            tls: None,
            map_bytes_max: MAP_BYTES_MAX,
        });
    };
    let table = Table::open(report, value, &keys::DAEMON)?;
    let id = match table.get("id") {
        Some(value) => id(report, value),
        None => Some(host_name()),
    };
    let group = match table.get("group") {
        Some(value) => group(report, value),
        None => Some("causeway".to_owned()),
    };
    let listen = match table.get("listen") {
        Some(value) => listen(report, value),
        None => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))),
    };
    let api_token = match table.get("api_token") {
        Some(value) => secret::read(report, value).map(Some),
        None => Some(None),
    };
    let tls = tls(report, &table);
    let map_bytes_max = match table.get("map_memory_max") {
        Some(value) => measured(report, value, quantity::size, (16 << 20, 1 << 40), show_size),
        None => Some(MAP_BYTES_MAX),
    };
    if let (Some(token), Some(listen)) = (table.get("api_token"), listen)
        && !listen.ip().is_loopback()
        && !table.has("tls_certificate")
    {
        let help = "set tls_certificate and tls_key, or listen on 127.0.0.1 behind a proxy that has TLS".to_owned();
        report.refuse(
            &token.key,
            format!("`api_token` would cross the network in the clear: `listen` is {listen}"),
            Some(help),
        );
    }
    Some(DaemonConfig {
        id: id?,
        group: group?,
        listen: listen?,
        api_token: api_token?,
        tls: tls.ok()?,
        map_bytes_max: map_bytes_max?,
    })
}

fn id<'t>(report: &mut Report<'t>, value: &Value<'t>) -> Option<String> {
    let text = value.full_text(report)?;
    // Kafka's rule for static members is that for topics.
    if TopicName::new(text).is_err() {
        let sentence = format!("`{text}` is not a valid id: use 1 to 249 letters, digits, `.`, `_` or `-`");
        report.refuse(&value.place, sentence, None);
        return None;
    }
    Some(text.to_owned())
}

fn group<'t>(report: &mut Report<'t>, value: &Value<'t>) -> Option<String> {
    let text = value.full_text(report)?;
    if let Err(error) = LinkName::new(text) {
        report.refuse(&value.place, error.to_string(), None);
        return None;
    }
    Some(text.to_owned())
}

fn listen<'t>(report: &mut Report<'t>, value: &Value<'t>) -> Option<SocketAddr> {
    let text = value.full_text(report)?;
    let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address = local.as_deref().unwrap_or(text).parse().ok();
    if address.is_none() {
        let help = match text.strip_prefix(':') {
            Some(port) => format!("for every interface write \"0.0.0.0:{port}\""),
            None => format!("write an IP address and a port, such as \"127.0.0.1:{PORT}\""),
        };
        report.refuse(&value.place, format!("`{text}` is not an address to listen on"), Some(help));
    }
    address
}

fn tls<'t>(report: &mut Report<'t>, table: &Table<'t>) -> Result<Option<DaemonTls>, Reported> {
    let (certificate, key) = match (table.get("tls_certificate"), table.get("tls_key")) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(one), None) => {
            report.refuse(&one.key, "`tls_certificate` needs `tls_key` beside it", None);
            return Err(Reported);
        }
        (None, Some(one)) => {
            report.refuse(&one.key, "`tls_key` needs `tls_certificate` beside it", None);
            return Err(Reported);
        }
    };
    let certificate = certificate.full_text(report).map(PathBuf::from);
    let source = secret::read(report, key).ok_or(Reported)?;
    if let SecretSource::Literal(text) = &source
        && !text.reveal().contains("-----BEGIN ")
    {
        let help = "for a file write tls_key = { file = \"/path\" }".to_owned();
        report.refuse(&key.key, "`tls_key` is not a PEM text", Some(help));
        return Err(Reported);
    }
    Ok(Some(DaemonTls { certificate: certificate.ok_or(Reported)?, key: source }))
}

/// The name of this machine, where it has a usable one.
fn host_name() -> String {
    let file = |path| std::fs::read_to_string(path).ok();
    let names = [file("/proc/sys/kernel/hostname"), file("/etc/hostname"), std::env::var("HOSTNAME").ok()];
    let usable = |name: &String| TopicName::new(name).is_ok();
    names.into_iter().flatten().map(|name| name.trim().to_owned()).find(usable).unwrap_or_else(|| "causeway".to_owned())
}
