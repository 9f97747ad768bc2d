//! `sasl.*`: how causeway proves who it is.

use super::kafka::{Properties, Setting};
use super::report::{Place, Report, Reported};
use crate::secrets::SecretSource;
use crate::wire::SaslSettings;

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

/// Reads everything about SASL.
pub(super) fn read(
    report: &mut Report<'_>,
    cluster: &Place,
    properties: &Properties,
) -> Result<SaslSettings, Reported> {
    let Some((text, setting)) = properties.text("sasl.mechanism") else {
        if !properties.was_tried("sasl.mechanism") {
            let help = "allowed: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER";
            report.refuse(cluster, "`sasl.mechanism` is missing", Some(help.to_owned()));
        }
        return Err(Reported);
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
            report.choose(&setting.place, text, &options).ok_or(Reported)?
        }
    };
    match mechanism {
        Mechanism::Gssapi => {
            report.refuse(&setting.place, "Kerberos (GSSAPI) is not supported", instead.map(str::to_owned));
            Err(Reported)
        }
        Mechanism::MskIam => {
            let sentence = "AWS_MSK_IAM is not supported, because its logins can't be made from fixed secrets";
            report.refuse(&setting.place, sentence, instead.map(str::to_owned));
            Err(Reported)
        }
        Mechanism::OAuthBearer => oauth_bearer(report, setting, properties),
        Mechanism::Plain | Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            let (username, password) = login(report, setting, properties, mechanism)?;
            Ok(match mechanism {
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
) -> Result<(String, SecretSource), Reported> {
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
    let (username, _) = properties.text("sasl.username").ok_or(Reported)?;
    let password = properties.secret("sasl.password").ok_or(Reported)?;
    Ok((username.to_owned(), password.clone()))
}

fn oauth_bearer(
    report: &mut Report<'_>,
    mechanism: &Setting,
    properties: &Properties,
) -> Result<SaslSettings, Reported> {
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
                return Err(Reported);
            };
            extensions.push((key.to_owned(), value.to_owned()));
        }
    }
    let token = properties.secret("sasl.oauthbearer.token").ok_or(Reported)?;
    Ok(SaslSettings::OAuthBearer { token: token.clone(), extensions })
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
