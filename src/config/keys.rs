//! The keys of our own tables. The documentation's tables are made from the same rows; a test compares them.

/// One key, and what the documentation says of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// The key.
    pub(super) key: &'static str,
    /// What its value is.
    pub(super) form: &'static str,
    /// What is taken without it.
    pub(super) default: &'static str,
    /// The values that are allowed.
    pub(super) allowed: &'static str,
    /// What it does.
    pub(super) about: &'static str,
}

/// One table of the file.
#[derive(Debug)]
pub(super) struct Section {
    /// Its heading in the documentation.
    pub(super) title: &'static str,
    /// The keys it may have.
    pub(super) rows: &'static [Row],
    /// Keys that a later version will have, and what to say of them until then.
    pub(super) later: &'static [(&'static str, &'static str)],
}

const fn row(
    key: &'static str,
    form: &'static str,
    default: &'static str,
    allowed: &'static str,
    about: &'static str,
) -> Row {
    Row { key, form, default, allowed, about }
}

pub(super) static TOP: Section = Section {
    title: "The file",
    rows: &[
        row("daemon", "table", "all its defaults", "once", "the daemon itself"),
        row(
            "cluster",
            "tables",
            "required",
            "`[cluster.NAME]`; letters, digits, `-`, `_`",
            "how each cluster is reached",
        ),
        row(
            "link",
            "tables",
            "required",
            "`[link.NAME]`; letters, digits, `-`, `_`",
            "which cluster is mirrored to which; none is needed where a peer reads a cluster of ours",
        ),
        row("peers", "table", "none", "once", "sessions with other daemons: our side of them"),
        row("peer", "tables", "none", "`[peer.NAME]`; letters, digits, `-`, `_`", "the other daemons, one by one"),
    ],
    later: &[],
};

pub(super) static PEERS: Section = Section {
    title: "`[peers]`",
    rows: &[
        row("certificate", "path", "required", "PEM file", "our certificate chain towards other daemons"),
        row("key", "secret", "required", "PEM text", "its private key: `{ file = \"/path\" }`"),
        row(
            "ca",
            "path",
            "the system's certificates",
            "PEM file",
            "whom to trust to sign certificates of peers whose `identity` is a name",
        ),
        row("listen", "address", "none: we only dial", "IP address and port", "where peers may dial us"),
    ],
    later: &[],
};

pub(super) static PEER: Section = Section {
    title: "`[peer.NAME]`",
    rows: &[
        row(
            "identity",
            "string",
            "required",
            "a DNS name in its certificate, or `sha256:` and the hex digest of its public key",
            "who it must prove to be, whoever dials",
        ),
        row(
            "connect",
            "string or list",
            "nothing: it dials us",
            "`host:port`; each address of each name is dialled",
            "where to dial it",
        ),
        row("expose", "table", "nothing", "see below", "what it may read"),
        row("connections", "integer", "`8`", "1 to 64", "parallel connections to each of its daemons, where we dial"),
        row("rate", "rate", "no limit", "`1 kB/s` to `1000 GB/s`", "the most that is sent to it"),
        row("compress", "boolean", "`false`", "`true`, `false`", "what is sent to it is compressed where that helps"),
        row("proxy", "string", "none", "`host:port` of an HTTP proxy with CONNECT", "the way out to `connect`"),
        row("proxy_user", "string", "none", "goes with `proxy_password`", "for the proxy"),
        row("proxy_password", "secret", "none", "goes with `proxy_user`", "for the proxy"),
    ],
    later: &[],
};

pub(super) static EXPOSE: Section = Section {
    title: "`expose` in `[peer.NAME]`",
    rows: &[
        row("cluster", "string", "required", "the name of a cluster that we reach directly", "the cluster it may read"),
        row(
            "topics",
            "string or list",
            "nothing",
            "regular expressions for whole names",
            "the topics it may see and read; internal ones never, those with causeway's own state always",
        ),
        row(
            "groups",
            "string or list",
            "nothing",
            "regular expressions for whole names",
            "the groups it may see, with their offsets",
        ),
    ],
    later: &[],
};

