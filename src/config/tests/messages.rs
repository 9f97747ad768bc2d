//! What is said of a file that is wrong: line, column, key, sentence, help.

use super::*;

/// Lines 1 to 3 of each text are the clusters, line 4 is the link up to `target`, line 5 its one entry.
const CLUSTERS: &str = "cluster.a.bootstrap.servers = \"a:1\"\ncluster.b.bootstrap.servers = \"b:1\"\n\
                        cluster.c.bootstrap.servers = \"c:1\"\n";

/// A file whose link has these lines, from line 7 on.
fn link_with(lines: &str) -> String {
    format!("{CLUSTERS}[link.l]\nsource = \"a\"\ntarget = \"b\"\n{lines}")
}

/// A file whose link has one entry with these lines, from line 8 on.
fn entry_with(lines: &str) -> String {
    link_with(&format!("[[link.l.topics]]\n{lines}"))
}

const ENTRY: &str = "[[link.l.topics]]\nmatch = \"x\"\n";

pub(super) fn check(cases: &[(&str, &[&str])], whole: impl Fn(&str) -> String) {
    for (lines, expected) in cases {
        assert_eq!(&problems(&whole(lines)), expected, "{lines}");
    }
}

#[test]
fn a_problem_is_drawn_as_compilers_do() {
    let text = link_with("rate = \"fast\"\ntopcs = []\n").replace("target = \"b\"", "target =\t\"bb\"");
    let expected = r#"error: there is no cluster `bb`
 --> causeway.toml:6:10
  |
6 | target =	"bb"
  |         	^^^^
  = key: link.l.target
  = help: did you mean `b`? The clusters are a, b, c

error: `fast` is not a rate
 --> causeway.toml:7:8
  |
7 | rate = "fast"
  |        ^^^^^^
  = key: link.l.rate
  = help: write for example "50 MB/s"

error: unknown key `topcs`
 --> causeway.toml:8:1
  |
8 | topcs = …
  | ^^^^^
  = key: link.l.topcs
  = help: did you mean `topics`? allowed here: source, target, offsets, fast_forward_max, gap_fill_max, gap_fill_ratio_max, start, rate, mirrormaker_topics, protect, own_principals, topics, groups, sync, tuning

causeway.toml has 3 errors"#;
    let error = parse(&text).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.advice(), "correct the file; docs/configuration.md lists every key");
}

#[test]
fn syntax_is_complained_about_alone() {
    let cases: [(&str, &[&str]); 6] = [
        ("[link.l\n", &["1:8 : unclosed table, expected `]`"]),
        ("x = \n[daemn]", &["1:5 : string values must be quoted, expected literal string"]),
        ("a = 1\na = 2\n", &["2:1 : duplicate key"]),
        ("x = \"unclosed\n", &["1:14 : invalid basic string, expected `\"`"]),
        ("daemon = 1\n[daemon]\n", &["2:2 : duplicate key"]),
        ("\"\"\"", &["1:4 : key with no value, expected `=`"]),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(text), expected, "{text}");
    }
    let secret = parse("sasl.password = \"hunter2\n").unwrap_err().to_string();
    assert!(!secret.contains("hunter2"), "{secret}");
}

#[test]
fn the_file_as_a_whole() {
    let nothing = "1:1 : there is no link, so there is nothing to do \
                   (add [link.NAME] with source, target and at least one [[link.NAME.topics]])";
    check(
        &[
            ("", &[nothing]),
            (
                "[links.x]\n",
                &[
                    "1:2 links: unknown key `links` (did you mean `link`? allowed here: daemon, cluster, link, peers, peer)",
                ],
            ),
            ("link = 1", &["1:8 link: `link` must be a table of links, not a number"]),
            (
                "link.x = 1\ncluster.a = \"x\"",
                &[
                    "1:10 link.x: `x` must be a table, not a number",
                    "2:13 cluster.a: `a` must be a table of Kafka properties, not a string",
                ],
            ),
            ("[[link]]\n", &["1:1 link: `link` must be a table of links, not a list"]),
        ],
        str::to_owned,
    );
}

