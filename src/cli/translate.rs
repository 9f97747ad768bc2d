//! `causeway translate`: where an offset of one cluster lies on the other.

use super::arguments::{OutputForm, TranslateOptions};
use super::client::{Client, encode, parse};
use super::error::CliError;
use super::output::Output;
use crate::api::json::{Translated, TranslationName};

/// Asks one question.
pub(super) fn translate(options: &TranslateOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let client = Client::new(&options.api)?;
    let link = client.link(options.link.as_ref())?;
    let direction = if options.reverse { "reverse" } else { "forward" };
    let answer = client.get(&format!(
        "/v1/links/{}/translate?topic={}&partition={}&offset={}&direction={direction}",
        encode(link.as_str()),
        encode(options.topic.as_str()),
        options.partition,
        options.offset
    ))?;
    if options.output.output == OutputForm::Json {
        return output.json(&answer);
    }
    let answer: Translated = parse(&answer)?;
    output.text(&sentence(&answer, options))
}

fn sentence(answer: &Translated, options: &TranslateOptions) -> String {
    let (from, to) = if options.reverse { ("target", "source") } else { ("source", "target") };
    let found = if options.reverse {
        answer.source_offset.map(|offset| offset.to_string())
    } else {
        answer.target_offset.map(|offset| offset.to_string())
    };
    let is_at = found.map(|offset| format!("{to} offset {offset}"));
    let what = match (answer.translation, is_at) {
        (TranslationName::Exact, Some(place)) => format!("{place} (exact)"),
        (TranslationName::Next, Some(place)) => format!("{place} (next: the first mirrored record after it)"),
        (TranslationName::NotYetMirrored, _) => "not yet mirrored".to_owned(),
        (TranslationName::BelowMap, _) => "older than the offset map".to_owned(),
        (TranslationName::Exact | TranslationName::Next, None) => "an answer without an offset".to_owned(),
    };
    format!("{}-{} {from} offset {}: {what}\n", answer.topic, answer.partition, options.offset)
}
