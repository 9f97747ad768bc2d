use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::secrets::SecretSource;
use crate::selection::{ExistingTarget, Naming};
use crate::types::{ClusterName, LinkName, Secret, TopicName};
use crate::wire::{PemSource, SaslSettings};

mod cluster_messages;
mod clusters;
mod messages;
mod parts;
mod peers;

/// Two clusters and a link, as little as there can be.
const SMALL: &str = r#"
[cluster.a]
bootstrap.servers = "a:9092"
[cluster.b]
bootstrap.servers = "b:9092"
[link.l]
source = "a"
target = "b"
[[link.l.topics]]
match = ".*"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("causeway.toml"))
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn only_link(config: &Config) -> &LinkConfig {
    &config.links[&LinkName::new(config.links.keys().next().unwrap().as_str()).unwrap()]
}

fn link(text: &str) -> LinkConfig {
    only_link(&good(text)).clone()
}

/// The problems of a text as `line:column key: sentence (help)`.
fn problems(text: &str) -> Vec<String> {
    let Err(error) = parse(text) else { return Vec::new() };
    assert!(!error.to_string().contains("hunter2"), "a password is shown: {error}");
    match error {
        ConfigError::Invalid { problems, .. } => problems.iter().map(in_a_line).collect(),
        error => panic!("{error}"),
    }
}

fn in_a_line(problem: &Problem) -> String {
    let mut line = format!("{}:{} {}: {}", problem.line, problem.column, problem.key, problem.sentence);
    if let Some(help) = &problem.help {
        write!(line, " ({help})").unwrap();
    }
    line
}

fn sample(name: &str) -> Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    Config::load(Some(&file)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_sample_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let samples: Vec<_> = files.filter(|file| file.extension().is_some_and(|ending| ending == "toml")).collect();
    assert!(samples.len() >= 2);
    for file in samples {
        Config::load(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_systemd_unit_names_the_usual_file() {
    let unit = include_str!("../../config/causeway.service");
    assert!(unit.contains("\nType=notify\n"));
    assert!(unit.contains("\nExecStart=/usr/bin/causeway run --config /etc/causeway/causeway.toml\n"));
    assert!(unit.contains("\nRestartPreventExitStatus=2\n"), "a wrong configuration ends with 2");
}

#[test]
fn ten_lines_are_enough_and_the_rest_has_defaults() {
    let config = sample("causeway.minimal.toml");
    assert_eq!(config.daemon.group, "causeway");
    assert_eq!(config.daemon.listen.to_string(), "127.0.0.1:8480");
    assert_eq!((config.daemon.api_token.as_ref(), config.daemon.tls.as_ref()), (None, None));
    assert!(TopicName::new(&config.daemon.id).is_ok());
    let link = only_link(&config);
    assert_eq!((link.source.as_str(), link.target.as_str()), ("a", "b"));
    assert_eq!((link.offsets, link.start, link.rate), (Offsets::Preserve, Start::Earliest, None));
    assert_eq!(link.sync.interval, Duration::from_secs(10));
    assert!(link.sync.configs && !link.sync.acls && !link.mirrormaker_topics);
    assert_eq!(link.tuning.buffer_bytes_max, 64 << 20);
    assert!(link.groups.entries().is_empty());
    let wire = &config.clusters[&link.source].wire;
    assert_eq!(wire.bootstrap, ["localhost:9092"]);
    assert_eq!((wire.client_id.as_str(), wire.request_timeout), ("causeway", Duration::from_secs(30)));
    assert!(wire.tls.is_none() && wire.sasl.is_none());
    let text = std::fs::read_to_string(&config.file).unwrap();
    assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 9);
}

#[test]
fn the_annotated_sample_says_what_its_comments_say() {
    let config = sample("causeway.toml");
    let link = only_link(&config);
    assert_eq!(link.rate, Some(50_000_000));
    let entries = link.topics.entries();
    assert_eq!((entries[0].priority, entries[0].rule.exclude.len()), (10, 2));
    assert_eq!(entries[1].replication_factor, Some(3));
    assert_eq!(entries[1].rule.naming, Naming::Rename("onprem.logs.${1}".to_owned()));
    assert_eq!(entries[2].existing_target, ExistingTarget::Translate);
    let selected = link.topics.select(&TopicName::new("logs.web").unwrap()).unwrap().unwrap();
    assert_eq!(selected.target.as_str(), "onprem.logs.web");
    assert_eq!(config.clusters[&link.target].wire.bootstrap.len(), 2);
}

/// The commented-out keys of the sample are right too, and those that show a default show the real one.
#[test]
fn the_comments_of_the_annotated_sample_hold() {
    let sample = sample("causeway.toml");
    let text = std::fs::read_to_string(&sample.file).unwrap();
    let examples = ["id", "tls_certificate", "tls_key", "sasl.mechanism", "sasl.oauthbearer", "own_principals"];
    let mut with_defaults = String::new();
    for line in text.lines() {
        let key = line.strip_prefix("# ").filter(|rest| {
            rest.split_once(" = ")
                .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_')))
        });
        let is_default = key.is_some_and(|key| !examples.iter().any(|example| key.starts_with(example)));
        writeln!(with_defaults, "{}", if is_default { key.unwrap() } else { line }).unwrap();
    }
    assert_eq!(with_defaults.matches('#').count(), text.matches('#').count() - 15, "fifteen defaults are shown");
    let changed = good(&with_defaults);
    assert_eq!(only_link(&changed).meaning, only_link(&sample).meaning);
    assert_eq!(only_link(&changed).tuning, only_link(&sample).tuning);
    for (name, cluster) in &sample.clusters {
        assert_eq!(format!("{:?}", changed.clusters[name].wire), format!("{:?}", cluster.wire));
    }
}

/// `docs/configuration.md` has the table of every part of the file. Run with `UPDATE_DOCS=1` to write them anew.
#[test]
fn the_documentation_has_every_key() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut wanted = text.clone();
    for table in reference() {
        let begin = format!("## {}\n", table.title);
        let start = wanted.find(&begin).unwrap_or_else(|| panic!("no heading `{}`", begin.trim()));
        let table_start = start + wanted[start..].find("| key |").unwrap_or_else(|| panic!("no table in {begin}"));
        let table_end = wanted[table_start..].find("\n\n").map_or(wanted.len(), |end| table_start + end + 1);
        wanted.replace_range(table_start..table_end, &table.markdown);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
    } else {
        assert!(
            text == wanted,
            "docs/configuration.md differs from the keys in the code; UPDATE_DOCS=1 writes it anew"
        );
    }
}

#[test]
fn the_documentation_shows_files_that_work() {
    let text = include_str!("../../docs/configuration.md");
    let examples: Vec<_> = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        // Examples show a part; the rest is added where it is missing.
        let mut whole = example.to_owned();
        for (table, rest) in [
            ("[cluster.onprem]", "[cluster.onprem]\nbootstrap.servers = \"a:1\"\n"),
            ("[cluster.aws]", "[cluster.aws]\nbootstrap.servers = \"b:1\"\n"),
            ("[link.", "[link.x]\nsource = \"onprem\"\ntarget = \"aws\"\n[[link.x.topics]]\nmatch = \".*\"\n"),
        ] {
            if !whole.contains(table) {
                whole.push_str(rest);
            }
        }
        good(&whole);
    }
}

