//! The premises as a network namespace, and the lines that lead there.
//!
//! Owns: the namespace, a short line for administration, the long line that is measured.
//! Promises: all of it goes when it is dropped; names and addresses are its own.
//! Does not know: what runs there.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, scratch, tail_of, wait_for};

const NAMESPACE: &str = "causeway-bench";
const LONG: &str = "cwlong0";
const SHORT: [&str; 2] = ["cwshort0", "cwshort1"];

/// The premises' address on the long line.
pub const ONPREM_LONG: &str = "10.123.78.1";
/// The cloud's.
pub const CLOUD_LONG: &str = "10.123.78.2";
/// The premises' address on the short line.
pub const ONPREM_SHORT: &str = "10.123.79.1";
const CLOUD_SHORT: &str = "10.123.79.2";

/// What the long line is like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// Lost packets in a million.
    pub loss_ppm: u32,
    /// 0: as much as the machine can.
    pub megabits: u32,
}

/// One way, in milliseconds: a round trip of 80.
const ONE_WAY_MS: u32 = 40;
/// Before the narrow part of the line, in bytes.
const QUEUE_BYTES: u32 = 4 << 20;

/// What the lines are like that the figures are told for.
pub const SHAPES: [Shape; 3] = [
    Shape { name: "clean", loss_ppm: 0, megabits: 0 },
    Shape { name: "loss", loss_ppm: 1_000, megabits: 0 },
    Shape { name: "narrow", loss_ppm: 0, megabits: 1_000 },
];

/// See the module.
pub struct Network {
    _long: Process,
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ip {arguments}: {said} (this needs root)");
}

/// A program and its arguments, as they run on the premises.
pub fn on_premises(program: &str, arguments: &[String]) -> (String, Vec<String>) {
    let mut all: Vec<String> = ["netns", "exec", NAMESPACE, program].map(str::to_owned).to_vec();
    all.extend_from_slice(arguments);
    ("ip".to_owned(), all)
}

impl Network {
    /// Builds it.
    pub fn build(shape: Shape) -> Self {
        Self::tear_down();
        let folder = scratch("wan");
        let program = folder.join("line");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/wan/line.rs");
        let built = Command::new("rustc").args(["-O", "--edition", "2024", "-o"]).args([&program, &source]).status();
        assert!(built.is_ok_and(|status| status.success()), "the line is compiled");
        ip(&format!("netns add {NAMESPACE}"));
        let [near, far] = SHORT;
        ip(&format!("link add {near} type veth peer name {far} netns {NAMESPACE}"));
        ip(&format!("addr add {CLOUD_SHORT}/24 dev {near}"));
        ip(&format!("link set {near} up"));
        for inside in
            [format!("addr add {ONPREM_SHORT}/24 dev {far}"), format!("link set {far} up"), "link set lo up".into()]
        {
            ip(&format!("-n {NAMESPACE} {inside}"));
        }
        let Shape { loss_ppm, megabits, .. } = shape;
        let arguments = [NAMESPACE, LONG]
            .map(str::to_owned)
            .into_iter()
            .chain([ONE_WAY_MS, loss_ppm, megabits, QUEUE_BYTES].map(|n| n.to_string()));
        let log = folder.join("line.log");
        let arguments: Vec<String> = arguments.collect();
        let long = Process::start("the line", &program.display().to_string(), &arguments, &log, &[]);
        wait_for("the line", Duration::from_secs(10), || tail_of(&log, 5).contains("ready").then_some(()));
        ip(&format!("addr add {CLOUD_LONG}/24 dev {LONG}"));
        ip(&format!("link set {LONG} mtu 1500 up txqueuelen 10000"));
        ip(&format!("-n {NAMESPACE} addr add {ONPREM_LONG}/24 dev {LONG}"));
        ip(&format!("-n {NAMESPACE} link set {LONG} mtu 1500 up txqueuelen 10000"));
        Self { _long: long }
    }

    /// Removes what an earlier run may have left.
    fn tear_down() {
        for arguments in [["netns", "del", NAMESPACE], ["link", "del", SHORT[0]], ["link", "del", LONG]] {
            let _ = Command::new("ip").args(arguments).output();
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        Self::tear_down();
    }
}
