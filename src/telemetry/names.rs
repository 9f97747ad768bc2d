//! The table of all metrics: whoever measures registers by these names, and `docs/metrics.md` lists the same.

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; its name ends in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

impl Kind {
    /// The word of Prometheus' text form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The full name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// What is counted: `seconds`, `bytes`, `records`, or what else one of it is.
    pub unit: &'static str,
    /// The labels it is registered with, in this order.
    pub labels: &'static [&'static str],
    /// One sentence, without line ends.
    pub help: &'static str,
}

macro_rules! table {
    ($($constant:ident = $name:literal, $kind:ident, $unit:literal, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: &str = $name;
        )*

        /// All metrics, in the order in which people look at them.
        pub const TABLE: &[Description] = &[$(
            Description { name: $name, kind: Kind::$kind, unit: $unit, labels: &[$($label),*], help: $help },
        )*];
    };
}

table! {
    LAG_RECORDS = "causeway_lag_records", Gauge, "records", ["link", "topic", "partition"],
        "High watermark at the source minus source position; absent while the source does not answer for 30 seconds.";
    LAG_SECONDS = "causeway_lag_seconds", Gauge, "seconds", ["link", "topic", "partition"],
        "Age of the oldest high watermark that is not yet acknowledged; keeps growing while the source is unreachable.";
    SOURCE_CONTACT_AGE_SECONDS = "causeway_source_contact_age_seconds", Gauge, "seconds",
        ["link", "topic", "partition"],
        "Time since the source last answered about the partition.";
    SOURCE_POSITION = "causeway_source_position", Gauge, "offset", ["link", "topic", "partition"],
        "Next source offset to copy: all before it are acknowledged by the target.";
    TARGET_POSITION = "causeway_target_position", Gauge, "offset", ["link", "topic", "partition"],
        "Target offset of the next record.";
    RECORDS_TOTAL = "causeway_records_total", Counter, "records", ["link", "topic", "partition"],
        "Records that the target acknowledged.";
    BYTES_TOTAL = "causeway_bytes_total", Counter, "bytes", ["link", "topic", "partition"],
        "Bytes of record batches that the target acknowledged.";
    BATCHES_TOTAL = "causeway_batches_total", Counter, "batches", ["link", "surgery"],
        "Batches that the target acknowledged, by what was done to them: restamp, merge or rebuild.";
    FILLED_OFFSETS_TOTAL = "causeway_filled_offsets_total", Counter, "offsets", ["link"],
        "Offsets without a record that were filled by control records, so that offsets stay the same on both sides.";
    FAST_FORWARDED_OFFSETS_TOTAL = "causeway_fast_forwarded_offsets_total", Counter, "offsets", ["link"],
        "Offsets by which empty mirror partitions were brought forward to where the copy begins.";
    FALLBACKS_TOTAL = "causeway_fallbacks_total", Counter, "partitions", ["link"],
        "Partitions whose offsets were to be the same on both sides and are translated from some offset on.";
    LOOP_DROPPED_BATCHES_TOTAL = "causeway_loop_dropped_batches_total", Counter, "batches", ["link"],
        "Batches left out because they came from the link's own target.";
    PARTITION_STOPPED = "causeway_partition_stopped", Gauge, "1 or 0", ["link", "topic", "partition"],
        "1 while the mirror partition is stopped and waits for a person.";
    STOPS_TOTAL = "causeway_stops_total", Counter, "stops", ["link", "reason"],
        "Times that a mirror partition stopped, by reason.";
    BREACHES_TOTAL = "causeway_breaches_total", Counter, "breaches", ["link", "reason"],
        "Times that the target was not as this link left it: acknowledged records lost, foreign writes, topic \
         recreated, producer fenced.";
    TOPIC_STATE = "causeway_topic_state", Gauge, "state", ["link", "topic"],
        "State of the mirror topic: 0 mirroring, 1 paused, 2 fast forwarding, 3 starting, 4 stopped, 5 \
         promoting, 6 promoted, 7 failing over, 8 failed over, 9 restoring.";
    END_TO_END_SECONDS = "causeway_end_to_end_seconds", Histogram, "seconds", ["link", "topic"],
        "From a batch's largest timestamp to the target's acknowledgement; batches without one, or with one \
         in the future, don't count.";
    FETCH_SECONDS = "causeway_fetch_seconds", Histogram, "seconds", ["cluster", "broker"],
        "From sending a fetch request to its response, of responses with data, the broker's waiting included.";
    FETCH_REQUESTS_TOTAL = "causeway_fetch_requests_total", Counter, "requests", ["cluster", "broker", "outcome"],
        "Fetch requests by what became of them: answered, refused or failed.";
    FETCH_BYTES_TOTAL = "causeway_fetch_bytes_total", Counter, "bytes", ["cluster", "broker"],
        "Bytes of record batches that were fetched, those included that are left out afterwards.";
    PRODUCE_SECONDS = "causeway_produce_seconds", Histogram, "seconds", ["link"],
        "From sending a produce request to its acknowledgement by the target broker.";
    PRODUCE_REQUESTS_TOTAL = "causeway_produce_requests_total", Counter, "requests", ["link"],
        "Produce requests sent.";
    PRODUCE_CONNECTIONS_LOST_TOTAL = "causeway_produce_connections_lost_total", Counter, "connections", ["link"],
        "Connections to target brokers lost while produce requests were on their way.";
    PRODUCE_ERRORS_TOTAL = "causeway_produce_errors_total", Counter, "errors", ["link", "code"],
        "Error answers of target brokers to produce requests, per partition in the request, by Kafka's error code.";
    RETRIES_TOTAL = "causeway_retries_total", Counter, "retries", ["link", "operation"],
        "Things tried again after a failure: settle (an append without a good answer), ask (a question to a \
         cluster), state (a write of state).";
    STATE_WRITES_TOTAL = "causeway_state_writes_total", Counter, "transactions", ["cluster", "outcome"],
        "Transactions on the state topic of a target cluster: committed, refused or failed.";
    STATE_WRITE_SECONDS = "causeway_state_write_seconds", Histogram, "seconds", ["cluster"],
        "From the beginning of a transaction on the state topic to its commit, of those that were committed.";
    GROUPS = "causeway_groups", Gauge, "groups", ["link"],
        "Consumer groups that are synchronised; shown by the daemon that keeps the link.";
    GROUP_POSITIONS = "causeway_group_positions", Gauge, "positions", ["link", "state"],
        "Positions of consumer groups in mirrored topics by how they stand: synced, ahead_of_data, pending, \
         active_on_target, conflict, below_map, from_target or failed.";
    GROUP_SYNC_AGE_SECONDS = "causeway_group_sync_age_seconds", Gauge, "seconds", ["link"],
        "Time since the positions of all groups were last read at the source and were on the target.";
    GROUP_SYNC_SECONDS = "causeway_group_sync_seconds", Histogram, "seconds", ["link"],
        "How old changed positions of a group were at most when the target had them: from the last look at the source \
         before they changed.";
    GROUP_COMMITS_TOTAL = "causeway_group_commits_total", Counter, "positions", ["link"],
        "Positions of consumer groups that were committed on the target.";
    REHEARSAL_AGE_SECONDS = "causeway_rehearsal_age_seconds", Gauge, "seconds", ["link"],
        "Time since the next records of groups were last compared on both sides.";
    REHEARSED_POSITIONS = "causeway_rehearsed_positions", Gauge, "positions", ["link", "outcome"],
        "Positions of the last rehearsal: matching, at_end (nothing to read on either side), not_compared (deleted on \
         one side meanwhile) or mismatching.";
    MEMORY_BUDGET_USED_BYTES = "causeway_memory_budget_used_bytes", Gauge, "bytes", ["link"],
        "Memory held by records on their way.";
    MEMORY_BUDGET_MAX_BYTES = "causeway_memory_budget_max_bytes", Gauge, "bytes", ["link"],
        "The most memory that records on their way may hold.";
    OFFSET_MAP_BYTES = "causeway_offset_map_bytes", Gauge, "bytes", [],
        "Memory of the offset maps of this daemon, those that were looked up of other daemons' partitions included.";
    CLUSTER_REACHABLE = "causeway_cluster_reachable", Gauge, "1 or 0", ["cluster"],
        "1 when the last attempt to reach the cluster succeeded.";
    ACCESS_PROBLEMS = "causeway_access_problems", Gauge, "problems", ["cluster", "kind"],
        "Kind authentication: 1 while the cluster refuses to log us in. Kind authorization: mirror partitions \
         and topics of this daemon that wait for a permission there.";
    CONFIG_MISMATCH = "causeway_config_mismatch", Gauge, "1 or 0", ["link"],
        "1 while this daemon's file differs from the settings that the link works by.";
    SHARDS_OWNED = "causeway_shards_owned", Gauge, "shards", ["cluster"],
        "Shards of the target cluster's state topic that this daemon owns.";
    PEER_UP = "causeway_peer_up", Gauge, "1 or 0", ["peer"],
        "1 while there is a session with the peer.";
    PEER_STATE_SECONDS = "causeway_peer_state_seconds", Gauge, "seconds", ["peer"],
        "How long there has been a session with the peer, or none.";
    PEER_CONNECTIONS = "causeway_peer_connections", Gauge, "connections", ["peer", "instance"],
        "Connections that are up, of the session with one daemon of the peer.";
    PEER_CONNECTIONS_WANTED = "causeway_peer_connections_wanted", Gauge, "connections", ["peer", "instance"],
        "Connections that this session should have.";
    PEER_ROUND_TRIP_SECONDS = "causeway_peer_round_trip_seconds", Gauge, "seconds", ["peer", "instance"],
        "Round trip of the last heartbeat, the shortest among the session's connections.";
    PEER_STREAMS = "causeway_peer_streams", Gauge, "streams", ["peer", "instance"],
        "Streams that are open over the session.";
    PEER_CREDIT_BYTES = "causeway_peer_credit_bytes", Gauge, "bytes", ["peer", "instance"],
        "What the peer may send us without further credit.";
    PEER_QUEUED_BYTES = "causeway_peer_queued_bytes", Gauge, "bytes", ["peer", "instance"],
        "What waits to be sent to the peer.";
    PEER_SENT_BYTES_TOTAL = "causeway_peer_sent_bytes_total", Counter, "bytes", ["peer", "instance"],
        "Bytes sent over the session, without what TLS adds.";
    PEER_RECEIVED_BYTES_TOTAL = "causeway_peer_received_bytes_total", Counter, "bytes", ["peer", "instance"],
        "Bytes received over the session, without what TLS adds.";
    READY = "causeway_ready", Gauge, "1 or 0", [],
        "1 while the daemon is ready, as /readyz says.";
    START_TIME_SECONDS = "causeway_start_time_seconds", Gauge, "seconds", [],
        "When the daemon started, seconds since 1970.";
    BUILD_INFO = "causeway_build_info", Gauge, "1", ["version"],
        "Always 1; the version is in the label.";
}

/// The row of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Description> {
    TABLE.iter().find(|description| description.name == name)
}
