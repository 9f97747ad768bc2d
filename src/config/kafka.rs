//! Kafka's dotted property names, joined from TOML's nested tables, and each brought to the one name that is used.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::kafka_names::{Meaning, Special, USED, meaning};
use super::keys::Row;
use super::report::{Place, Report, last_part};
use super::settings::KafkaValue;
use super::tree::Value;
use super::{jaas, secret};
use crate::secrets::SecretSource;
use crate::types::Secret;

const CONVERT_TRUST: &str =
    "make a PEM file with `keytool -exportcert -rfc -keystore STORE -alias NAME` and say ssl.ca.location";
const CONVERT_KEY: &str = "make a PEM file with `openssl pkcs12 -in STORE.p12 -nodes -out FILE.pem` and say \
                           ssl.certificate.location and ssl.key.location";

/// One property that is used.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// Where its value stands.
    pub(super) place: Place,
    /// Where its key stands.
    pub(super) key: Place,
    /// The name that the user wrote.
    pub(super) spelled: String,
    pub(super) value: KafkaValue,
}

/// The properties of one cluster, by the names that are used.
#[derive(Debug, Default)]
pub(super) struct Properties {
    settings: BTreeMap<&'static str, Setting>,
    /// Properties that were there and refused, so that nobody complains that they are missing.
    refused: Vec<&'static str>,
    /// Whether the login of a `sasl.jaas.config` is for SCRAM.
    pub(super) jaas_is_scram: Option<bool>,
}

impl Properties {
    /// Reads all properties of a cluster's table.
    pub(super) fn read<'t>(report: &mut Report<'t>, cluster: &Value<'t>, table: &'t DeTable<'t>) -> Self {
        let mut found = Vec::new();
        collect(report, cluster, table, "", &mut found);
        // In the order of the file, so that of two spellings the second one is complained about.
        found.sort_by_key(|(_, value)| value.key.span.start);
        let mut properties = Self::default();
        for (name, value) in found {
            properties.take(report, &name, &value);
        }
        properties
    }

    pub(super) fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    /// An open value.
    pub(super) fn text(&self, name: &str) -> Option<(&str, &Setting)> {
        let setting = self.get(name)?;
        match &setting.value {
            KafkaValue::Text(text) => Some((text, setting)),
            KafkaValue::Secret(_) => None,
        }
    }

    /// A secret value.
    pub(super) fn secret(&self, name: &str) -> Option<&SecretSource> {
        match &self.get(name)?.value {
            KafkaValue::Secret(source) => Some(source),
            KafkaValue::Text(_) => None,
        }
    }

    /// Whether a property was written, be it well or not.
    pub(super) fn was_tried(&self, name: &str) -> bool {
        self.settings.contains_key(name) || self.refused.contains(&name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Setting)> {
        self.settings.iter().map(|(name, setting)| (*name, setting))
    }

    fn take<'t>(&mut self, report: &mut Report<'t>, name: &str, value: &Value<'t>) {
        match meaning(name) {
            Some(Meaning::Used(row) | Meaning::Alias(row)) => match read_value(report, row, name, value) {
                Some(read) => self.insert(report, row.key, name, value, read),
                None => self.refused.push(row.key),
            },
            Some(Meaning::Special(special)) => self.take_special(report, special, name, value),
            Some(Meaning::Refused(why, instead)) => {
                report.refuse(&value.key, format!("`{name}` can't be used: {why}"), Some(instead.to_owned()));
            }
            Some(Meaning::Decided) => {
                let sentence = format!("`{name}` would have no effect: causeway decides this itself");
                report.refuse(&value.key, sentence, Some("leave it out".to_owned()));
            }
            None => {
                let allowed: Vec<_> = USED.iter().map(|row| row.key).collect();
                self.refused.extend(report.refuse_unknown(&value.key, name, &allowed));
            }
        }
    }

    fn take_special<'t>(&mut self, report: &mut Report<'t>, special: Special, name: &str, value: &Value<'t>) {
        match special {
            Special::JaasConfig => self.take_jaas(report, name, value),
            Special::KeystoreLocation => {
                let Some(path) = read_path(report, name, value, CONVERT_KEY) else {
                    self.refused.extend(["ssl.certificate.location", "ssl.key.location"]);
                    return;
                };
                for used in ["ssl.certificate.location", "ssl.key.location"] {
                    self.insert(report, used, name, value, KafkaValue::Text(path.clone()));
                }
            }
            Special::StoreType => {
                let Some(kind) = scalar(report, name, value) else { return };
                if !kind.eq_ignore_ascii_case("pem") {
                    let help = if name.contains("trust") { CONVERT_TRUST } else { CONVERT_KEY };
                    let sentence = format!("stores of type `{kind}` are not supported, only PEM files");
                    report.refuse(&value.place, sentence, Some(help.to_owned()));
                }
            }
            Special::TokenEndpoint => {
                self.refused.push("sasl.oauthbearer.token");
                let Some(address) = scalar(report, name, value) else { return };
                let path = address.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path));
                if let Some(path) = path.filter(|path| path.starts_with('/')) {
                    let source = KafkaValue::Secret(SecretSource::File(path.into()));
                    self.insert(report, "sasl.oauthbearer.token", name, value, source);
                } else {
                    let help = "let another program write the token to a file and say sasl.oauthbearer.token = \
                                { file = \"/path\" }";
                    report.refuse(&value.place, "causeway doesn't fetch OAuth tokens itself", Some(help.to_owned()));
                }
            }
        }
    }

    fn take_jaas<'t>(&mut self, report: &mut Report<'t>, name: &str, value: &Value<'t>) {
        let names = ["sasl.username", "sasl.password"];
        let Some(text) = value.parsed.as_str() else {
            let help = "write sasl.username and sasl.password = { file = \"/path\" } instead";
            report.refuse(&value.key, format!("`{name}` must be a string"), Some(help.to_owned()));
            self.refused.extend(names);
            return;
        };
        match jaas::parse(text) {
            Ok(login) => {
                self.jaas_is_scram = Some(login.is_scram);
                self.insert(report, "sasl.username", name, value, KafkaValue::Text(login.username));
                let password = KafkaValue::Secret(SecretSource::Literal(login.password));
                self.insert(report, "sasl.password", name, value, password);
            }
            Err((sentence, help)) => {
                report.refuse(&value.key, sentence, Some(help));
                self.refused.extend(names);
            }
        }
    }

    fn insert<'t>(
        &mut self,
        report: &mut Report<'t>,
        used: &'static str,
        spelled: &str,
        value: &Value<'t>,
        read: KafkaValue,
    ) {
        if let Some(other) = self.settings.get(used) {
            let line = report.line(&other.key);
            let sentence = if other.spelled == spelled {
                format!("`{spelled}` is set twice: here and in line {line}")
            } else {
                format!("`{spelled}` sets the same as `{}` in line {line}", other.spelled)
            };
            report.refuse(&value.key, sentence, Some("keep one of them".to_owned()));
            return;
        }
        let (place, key) = (value.place.clone(), value.key.clone());
        self.settings.insert(used, Setting { place, key, spelled: spelled.to_owned(), value: read });
    }
}