#[test]
fn the_daemon() {
    let whole = |lines: &str| format!("[daemon]\n{lines}\n{SMALL}");
    check(
        &[
            (
                "id = \"a b\"",
                &["2:6 daemon.id: `a b` is not a valid id: use 1 to 249 letters, digits, `.`, `_` or `-`"],
            ),
            ("group = \"\"", &["2:9 daemon.group: `group` is empty"]),
            (
                "group = \"a.b\"",
                &["2:9 daemon.group: `a.b` is not a valid name: use 1 to 100 letters, digits, `-` or `_`"],
            ),
            (
                "listen = \":80\"",
                &[
                    "2:10 daemon.listen: `:80` is not an address to listen on (for every interface write \"0.0.0.0:80\")",
                ],
            ),
            ("listen = 8480", &["2:10 daemon.listen: `listen` must be a string, not a number"]),
            (
                "listen = \"host:1\"",
                &["2:10 daemon.listen: `host:1` is not an address to listen on \
                   (write an IP address and a port, such as \"127.0.0.1:8480\")"],
            ),
            (
                "listen = \"0.0.0.0:1\"\napi_token = \"hunter2\"",
                &["3:1 daemon.api_token: `api_token` would cross the network in the clear: `listen` is 0.0.0.0:1 \
                   (set tls_certificate and tls_key, or listen on 127.0.0.1 behind a proxy that has TLS)"],
            ),
            ("tls_certificate = \"/c\"", &["2:1 daemon.tls_certificate: `tls_certificate` needs `tls_key` beside it"]),
            (
                "tls_certificate = \"/c\"\ntls_key = \"/k\"",
                &["3:1 daemon.tls_key: `tls_key` is not a PEM text (for a file write tls_key = { file = \"/path\" })"],
            ),
            (
                "api_token = { fiel = \"x\" }",
                &["2:15 daemon.api_token.fiel: unknown key `fiel` (did you mean `file`? allowed here: env, file)"],
            ),
            (
                "api_token = { env = \"X\", file = \"y\" }",
                &["2:1 daemon.api_token: `api_token` has both of `env` and `file` \
                   (write the text itself, { env = \"NAME\" } or { file = \"/path\" })"],
            ),
            ("api_token = 5", &["2:13 daemon.api_token: `api_token` must be a string, not a number"]),
            (
                "grup = \"x\"",
                &["2:1 daemon.grup: unknown key `grup` \
                   (did you mean `group`? allowed here: id, group, listen, api_token, tls_certificate, tls_key, map_memory_max)"],
            ),
        ],
        whole,
    );
}

const LINK: &[(&str, &[&str])] = &[
    (
        "gap_fill_ratio_max = \"much\"",
        &["7:22 link.l.gap_fill_ratio_max: `gap_fill_ratio_max` is a number from 0.0 to 1000.0"],
    ),
    (
        "offsets = \"transalte\"",
        &[
            "7:11 link.l.offsets: `transalte` is not a value of `offsets` (did you mean `translate`? allowed: preserve, preserve-or-stop, translate)",
        ],
    ),
    (
        "start = \"now\"",
        &["7:9 link.l.start: `now` is not a value of `start` \
                   (allowed: earliest, latest, or a time such as 2026-01-31T00:00:00Z)"],
    ),
    (
        "start = 2026-01-31",
        &["7:9 link.l.start: `2026-01-31` is not a point in time: it needs date, time and zone \
                   (write for example 2026-01-31T00:00:00Z)"],
    ),
    ("rate = \"1 B/s\"", &["7:8 link.l.rate: `rate` is 1 kB/s to 1000 GB/s"]),
    (
        "rate = 5",
        &["7:8 link.l.rate: `5` has no unit (write for example \"50 MB/s\"; the units are B/s, kB/s, KB/s, MB/s, \
                   GB/s, KiB/s, MiB/s, GiB/s, kbit/s, Mbit/s, Gbit/s)"],
    ),
    (
        "own_principals = \"causeway\"",
        &["7:18 link.l.own_principals: `causeway` is not a principal \
                   (Kafka's principals have a type and a name, such as User:causeway)"],
    ),
    (
        "sync.drift = \"keep\"\nsync.interval = \"1ms\"",
        &[
            "7:14 link.l.sync.drift: `keep` is not a value of `drift` (allowed: revert, respect)",
            "8:17 link.l.sync.interval: `interval` is 1 s to 1 h",
        ],
    ),
    (
        "[[link.l.groups]]\nmatch = \"a(\"",
        &["8:9 link.l.groups[0].match: `match` is not a regular expression: unclosed group \
                     (the syntax is that of https://docs.rs/regex; write a dot as `\\\\.`)"],
    ),
    (
        "tuning = { buffer_max = \"4 MiB\", inbox_max = \"5 MiB\", fetch_connections = 0 }",
        &[
            "7:46 link.l.tuning.inbox_max: `inbox_max` (5 MiB) is more than `buffer_max` (4 MiB)",
            "7:75 link.l.tuning.fetch_connections: `fetch_connections` is 1 to 32",
        ],
    ),
];

