//! causeway beside MirrorMaker 2 and the copiers that one would write by hand, in one run, on the same topics.
//!
//! `cargo bench --bench compare -- [--quick] [--shape NAME]... [--copier NAME]... [--rounds N]`, with `--no-steady` or
//! `--only-steady` for one of the two kinds, fetches and starts two brokers, fills the topics, lets every copier copy
//! each of them in turn, and prints Markdown tables with medians and their spread. A round on a topic of its own and,
//! where there are several, the first of each shape warm the brokers and are thrown away. What could not be measured
//! is said, and the exit code is 1 then.
//!
//! Shapes, copiers: see `shapes.rs` and `copiers.rs`. Needs Java and Maven; Go for the copier on franz-go.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::format_push_string,
    dead_code,
    unreachable_pub,
    reason = "a command for developers that shares the test harness, of which it needs a part"
)]

#[path = "../../kafka/admin.rs"]
mod admin;
#[path = "../../kafka/broker.rs"]
mod broker;
#[path = "../../kafka/checker.rs"]
mod checker;
#[path = "../../kafka/config.rs"]
mod config;
#[path = "../../kafka/daemon.rs"]
mod daemon;
#[path = "../../kafka/frame.rs"]
mod frame;
#[path = "../../kafka/jars.rs"]
mod jars;
#[path = "../../kafka/process.rs"]
mod process;
#[path = "../../kafka/record.rs"]
mod record;
#[path = "../../kafka/relay.rs"]
mod relay;
#[path = "../../kafka/security.rs"]
mod security;

mod catch_up;
mod copiers;
mod mirrormaker;
mod plain;
mod replay;
mod shapes;
mod steady;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use broker::{Cluster, Options};
use copiers::Copier;
use jars::KAFKA_4;
use shapes::Shape;

/// As brokers run in earnest: with the JIT compiler's second stage and a heap that fits the load.
const JVM: [&str; 2] = ["-Xmx1g", "-Xms1g"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "--copy" => plain::run(&plain::Job::from_arguments(rest)),
        Some((first, rest)) if first == "--replay" => {
            let busy = rest[0].parse().expect("a number of partitions");
            replay::run(&plain::Job::from_arguments(&rest[2..]), busy, rest[1].as_ref());
            ExitCode::SUCCESS
        }
        _ => Comparison::from_arguments(&arguments).run(),
    }
}

/// What to compare.
struct Comparison {
    shapes: Vec<Shape>,
    copiers: Vec<Copier>,
    rounds: usize,
    steady_seconds: Option<u64>,
    failures: Vec<String>,
}

impl Comparison {
    fn from_arguments(arguments: &[String]) -> Self {
        let values = |name: &str| -> Vec<String> {
            arguments.windows(2).filter(|two| two[0] == name).map(|two| two[1].clone()).collect()
        };
        let has = |name: &str| arguments.iter().any(|argument| argument == name);
        let is_quick = has("--quick");
        let (named_shapes, named_copiers) = (values("--shape"), values("--copier"));
        let mut failures = Vec::new();
        let is_wanted = |shape: &Shape| {
            if named_shapes.is_empty() {
                !has("--only-steady") && (!is_quick || shape.name == "u1k")
            } else {
                named_shapes.iter().any(|n| n == shape.name)
            }
        };
        for name in &named_shapes {
            assert!(shapes::ALL.iter().any(|shape| shape.name == name), "there is no shape {name}");
        }
        for name in &named_copiers {
            assert!(copiers::ALL.iter().any(|copier| copier.name() == name), "there is no copier {name}");
        }
        let mut chosen: Vec<Copier> = copiers::ALL
            .into_iter()
            .filter(|copier| named_copiers.is_empty() || named_copiers.iter().any(|name| name == copier.name()))
            .collect();
        if chosen.contains(&Copier::FranzGo) && copiers::franz_go().is_none() {
            chosen.retain(|copier| *copier != Copier::FranzGo);
            failures.push("franz-go: there is no Go on this machine".to_owned());
        }
        Self {
            shapes: shapes::ALL.into_iter().filter(is_wanted).map(|s| s.share(if is_quick { 4 } else { 1 })).collect(),
            copiers: chosen,
            rounds: values("--rounds").first().map_or(if is_quick { 1 } else { 3 }, |n| n.parse().expect("a number")),
            steady_seconds: (!has("--no-steady")).then_some(if is_quick { 5 } else { 20 }),
            failures,
        }
    }

