//! Everybody who copies.
//!
//! Owns: starting each copier on one topic, in a process of its own, and telling what it used.
//! Promises: dropping a running copier ends it.
//! Does not know: clocks and tables.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::broker::Cluster;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::mirrormaker;
use crate::plain::Job;
use crate::process::{Process, Usage, run_tool, scratch, tail_of};
use crate::shapes::Shape;

/// A copier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Copier {
    /// This project.
    Causeway,
    /// The same with translated offsets, as everybody else's are: beside the first where that makes a difference.
    CausewayTranslating,
    /// MirrorMaker 2 without any setting that is not needed.
    MirrorMakerShipped,
    /// MirrorMaker 2 tuned.
    MirrorMakerTuned,
    /// A loop over librdkafka.
    Rdkafka,
    /// A loop over franz-go.
    FranzGo,
}

/// In the order of the table.
pub const ALL: [Copier; 6] = [
    Copier::Causeway,
    Copier::CausewayTranslating,
    Copier::MirrorMakerTuned,
    Copier::MirrorMakerShipped,
    Copier::FranzGo,
    Copier::Rdkafka,
];

impl Copier {
    /// Its name in the table and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Causeway => "causeway",
            Self::CausewayTranslating => "causeway-translating",
            Self::MirrorMakerShipped => "mm2",
            Self::MirrorMakerTuned => "mm2-tuned",
            Self::Rdkafka => "rdkafka",
            Self::FranzGo => "franz-go",
        }
    }

    /// Whether it is worth a row.
    pub fn is_for(self, shape: &Shape) -> bool {
        self != Self::CausewayTranslating || shape.per_transaction.is_some()
    }

    /// The topic that it writes to.
    pub fn target_topic(self, shape: &Shape) -> String {
        match self {
            Self::MirrorMakerShipped | Self::MirrorMakerTuned => mirrormaker::target_topic(&shape.topic()),
            Self::Causeway | Self::CausewayTranslating | Self::Rdkafka | Self::FranzGo => shape.topic(),
        }
    }

    /// Whether somebody must create the target topic for it.
    pub fn needs_topic(self) -> bool {
        matches!(self, Self::Rdkafka | Self::FranzGo)
    }

    /// Starts it.
    pub fn start(self, source: &Cluster, target: &Cluster, shape: &Shape) -> Running {
        let job = Job {
            source: source.bootstrap(),
            target: target.bootstrap(),
            topic: shape.topic(),
            target_topic: self.target_topic(shape),
            codec: shape.codec.to_owned(),
        };
        let folder = scratch(self.name());
        let log = folder.join("log");
        match self {
            Self::Causeway | Self::CausewayTranslating => {
                let offsets = if self == Self::Causeway { "preserve" } else { "translate" };
                let config = Config::new(shape.name, source, target).matching(&shape.topic()).offsets(offsets);
                Running::Daemon(Daemon::start_without_waiting(shape.name, &config))
            }
            Self::MirrorMakerShipped | Self::MirrorMakerTuned => {
                let is_tuned = self == Self::MirrorMakerTuned;
                Running::Process(mirrormaker::start(source, target, shape, is_tuned, &folder), log)
            }
            Self::Rdkafka => {
                let this = std::env::current_exe().expect("our own program").display().to_string();
                let arguments = [vec!["--copy".to_owned()], job.arguments()].concat();
                Running::Process(Process::start(self.name(), &this, &arguments, &log, &[]), log)
            }
            Self::FranzGo => {
                let program = franz_go().expect("it was built").display().to_string();
                Running::Process(Process::start(self.name(), &program, &job.arguments(), &log, &[]), log)
            }
        }
    }
}

/// A copier at work.
pub enum Running {
    /// The daemon.
    Daemon(Daemon),
    /// Any other, with its log.
    Process(Process, PathBuf),
}

impl Running {
    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        match self {
            Self::Daemon(daemon) => daemon.usage(),
            Self::Process(process, _) => process.usage(),
        }
    }

    /// Why it ended, if it did.
    pub fn failure(&mut self) -> Option<String> {
        match self {
            Self::Daemon(daemon) => (!daemon.is_alive()).then(|| daemon.log_tail()),
            Self::Process(process, log) => (!process.is_alive()).then(|| tail_of(log, 20)),
        }
    }
}

/// The franz-go copier, built once. `None` where there is no Go.
pub fn franz_go() -> Option<PathBuf> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let has_go = std::process::Command::new("go").arg("version").output().is_ok_and(|out| out.status.success());
            has_go.then(|| {
                let folder = scratch("franz-go");
                let program = folder.join("franz");
                let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/compare/franz");
                let arguments = ["-C", source, "build", "-o", &program.display().to_string(), "."].map(str::to_owned);
                run_tool("go build", "go", &arguments, &folder.join("log"), std::time::Duration::from_mins(10));
                program
            })
        })
        .clone()
}
