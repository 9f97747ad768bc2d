//! `[peers]` and `[peer.NAME]`: sessions with other daemons.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::keys;
use super::link::measured;
use super::quantity::{self, show_rate};
use super::report::{Place, Report, Reported};
use super::secret;
use super::settings::{Expose, PeersConfig};
use super::tree::{Table, Value};
use crate::cluster::Exposure;
use crate::peer::{Address, CONNECTIONS, CONNECTIONS_MAX, Identity, PeerSettings, Proxy};
use crate::secrets::SecretSource;
use crate::types::{ClusterName, PeerName, Secret};
use crate::wire::PemSource;

/// What a peer's table says, with the places that other tables' checks point at.
#[derive(Debug)]
pub(super) struct ReadPeer {
    pub(super) place: Place,
    pub(super) config: Option<PeerSettings>,
    pub(super) expose: Option<(Expose, Place)>,
}

/// Reads both tables. `Err` only after something was reported; `Ok(None)` where there are no peers.
pub(super) fn read<'t>(
    report: &mut Report<'t>,
    own: Option<&Value<'t>>,
    peers: Option<&Value<'t>>,
) -> (Result<Option<PeersConfig>, Reported>, BTreeMap<PeerName, ReadPeer>) {
    let mut read = BTreeMap::new();
    for (name, value) in peers.map(|value| value.named(report, "a table of peers")).unwrap_or_default() {
        match PeerName::new(name) {
            Ok(name) => {
                let peer = read_one(report, &name, &value);
                read.insert(name, peer);
            }
            Err(error) => report.refuse(&value.key, error.to_string(), None),
        }
    }
    let config = match (own, read.values().next()) {
        (None, None) => Ok(None),
        (None, Some(peer)) => {
            let help = "sessions need our own certificate: add [peers] with certificate and key; `causeway keys new` \
                        makes them";
            report.refuse(&peer.place, "`[peers]` is missing", Some(help.to_owned()));
            Err(Reported)
        }
        (Some(own), _) => read_own(report, own, &read).map(Some).ok_or(Reported),
    };
    (config, read)
}

fn read_own<'t>(
    report: &mut Report<'t>,
    value: &Value<'t>,
    read: &BTreeMap<PeerName, ReadPeer>,
) -> Option<PeersConfig> {
    let table = Table::open(report, value, &keys::PEERS)?;
    let path = |report: &mut Report<'t>, value: &Value<'t>| {
        value.full_text(report).map(|text| PemSource::File(PathBuf::from(text)))
    };
    let certificate = table.need(report, "certificate", "\"/etc/causeway/peers.pem\"");
    let certificate = certificate.and_then(|value| path(report, value));
    let key = table.need(report, "key", "{ file = \"/etc/causeway/peers.key\" }");
    let key = key.and_then(|value| pem(report, value));
    let ca = match table.get("ca") {
        None => Some(None),
        Some(value) => path(report, value).map(Some),
    };
    let listen = match table.get("listen") {
        None => Some(None),
        Some(value) => listen(report, value).map(Some),
    };
    for (name, peer) in read {
        let waits = peer.config.as_ref().is_some_and(|config| config.connect.is_empty());
        if waits && !table.was_tried("listen") {
            let help = "add connect = [\"host:port\"] here, or listen = \"0.0.0.0:9443\" to [peers]".to_owned();
            report.refuse(&peer.place, format!("neither side of `{name}` would dial"), Some(help));
        }
    }
    Some(PeersConfig {
        certificate: certificate?,
        key: key?,
        ca: ca?,
        listen: listen?,
        peers: read.values().filter_map(|peer| peer.config.clone()).collect(),
        exposed: read.iter().filter_map(|(name, peer)| Some((name.clone(), peer.expose.as_ref()?.0.clone()))).collect(),
    })
}

fn pem<'t>(report: &mut Report<'t>, value: &Value<'t>) -> Option<PemSource> {
    let text = match secret::read(report, value)? {
        SecretSource::File(path) => return Some(PemSource::File(path)),
        SecretSource::Literal(text) => text,
        // A process's environment doesn't change, so it may as well be read now.
        source @ SecretSource::Env(_) => match source.read() {
            Ok(text) => text,
            Err(error) => {
                report.refuse(&value.place, error.to_string(), None);
                return None;
            }
        },
    };
    if text.reveal().contains("-----BEGIN ") {
        Some(PemSource::Inline(text))
    } else {
        let help = "for a file write key = { file = \"/path\" }".to_owned();
        report.refuse(&value.key, "`key` is not a PEM text", Some(help));
        None
    }
}

fn listen<'t>(report: &mut Report<'t>, value: &Value<'t>) -> Option<String> {
    let text = value.full_text(report)?;
    if text.parse::<std::net::SocketAddr>().is_err() {
        let help = "write an IP address and a port, such as \"0.0.0.0:9443\"".to_owned();
        report.refuse(&value.place, format!("`{text}` is not an address to listen on"), Some(help));
        return None;
    }
    Some(text.to_owned())
}