#[test]
fn a_link() {
    let whole = |lines: &str| link_with(&format!("{lines}\n{ENTRY}"));
    check(LINK, whole);
    assert_eq!(
        problems(&format!("{CLUSTERS}[link.\"a.b\"]\n")),
        ["4:2 link.a.b: `a.b` is not a valid name: use 1 to 100 letters, digits, `-` or `_`"]
    );
    assert_eq!(
        problems(&format!("{CLUSTERS}[link.l]\n")),
        [
            "4:2 link.l: `source` is missing (for example: source = \"NAME\", the name of a [cluster.NAME])",
            "4:2 link.l: `target` is missing (for example: target = \"NAME\", the name of a [cluster.NAME])",
            "4:2 link.l: the link has no `topics`, so it would mirror nothing \
             (add [[link.NAME.topics]] with `match` or `name`; match = \".*\" is all topics)",
        ]
    );
}

const ENTRIES: &[(&str, &[&str])] = &[
    (
        "priority = 1.5",
        &[
            "7:1 link.l.topics[0]: the entry has neither `match` nor `name` \
                     (add match = \"...\" (a regular expression for the whole name) or name = \"...\")",
            "8:12 link.l.topics[0].priority: `priority` must be a whole number, not one with a fraction",
        ],
    ),
    (
        "match = \"a\"\nname = \"a\"",
        &["9:1 link.l.topics[0].name: the entry has both `match` and `name` \
                   (keep one: `match` selects by a regular expression, `name` exactly one)"],
    ),
    (
        "match = \"a(\"\nexclude = [\"ok\",\n  \"b[\"]",
        &[
            "8:9 link.l.topics[0].match: `match` is not a regular expression: unclosed group \
                     (the syntax is that of https://docs.rs/regex; write a dot as `\\\\.`)",
            "10:3 link.l.topics[0].exclude[1]: `exclude` is not a regular expression: unclosed character class \
                     (the syntax is that of https://docs.rs/regex; write a dot as `\\\\.`)",
        ],
    ),
    (
        "match = \"logs\\\\.(.*)\"\nrename = \"x.${2}\"\nreplication_factor = 0",
        &[
            "9:10 link.l.topics[0].rename: there is no capture `${2}` in `match`; it has `${0}` (the whole name) and `${1}`",
            "10:22 link.l.topics[0].replication_factor: `replication_factor` is 1 to 32767",
        ],
    ),
    (
        "match = \"a\"\nrename = \"b\"\nprefix = \"c.\"",
        &["10:1 link.l.topics[0].prefix: the entry has both `rename` and `prefix` (write rename = \"c.b\" alone)"],
    ),
    (
        "name = \"__causeway.x\"",
        &["8:8 link.l.topics[0].name: `__causeway.x` is one of causeway's own topics, which are never mirrored"],
    ),
    (
        "name = \"x\"\nexisting_target = \"merge\"\nexclud = \"x\"",
        &[
            "9:19 link.l.topics[0].existing_target: `merge` is not a value of `existing_target` \
                     (allowed: refuse, translate)",
            "10:1 link.l.topics[0].exclud: unknown key `exclud` (did you mean `exclude`? allowed here: match, name, \
                     exclude, rename, prefix, priority, replication_factor, local_writers, existing_target)",
        ],
    ),
    (
        "name = \"a\"\nrename = \"c\"\n[[link.l.topics]]\nname = \"b\"\nprefix = \"\"\n[[link.l.topics]]\nname = \"c\"",
        &[
            "12:10 link.l.topics[1].prefix: `prefix` is empty",
            "14:8 link.l.topics[2].name: `c` would have the name `c` on the target, as `a` in line 8 has",
        ],
    ),
];

