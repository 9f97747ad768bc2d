//! Supervisor and fetchers against a cluster in memory, with a clock that jumps.

use super::fake::{Fake, batch};
use super::*;

struct Rig {
    fake: Fake,
    fetchers: Fetchers,
    tasks: TaskGroup,
}

impl Rig {
    fn start(fake: &Fake, settings: Settings) -> Self {
        let tasks = TaskGroup::new();
        let fetchers = Fetchers::start(settings, fake.clone(), &Metrics::new(), &tasks);
        Self { fake: fake.clone(), fetchers, tasks }
    }

    async fn read(&self, index: i32, offset: i64, last_epoch: Option<i32>) -> Inbox {
        let id = self.fake.lock().topics["orders"].id;
        let from =
            FetchPosition { offset: SourceOffset::new(offset).unwrap(), last_epoch: last_epoch.map(LeaderEpoch) };
        self.fetchers.subscribe(Subscription { topic_id: id, from, ..subscription("orders", index, 0) }).await
    }
}

const LONG: Duration = Duration::from_mins(2);

async fn next(inbox: &mut Inbox) -> FetchEvent {
    tokio::time::timeout(LONG, inbox.recv()).await.expect("an event within two minutes").expect("an open inbox")
}

/// Reads until `end`; checks that there is no hole and nothing twice.
async fn read_to(inbox: &mut Inbox, from: i64, end: i64) {
    let mut expected = from;
    while expected < end {
        if let FetchEvent::Batches { batches, .. } = next(inbox).await {
            for (batch, _) in batches {
                assert!(batch.header.base_offset <= expected, "a hole before {}", batch.header.base_offset);
                assert!(batch.header.last_offset() >= expected, "twice: {}", batch.header.last_offset());
                expected = batch.header.last_offset() + 1;
            }
        }
    }
    assert_eq!(expected, end);
}

async fn stop(inbox: &mut Inbox) -> FetchStop {
    loop {
        if let FetchEvent::Stopped(stop) = next(inbox).await {
            assert!(inbox.recv().await.is_none(), "nothing follows");
            return stop;
        }
    }
}

async fn unreachable(inbox: &mut Inbox) -> String {
    loop {
        if let FetchEvent::Unreachable { reason, .. } = next(inbox).await {
            return reason;
        }
    }
}