pub(super) static DAEMON: Section = Section {
    title: "`[daemon]`",
    rows: &[
        row(
            "id",
            "string",
            "the host name",
            "1 to 249 letters, digits, `.`, `_`, `-`",
            "tells the daemons of one group apart; must stay the same across restarts",
        ),
        row(
            "group",
            "string",
            "`causeway`",
            "letters, digits, `-`, `_`",
            "daemons of one group share the work; the state topic is `__causeway.GROUP`",
        ),
        row("listen", "address", "`127.0.0.1:8480`", "IP address and port", "status page, API, metrics"),
        row(
            "api_token",
            "secret",
            "none",
            "not empty",
            "what callers must show to change state; without it nothing can, on loopback either",
        ),
        row(
            "tls_certificate",
            "path",
            "none",
            "PEM file; goes with `tls_key`",
            "TLS for `listen`; required off loopback where there is an `api_token`",
        ),
        row(
            "tls_key",
            "secret",
            "none",
            "PEM text; goes with `tls_certificate`",
            "the private key: `{ file = \"/path\" }`",
        ),
        row(
            "map_memory_max",
            "size",
            "`256 MiB`",
            "`16 MiB` to `1024 GiB`",
            "the most that the offset maps of this daemon's partitions take; over it the oldest parts are given up, \
             and offsets there translate to `below_map`",
        ),
    ],
    later: &[],
};

pub(super) static LINK: Section = Section {
    title: "`[link.NAME]`",
    rows: &[
        row("source", "string", "required", "the name of a cluster", "the cluster that is read"),
        row(
            "target",
            "string",
            "required",
            "the name of another cluster",
            "the cluster that is written, and that keeps the state",
        ),
        row(
            "offsets",
            "string",
            "`preserve`",
            "`preserve`, `preserve-or-stop`, `translate`",
            "how source and target offsets relate: the same, with an exact map from where that is impossible; the \
             same, or the partition stops; as they come, with an exact map",
        ),
        row(
            "fast_forward_max",
            "integer",
            "`1000000000`",
            "0 to 1000000000000",
            "the most offsets by which an empty mirror partition is brought to the source's first one (about 0.6 bytes \
             each, for a moment); a partition that needs more has its offsets translated",
        ),
        row(
            "gap_fill_max",
            "integer",
            "`1000`",
            "0 to 1000000000000",
            "the most offsets without a record, in one place, that are filled to keep offsets the same",
        ),
        row(
            "gap_fill_ratio_max",
            "number",
            "`1.0`",
            "0.0 to 1000.0",
            "the most offsets that are filled for each record that is copied, over about the last million",
        ),
        row(
            "start",
            "string or date",
            "`earliest`",
            "`earliest`, `latest`, or a time such as `2026-01-31T00:00:00Z`",
            "where topics begin that exist when the link first starts; later ones begin at their beginning",
        ),
        row(
            "rate",
            "rate",
            "no limit",
            "`1 kB/s` to `1000 GB/s`",
            "the most that the link copies; under it topics with a higher `priority` go first",
        ),
        row(
            "mirrormaker_topics",
            "boolean",
            "`false`",
            "`true`, `false`",
            "write MirrorMaker's own topics on the target as well, so that Java's `MirrorClient` finds its offsets; \
             see below",
        ),
        row(
            "protect",
            "boolean",
            "`false`",
            "`true`, `false`",
            "deny writing to mirror topics to everybody else who is allowed to; see below",
        ),
        row(
            "own_principals",
            "string or list",
            "the user that the target's login names",
            "such as `User:CN=causeway`",
            "who causeway's daemons are on the target: never denied anything; required for `protect` and `sync.acls` \
             with OAUTHBEARER and with client certificates",
        ),
        row(
            "topics",
            "list of tables",
            "required",
            "at least one",
            "which topics are mirrored, see `[[link.NAME.topics]]`",
        ),
        row(
            "groups",
            "list of tables",
            "no group",
            "any number",
            "which consumer groups are synchronised, see `[[link.NAME.groups]]`",
        ),
        row("sync", "table", "all its defaults", "once", "see `[link.NAME.sync]`"),
        row("tuning", "table", "all its defaults", "once", "see `[link.NAME.tuning]`"),
    ],
    later: &[],
};

pub(super) static TOPICS: Section = Section {
    title: "`[[link.NAME.topics]]`",
    rows: &[
        row(
            "match",
            "string",
            "this or `name`",
            "a regular expression for the whole name",
            "selects topics, but no internal ones",
        ),
        row("name", "string", "this or `match`", "the name of a topic", "selects one topic, also an internal one"),
        row(
            "exclude",
            "string or list",
            "nothing",
            "regular expressions for whole names; goes with `match`",
            "leaves topics out; later entries don't see them",
        ),
        row(
            "rename",
            "string",
            "the same name",
            "`${0}` the whole name, `${1}` or `${word}` a capture of `match`",
            "the name on the target",
        ),
        row("prefix", "string", "the same name", "instead of `rename`", "a text put before the name on the target"),
        row("priority", "integer", "`0`", "-2147483648 to 2147483647", "higher ones go first where `rate` limits"),
        row("replication_factor", "integer", "the target's", "1 to 32767", "for mirror topics that causeway creates"),
        row(
            "local_writers",
            "boolean",
            "`false`",
            "`true`, `false`; `true` needs `offsets = \"translate\"`",
            "applications on the target write to the mirror topic as well; its settings are left to you",
        ),
        row(
            "existing_target",
            "string",
            "`refuse`",
            "`refuse`, `translate`",
            "what to do where the target topic already has records that causeway didn't write",
        ),
    ],
    later: &[],
};

