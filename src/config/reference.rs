//! The reference of all keys as Markdown, from the same rows that the reader goes by.

use std::fmt::Write as _;

use super::kafka_names::{ALIASES, SPECIAL, Special, USED};
use super::keys::{Row, SECTIONS};

/// One part of the reference: its heading, and a Markdown table of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceTable {
    /// The heading, such as `` `[link.NAME.sync]` ``.
    pub title: String,
    /// The table, each line ended.
    pub markdown: String,
}

/// Every key of the configuration, as `docs/configuration.md` shows them.
#[must_use]
pub fn reference() -> Vec<ReferenceTable> {
    let mut tables: Vec<_> = SECTIONS
        .iter()
        .map(|section| ReferenceTable { title: section.title.to_owned(), markdown: of_rows(section.rows) })
        .collect();
    tables.push(ReferenceTable { title: "`[cluster.NAME]`".to_owned(), markdown: of_rows(&USED) });
    tables.push(ReferenceTable { title: "Names from other Kafka clients".to_owned(), markdown: of_other_names() });
    tables
}

fn of_rows(rows: &[Row]) -> String {
    let mut markdown = "| key | type | default | allowed | meaning |\n|---|---|---|---|---|\n".to_owned();
    for row in rows {
        // Writing to a String can't fail.
        let _ =
            writeln!(markdown, "| `{}` | {} | {} | {} | {} |", row.key, row.form, row.default, row.allowed, row.about);
    }
    markdown
}

fn of_other_names() -> String {
    let aliases = ALIASES.iter().map(|(alias, used)| (*alias, format!("the same as `{used}`")));
    let special = SPECIAL.iter().map(|(name, special)| {
        let meaning = match special {
            Special::JaasConfig => "user and password, with PlainLoginModule or ScramLoginModule",
            Special::KeystoreLocation => "`ssl.certificate.location` and `ssl.key.location`: one PEM file with both",
            Special::StoreType => "only `PEM` is accepted",
            Special::TokenEndpoint => "`sasl.oauthbearer.token`, where it is a `file:` address",
        };
        (*name, meaning.to_owned())
    });
    let mut markdown = "| key | taken as |\n|---|---|\n".to_owned();
    for (name, meaning) in aliases.chain(special) {
        let _ = writeln!(markdown, "| `{name}` | {meaning} |");
    }
    markdown
}