fn at(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

#[tokio::test(start_paused = true)]
async fn partitions_of_many_brokers_are_read_and_told_of_watermarks() {
    for version in [17, 12, 11, 6] {
        let fake = Fake::with_topic("orders", 6);
        fake.lock().version = version;
        let rig = Rig::start(&fake, settings());
        let mut inboxes = Vec::new();
        for index in 0..6 {
            inboxes.push(rig.read(index, 0, None).await);
        }
        for index in 0..6 {
            fake.append(index, 10);
            fake.append(index, 5);
        }
        for inbox in &mut inboxes {
            read_to(inbox, 0, 15).await;
        }
        // A high watermark that rises behind an open transaction is told though there is nothing to read.
        fake.append(3, 1);
        read_to(&mut inboxes[3], 15, 16).await;
        fake.change_partition(3, |partition| partition.start = 4);
        let told = loop {
            if let FetchEvent::Watermarks(told) = next(&mut inboxes[3]).await {
                break told;
            }
        };
        assert_eq!((told.log_start, told.high_watermark), (at(4), at(16)));
        let stale = inboxes[5].last_contact().unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(inboxes[5].last_contact().unwrap() > stale + Duration::from_secs(15), "idle, but heard of");
        assert!(inboxes[5].try_recv().is_none(), "nothing new, no event");
        rig.tasks.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_says_nothing() {
    let fake = Fake::with_topic("orders", 300);
    let rig = Rig::start(&fake, settings());
    let mut inboxes = Vec::new();
    for index in 0..300 {
        inboxes.push(rig.read(index, 0, None).await);
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    fake.lock().fetches.clear();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let idle = std::mem::take(&mut fake.lock().fetches);
    assert!((50..=66).contains(&idle.len()), "three brokers, two polls a second: {}", idle.len());
    assert!(idle.iter().all(|(_, request)| request.topics.is_empty() && request.session_epoch > 0));
    fake.append(7, 1);
    read_to(&mut inboxes[7], 0, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lines: usize = fake.lock().fetches.iter().map(|(_, request)| request.topics.len()).sum();
    assert_eq!(lines, 1, "only what changed is said");
    drop(inboxes.split_off(100));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let forgotten = |request: &kafka_protocol::messages::FetchRequest| -> usize {
        request.forgotten_topics_data.iter().map(|topic| topic.partitions.len()).sum()
    };
    let forgotten: usize = fake.lock().fetches.iter().map(|(_, request)| forgotten(request)).sum();
    assert_eq!(forgotten, 200);
}

#[tokio::test(start_paused = true)]
async fn a_moved_leader_is_followed_without_a_word() {
    let fake = Fake::with_topic("orders", 1);
    let rig = Rig::start(&fake, settings());
    let mut inbox = rig.read(0, 0, None).await;
    let mut end = 0;
    for round in 0..20 {
        fake.append(0, 3);
        read_to(&mut inbox, end, end + 3).await;
        end += 3;
        fake.change_partition(0, |partition| {
            partition.leader = round % 3;
            partition.epoch += 1;
        });
    }
    while let Some(event) = inbox.try_recv() {
        assert!(!matches!(event, FetchEvent::Unreachable { .. }), "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_down_is_told_once_and_its_partitions_come_back() {
    let fake = Fake::with_topic("orders", 2);
    let rig = Rig::start(&fake, settings());
    let mut down = rig.read(0, 0, None).await;
    let mut up = rig.read(1, 0, None).await;
    fake.append(0, 1);
    read_to(&mut down, 0, 1).await;
    fake.change(|world| world.down.insert(0));
    let reason = unreachable(&mut down).await;
    assert!(reason.contains("fake") && reason.contains("broker 0") && reason.contains("refused"), "{reason}");
    let before = fake.lock().connects;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(down.try_recv().is_none(), "told once");
    assert!(fake.lock().connects - before < 40, "with pauses");
    assert!(down.last_contact().unwrap().elapsed() > Duration::from_mins(1));
    fake.append(1, 1);
    read_to(&mut up, 0, 1).await;
    fake.change(|world| world.down.clear());
    let FetchEvent::Watermarks(_) = next(&mut down).await else { panic!("the end of the outage is told") };
    fake.append(0, 1);
    read_to(&mut down, 1, 2).await;
    // Another leader takes over while the broker is down.
    fake.change(|world| world.down.insert(0));
    unreachable(&mut down).await;
    fake.change_partition(0, |partition| (partition.leader, partition.epoch) = (2, 9));
    fake.append(0, 1);
    read_to(&mut down, 2, 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_retention_gap_stops_and_never_begins_elsewhere() {
    let fake = Fake::with_topic("orders", 1);
    let rig = Rig::start(&fake, settings());
    fake.append(0, 10);
    let mut inbox = rig.read(0, 0, None).await;
    read_to(&mut inbox, 0, 10).await;
    fake.change_partition(0, |partition| {
        partition.batches = vec![batch(20, 5, 0)];
        partition.start = 20;
    });
    assert_eq!(stop(&mut inbox).await, FetchStop::Gap { position: at(10), log_start: at(20) });
}

#[tokio::test(start_paused = true)]
async fn a_log_that_ends_before_the_position_stops() {
    for (version, last_epoch) in [(17, None), (17, Some(0)), (11, None), (11, Some(0))] {
        let fake = Fake::with_topic("orders", 1);
        fake.lock().version = version;
        fake.append(0, 10);
        let rig = Rig::start(&fake, settings());
        let mut inbox = rig.read(0, 25, last_epoch).await;
        let expected = FetchStop::Diverged { position: at(25), diverged_at: at(10) };
        assert_eq!(stop(&mut inbox).await, expected, "{version} {last_epoch:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_history_under_the_same_offsets_stops() {
    for version in [17, 11] {
        let fake = Fake::with_topic("orders", 1);
        fake.lock().version = version;
        let rig = Rig::start(&fake, settings());
        // We read 0..10 with leader epoch 3; now epoch 3 ends at 6, and 4 goes on from there.
        fake.change_partition(0, |partition| {
            partition.batches = vec![batch(0, 6, 3), batch(6, 20, 4)];
            partition.epoch = 4;
        });
        let mut inbox = rig.read(0, 10, Some(3)).await;
        assert_eq!(stop(&mut inbox).await, FetchStop::Diverged { position: at(10), diverged_at: at(6) }, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_epoch_at_our_offsets_is_another_history_unless_ours_was_compacted_away() {
    for version in [17, 11] {
        let fake = Fake::with_topic("orders", 2);
        fake.lock().version = version;
        let rig = Rig::start(&fake, settings());
        // We read up to 10 with epoch 5. This log has 0..20 with epoch 3.
        fake.change_partition(0, |partition| {
            partition.batches = vec![batch(0, 5, 3), batch(5, 15, 3), batch(20, 5, 6)];
            partition.epoch = 6;
        });
        let mut inbox = rig.read(0, 10, Some(5)).await;
        assert_eq!(stop(&mut inbox).await, FetchStop::Diverged { position: at(10), diverged_at: at(5) }, "{version}");
        // Here nothing contradicts us: the batches of epoch 5 are gone.
        fake.change_partition(1, |partition| {
            partition.batches = vec![batch(0, 5, 3), batch(12, 5, 6)];
            partition.epoch = 6;
        });
        let mut inbox = rig.read(1, 10, Some(5)).await;
        let FetchEvent::Batches { batches, .. } = next(&mut inbox).await else { panic!() };
        assert_eq!(batches[0].0.header.base_offset, 12, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lagging_high_watermark_is_waited_for() {
    let fake = Fake::with_topic("orders", 1);
    let rig = Rig::start(&fake, settings());
    fake.append(0, 10);
    let mut inbox = rig.read(0, 0, None).await;
    read_to(&mut inbox, 0, 10).await;
    fake.append(0, 10);
    fake.change_partition(0, |partition| {
        partition.high_watermark = Some(7);
        (partition.leader, partition.epoch) = (1, 1);
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    fake.change_partition(0, |partition| partition.high_watermark = None);
    read_to(&mut inbox, 10, 20).await;
}

#[tokio::test(start_paused = true)]
async fn a_recreated_topic_stops_and_a_deleted_one_too_but_not_at_once() {
    for version in [17, 12] {
        let fake = Fake::with_topic("orders", 1);
        fake.lock().version = version;
        let rig = Rig::start(&fake, settings());
        let mut inbox = rig.read(0, 0, None).await;
        fake.append(0, 1);
        read_to(&mut inbox, 0, 1).await;
        let topic = fake.change(|world| world.topics.remove("orders")).unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        fake.change(|world| world.topics.insert("orders".to_owned(), topic));
        fake.append(0, 1);
        read_to(&mut inbox, 1, 2).await;
        fake.change(|world| world.topics.clear());
        assert_eq!(stop(&mut inbox).await, FetchStop::Deleted, "{version}");
        fake.create("orders", 2, 1);
        let mut inbox = rig.read(0, 0, None).await;
        next(&mut inbox).await;
        fake.change(|world| world.topics.clear());
        tokio::time::sleep(Duration::from_millis(700)).await;
        fake.create("orders", 3, 1);
        let now = Some(TopicId(uuid::Uuid::from_u128(3)));
        assert_eq!(stop(&mut inbox).await, FetchStop::Recreated { now }, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_and_retried_slowly() {
    let fake = Fake::with_topic("orders", 1);
    let rig = Rig::start(&fake, settings());
    fake.change_partition(0, |partition| partition.fault = Some(29));
    let mut inbox = rig.read(0, 0, None).await;
    assert_eq!(unreachable(&mut inbox).await, "cluster fake: no permission to Read topic orders");
    let before = fake.lock().fetches.len();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(fake.lock().fetches.len() - before <= 12);
    fake.change_partition(0, |partition| partition.fault = None);
    fake.append(0, 1);
    read_to(&mut inbox, 0, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_code_without_a_row_is_told_and_retried() {
    let fake = Fake::with_topic("orders", 1);
    let rig = Rig::start(&fake, settings());
    fake.change_partition(0, |partition| partition.fault = Some(999));
    let mut inbox = rig.read(0, 0, None).await;
    assert!(unreachable(&mut inbox).await.contains("999"));
    fake.change_partition(0, |partition| partition.fault = Some(78));
    tokio::time::sleep(LONG).await;
    fake.change_partition(0, |partition| partition.fault = None);
    fake.append(0, 1);
    read_to(&mut inbox, 0, 1).await;
}

#[tokio::test(start_paused = true)]
async fn sessions_that_a_broker_dropped_are_begun_anew() {
    let fake = Fake::with_topic("orders", 1);
    let rig = Rig::start(&fake, settings());
    let mut inbox = rig.read(0, 0, None).await;
    let mut end = 0;
    for faults in [vec![70], vec![71], vec![106], vec![70, 71, 70], vec![71; 6], vec![-1, -1]] {
        fake.append(0, 1);
        read_to(&mut inbox, end, end + 1).await;
        end += 1;
        fake.change(|world| world.session_faults.extend(faults));
    }
    fake.append(0, 1);
    read_to(&mut inbox, end, end + 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_connection_keeps_quiet() {
    let fake = Fake::with_topic("orders", 1);
    let rig = Rig::start(&fake, settings());
    fake.lock().throttle_ms = 10_000;
    let mut inbox = rig.read(0, 0, None).await;
    fake.append(0, 1);
    read_to(&mut inbox, 0, 1).await;
    let before = fake.lock().fetches.len();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(fake.lock().fetches.len() - before <= 3);
    drop(rig);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_read_blocks_nobody_and_memory_stays_within_the_budget() {
    let fake = Fake::with_topic("orders", 8);
    let settings =
        Settings { link_bytes_max: 4 << 20, response_bytes_max: 1 << 20, inbox_bytes_max: 256 << 10, ..settings() };
    let rig = Rig::start(&fake, settings);
    let mut inboxes = Vec::new();
    for index in 0..8 {
        for _ in 0..40 {
            fake.append(usize::try_from(index).unwrap(), 1_000);
        }
        inboxes.push(rig.read(index, 0, None).await);
    }
    let mut stuck = inboxes.pop().unwrap();
    // 40 batches of more than 100 kB each.
    for inbox in &mut inboxes {
        read_to(inbox, 0, 40_000).await;
    }
    assert!(rig.fetchers.bytes_free() > 2 << 20, "{} free", rig.fetchers.bytes_free());
    assert!(stuck.bytes_held() > 0 && stuck.bytes_held() < 2 << 20, "{} held", stuck.bytes_held());
    let polls = fake.lock().fetches.len();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(fake.lock().fetches.len() - polls < 2_000, "no spinning while it is stuck");
    read_to(&mut stuck, 0, 40_000).await;
    drop((inboxes, stuck));
    rig.tasks.close().await;
    assert_eq!(rig.fetchers.bytes_free(), 4 << 20, "everything was given back");
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_still_hears_how_far_the_source_is() {
    for others in [0, 3] {
        let fake = Fake::with_topic("orders", 1 + others);
        let rig = Rig::start(&fake, Settings { inbox_bytes_max: 10 << 10, ..settings() });
        let mut stuck = rig.read(0, 0, None).await;
        let mut idle = Vec::new();
        for index in 0..others {
            fake.change_partition(1 + index, |partition| partition.leader = 0);
            idle.push(rig.read(i32::try_from(1 + index).unwrap(), 0, None).await);
        }
        fake.append(0, 1_000);
        let FetchEvent::Batches { permit, .. } = (loop {
            let event = next(&mut stuck).await;
            if matches!(event, FetchEvent::Batches { .. }) {
                break event;
            }
        }) else {
            unreachable!()
        };
        for _ in 0..10 {
            fake.append(0, 1_000);
        }
        fake.change_partition(0, |partition| partition.start = 500);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let FetchEvent::Watermarks(told) = next(&mut stuck).await else { panic!("no data while it is full") };
        assert_eq!((told.log_start, told.high_watermark), (at(500), at(11_000)));
        assert!(stuck.last_contact().unwrap().elapsed() < Duration::from_secs(2));
        drop(permit);
        read_to(&mut stuck, 1_000, 11_000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_every_limit_passes() {
    let fake = Fake::with_topic("orders", 2);
    let settings = Settings {
        partition_bytes_max: 1 << 10,
        response_bytes_max: 64 << 10,
        link_bytes_max: 256 << 10,
        ..settings()
    };
    let rig = Rig::start(&fake, settings);
    fake.append(0, 5_000);
    fake.append(0, 1);
    let mut inbox = rig.read(0, 0, None).await;
    read_to(&mut inbox, 0, 5_001).await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_batch_stops_after_the_good_ones() {
    let fake = Fake::with_topic("orders", 1);
    let rig = Rig::start(&fake, settings());
    fake.append(0, 5);
    fake.append(0, 5);
    fake.change_partition(0, |partition| {
        let mut bytes = partition.batches[1].bytes.to_vec();
        bytes[16] = 9;
        partition.batches[1].bytes = bytes.into();
    });
    let mut inbox = rig.read(0, 0, None).await;
    read_to(&mut inbox, 0, 5).await;
    let FetchStop::Batch(error) = stop(&mut inbox).await else { panic!() };
    assert!(error.to_string().contains("source offset 5"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_inbox_and_a_new_one_of_the_same_partition() {
    let fake = Fake::with_topic("orders", 1);
    let rig = Rig::start(&fake, settings());
    fake.append(0, 5);
    for _ in 0..50 {
        let mut inbox = rig.read(0, 0, None).await;
        read_to(&mut inbox, 0, 5).await;
    }
    let mut first = rig.read(0, 0, None).await;
    let mut second = rig.read(0, 0, None).await;
    read_to(&mut second, 0, 5).await;
    while first.recv().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn under_a_rate_the_higher_priority_goes_first() {
    let fake = Fake::with_topic("orders", 6);
    let rig = Rig::start(&fake, Settings { rate: Some(1_000_000), ..settings() });
    for index in 0..6 {
        for _ in 0..40 {
            fake.append(index, 500);
        }
    }
    let id = fake.lock().topics["orders"].id;
    let mut inboxes = Vec::new();
    for index in 0..6 {
        // Partitions 2 and 5 are of broker 2: who goes first is decided over all brokers.
        let priority = if index == 2 || index == 5 { 10 } else { 0 };
        let subscription = Subscription { topic_id: id, priority, ..subscription("orders", index, 0) };
        inboxes.push(rig.fetchers.subscribe(subscription).await);
    }
    let began = tokio::time::Instant::now();
    let reads = (0..).zip(inboxes).map(|(index, mut inbox)| async move {
        read_to(&mut inbox, 0, 20_000).await;
        (index, began.elapsed())
    });
    let mut done = futures::future::join_all(reads).await;
    done.sort_by_key(|(_, time)| *time);
    let order: Vec<i32> = done.iter().map(|(index, _)| *index).collect();
    assert!(order[..2] == [2, 5] || order[..2] == [5, 2], "{done:?}");
    // 13 MB at 1 MB/s.
    let (first, last) = (done[1].1, done[5].1);
    assert!(
        first < Duration::from_secs(8) && last > Duration::from_secs(11) && last < Duration::from_secs(17),
        "{done:?}"
    );
}
