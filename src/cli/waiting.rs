//! `causeway await`: until a source offset is on the target.

use std::time::Duration;

use super::arguments::{AwaitOptions, OutputForm};
use super::client::{Client, encode, parse};
use super::error::CliError;
use super::output::Output;
use crate::api::json::Awaited;

/// What the call may take beyond the waiting itself.
const MARGIN: Duration = Duration::from_secs(10);

/// Waits; not there in time is a failure.
pub(super) fn wait(options: &AwaitOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let client = Client::new(&options.api)?.with_timeout(Duration::from_millis(options.timeout) + MARGIN);
    let link = client.link(options.link.as_ref())?;
    let answer = client.get(&format!(
        "/v1/links/{}/await?topic={}&partition={}&offset={}&timeout={}ms",
        encode(link.as_str()),
        encode(options.topic.as_str()),
        options.partition,
        options.offset,
        options.timeout
    ))?;
    let awaited: Awaited = parse(&answer)?;
    if options.output.output == OutputForm::Json {
        output.json(&answer)?;
    }
    let what = format!("{}-{} source offset {}", awaited.topic, awaited.partition, awaited.source_offset);
    if awaited.reached {
        let place = awaited.target_offset.map(|offset| format!(", at target offset {offset}")).unwrap_or_default();
        return match options.output.output {
            OutputForm::Table => output.text(&format!("{what} is on the target{place}\n")),
            OutputForm::Json => Ok(()),
        };
    }
    let far = match (awaited.source_position, awaited.missing) {
        (Some(position), Some(missing)) => format!("the copy is at source offset {position}, {missing} offsets short"),
        (_, _) => "nothing is known of the partition yet".to_owned(),
    };
    Err(CliError::plain(format!("{what} is not on the target after {} ms: {far}", awaited.waited_ms)))
}
