//! Everything at once, with nothing installed: two clusters in memory, a workload, a live link, the status page.
//!
//! Owns: how the parts are put together, ports, what is told while it runs.
//! Promises: the daemon is the real one, and the clients are too; memory stays bounded however long it runs; ends with
//! Ctrl-C.
//! Does not know: how any part works; where its words are shown.

mod tell;
mod workload;

use std::path::Path;

use tokio::net::TcpListener;

use crate::config::{Config, ConfigError};
use crate::daemon::{self, DaemonError};
use crate::emulator::{Cluster, Listen, StartError};
use crate::tasks::TaskGroup;

/// Where the status page is when nobody wants it elsewhere: `causeway status` looks there.
const PAGE_PORT: u16 = 8480;
/// Where the clusters are when nobody wants them elsewhere.
const SOURCE_PORT: u16 = 19_092;
const TARGET_PORT: u16 = 29_092;

/// What the demo is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The first of three ports; `None`: the usual ones, or others where those are busy.
    pub port: Option<u16>,
    /// Records a second, all topics together.
    pub rate: u32,
    /// How many topics.
    pub topics: u16,
    /// Decides ids and contents.
    pub seed: u64,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A port that was asked for is busy.
    #[error("port {port} can't be used for the {what} ({error}): give another --port, or none")]
    Port {
        /// Which port.
        port: u16,
        /// What was to be there.
        what: &'static str,
        /// Why not.
        error: String,
    },
    /// The daemon's configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The workload could not begin.
    #[error("the workload can't begin: {0}")]
    Workload(String),
}

/// The two clusters and where the page will be.
struct Stage {
    source: Cluster,
    target: Cluster,
    page: u16,
}

/// Runs the demo until SIGINT or SIGTERM. `tell` gets what a person should read.
///
/// # Errors
/// A port that was asked for is busy; the daemon can't start.
pub async fn run(settings: Settings, tell: &mut dyn FnMut(String)) -> Result<(), DemoError> {
    let stage = set(settings, tell).await?;
    let plans = workload::plans(settings.topics);
    for cluster in [&stage.source, &stage.target] {
        tracing::debug!(bootstrap = cluster.bootstrap(), id = cluster.id(), "a cluster in memory");
    }
    for plan in &plans {
        plan.create(&stage.source).map_err(DemoError::Workload)?;
    }
    workload::create_state_topic(&stage.target).map_err(DemoError::Workload)?;
    let config = Config::parse(&tell::configuration(&stage), Path::new("demo.toml"))?;
    tell(tell::greeting(&stage, settings, &plans));
    let tasks = TaskGroup::new();
    let work = workload::start(&stage.source.bootstrap(), settings, &plans, &tasks).map_err(DemoError::Workload)?;
    let ran = {
        let daemon = daemon::run(config);
        tokio::pin!(daemon);
        let mut progress = tell::Progress::new(&stage, work);
        loop {
            tokio::select! {
                ran = &mut daemon => break ran,
                line = progress.next() => tell(line),
            }
        }
    };
    tell("stopping\n".to_owned());
    tasks.close().await;
    stage.source.close().await;
    stage.target.close().await;
    Ok(ran?)
}

/// Starts both clusters and finds a port for the page.
async fn set(settings: Settings, tell: &mut dyn FnMut(String)) -> Result<Stage, DemoError> {
    let ports = match settings.port {
        Some(first) => [first, first.saturating_add(1), first.saturating_add(2)],
        None => [SOURCE_PORT, TARGET_PORT, PAGE_PORT],
    };
    let is_asked_for = settings.port.is_some();
    let names = ["source cluster", "target cluster", "status page"];
    let mut started = Vec::new();
    for ((port, what), seed) in ports.into_iter().zip(names).zip(settings.seed..).take(2) {
        started.push(start(what, port, seed, is_asked_for, tell).await?);
    }
    let [_, _, wanted] = ports;
    let page = match (free(wanted).await, is_asked_for) {
        (Ok(port), _) => port,
        (Err(error), true) => {
            return Err(DemoError::Port { port: wanted, what: "status page", error: error.to_string() });
        }
        (Err(_), false) => {
            let refuse =
                |error: std::io::Error| DemoError::Port { port: 0, what: "status page", error: error.to_string() };
            let other = free(0).await.map_err(refuse)?;
            tell(format!("port {wanted} is busy: the status page is on {other}\n"));
            other
        }
    };
    match <[Cluster; 2]>::try_from(started) {
        Ok([source, target]) => Ok(Stage { source, target, page }),
        Err(_) => unreachable!("two were started"),
    }
}

async fn start(
    what: &'static str,
    port: u16,
    seed: u64,
    is_asked_for: bool,
    tell: &mut dyn FnMut(String),
) -> Result<Cluster, DemoError> {
    let settings = |port| {
        let mut settings = workload::cluster(what, seed);
        settings.listen = Listen::Tcp(vec![port]);
        settings
    };
    let refuse = |error: StartError| DemoError::Port { port: error.port, what, error: error.error.to_string() };
    match Cluster::start(settings(port)).await {
        Ok(cluster) => Ok(cluster),
        Err(error) if is_asked_for => Err(refuse(error)),
        Err(_) => {
            let cluster = Cluster::start(settings(0)).await.map_err(refuse)?;
            tell(format!("port {port} is busy: the {what} is at {}\n", cluster.bootstrap()));
            Ok(cluster)
        }
    }
}

/// A port that can be listened on, at this moment.
async fn free(port: u16) -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", port)).await?.local_addr()?.port())
}

#[cfg(test)]
mod tests;
