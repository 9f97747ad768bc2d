//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::types::{LinkName, ResolveVerb, TopicName};

/// Keeps Kafka topics of one cluster alive in another: records and offsets.
///
/// A link in the configuration copies topics from a source cluster to a target cluster, exactly once and in order.
/// `causeway check` tells whether a configuration will work, `causeway run` is the daemon, and the other commands ask
/// or order a running daemon through its API.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, arg_required_else_help = true, max_term_width = 110, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows it all in one process: two clusters in memory, a workload, a live link, the status page
    Demo(DemoOptions),
    /// Runs the daemon in the foreground until SIGTERM or Ctrl-C
    Run(RunOptions),
    /// Tells whether a configuration will work: connections, versions, permissions, topic settings
    Check(CheckOptions),
    /// Makes the key and the certificate that sessions with other daemons need
    Keys(KeysOptions),
    /// Shows the daemon and its links: lag, problems, what is stopped and why
    Status(StatusOptions),
    /// Lists mirror topics, or shows the partitions of one
    Topics(TopicsOptions),
    /// Lists consumer groups and how their positions stand on the target, or shows one
    Groups(GroupsOptions),
    /// Tells where an offset of one cluster lies on the other
    Translate(TranslateOptions),
    /// Waits until a source offset is on the target
    Await(AwaitOptions),
    /// Stops copying topics, and keeps their positions
    Pause(OrderOptions),
    /// Goes on copying paused topics
    Resume(OrderOptions),
    /// Deals with stopped partitions
    Resolve(ResolveOptions),
    /// Prints a completion script for a shell
    Completions(CompletionsOptions),
    /// Prints the manual page, or writes the pages of all commands to a folder
    Man(ManOptions),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct ConfigOptions {
    /// Configuration file; default: causeway.toml here, then /etc/causeway/causeway.toml
    #[arg(long, value_name = "FILE", env = "CAUSEWAY_CONFIG", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Logs go to stderr: lines for people on a terminal, JSON otherwise. CAUSEWAY_LOG filters them, \
    for example CAUSEWAY_LOG=debug or CAUSEWAY_LOG=info,causeway::mirror=debug."
)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) config: ConfigOptions,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is installed and nothing is kept. Any Kafka client can use the two clusters meanwhile."
)]
pub(crate) struct DemoOptions {
    /// First of three ports: source cluster, target cluster, status page; default: 19092, 29092, 8480, or free ones
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65533))]
    pub(crate) port: Option<u16>,
    /// Records written each second
    #[arg(long, value_name = "RECORDS", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// How many topics: plain, compressed, transactional and compacted ones in turn
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) topics: u16,
    /// Decides the ids of clusters and topics, and what is written
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    pub(crate) config: ConfigOptions,
    /// Print the kafka-acls commands that give the least rights needed
    #[arg(long)]
    pub(crate) acls: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Args)]
pub(crate) struct KeysOptions {
    /// What about them.
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Writes a key and its certificate, and prints the lines of both sides' configuration
    New(NewKeysOptions),
}

#[derive(Debug, Args)]
#[command(after_help = "\
The key is for its owner's eyes only (mode 0600) and stays on this side. The other side knows us by the digest of the
key, or, with --request and an authority that signs it, by the name. Nothing is ever overwritten.

Example, on the premises, then in the cloud:
  causeway keys new onprem.example --folder /etc/causeway
  causeway keys new dr.example --folder /etc/causeway")]
pub(crate) struct NewKeysOptions {
    /// The DNS name in the certificate; the files are called NAME.key and NAME.pem
    pub(crate) name: String,
    /// Where to write them
    #[arg(long, value_name = "FOLDER", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// For how long the certificate is valid
    #[arg(long, value_name = "DAYS", default_value_t = 730, conflicts_with = "request")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(crate) days: u32,
    /// Write a request for an authority to sign (NAME.csr) in place of a certificate
    #[arg(long)]
    pub(crate) request: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// How results look.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OutputOptions {
    /// Tables for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = OutputForm::Table, value_name = "FORM")]
    pub(crate) output: OutputForm,
}

/// How results look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    Table,
    Json,
}

/// Which daemon to talk to, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Daemon")]
pub(crate) struct ApiOptions {
    /// The daemon's API
    #[arg(
        long,
        value_name = "URL",
        env = "CAUSEWAY_API",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8480"
    )]
    pub(crate) api: String,
    /// File with the daemon's API token; only pause, resume and resolve need it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(env = "CAUSEWAY_TOKEN_FILE", hide_env_values = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// CA certificates (PEM) for an https API; default: the system's
    #[arg(long, value_name = "FILE", env = "CAUSEWAY_CA", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "With --watch --output json, one JSON object a line.")]
pub(crate) struct StatusOptions {
    /// Show it again every two seconds
    #[arg(long)]
    pub(crate) watch: bool,
    /// Only this link
    #[arg(long, value_parser = LinkName::new)]
    pub(crate) link: Option<LinkName>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) api: ApiOptions,
}

