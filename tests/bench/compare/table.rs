//! Medians and their spread, as Markdown.
//!
//! Owns: the text of the tables.
//! Promises: a figure that could not be measured is a dash.
//! Does not know: how anything was measured.

use std::fmt::Write as _;

use crate::catch_up::Measured;
use crate::copiers::Copier;
use crate::shapes::Shape;
use crate::steady::Latency;

/// The median, and half the distance between the least and the most in percent of it.
fn median(mut figures: Vec<f64>) -> Option<(f64, f64)> {
    figures.sort_by(f64::total_cmp);
    let (least, most) = (*figures.first()?, *figures.last()?);
    let median = *figures.get(figures.len() / 2)?;
    let spread = if median > 0.0 { (most - least) / 2.0 / median * 100.0 } else { 0.0 };
    Some((median, spread))
}

fn cell(figures: impl Iterator<Item = f64>, digits: usize) -> String {
    match median(figures.collect()) {
        Some((median, spread)) => format!("{median:.digits$} ±{spread:.0}%"),
        None => "-".to_owned(),
    }
}

/// One table per shape.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub fn catch_up(shape: &Shape, batch_bytes: u64, replays: &[f64], rows: &[(Copier, Vec<Measured>)]) -> String {
    let (batch_mb, raw_mb) = (batch_bytes as f64 / 1e6, shape.raw_bytes() as f64 / 1e6);
    let mut text = format!(
        "\n### {}: {}\n\n{} records, {batch_mb:.0} MB of batches, {raw_mb:.0} MB uncompressed",
        shape.name, shape.text, shape.records
    );
    if let Some((seconds, _)) = median(replays.to_vec()) {
        let _ = write!(text, "; bare replay of ready-made batches: {seconds:.2} s, {:.0} MB/s", batch_mb / seconds);
    }
    text.push_str(
        "\n\n| copier | s | MB/s | MB/s uncompressed | records/s | copier CPU s | source CPU s | target CPU s \
         | all CPU s | peak MB | start s | start CPU s |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (copier, runs) in rows {
        let each = |figure: fn(&Measured) -> f64| runs.iter().map(figure);
        let rate = |amount: f64| runs.iter().map(move |run| amount / run.copy_seconds);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            copier.name(),
            cell(each(|run| run.copy_seconds), 2),
            cell(rate(batch_mb), 0),
            cell(rate(raw_mb), 0),
            cell(rate(shape.records as f64), 0),
            cell(each(|run| run.copy_cpu), 2),
            cell(each(|run| run.source_cpu), 2),
            cell(each(|run| run.target_cpu), 2),
            cell(each(|run| run.copy_cpu + run.source_cpu + run.target_cpu), 2),
            cell(each(|run| (run.bytes_peak >> 20) as f64), 0),
            cell(each(|run| run.start_seconds), 1),
            cell(each(|run| run.start_cpu), 1),
        );
    }
    text
}

/// The table of latencies.
pub fn steady(text: &str, rows: &[(Copier, Vec<Latency>)]) -> String {
    let mut table = format!(
        "\n### Steady state: {text}\n\nAdded latency: from readable at the source to readable at the target.\n\n\
         | copier | p50 ms | p99 ms | max ms | copier cores | target broker cores |\n|---|---|---|---|---|---|\n"
    );
    for (copier, runs) in rows {
        let each = |figure: fn(&Latency) -> f64| runs.iter().map(figure);
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} |",
            copier.name(),
            cell(each(|run| run.p50), 1),
            cell(each(|run| run.p99), 1),
            cell(each(|run| run.max), 1),
            cell(each(|run| run.cores), 3),
            cell(each(|run| run.target_cores), 3),
        );
    }
    table
}
