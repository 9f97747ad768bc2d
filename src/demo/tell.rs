//! What a person reads: the greeting, and a line every two seconds.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, Interval, interval_at};

use super::workload::{GROUP, Plan, Work};
use super::{Settings, Stage};
use crate::api::json::{Link, LinkState};

const EVERY: Duration = Duration::from_secs(2);
/// Everything is on this machine; an answer that takes longer is left out.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The file that a user would write.
pub(super) fn configuration(stage: &Stage) -> String {
    format!(
        "[daemon]\nid = \"demo\"\ngroup = \"{GROUP}\"\nlisten = \"127.0.0.1:{}\"\n\n\
         [cluster.source]\nbootstrap.servers = \"{}\"\n\n[cluster.target]\nbootstrap.servers = \"{}\"\n\n\
         [link.demo]\nsource = \"source\"\ntarget = \"target\"\n\n[[link.demo.topics]]\nmatch = \".*\"\n",
        stage.page,
        stage.source.bootstrap(),
        stage.target.bootstrap()
    )
}

/// What there is, and what to try.
pub(super) fn greeting(stage: &Stage, settings: Settings, plans: &[Plan]) -> String {
    let (source, target, page) = (stage.source.bootstrap(), stage.target.bootstrap(), stage.page);
    let first = plans.first().map_or("", |plan| plan.name.as_str());
    let api = format!("--api http://127.0.0.1:{page}");
    let program = program();
    let mut text = String::new();
    let _ = writeln!(text, "Two Kafka clusters in this process, and a link between them (seed {}).\n", settings.seed);
    let _ = writeln!(text, "  source cluster   {source}");
    let _ = writeln!(text, "  target cluster   {target}");
    let _ = writeln!(text, "  status page      http://127.0.0.1:{page}/\n");
    let _ = writeln!(text, "{} records a second are written to the source:", settings.rate);
    for plan in plans {
        let _ = writeln!(text, "  {:<16} {}", plan.name, plan.kind.words());
    }
    let _ = writeln!(text, "\nTry in another terminal:");
    let _ = writeln!(text, "  {program} status {api}");
    let _ = writeln!(text, "  {program} translate --topic {first} --partition 0 --offset 100 {api}");
    let _ = writeln!(text, "  kcat -C -b {target} -t {first} -o -5 -e -q");
    let _ = writeln!(text, "\nCtrl-C ends it.\n");
    text
}

/// As this program was called: a newcomer's is in the folder where it was built, and no shell finds it by name.
fn program() -> String {
    let called = std::env::args_os().next();
    called.map_or_else(|| "causeway".to_owned(), |path| path.to_string_lossy().into_owned())
}

/// A line of progress every two seconds.
pub(super) struct Progress {
    ticks: Interval,
    url: String,
    work: Arc<Work>,
    written_before: u64,
    begun: Instant,
}

impl Progress {
    pub(super) fn new(stage: &Stage, work: Arc<Work>) -> Self {
        let begun = Instant::now();
        let url = format!("http://127.0.0.1:{}/v1/links/demo", stage.page);
        Self { ticks: interval_at(begun + EVERY, EVERY), url, work, written_before: 0, begun }
    }

    /// The next line, when it is time for it. Dropping it in between loses nothing.
    pub(super) async fn next(&mut self) -> String {
        self.ticks.tick().await;
        let url = self.url.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&url));
        let link = asked.await.ok().flatten();
        let written = self.work.written.load(Ordering::Relaxed);
        let rate = (written - self.written_before) / EVERY.as_secs();
        self.written_before = written;
        let seconds = self.begun.elapsed().as_secs();
        let consumed = self.work.consumed.load(Ordering::Relaxed);
        let link = link.map_or_else(|| "the daemon does not answer yet".to_owned(), |link| words(&link));
        format!("{seconds:>5} s  {rate:>6}/s  written {written:>9}  consumed {consumed:>9}  {link}\n")
    }
}

fn ask(url: &str) -> Option<Link> {
    let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_LIMIT)).build();
    let agent: ureq::Agent = config.into();
    agent.get(url).call().ok()?.body_mut().read_json().ok()
}

fn words(link: &Link) -> String {
    let state = match link.state {
        LinkState::Starting => "starting",
        LinkState::Active => "mirroring",
        LinkState::Paused => "paused",
        LinkState::Stopped => "stopped",
    };
    let lag = match (link.lag_records, link.lag_ms) {
        (Some(records), Some(ms)) => format!("lag {records} records, {ms} ms"),
        (Some(records), None) => format!("lag {records} records"),
        (None, _) => "lag unknown".to_owned(),
    };
    let stopped =
        if link.partitions_stopped == 0 { String::new() } else { format!(", {} stopped", link.partitions_stopped) };
    let problem = link.problems.first().map(|problem| format!("; {}", problem.message)).unwrap_or_default();
    format!("{state}: {} topics, {} partitions{stopped}, {lag}{problem}", link.topics, link.partitions)
}
