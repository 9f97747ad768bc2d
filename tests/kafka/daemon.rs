//! The built binary as a running daemon, and its HTTP API.
//!
//! Owns: its configuration file, process and log; a small blocking client for the API.
//! Promises: the daemon is seen from outside only: command line, signals, HTTP, log.
//! Does not know: the crate's types.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::checker::{Answer, Direction};
use crate::config::{Config, LINK};
use crate::process::{Process, Usage, free_port, scratch, tail_of, write_private};

const BINARY: &str = env!("CARGO_BIN_EXE_causeway");
const TOKEN: &str = "a-token-for-tests";
/// A SIGTERM is answered within 10 s; the rest is for a busy machine.
const STOP_LIMIT: Duration = Duration::from_mins(1);
const READY_LIMIT: Duration = Duration::from_mins(3);

/// A daemon that has been started. Dropping it kills it.
pub struct Daemon {
    id: String,
    config: Config,
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
    /// More of its environment.
    env: Vec<(String, String)>,
    agent: ureq::Agent,
}

impl Daemon {
    /// Starts one, and waits until it says that it is ready.
    pub fn start(id: &str, config: &Config) -> Self {
        let daemon = Self::start_without_waiting(id, config);
        daemon.wait_ready();
        daemon
    }

    /// Starts one with more in its environment, and waits until it is ready.
    #[cfg(feature = "test-hazards")]
    pub fn start_with(id: &str, config: &Config, env: &[(&str, &str)]) -> Self {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let daemon = Self::start_in(id, config, env);
        daemon.wait_ready();
        daemon
    }

    /// Starts one.
    pub fn start_without_waiting(id: &str, config: &Config) -> Self {
        Self::start_in(id, config, Vec::new())
    }

    fn start_in(id: &str, config: &Config, env: Vec<(String, String)>) -> Self {
        let folder = scratch(&format!("daemon-{id}"));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .new_agent();
        let mut daemon =
            Self { id: id.into(), config: config.clone(), folder, port: free_port(), process: None, env, agent };
        daemon.spawn();
        daemon
    }

    /// Starts it again after its end, with the same file, and waits until it is ready.
    pub fn restart(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Starts it again after its end, with the same file.
    pub fn restart_without_waiting(&mut self) {
        self.spawn();
    }

    /// Kills it and starts it again.
    pub fn restart_after_kill(&mut self) {
        self.kill();
        self.restart();
    }

    fn spawn(&mut self) {
        let token = self.folder.join("token");
        write_private(&token, TOKEN);
        let text = self.config.render(&self.id, self.port, &token.display().to_string());
        let file = self.folder.join("causeway.toml");
        write_private(&file, &text);
        let arguments = ["run".into(), "--config".into(), file.display().to_string()];
        let level = std::env::var("CAUSEWAY_LOG").unwrap_or_else(|_| "info".into());
        let mut env = self.env.clone();
        env.push(("CAUSEWAY_LOG".to_owned(), level));
        self.process = Some(Process::start(&self.id, BINARY, &arguments, &self.log_file(), &env));
    }

    /// Waits until `/readyz` says yes.
    pub fn wait_ready(&self) {
        let begin = Instant::now();
        while self.get("/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(begin.elapsed() < READY_LIMIT, "{} isn't ready; its log ends:\n{}", self.id, self.log_tail());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// SIGTERM: it drains, and has to end well.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("a running daemon");
        process.signal("TERM");
        let status = process.wait(STOP_LIMIT);
        assert!(status.success(), "{} ended with {status}; its log ends:\n{}", self.id, self.log_tail());
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Freezes it (SIGSTOP).
    pub fn pause(&self) {
        self.process.as_ref().expect("a running daemon").signal("STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.process.as_ref().expect("a running daemon").signal("CONT");
    }

    /// What its process has used since it was started.
    pub fn usage(&self) -> Usage {
        self.process.as_ref().expect("a running daemon").usage()
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_alive)
    }

    /// Asks the API; `None` when nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, Value)> {
        let mut answer = self.agent.get(format!("{}{path}", self.url())).call().ok()?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// A bare connection to the API.
    pub fn connect(&self) -> std::net::TcpStream {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).expect("a connection")
    }

    /// Gives an order with the token.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.url()));
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        let mut answer = request.send_json(body).expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_json().unwrap_or_default())
    }

    /// Gives an order on the link that most tests have; it has to be taken.
    pub fn order(&self, verb: &str, body: &Value) -> Value {
        let (status, answer) = self.post(&format!("/v1/links/{LINK}/{verb}"), body);
        assert!((200..300).contains(&status), "{verb} {body}: {status} {answer}");
        answer
    }

    /// What the API says about a topic; null before it knows it.
    pub fn topic(&self, topic: &str) -> Value {
        match self.get(&format!("/v1/links/{LINK}/topics/{topic}")) {
            Some((200, value)) => value,
            _ => Value::Null,
        }
    }