#[test]
fn the_entries_of_a_link() {
    check(ENTRIES, entry_with);
    assert_eq!(
        problems(&link_with("[link.l.topics]\nmatch = \"x\"")),
        ["7:2 link.l.topics: `topics` must be a list of tables, not one table \
          (write [[link.l.topics]] with two brackets on each side)"]
    );
    assert_eq!(
        problems(&link_with("topics = []")),
        ["7:10 link.l.topics: `topics` has no entry, so the link would mirror nothing"]
    );
}

/// Links between clusters, each with all topics unless it names one.
fn links(list: &[(&str, &str, Option<&str>)]) -> String {
    let mut text = CLUSTERS.to_owned();
    for (index, (source, target, name)) in list.iter().enumerate() {
        let entry = name.map_or("match = \".*\"".to_owned(), |name| format!("name = \"{name}\""));
        write!(text, "[link.l{index}]\nsource = \"{source}\"\ntarget = \"{target}\"\ntopics = [{{ {entry} }}]\n")
            .unwrap();
    }
    text
}

#[test]
fn links_together() {
    let opposite = [("a", "b", None), ("b", "a", None), ("b", "c", None), ("c", "b", None), ("a", "b", Some("x"))];
    assert_eq!(problems(&links(&opposite)), Vec::<String>::new());
    assert_eq!(problems(&links(&[("a", "a", None)])), ["6:10 link.l0.target: the link would mirror `a` into itself"]);
    assert_eq!(
        problems(&links(&[("a", "bb", None), ("onprem", "c", None)])),
        [
            "6:10 link.l0.target: there is no cluster `bb` (did you mean `b`? The clusters are a, b, c)",
            "9:10 link.l1.source: there is no cluster `onprem` (the clusters are a, b, c)",
        ]
    );
    assert_eq!(
        problems(&links(&[("a", "b", None), ("b", "c", None), ("c", "a", None), ("b", "a", None)])),
        [
            "4:2 link.l0: the links `l0`, `l1`, `l2` form a cycle: a -> b -> c -> a (records would go round for ever; link \
          each cluster with each other one that needs its topics only in a way that leads nowhere back, or use pairs of \
          opposite links)"
        ]
    );
    assert_eq!(
        problems(&links(&[("a", "c", Some("x")), ("b", "c", Some("x")), ("a", "b", Some("x"))])),
        ["11:20 link.l1.topics[0].name: `x` would be the topic `x` of `c`, which link `l0` makes already (line 7) \
          (use `rename` or `prefix` in one of them)"]
    );
    let login = "cluster.X.security.protocol = \"SASL_SSL\"\ncluster.X.sasl.mechanism = \"OAUTHBEARER\"\n\
                 cluster.X.sasl.oauthbearer.token = \"t\"\ncluster.X.sasl.oauthbearer.extensions = \"key=value\"\n";
    let with_extensions = |name: &str| format!("{}{}", login.replace('X', name), links(&[("a", "b", None)]));
    assert_eq!(problems(&with_extensions("a")), Vec::<String>::new());
    assert_eq!(
        problems(&with_extensions("b")),
        ["10:10 link.l0.target: `b` has `sasl.oauthbearer.extensions`, so it can't be a target \
          (the client that keeps the state on a target can't send them; use another mechanism there)"]
    );
    let same = links(&[("a", "b", None)]).replace("\"b:1\"", "\"x:1,a:1\"");
    assert_eq!(
        problems(&same),
        ["6:10 link.l0.target: `a` and `b` are the same cluster: both have the broker a:1 \
          (a link needs two different clusters)"]
    );
}