    fn run(mut self) -> ExitCode {
        clean_up_when_interrupted();
        let start = || Cluster::start(Options { jvm: JVM.map(str::to_owned).to_vec(), ..Options::new(KAFKA_4) });
        let (source, target) = (start(), start());
        let warm = Shape { name: "warm-up", records: 200_000, ..shapes::ALL[2] };
        eprintln!("warming up; not shown");
        self.compare(&source, &target, &warm, 1);
        self.failures.clear();
        for shape in self.shapes.clone() {
            let table = self.compare(&source, &target, &shape, self.rounds);
            println!("{table}");
        }
        if let Some(seconds) = self.steady_seconds {
            println!("{}", self.keep_up(&source, &target, seconds));
        }
        for failure in &self.failures {
            println!("NOT MEASURED: {failure}");
        }
        if self.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn compare(&mut self, source: &Cluster, target: &Cluster, shape: &Shape, rounds: usize) -> String {
        source.admin().create_topic(&shape.topic(), shape.partitions, &[]);
        catch_up::wait_until_led(source, shape);
        let begin = Instant::now();
        let filled = shapes::fill(&source.bootstrap(), shape).and_then(|()| catch_up::check_filled(source, shape));
        if let Err(failure) = filled {
            self.failures.push(format!("{}: {failure}", shape.name));
            source.admin().delete_topic(&shape.topic());
            return String::new();
        }
        let batch_bytes = source.log_bytes(&shape.topic());
        eprintln!("{}: {} MB in {:.1} s", shape.name, batch_bytes / 1_000_000, begin.elapsed().as_secs_f64());
        let mut results = self.rows_for(shape);
        let mut replays = Vec::new();
        // Round by round, so that a slow hour of the machine hits all of them. Each shape is other work for the
        // brokers, so each has a first round that is thrown away, where there are several.
        let thrown_away = usize::from(rounds > 1);
        for round in 0..thrown_away + rounds {
            match catch_up::replay(source, target, shape) {
                Ok(seconds) if round >= thrown_away => replays.push(seconds),
                Ok(_) => {}
                Err(failure) => self.failures.push(format!("{}: {failure}", shape.name)),
            }
            for (copier, results) in &mut results {
                let result = catch_up::measure(source, target, shape, *copier);
                eprintln!("{} {}: {result:?}", shape.name, copier.name());
                if round >= thrown_away {
                    results.push(result);
                }
            }
        }
        source.admin().delete_topic(&shape.topic());
        let mut rows = Vec::new();
        for (copier, results) in results {
            rows.push((copier, self.keep(shape.name, copier, results)));
        }
        table::catch_up(shape, batch_bytes, &replays, &rows)
    }

    /// Small requests are other work for the brokers than catching up was: here too a first round is thrown away.
    fn keep_up(&mut self, source: &Cluster, target: &Cluster, seconds: u64) -> String {
        let mut results = self.rows_for(&steady::STEADY);
        for round in 0..=self.rounds {
            for (copier, results) in &mut results {
                let result = steady::measure(source, target, *copier, seconds);
                eprintln!("steady {}: {result:?}", copier.name());
                if round > 0 {
                    results.push(result);
                }
            }
        }
        let rows: Vec<_> =
            results.into_iter().map(|(copier, results)| (copier, self.keep("steady", copier, results))).collect();
        table::steady(steady::STEADY.text, &rows)
    }

    fn rows_for<T>(&self, shape: &Shape) -> Vec<(Copier, Vec<T>)> {
        self.copiers.iter().filter(|copier| copier.is_for(shape)).map(|copier| (*copier, Vec::new())).collect()
    }

    fn keep<T>(&mut self, shape: &str, copier: Copier, results: Vec<Result<T, String>>) -> Vec<T> {
        let mut kept = Vec::new();
        for result in results {
            match result {
                Ok(measured) => kept.push(measured),
                Err(failure) => self.failures.push(format!("{shape}, {}: {failure}", copier.name())),
            }
        }
        kept
    }
}

/// Brokers and copiers die with this process; their folders are removed here.
fn clean_up_when_interrupted() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let _ = tokio::signal::ctrl_c().await;
        });
        let _ = std::fs::remove_dir_all(process::own_folder());
        std::process::exit(130);
    });
}
