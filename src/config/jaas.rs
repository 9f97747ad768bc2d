//! `sasl.jaas.config`, as Java clients write it.

use crate::types::Secret;

/// A login that stands in a JAAS configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// Whether it is for one of the SCRAM mechanisms; otherwise it is for PLAIN.
    pub(super) is_scram: bool,
    pub(super) username: String,
    pub(super) password: Secret,
}

/// Why a JAAS configuration can't be used: a sentence, and what to write instead.
pub(super) type Refusal = (String, String);

/// Reads `org.apache.kafka...PlainLoginModule required username="..." password="...";`.
pub(super) fn parse(text: &str) -> Result<Login, Refusal> {
    let malformed = |what: &str| {
        let help = "write sasl.username and sasl.password instead".to_owned();
        (format!("`sasl.jaas.config` {what}"), help)
    };
    let body = text.trim();
    let body = body.strip_suffix(';').ok_or_else(|| malformed("doesn't end with `;`"))?;
    let (module, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
    let is_scram = match module.rsplit('.').next().unwrap_or(module) {
        "PlainLoginModule" => false,
        "ScramLoginModule" => true,
        other => return Err(refuse_module(other)),
    };
    let rest = rest.trim_start();
    let (flag, options) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if !["required", "requisite", "sufficient", "optional"].contains(&flag.to_lowercase().as_str()) {
        return Err(malformed("needs `required` after the login module"));
    }
    let options =
        parse_options(options).ok_or_else(|| malformed("has options that are not of the form key=\"value\""))?;
    let option = |name: &str| options.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    if option("tokenauth").is_some_and(|value| value == "true") {
        return Err(malformed("asks for delegation tokens (`tokenauth`), which are not supported"));
    }
    let username = option("username").ok_or_else(|| malformed("has no `username`"))?;
    let password = option("password").ok_or_else(|| malformed("has no `password`"))?;
    Ok(Login { is_scram, username, password: Secret::new(password) })
}

fn refuse_module(module: &str) -> Refusal {
    let sentence = format!("`sasl.jaas.config` names `{module}`, which is not supported");
    let help = match module {
        "OAuthBearerLoginModule" => "for OAUTHBEARER write sasl.oauthbearer.token = { file = \"/path\" }",
        "Krb5LoginModule" => "Kerberos is not supported; use SCRAM-SHA-512, PLAIN, OAUTHBEARER or a TLS certificate",
        "IAMLoginModule" => "AWS_MSK_IAM is not supported; use SCRAM-SHA-512 or a TLS certificate with MSK",
        _ => "PlainLoginModule and ScramLoginModule are; or write sasl.username and sasl.password instead",
    };
    (sentence, help.to_owned())
}

/// `key="value" key2=value2`; within quotes a backslash keeps the next character as it is.
fn parse_options(text: &str) -> Option<Vec<(String, String)>> {
    let mut options = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = parse_value(after.trim_start())?;
        options.push((key.trim().to_owned(), value));
        rest = after.trim_start();
    }
    Some(options)
}

fn parse_value(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    if !matches!(quote, '"' | '\'') {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((value.to_owned(), rest));
    }
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, c)) = characters.next() {
        match c {
            '\\' => value.push(characters.next()?.1),
            _ if c == quote => return Some((value, text.get(index + 1..)?)),
            _ => value.push(c),
        }
    }
    None
}