#[test]
fn the_meaning_of_a_link_is_what_daemons_must_agree_on() {
    let plain = link(SMALL);
    let text: BTreeMap<_, _> = plain.meaning.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [
        ("offsets", "preserve"),
        ("source", "a"),
        ("start", "earliest"),
        ("sync.interval", "10 s"),
        ("target", "b"),
        ("topics[0].match", ".*"),
    ];
    assert_eq!(text, BTreeMap::from(expected));
    // A changed digest is a config_mismatch between daemons of two versions: change it only on purpose.
    assert_eq!(plain.digest, "6485430f0ea0d37e");
    let same =
        link(&SMALL.replace("target = \"b\"", "target = \"b\"\nstart = \"earliest\"\nsync.interval = \"10000ms\""));
    assert_eq!(same.digest, plain.digest, "a default that is written out changes nothing");
    let tuned = link(&SMALL.replace("target = \"b\"", "target = \"b\"\ntuning.buffer_max = \"1 GiB\""));
    assert_eq!(tuned.digest, plain.digest, "tuning is each daemon's own");
    let other = link(&SMALL.replace("match = \".*\"", "match = \".*\"\npriority = 1"));
    assert_ne!(other.digest, plain.digest);
}

#[test]
fn warnings_tell_what_others_can_read_and_what_has_no_effect() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "x").unwrap();
    let set_mode = |mode| std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
    let text = SMALL.replace(
        "\"a:9092\"",
        &format!(
            "\"a:9092\"\nsecurity.protocol = \"SASL_PLAINTEXT\"\nsasl.mechanism = \"PLAIN\"\n\
             sasl.username = \"u\"\nsasl.password = {{ file = \"{}\" }}",
            secret.display()
        ),
    ) + "[[link.l.topics]]\nname = \"x\"\n[daemon]\napi_token.env = \"CAUSEWAY_SURELY_NOT_SET\"\n";
    let config = good(&text);
    set_mode(0o640);
    let quiet = config.warnings();
    assert_eq!(
        quiet,
        [
            "cluster.a: the password or token crosses the network in the clear; \
             use security.protocol = \"SASL_SSL\"",
            "daemon.api_token: the environment variable CAUSEWAY_SURELY_NOT_SET is not set",
            "link.l.topics[1] has no effect: topics[0] decides on that name first",
        ]
    );
    set_mode(0o644);
    let loud = config.warnings();
    let warning =
        format!("cluster.a.sasl.password: {} can be read by every user of this machine: chmod o-r", secret.display());
    assert!(loud.contains(&warning), "{loud:?}");
    std::fs::remove_file(&secret).unwrap();
    assert!(config.warnings().iter().any(|warning| warning.contains("can't read")));
}