/// Joins nested tables to dotted names.
fn collect<'t>(
    report: &Report<'t>,
    parent: &Value<'t>,
    table: &'t DeTable<'t>,
    prefix: &str,
    found: &mut Vec<(String, Value<'t>)>,
) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        let value = Value::of_key(report, &parent.place, key.get_ref(), key.span(), value);
        match value.parsed {
            DeValue::Table(inner) if !secret::is_source(inner) => {
                collect(report, &value, inner, &format!("{name}."), found);
            }
            _ => found.push((name, value)),
        }
    }
}

/// Reads the value of a property in the form that its row asks for.
fn read_value<'t>(report: &mut Report<'t>, row: &Row, name: &str, value: &Value<'t>) -> Option<KafkaValue> {
    match row.form {
        "secret" => {
            let source = match value.parsed {
                DeValue::Table(_) => secret::read(report, value),
                _ => full_scalar(report, name, value).map(|text| SecretSource::Literal(Secret::new(text))),
            };
            source.map(KafkaValue::Secret)
        }
        "path" => read_path(report, name, value, CONVERT_TRUST).map(KafkaValue::Text),
        "string or list" if value.parsed.is_array() => {
            let texts: Vec<_> = value.texts(report)?.into_iter().map(|(text, _)| text).collect();
            Some(KafkaValue::Text(texts.join(",")))
        }
        // The one property for which the empty text says something: it switches the check off.
        _ if row.key == "ssl.endpoint.identification.algorithm" => scalar(report, name, value).map(KafkaValue::Text),
        _ => full_scalar(report, name, value).map(KafkaValue::Text),
    }
}

fn read_path<'t>(report: &mut Report<'t>, name: &str, value: &Value<'t>, convert: &str) -> Option<String> {
    let path = full_scalar(report, name, value)?;
    let ending = Path::new(&path).extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    if ["jks", "p12", "pfx", "keystore", "truststore"].contains(&ending.as_str()) {
        let sentence = format!("`{name}` must be a PEM file, not a `.{ending}` store");
        report.refuse(&value.place, sentence, Some(convert.to_owned()));
        return None;
    }
    Some(path)
}

fn full_scalar<'t>(report: &mut Report<'t>, name: &str, value: &Value<'t>) -> Option<String> {
    let text = scalar(report, name, value)?;
    if text.trim().is_empty() {
        report.refuse(&value.place, format!("`{name}` is empty"), None);
        return None;
    }
    Some(text)
}

/// A string, a number or a boolean, which are all the same to Kafka.
fn scalar<'t>(report: &mut Report<'t>, name: &str, value: &Value<'t>) -> Option<String> {
    match value.parsed {
        DeValue::String(text) => Some(text.as_ref().to_owned()),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            Some(number.map_or_else(|_| integer.as_str().to_owned(), |number| number.to_string()))
        }
        DeValue::Float(float) => Some(float.as_str().to_owned()),
        DeValue::Boolean(boolean) => Some(boolean.to_string()),
        DeValue::Table(_) => {
            let sentence = format!("`{name}` is not a secret, so its value must stand here");
            report.refuse(&value.key, sentence, Some(format!("write {name} = \"...\"")));
            None
        }
        DeValue::Datetime(_) | DeValue::Array(_) => {
            report.refuse(&value.place, format!("`{}` must be a string", last_part(&value.place.key)), None);
            None
        }
    }
}