    /// What the API says about a partition; null before it knows it.
    pub fn partition(&self, topic: &str, partition: i32) -> Value {
        let of_topic = self.topic(topic);
        let mut all = of_topic["partitions"].as_array().into_iter().flatten();
        all.find(|p| p["partition"] == partition).cloned().unwrap_or_default()
    }

    /// Waits until a partition is in a state, and returns what is said about it.
    pub fn wait_for_state(&self, topic: &str, partition: i32, state: &str, limit: Duration) -> Value {
        self.wait_for_partition(topic, partition, limit, state, |p| p["state"] == state)
    }

    /// Waits until what is said about a partition satisfies a test, and returns it.
    pub fn wait_for_partition(
        &self,
        topic: &str,
        partition: i32,
        limit: Duration,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Value {
        let begin = Instant::now();
        loop {
            let said = self.partition(topic, partition);
            if is_it(&said) {
                return said;
            }
            assert!(begin.elapsed() < limit, "waited {limit:?} in vain for {topic}-{partition} ({what}): {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Translates on the link that most tests have.
    pub fn translate(&self, direction: Direction, topic: &str, partition: i32, offset: i64) -> Answer {
        self.translate_on(LINK, direction, topic, partition, offset)
    }

    /// Translates an offset.
    pub fn translate_on(&self, link: &str, direction: Direction, topic: &str, partition: i32, offset: i64) -> Answer {
        let (suffix, field) = match direction {
            Direction::Forward => ("", "target_offset"),
            Direction::Reverse => ("&direction=reverse", "source_offset"),
        };
        let question = format!("topic={topic}&partition={partition}&offset={offset}{suffix}");
        let answer = self.get(&format!("/v1/links/{link}/translate?{question}"));
        let (status, value) = answer.unwrap_or_else(|| panic!("no answer to {question}:\n{}", self.log_tail()));
        assert_eq!(status, 200, "{question}: {value}");
        Answer {
            translation: value["translation"].as_str().unwrap_or_default().to_owned(),
            offset: value[field].as_i64(),
        }
    }

    /// Runs another command of the binary against this daemon.
    pub fn command(&self, arguments: &[&str]) -> Output {
        Command::new(BINARY).args(arguments).env("CAUSEWAY_API", self.url()).output().expect("the binary runs")
    }

    /// Changes its file; what it does about it while it runs is its business.
    pub fn reconfigure(&mut self, config: &Config) {
        self.config = config.clone();
        let token = self.folder.join("token").display().to_string();
        write_private(&self.folder.join("causeway.toml"), &self.config.render(&self.id, self.port, &token));
    }

    /// The ports that its connections lead to.
    pub fn ports_dialled(&self) -> BTreeSet<u16> {
        ports_dialled(self.process.as_ref().expect("a running daemon").id())
    }

    /// Its configuration file.
    pub fn config_file(&self) -> String {
        self.folder.join("causeway.toml").display().to_string()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Says on stderr how its links and partitions are.
    fn tell(&self) {
        let of_link = self.get(&format!("/v1/links/{LINK}"));
        eprintln!("{} says of the link: {}", self.id, of_link.map_or(Value::Null, |(_, said)| said));
        let topics = self.get(&format!("/v1/links/{LINK}/topics")).map_or(Value::Null, |(_, said)| said);
        for topic in topics["topics"].as_array().into_iter().flatten() {
            let name = &topic["source_topic"];
            for partition in topic["partitions"].as_array().into_iter().flatten() {
                let known = partition.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
                let told: Vec<String> = known.map(|(name, value)| format!("{name} {value}")).collect();
                eprintln!("{name}: {}", told.join(", "));
            }
        }
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        tail_of(&self.log_file(), 20)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("causeway.log")
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() && self.process.is_some() {
            self.tell();
        }
        self.kill();
        if std::thread::panicking() {
            eprintln!("the log of {} is kept in {}; it ends:\n{}", self.id, self.folder.display(), self.log_tail());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The remote ports of a process's TCP connections, as the system lists them.
fn ports_dialled(process: u32) -> BTreeSet<u16> {
    let links = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let link = |entry: fs::DirEntry| fs::read_link(entry.path()).ok()?.to_str().map(str::to_owned);
    let inode = |link: String| link.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned);
    let own: BTreeSet<String> = links.filter_map(link).filter_map(inode).collect();
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{process}/net/{table}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    let port = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        own.contains(*words.get(9)?).then_some(())?;
        u16::from_str_radix(words.get(2)?.rsplit(':').next()?, 16).ok()
    };
    lines.filter_map(port).collect()
}

/// Runs the binary without a daemon.
pub fn causeway(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_remove("CAUSEWAY_API").output().expect("the binary runs")
}
