//! Values that may come from the environment or from a file.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::report::{Report, last_part};
use super::tree::Value;
use crate::secrets::SecretSource;
use crate::types::Secret;

const FORMS: &str = "write the text itself, { env = \"NAME\" } or { file = \"/path\" }";

/// Reads a secret: a string, `{ env = "NAME" }` or `{ file = "/path" }`.
pub(super) fn read<'t>(report: &mut Report<'t>, value: &Value<'t>) -> Option<SecretSource> {
    if let DeValue::Table(table) = value.parsed {
        from_table(report, value, table)
    } else {
        let text = value.full_text(report)?;
        Some(SecretSource::Literal(Secret::new(text.to_owned())))
    }
}

/// Whether a table looks like a secret's source, so that it is a value and not a group of keys.
pub(super) fn is_source(table: &DeTable<'_>) -> bool {
    !table.is_empty() && table.keys().all(|key| matches!(key.get_ref().as_ref(), "env" | "file"))
}

fn from_table<'t>(report: &mut Report<'t>, value: &Value<'t>, table: &'t DeTable<'t>) -> Option<SecretSource> {
    let mut sources = Vec::new();
    let mut is_clean = true;
    for (name, inner) in value.named(report, "a secret") {
        match name {
            "env" | "file" => sources.push((name, inner)),
            _ => {
                report.refuse_unknown(&inner.key, name, &["env", "file"]);
                is_clean = false;
            }
        }
    }
    if !is_clean {
        return None;
    }
    let [(name, inner)] = sources.as_slice() else {
        let found = if table.is_empty() { "neither" } else { "both" };
        let sentence = format!("`{}` has {found} of `env` and `file`", last_part(&value.place.key));
        report.refuse(&value.key, sentence, Some(FORMS.to_owned()));
        return None;
    };
    let text = inner.full_text(report)?;
    Some(if *name == "env" { SecretSource::Env(text.to_owned()) } else { SecretSource::File(PathBuf::from(text)) })
}