#[derive(Debug, Args)]
pub(crate) struct TopicsOptions {
    /// The topic's name at the source; without it all topics are listed
    #[arg(value_parser = TopicName::new)]
    pub(crate) topic: Option<TopicName>,
    /// Only this link
    #[arg(long, value_parser = LinkName::new)]
    pub(crate) link: Option<LinkName>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) api: ApiOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Answers:
  exact             the very record is there, at this offset
  next              the record itself is not there; the first mirrored one after it is, or will be, at this offset
  not_yet_mirrored  the copy has not come that far
  below_map         older than the offset map: the copy began later, or the map was pruned

Example: where must a consumer go on in the target cluster that would read source offset 1042 next?
  causeway translate --topic orders --partition 0 --offset 1042")]
pub(crate) struct TranslateOptions {
    /// The link; not needed when there is only one
    #[arg(long, value_parser = LinkName::new)]
    pub(crate) link: Option<LinkName>,
    /// The topic's name at the source, in both directions
    #[arg(long, value_parser = TopicName::new)]
    pub(crate) topic: TopicName,
    /// The partition
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: i32,
    /// A source offset; with --reverse a target offset
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) offset: i64,
    /// From target to source
    #[arg(long)]
    pub(crate) reverse: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) api: ApiOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
States of a position:
  synced            the target has the translated position
  ahead_of_data     read further at the source than is copied; the target has the end of the copy
  pending           not written yet
  active_on_target  the group has members on the target: its positions are theirs
  conflict          somebody else committed another position on the target: it is left alone
  below_map         older than the offset map: nothing is written
  from_target       came from the target by a link in the other direction
  failed            the target did not take it")]
pub(crate) struct GroupsOptions {
    /// The group's name at the source; without it all groups are listed
    pub(crate) group: Option<String>,
    /// Only this link
    #[arg(long, value_parser = LinkName::new)]
    pub(crate) link: Option<LinkName>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) api: ApiOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
It is there when the target's in-sync replicas have acknowledged everything up to it, itself included. Ends with 0 then,
with 1 when it is not there in time.

Example: go on only when record 1042 of a payment would survive the loss of the source cluster:
  causeway await --topic payments --partition 3 --offset 1042 --timeout 5s")]
pub(crate) struct AwaitOptions {
    /// The link; not needed when there is only one
    #[arg(long, value_parser = LinkName::new)]
    pub(crate) link: Option<LinkName>,
    /// The topic's name at the source
    #[arg(long, value_parser = TopicName::new)]
    pub(crate) topic: TopicName,
    /// The partition
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: i32,
    /// The source offset
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) offset: i64,
    /// How long to wait: 500ms, 30s, 5m; at most 10m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = milliseconds)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) api: ApiOptions,
}

/// A time with its unit, in milliseconds.
fn milliseconds(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number = digits.parse::<u64>().ok();
    let time = number.and_then(|number| match text.get(digits.len()..)? {
        "ms" => Some(number),
        "s" | "" => number.checked_mul(1_000),
        "m" | "min" => number.checked_mul(60_000),
        _ => None,
    });
    time.filter(|time| *time <= 600_000).ok_or_else(|| "write a time up to 10m, such as 500ms, 30s or 5m".to_owned())
}

/// What an order is about.
#[derive(Debug, Args)]
pub(crate) struct OrderOptions {
    /// The link; not needed when there is only one
    #[arg(long, value_parser = LinkName::new)]
    pub(crate) link: Option<LinkName>,
    #[command(flatten)]
    pub(crate) topics: TopicOptions,
    /// Only say what would happen
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Kept with the order, beside your name
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) api: ApiOptions,
}

/// Some topics or all of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TopicOptions {
    /// A topic, by its name at the source; can be repeated
    #[arg(long = "topic", value_name = "TOPIC", value_parser = TopicName::new)]
    pub(crate) topics: Vec<TopicName>,
    /// All topics of the link
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
`causeway status` shows what is stopped, why, and which of these its reason allows. Try it with --dry-run first.

Example: the target's max.message.bytes was raised, so the batch will now fit:
  causeway resolve --topic audit.log --partition 0 --with retry")]
pub(crate) struct ResolveOptions {
    /// How to go on
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) with: With,
    /// Only this partition; default: all stopped partitions of the topics
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,
    #[command(flatten)]
    pub(crate) order: OrderOptions,
}

/// [`ResolveVerb`], as clap takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum With {
    /// The cause is mended: go on at the same position
    Retry,
    /// Leave out the batch that can't be copied; its records will be missing on the target
    Skip,
    /// Accept that source offsets are gone: go on at the first one that is there
    AcceptGap,
    /// The target has other records than expected: go on after them, with a map that says so
    Translate,
    /// Copy again from the source's log start, after what the target holds
    Remirror,
}

impl From<With> for ResolveVerb {
    fn from(with: With) -> Self {
        match with {
            With::Retry => Self::Retry,
            With::Skip => Self::Skip,
            With::AcceptGap => Self::AcceptGap,
            With::Translate => Self::Translate,
            With::Remirror => Self::Remirror,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Example: causeway completions bash > /usr/share/bash-completion/completions/causeway")]
pub(crate) struct CompletionsOptions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManOptions {
    /// Write causeway.1, causeway-run.1 and so on here
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
}
