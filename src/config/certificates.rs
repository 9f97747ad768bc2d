//! `ssl.*`: certificates, keys, and whom to trust.

use super::kafka::Properties;
use super::report::{Report, Reported};
use super::settings::KafkaValue;
use crate::secrets::SecretSource;
use crate::types::Secret;
use crate::wire::{PemSource, TlsSettings};

/// Reads everything about TLS.
pub(super) fn read(report: &mut Report<'_>, properties: &Properties) -> Result<TlsSettings, Reported> {
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
        None => Ok(true),
        Some(("", _)) => Ok(false),
        Some((text, setting)) => {
            report.choose(&setting.place, text, &[("https", true), ("none", false)]).ok_or(Reported)
        }
    };
    Ok(TlsSettings { ca: ca?, certificate: certificate?, key: key?, is_hostname_checked: is_hostname_checked? })
}

/// `NAME.location` or `NAME.pem`.
fn pem(report: &mut Report<'_>, properties: &Properties, name: &str) -> Result<Option<PemSource>, Reported> {
    let (location, text) = (format!("{name}.location"), format!("{name}.pem"));
    let Some(setting) = properties.get(&text) else {
        let file = properties.text(&location).map(|(path, _)| PemSource::File(path.into()));
        return if file.is_none() && properties.was_tried(&location) { Err(Reported) } else { Ok(file) };
    };
    if let Some(other) = properties.get(&location) {
        let sentence = format!("`{}` and `{}` are both set", setting.spelled, other.spelled);
        report.refuse(&setting.key, sentence, Some("keep one of them".to_owned()));
        return Err(Reported);
    }
    let text = match &setting.value {
        KafkaValue::Text(text) => text.clone(),
        KafkaValue::Secret(SecretSource::Literal(text)) => text.reveal().to_owned(),
        KafkaValue::Secret(SecretSource::File(path)) => return Ok(Some(PemSource::File(path.clone()))),
        // A process's environment doesn't change, so it may as well be read now.
        KafkaValue::Secret(source @ SecretSource::Env(_)) => match source.read() {
            Ok(text) => text.reveal().to_owned(),
            Err(error) => {
                report.refuse(&setting.place, error.to_string(), None);
                return Err(Reported);
            }
        },
    };
    if !text.contains("-----BEGIN ") {
        let help = format!("it begins with -----BEGIN; for a file use {location}");
        report.refuse(&setting.place, format!("`{}` is not a PEM text", setting.spelled), Some(help));
        return Err(Reported);
    }
    Ok(Some(PemSource::Inline(Secret::new(text))))
}