fn read_one<'t>(report: &mut Report<'t>, name: &PeerName, value: &Value<'t>) -> ReadPeer {
    let mut read = ReadPeer { place: value.key.clone(), config: None, expose: None };
    let Some(table) = Table::open(report, value, &keys::PEER) else { return read };
    let identity = table.need(report, "identity", "\"dr.example\" (a DNS name in its certificate) or \"sha256:...\"");
    let identity = identity.and_then(|value| identity_of(report, value));
    let connect = match table.get("connect") {
        None => Some(Vec::new()),
        Some(value) => addresses(report, value),
    };
    let connections = match table.get("connections") {
        None => Some(CONNECTIONS),
        Some(value) => value.integer(report, 1..=CONNECTIONS_MAX),
    };
    let rate = match table.get("rate") {
        None => Some(None),
        Some(value) => measured(report, value, quantity::rate, (1_000, 1_000_000_000_000), show_rate).map(Some),
    };
    let compress = table.get("compress").map_or(Some(false), |value| value.boolean(report));
    let proxy = proxy(report, &table);
    if let Some(value) = table.get("expose") {
        read.expose = expose(report, value);
    }
    read.config = (|| {
        Some(PeerSettings {
            name: name.clone(),
            identity: identity?,
            connect: connect?,
            proxy: proxy.ok()?,
            connections: connections?,
            bytes_per_second: rate?,
            is_compressed: compress?,
        })
    })();
    read
}

fn identity_of<'t>(report: &mut Report<'t>, value: &Value<'t>) -> Option<Identity> {
    match value.full_text(report)?.parse() {
        Ok(identity) => Some(identity),
        Err(error) => {
            let error: crate::peer::InvalidIdentity = error;
            report.refuse(&value.place, error.to_string(), None);
            None
        }
    }
}

fn addresses<'t>(report: &mut Report<'t>, value: &Value<'t>) -> Option<Vec<Address>> {
    let mut addresses = Vec::new();
    for (text, place) in value.texts(report)? {
        addresses.push(address(report, text, &place)?);
    }
    Some(addresses)
}

fn address(report: &mut Report<'_>, text: &str, place: &Place) -> Option<Address> {
    let address = Address::parse(text);
    if address.is_none() {
        let help = "write host:port, such as dr.example:9443".to_owned();
        report.refuse(place, format!("`{text}` is not an address"), Some(help));
    }
    address
}

fn proxy<'t>(report: &mut Report<'t>, table: &Table<'t>) -> Result<Option<Proxy>, Reported> {
    let Some(value) = table.get("proxy") else {
        if let Some(value) = table.get("proxy_user").or(table.get("proxy_password")) {
            report.refuse(&value.key, "a proxy's login needs `proxy` beside it", None);
            return Err(Reported);
        }
        return Ok(None);
    };
    let text = value.full_text(report).ok_or(Reported)?;
    let address = address(report, text.strip_prefix("http://").unwrap_or(text), &value.place).ok_or(Reported)?;
    let login = match (table.get("proxy_user"), table.get("proxy_password")) {
        (None, None) => None,
        (Some(user), Some(password)) => {
            let user = user.full_text(report).ok_or(Reported)?;
            let source = secret::read(report, password).ok_or(Reported)?;
            match source.read() {
                Ok(password) => Some((user.to_owned(), password)),
                Err(error) => {
                    report.refuse(&password.place, error.to_string(), None);
                    return Err(Reported);
                }
            }
        }
        (Some(one), None) | (None, Some(one)) => {
            report.refuse(&one.key, "`proxy_user` and `proxy_password` go together", None);
            return Err(Reported);
        }
    };
    let login: Option<(String, Secret)> = login;
    Ok(Some(Proxy { address, login }))
}

fn expose<'t>(report: &mut Report<'t>, value: &Value<'t>) -> Option<(Expose, Place)> {
    let table = Table::open(report, value, &keys::EXPOSE)?;
    let cluster = table.need(report, "cluster", "\"onprem\"")?;
    let text = cluster.full_text(report)?;
    let name = match ClusterName::new(text) {
        Ok(name) => name,
        Err(error) => {
            report.refuse(&cluster.place, error.to_string(), None);
            return None;
        }
    };
    let patterns = |report: &mut Report<'t>, key: &str| match table.get(key) {
        None => Some(Vec::new()),
        Some(value) => {
            let texts = value.texts(report)?;
            for (text, place) in &texts {
                if let Err(error) = Exposure::new(&[(*text).to_owned()], &[]) {
                    report.refuse(place, error.to_string(), None);
                    return None;
                }
            }
            Some(texts.into_iter().map(|(text, _)| text.to_owned()).collect())
        }
    };
    let (topics, groups) = (patterns(report, "topics"), patterns(report, "groups"));
    let (topics, groups): (Vec<String>, Vec<String>) = (topics?, groups?);
    let exposure = Exposure::new(&topics, &groups).ok()?;
    Some((Expose { cluster: name, topics, groups, exposure }, cluster.place.clone()))
}