pub(super) static GROUPS: Section = Section {
    title: "`[[link.NAME.groups]]`",
    rows: &[
        row("match", "string", "this or `name`", "a regular expression for the whole name", "selects groups"),
        row("name", "string", "this or `match`", "the name of a group", "selects one group"),
        row(
            "exclude",
            "string or list",
            "nothing",
            "regular expressions for whole names; goes with `match`",
            "leaves groups out; later entries don't see them",
        ),
        row(
            "rename",
            "string",
            "the same name",
            "`${0}` the whole name, `${1}` or `${word}` a capture of `match`",
            "the name on the target",
        ),
        row("prefix", "string", "the same name", "instead of `rename`", "a text put before the name on the target"),
    ],
    later: &[],
};

pub(super) static SYNC: Section = Section {
    title: "`[link.NAME.sync]`",
    rows: &[
        row("configs", "boolean", "`true`", "`true`, `false`", "the settings of topics follow the source"),
        row(
            "acls",
            "boolean",
            "`false`",
            "`true`, `false`",
            "the ACLs of topics are copied from the source, rights to write left out; see below",
        ),
        row(
            "acls_deletions",
            "boolean",
            "`false`",
            "`true`, `false`",
            "copied ACLs are removed when they are gone at the source",
        ),
        row(
            "drift",
            "string",
            "`revert`",
            "`revert`, `respect`",
            "settings that came from the source and are changed on a mirror topic are set again, or stay until the \
             source changes them",
        ),
        row(
            "interval",
            "duration",
            "`10s`",
            "`1s` to `1h`",
            "how often topics, partitions and settings are compared; each 10,000 partitions make it longer by as much, \
             up to four times",
        ),
        row("group_interval", "duration", "`1s`", "`100ms` to `1h`", "how often the positions of groups are compared"),
    ],
    later: &[],
};

pub(super) static TUNING: Section = Section {
    title: "`[link.NAME.tuning]`",
    rows: &[
        row(
            "buffer_max",
            "size",
            "`64 MiB`",
            "`4 MiB` to `64 GiB`",
            "the most that the link holds in memory, fetched and not yet acknowledged",
        ),
        row(
            "inbox_max",
            "size",
            "`4 MiB`",
            "`64 KiB` to `1 GiB`, at most `buffer_max`",
            "a partition that holds so much is not fetched until half of it is produced",
        ),
        row(
            "merge_max",
            "size",
            "`1 MiB`",
            "`0 B` to `16 MiB`",
            "the largest batch that small neighbours are merged to, below the target's `max.message.bytes` in \
             any case; `0 B` = never merge",
        ),
        row(
            "fetch_connections",
            "integer",
            "`2`",
            "1 to 32",
            "connections to each source broker for fetching; more help where the round trip is long",
        ),
        row(
            "fetch_wait_max",
            "duration",
            "`500ms`",
            "`1ms` to `30s`",
            "how long a source broker may wait for new records before it answers",
        ),
    ],
    later: &[],
};

/// All our tables, in the order of the documentation.
pub(super) static SECTIONS: [&Section; 10] =
    [&TOP, &DAEMON, &PEERS, &PEER, &EXPOSE, &LINK, &TOPICS, &GROUPS, &SYNC, &TUNING];

/// Whether a key is one of ours and its value may be shown.
pub(super) fn is_public(key: &str) -> bool {
    let mut rows = SECTIONS.iter().flat_map(|section| section.rows);
    rows.any(|row| row.key == key && row.form != "secret")
}

/// The candidate that was probably meant.
pub(super) fn nearest<'c>(word: &str, mut candidates: impl Iterator<Item = &'c str> + Clone) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '.', ' '], "_");
    let wanted = plain(word);
    let distance = |candidate: &str| strsim::damerau_levenshtein(&wanted, &plain(candidate));
    let near = candidates.clone().map(|candidate| (distance(candidate), candidate)).min();
    let limit = (wanted.chars().count() / 3).max(1);
    match near {
        Some((distance, candidate)) if distance <= limit => Some(candidate),
        // `password` for `sasl.password`: the end is right, the beginning is missing.
        _ => {
            let end = format!("_{wanted}");
            candidates.find(|candidate| wanted.len() > 2 && plain(candidate).ends_with(&end))
        }
    }
}
