//! Child processes that never outlive the test run.
//!
//! Owns: starting, signalling and reaping of brokers, tools and daemons; free ports; scratch folders.
//! Promises: every child dies with this process, even when it is killed (`setpriv --pdeathsig`).
//! Does not know: what the children do.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rand::RngExt;

type Order = (Command, Sender<std::io::Result<Child>>);

/// The parent-death signal fires when the *thread* that started a child ends, and test threads end all the time.
/// So one thread that lives as long as the process starts all children.
fn launcher() -> &'static Mutex<Sender<Order>> {
    static LAUNCHER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    LAUNCHER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::Builder::new()
            .name("launcher".into())
            .spawn(move || {
                for (mut command, reply) in inbox {
                    let _ = reply.send(command.spawn());
                }
            })
            .expect("the launcher thread");
        Mutex::new(orders)
    })
}

/// A running child. Dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `program`; both outputs are appended to `log`.
    pub fn start(name: &str, program: &str, arguments: &[String], log: &Path, env: &[(String, String)]) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("the log file");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).args(arguments).stdin(Stdio::null());
        command.stdout(out.try_clone().expect("a second handle")).stderr(out);
        command.envs(env.iter().cloned());
        let (reply, answer) = channel();
        launcher().lock().unwrap().send((command, reply)).expect("the launcher lives");
        let child = answer.recv().expect("the launcher answers").unwrap_or_else(|e| panic!("can't start {name}: {e}"));
        Self { name: name.to_owned(), child }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, such as `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.id().to_string()]).status();
        assert!(status.is_ok_and(|s| s.success()), "kill -{signal} {}", self.name);
    }

    /// Kills it at once (also when it is stopped) and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        wait_for(&format!("the end of {name}"), limit, || self.child.try_wait().expect("a child of ours"))
    }

    /// What it has used since it was started. Zero once it has ended.
    pub fn usage(&self) -> Usage {
        usage_of(self.id()).unwrap_or_default()
    }

    /// Whether it runs (or is stopped by a signal).
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time.
    pub cpu_seconds: f64,
    /// The most memory that it ever had.
    pub resident_bytes_peak: u64,
}

/// Linux counts processor time in hundredths of a second for all programs, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time in the `stat` of a process or a thread.
pub fn cpu_seconds_in(stat: &str) -> Option<f64> {
    // The name may contain blanks, and ends with the last parenthesis; user and system time are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?;
    Some(f64::from(ticks) / TICKS_PER_SECOND)
}

fn usage_of(id: u32) -> Option<Usage> {
    let cpu_seconds = cpu_seconds_in(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?;
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(Usage { cpu_seconds, resident_bytes_peak: kilobytes * 1024 })
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a tool to its end and fails with its output when it fails.
pub fn run_tool(name: &str, program: &str, arguments: &[String], log: &Path, limit: Duration) {
    let mut process = Process::start(name, program, arguments, log, &[]);
    let status = process.wait(limit);
    assert!(status.success(), "{name} ended with {status}:\n{}", tail_of(log, 40));
}

/// Asks again every few milliseconds until there is an answer.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A TCP port of the loopback address that nobody listens on, for a process that will. Who listens here and now takes
/// [`listen`].
pub fn free_port() -> u16 {
    listen().1
}

/// Listens on a port of the loopback address. It lies below the range from which the system takes the local ports of
/// outgoing connections, so that a broker finds its port free again after a restart.
///
/// A port that was free when it was looked at is not free at once: a child that another thread is starting holds a
/// copy of the listener until it has become another program.
pub fn listen() -> (TcpListener, u16) {
    static GIVEN: OnceLock<Mutex<HashSet<u16>>> = OnceLock::new();
    let mut given = GIVEN.get_or_init(Mutex::default).lock().unwrap();
    loop {
        let port = rand::rng().random_range(12_000..32_000);
        if given.contains(&port) {
            continue;
        }
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            given.insert(port);
            return (listener, port);
        }
    }
}

/// A new folder for the data and logs of one child. Folders of test runs that have ended are removed.
pub fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static CLEANED: OnceLock<()> = OnceLock::new();
    CLEANED.get_or_init(|| remove_folders_of_the_dead(own_folder().parent().expect("it has one")));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = own_folder().join(format!("{number}-{name}"));
    fs::create_dir_all(&folder).expect("a scratch folder");
    folder
}

/// Where all folders of this process lie.
pub fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka").join(std::process::id().to_string())
}

fn remove_folders_of_the_dead(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let is_alive = Path::new("/proc").join(entry.file_name()).exists();
        if !is_alive {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file that only its owner can read: the daemon warns of others that hold secrets.
pub fn write_private(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file's mode");
}

/// The last lines of a log, for a failure's message.
pub fn tail_of(log: &Path, lines: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}