#[test]
fn a_secret_in_a_readable_file_is_warned_about() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{SMALL}[daemon]\napi_token = \"hunter2\"\n")).unwrap();
    let config = Config::load(Some(file.path())).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(config.warnings(), Vec::<String>::new());
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(config.warnings()[0].contains("holds secrets"));
}

#[test]
fn the_file_is_looked_for_in_order() {
    let find = |explicit: Option<&str>, variable: Option<&str>, existing: &[&str]| {
        let exists = |file: &Path| existing.iter().any(|name| Path::new(name) == file);
        find::find_among(explicit.map(Path::new), variable.map(Into::into), exists)
            .map(|file| file.display().to_string())
    };
    let both = ["causeway.toml", "/etc/causeway/causeway.toml"];
    assert_eq!(find(Some("x"), Some("y"), &both).unwrap(), "x");
    assert_eq!(find(None, Some("y"), &both).unwrap(), "y");
    assert_eq!(find(None, Some(""), &both).unwrap(), "causeway.toml");
    assert_eq!(find(None, None, &both[1..]).unwrap(), "/etc/causeway/causeway.toml");
    assert_eq!(
        find(None, None, &[]).unwrap_err().to_string(),
        "there is no configuration file: looked for causeway.toml, /etc/causeway/causeway.toml"
    );
    let missing = Config::load(Some(Path::new("/nowhere/c.toml"))).unwrap_err().to_string();
    assert!(missing.starts_with("can't read the configuration /nowhere/c.toml: "), "{missing}");
}

/// One word each.
const KEYS: &str = "source target start rate topics match exclude rename sync interval tuning bootstrap.servers \
                    bootstrap security.protocol sasl.mechanism \"sasl.mechanism\" sasl.password sasl.jaas.config \
                    ssl.key.pem ssl.ca ssl.keystore.location listen api_token priority";

/// One line each.
const VALUES: &str = r#"true
1.5
2026-01-31T00:00:00Z
1979-05-27
[]
[1, "x"]
{}
{ env = "X" }
{ env = 1, file = "x" }
{ a = { b = {} } }
"a"
"10s"
"SASL_SSL"
"PLAIN"
"ä=ö"
"org.apache.PlainLoginModule required username=\"u\" password='p';""#;

const HEADERS: &str = "[daemon] [cluster.a] [cluster.b] [cluster] [link.l] [link] [[link.l.topics]] [link.l.sync] \
                       [link.l.tuning] [link.l.topics] [[cluster]] [peers] [x.y] \u{feff} #ä \"\"\"";

fn any_line() -> impl Strategy<Value = String> {
    let one_of = |texts: Vec<&'static str>| prop::sample::select(texts).prop_map(str::to_owned);
    let key = prop_oneof!["[a-z]{1,3}", one_of(KEYS.split_whitespace().collect())];
    let value = prop_oneof![
        "[ -~]{0,6}",
        "\"[a-z0-9:. /()${}]{0,8}\"",
        any::<i64>().prop_map(|number| number.to_string()),
        one_of(VALUES.lines().collect()),
    ];
    prop_oneof![
        1 => one_of(HEADERS.split_whitespace().collect()),
        3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn random_files_are_answered_and_never_panic(lines in prop::collection::vec(any_line(), 0..14), is_small_first: bool) {
        let mut text = if is_small_first { SMALL.to_owned() } else { String::new() };
        text.push_str(&lines.join("\n"));
        let drawn = match parse(&text) {
            Ok(config) => format!("{:?}", config.warnings()),
            Err(error) => error.to_string(),
        };
        prop_assert!(!drawn.is_empty());
    }

    #[test]
    fn random_characters_are_answered_and_never_panic(text in "[\\PC\n\r\t\"'=\\[\\]{}#.]{0,60}") {
        prop_assert!(parse(&text).is_err());
    }
}
