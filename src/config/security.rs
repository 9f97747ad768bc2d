//! `security.protocol`, and what may stand beside it.

use super::kafka::{Properties, Setting};
use super::report::{Report, Reported};

/// How a listener is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Security {
    pub(super) is_tls: bool,
    pub(super) is_sasl: bool,
}

/// Reads the protocol, and refuses properties of a layer that isn't there.
pub(super) fn read(report: &mut Report<'_>, properties: &Properties) -> Result<Security, Reported> {
    let security = match properties.text("security.protocol") {
        Some((text, setting)) => protocol(report, text, setting)?,
        None if properties.was_tried("security.protocol") => return Err(Reported),
        None => Security { is_tls: false, is_sasl: false },
    };
    refuse_without_effect(report, properties, security);
    Ok(security)
}

fn protocol(report: &mut Report<'_>, text: &str, setting: &Setting) -> Result<Security, Reported> {
    let options = [
        ("PLAINTEXT", Security { is_tls: false, is_sasl: false }),
        ("SSL", Security { is_tls: true, is_sasl: false }),
        ("SASL_PLAINTEXT", Security { is_tls: false, is_sasl: true }),
        ("SASL_SSL", Security { is_tls: true, is_sasl: true }),
    ];
    // Java takes either case, librdkafka's manual has the small letters.
    let capital = text.to_uppercase();
    let is_known = options.iter().any(|(option, _)| *option == capital);
    report.choose(&setting.place, if is_known { &capital } else { text }, &options).ok_or(Reported)
}

/// A password that is not sent and a certificate that is not checked are worth a complaint: somebody counts on them.
fn refuse_without_effect(report: &mut Report<'_>, properties: &Properties, security: Security) {
    let Security { is_tls, is_sasl } = security;
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
