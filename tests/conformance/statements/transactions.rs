//! Transactions: coordinator, markers, what readers see, offsets.

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest, GroupId,
    ListTransactionsRequest, TransactionalId, TxnOffsetCommitRequest,
};

use super::statements;
use crate::batch::Batch;
use crate::members::{Member, find_coordinator, group, position};
use crate::world::{World, text, topic_name, wait_until};

const UNKNOWN_TOPIC: i16 = 3;
const ILLEGAL_GENERATION: i16 = 22;
const UNKNOWN_MEMBER: i16 = 25;
const INVALID_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const INVALID_MAPPING: i16 = 49;
const INVALID_TIMEOUT: i16 = 50;
const CONCURRENT: i16 = 51;
const NOT_ATTEMPTED: i16 = 55;
const FENCED_INSTANCE: i16 = 82;
const UNSTABLE: i16 = 88;
const FENCED: i16 = 90;
const ID_NOT_FOUND: i16 = 105;

/// A holder of a transactional id.
#[derive(Clone)]
struct Holder {
    id: String,
    producer_id: i64,
    epoch: i16,
}

fn holder(world: &mut World) -> Holder {
    let id = world.name("transactional");
    find_coordinator(world, &id, 1);
    init(world, &id, 60_000)
}

fn init(world: &mut World, id: &str, timeout_ms: i32) -> Holder {
    let response = world.init(Some(id), timeout_ms);
    assert_eq!(response.error_code, 0);
    Holder { id: id.to_owned(), producer_id: response.producer_id.0, epoch: response.producer_epoch }
}

fn add(world: &mut World, holder: &Holder, topics: &[&str]) -> Vec<i16> {
    let topic = |name: &&str| AddPartitionsToTxnTopic::default().with_name(topic_name(name)).with_partitions(vec![0]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(text(&holder.id)))
        .with_v3_and_below_producer_id(holder.producer_id.into())
        .with_v3_and_below_producer_epoch(holder.epoch)
        .with_v3_and_below_topics(topics.iter().map(topic).collect());
    let results = world.wire.call(&request, 3).results_by_topic_v3_and_below;
    let code = |name: &&str| {
        let of_topic = results.iter().find(|result| result.name.as_str() == *name).unwrap();
        of_topic.results_by_partition[0].partition_error_code
    };
    topics.iter().map(code).collect()
}

/// Adds one partition, while markers of the transaction before may still be under way.
fn begin(world: &mut World, holder: &Holder, topic: &str) {
    wait_until("a transaction", || match add(world, holder, &[topic])[0] {
        0 => Some(()),
        code => {
            assert_eq!(code, CONCURRENT);
            None
        }
    });
}

fn end(world: &mut World, holder: &Holder, is_commit: bool) -> i16 {
    let request = EndTxnRequest::default()
        .with_transactional_id(TransactionalId(text(&holder.id)))
        .with_producer_id(holder.producer_id.into())
        .with_producer_epoch(holder.epoch)
        .with_committed(is_commit);
    world.wire.call(&request, 3).error_code
}

fn write(world: &mut World, holder: &Holder, topic: &str, sequence: i32, count: usize) -> (i16, i64) {
    let batch = Batch::of(holder.producer_id, holder.epoch, sequence, count).transactional();
    world.produce_as(Some(&holder.id), topic, &batch)
}

fn describe(world: &mut World, id: &str) -> (i16, String, Vec<String>) {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![TransactionalId(text(id))]);
    let told = world.wire.call(&request, 0).transaction_states.remove(0);
    let topics = told.topics.iter().map(|topic| topic.topic.to_string()).collect();
    (told.error_code, told.transaction_state.to_string(), topics)
}

fn await_state(world: &mut World, id: &str, state: &str) {
    wait_until(state, || (describe(world, id).1 == state).then_some(()));
}

fn each_init_raises_the_epoch_and_fences_the_former_holder(world: &mut World) {
    let topic = world.topic();
    let first = holder(world);
    let second = init(world, &first.id, 60_000);
    assert_eq!((first.epoch, second.epoch, first.producer_id), (0, 1, second.producer_id));
    assert_eq!(add(world, &first, &[&topic]), [FENCED]);
    assert_eq!(end(world, &first, true), FENCED);
    let stranger = Holder { producer_id: first.producer_id + 1_000_000, ..second.clone() };
    assert_eq!(add(world, &stranger, &[&topic]), [INVALID_MAPPING]);
    let unknown = Holder { id: world.name("nobody"), ..second };
    find_coordinator(world, &unknown.id, 1);
    assert_eq!(add(world, &unknown, &[&topic]), [INVALID_MAPPING]);
    assert_eq!(describe(world, &unknown.id).0, ID_NOT_FOUND);
}

fn the_old_epoch_writes_plain_batches_until_the_new_one_has_written(world: &mut World) {
    let topic = world.topic();
    let first = holder(world);
    world.lands(&topic, &Batch::of(first.producer_id, 0, 0, 1), 0);
    let second = init(world, &first.id, 60_000);
    world.lands(&topic, &Batch::of(first.producer_id, 0, 1, 1), 1);
    world.lands(&topic, &Batch::of(second.producer_id, 1, 0, 1), 2);
    assert_eq!(world.produce(&topic, &Batch::of(first.producer_id, 0, 2, 1)).0, INVALID_EPOCH);
}

fn a_holder_may_raise_its_own_epoch(world: &mut World) {
    let first = holder(world);
    let raised = world.try_init(Some(&first.id), 60_000, first.producer_id, 0);
    assert_eq!((raised.error_code, raised.producer_epoch), (0, 1));
    let again = world.try_init(Some(&first.id), 60_000, first.producer_id, 0);
    assert_eq!((again.error_code, again.producer_epoch), (0, 1));
    let second = world.try_init(Some(&first.id), 60_000, first.producer_id, 1);
    assert_eq!((second.error_code, second.producer_epoch), (0, 2));
    assert_eq!(world.try_init(Some(&first.id), 60_000, first.producer_id, 0).error_code, FENCED);
    assert_eq!(world.try_init(Some(&first.id), 60_000, first.producer_id + 5, 2).error_code, FENCED);
}

fn timeouts_have_limits(world: &mut World) {
    let id = world.name("transactional");
    find_coordinator(world, &id, 1);
    for timeout_ms in [0, -1, 900_001] {
        assert_eq!(world.init(Some(&id), timeout_ms).error_code, INVALID_TIMEOUT, "{timeout_ms}");
    }
    assert_eq!(world.init(Some(""), 1_000).error_code, 42);
}

fn readers_of_committed_data_wait_for_the_end(world: &mut World) {
    let topic = world.topic();
    let holder = holder(world);
    world.lands(&topic, &Batch::plain(&["a"]), 0);
    begin(world, &holder, &topic);
    assert_eq!(write(world, &holder, &topic, 0, 2), (0, 1));
    world.lands(&topic, &Batch::plain(&["b"]), 3);
    assert_eq!((world.high_watermark(&topic), world.last_stable_offset(&topic)), (4, 1));
    assert_eq!(world.producer(&topic, holder.producer_id).unwrap().current_txn_start_offset, 1);
    assert_eq!((world.batches(&topic, 0, 1).len(), world.batches(&topic, 0, 0).len()), (1, 3));
    assert_eq!(describe(world, &holder.id), (0, "Ongoing".to_owned(), vec![topic.clone()]));
    assert_eq!(end(world, &holder, true), 0);
    await_state(world, &holder.id, "CompleteCommit");
    wait_until("the marker", || (world.last_stable_offset(&topic) == 5).then_some(()));
    let committed = world.fetch(&topic, 0, 1);
    assert!(committed.aborted_transactions.unwrap_or_default().is_empty());
    let batches = crate::batch::headers(committed.records.unwrap());
    assert_eq!(batches.iter().map(crate::batch::Header::is_control).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!((end(world, &holder, true), end(world, &holder, false)), (0, INVALID_TXN_STATE));
}

fn aborted_data_is_named_to_readers_of_committed_data(world: &mut World) {
    let topic = world.topic();
    let (aborting, committing) = (holder(world), holder(world));
    begin(world, &committing, &topic);
    begin(world, &aborting, &topic);
    assert_eq!(write(world, &committing, &topic, 0, 1), (0, 0));
    assert_eq!(write(world, &aborting, &topic, 0, 2), (0, 1));
    assert_eq!(write(world, &committing, &topic, 1, 1), (0, 3));
    assert_eq!((end(world, &aborting, false), end(world, &committing, true)), (0, 0));
    wait_until("both markers", || (world.last_stable_offset(&topic) == 6).then_some(()));
    let aborted = world.fetch(&topic, 0, 1).aborted_transactions.unwrap_or_default();
    assert_eq!(aborted.len(), 1);
    assert_eq!((aborted[0].producer_id.0, aborted[0].first_offset), (aborting.producer_id, 1));
    assert!(world.fetch(&topic, 0, 0).aborted_transactions.unwrap_or_default().is_empty());
    assert!(world.fetch(&topic, 6, 1).aborted_transactions.unwrap_or_default().is_empty());
    // The next transaction of the id goes on with the sequence.
    begin(world, &aborting, &topic);
    assert_eq!(write(world, &aborting, &topic, 2, 1), (0, 6));
    assert_eq!(end(world, &aborting, true), 0);
}

fn an_empty_transaction_takes_one_offset_on_each_partition(world: &mut World) {
    let (one, two) = (world.topic(), world.topic());
    let holder = holder(world);
    world.lands(&one, &Batch::of(holder.producer_id, 0, 0, 1), 0);
    begin(world, &holder, &one);
    assert_eq!(add(world, &holder, &[&one, &two]), [0, 0]);
    assert_eq!(end(world, &holder, false), 0);
    await_state(world, &holder.id, "CompleteAbort");
    assert_eq!((world.log_end(&one), world.log_end(&two)), (2, 1));
    world.lands(&one, &Batch::of(holder.producer_id, 0, 1, 1), 2);
    assert_eq!(end(world, &holder, true), INVALID_TXN_STATE);
}

fn a_transactional_batch_needs_its_partition_in_a_transaction(world: &mut World) {
    let topic = world.topic();
    let holder = holder(world);
    assert_eq!(write(world, &holder, &topic, 0, 1).0, INVALID_TXN_STATE);
    assert_eq!(world.log_end(&topic), 0);
    assert_eq!(end(world, &holder, true), INVALID_TXN_STATE);
    begin(world, &holder, &topic);
    assert_eq!(write(world, &holder, &topic, 0, 1), (0, 0));
    let plain = Batch::of(holder.producer_id, holder.epoch, 1, 1);
    assert_eq!(world.produce(&topic, &plain).0, INVALID_TXN_STATE);
    assert_eq!(end(world, &holder, true), 0);
}

fn one_unknown_partition_spoils_the_request(world: &mut World) {
    let topic = world.topic();
    let holder = holder(world);
    assert_eq!(add(world, &holder, &[&topic, "no-such-topic"]), [NOT_ATTEMPTED, UNKNOWN_TOPIC]);
    assert_eq!(describe(world, &holder.id).1, "Empty");
}

fn a_new_holder_has_the_open_transaction_aborted(world: &mut World) {
    let topic = world.topic();
    let first = holder(world);
    begin(world, &first, &topic);
    assert_eq!(write(world, &first, &topic, 0, 2), (0, 0));
    let refused = world.try_init(Some(&first.id), 60_000, -1, -1);
    assert_eq!(refused.error_code, CONCURRENT);
    let second = init(world, &first.id, 60_000);
    assert_eq!((second.producer_id, second.epoch), (first.producer_id, 2));
    assert_eq!((world.log_end(&topic), world.last_stable_offset(&topic)), (3, 3));
    assert_eq!(world.fetch(&topic, 0, 1).aborted_transactions.unwrap_or_default().len(), 1);
    assert_eq!(end(world, &first, true), FENCED);
    assert_eq!(write(world, &first, &topic, 2, 1).0, INVALID_EPOCH);
    begin(world, &second, &topic);
    assert_eq!(write(world, &second, &topic, 0, 1), (0, 3));
    assert_eq!(end(world, &second, true), 0);
}

fn a_transaction_that_nobody_ends_is_aborted_and_its_holder_fenced(world: &mut World) {
    let topic = world.topic();
    let id = holder(world).id;
    let holder = init(world, &id, 1_000);
    begin(world, &holder, &topic);
    assert_eq!(write(world, &holder, &topic, 0, 2), (0, 0));
    assert_eq!(world.last_stable_offset(&topic), 0);
    await_state(world, &id, "CompleteAbort");
    wait_until("the marker", || (world.last_stable_offset(&topic) == 3).then_some(()));
    assert_eq!(end(world, &holder, true), FENCED);
    let marker = *world.batches(&topic, 0, 0).last().unwrap();
    assert_eq!((marker.producer_epoch, marker.is_control()), (holder.epoch + 1, true));
}

fn transactions_are_listed_by_state_and_producer(world: &mut World) {
    let topic = world.topic();
    let holder = holder(world);
    begin(world, &holder, &topic);
    let list = |world: &mut World, states: &[&str], producer_ids: &[i64]| {
        let request = ListTransactionsRequest::default()
            .with_state_filters(states.iter().map(|state| text(state)).collect())
            .with_producer_id_filters(producer_ids.iter().map(|id| (*id).into()).collect());
        let response = world.wire.call(&request, 0);
        let is_there = response.transaction_states.iter().any(|one| one.transactional_id.as_str() == holder.id);
        (is_there, response.unknown_state_filters.len())
    };
    assert_eq!(list(world, &[], &[]), (true, 0));
    assert_eq!(list(world, &["Ongoing"], &[holder.producer_id]), (true, 0));
    assert_eq!(list(world, &["Empty"], &[]), (false, 0));
    assert_eq!(list(world, &["Ongoing", "Asleep"], &[]), (true, 1));
    assert_eq!(list(world, &[], &[holder.producer_id + 1_000_000]), (false, 0));
    assert_eq!(end(world, &holder, false), 0);
}

fn add_offsets(world: &mut World, holder: &Holder, group: &str) -> i16 {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(TransactionalId(text(&holder.id)))
        .with_producer_id(holder.producer_id.into())
        .with_producer_epoch(holder.epoch)
        .with_group_id(GroupId(text(group)));
    world.wire.call(&request, 3).error_code
}

fn commit_offsets(world: &mut World, holder: &Holder, by: &Member, offset: i64) -> i16 {
    let partition = TxnOffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("")));
    let topic =
        TxnOffsetCommitRequestTopic::default().with_name(topic_name(&by.topic)).with_partitions(vec![partition]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(text(&holder.id)))
        .with_group_id(GroupId(text(&by.group)))
        .with_producer_id(holder.producer_id.into())
        .with_producer_epoch(holder.epoch)
        .with_generation_id(by.generation)
        .with_member_id(text(&by.id))
        .with_group_instance_id(by.instance.as_deref().map(text))
        .with_topics(vec![topic]);
    world.wire.call(&request, 3).topics[0].partitions[0].error_code
}

fn offsets_of_a_transaction_count_when_it_commits(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let holder = holder(world);
    let mut member = Member::new(world, &group, &topic);
    member.settle();
    assert_eq!(member.commit(5), 0);
    for (is_commit, offset) in [(false, 5), (true, 7)] {
        wait_until("the coordinator", || (add_offsets(world, &holder, &group) == 0).then_some(()));
        assert_eq!(commit_offsets(world, &holder, &member, 7), 0);
        assert_eq!(position(&mut world.wire, &group, &topic, false), (5, 0));
        assert_eq!(position(&mut world.wire, &group, &topic, true), (-1, UNSTABLE));
        assert_eq!(end(world, &holder, is_commit), 0);
        wait_until("the marker", || (position(&mut world.wire, &group, &topic, true).1 == 0).then_some(()));
        assert_eq!(position(&mut world.wire, &group, &topic, true), (offset, 0));
    }
}

fn offsets_of_a_transaction_are_taken_from_members_and_from_the_nameless(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let holder = holder(world);
    let mut member = Member::fixed(world, &group, &topic, "i");
    member.settle();
    assert_eq!(add_offsets(world, &holder, &group), 0);
    let alike = |world: &mut World, generation: i32, id: &str, instance: Option<&str>| {
        let mut other = Member::new(world, &group, &topic);
        (other.generation, other.id, other.instance) = (generation, id.to_owned(), instance.map(str::to_owned));
        other
    };
    let id = member.id.clone();
    for (generation, member_id, instance, code) in [
        (1, id.as_str(), Some("i"), 0),
        (-1, "", None, 0),
        (0, id.as_str(), Some("i"), ILLEGAL_GENERATION),
        (2, id.as_str(), None, ILLEGAL_GENERATION),
        (1, "stranger", None, UNKNOWN_MEMBER),
        (1, "former", Some("i"), FENCED_INSTANCE),
        (1, "", None, UNKNOWN_MEMBER),
    ] {
        let by = alike(world, generation, member_id, instance);
        assert_eq!(commit_offsets(world, &holder, &by, 9), code, "{generation} {member_id} {instance:?}");
    }
    assert_eq!(end(world, &holder, true), 0);
    wait_until("the marker", || (position(&mut world.wire, &group, &topic, true) == (9, 0)).then_some(()));
}

fn offsets_need_their_group_in_the_transaction(world: &mut World) {
    let (group, topic) = (group(world), world.topic());
    let holder = holder(world);
    let outsider = Member::new(world, &group, &topic);
    assert_eq!(commit_offsets(world, &holder, &outsider, 3), INVALID_TXN_STATE);
    assert_eq!(add_offsets(world, &holder, &group), 0);
    assert_eq!(commit_offsets(world, &holder, &outsider, 3), 0);
    assert_eq!(end(world, &holder, true), 0);
    wait_until("the marker", || (position(&mut world.wire, &group, &topic, true) == (3, 0)).then_some(()));
}

fn the_producer_id_changes_before_the_epochs_run_out(world: &mut World) {
    let id = holder(world).id;
    let mut last = init(world, &id, 60_000);
    let first = last.producer_id;
    // One request after the other would take minutes on a real broker: they are sent in a row.
    while last.producer_id == first {
        assert!(last.epoch < i16::MAX, "an epoch is left for the fence");
        let promises: Vec<_> = (0..500)
            .map(|_| {
                let request = kafka_protocol::messages::InitProducerIdRequest::default()
                    .with_transactional_id(Some(TransactionalId(text(&id))))
                    .with_transaction_timeout_ms(60_000)
                    .with_producer_id((-1).into())
                    .with_producer_epoch(-1);
                world.wire.send(&request, 4)
            })
            .collect();
        for promise in promises {
            let response = world.wire.receive(&promise);
            if response.error_code == 0 {
                let is_next = response.producer_epoch == last.epoch + 1 || response.producer_epoch == 0;
                assert!(is_next, "{} after {}", response.producer_epoch, last.epoch);
                if response.producer_epoch == 0 {
                    assert_eq!(last.epoch, i16::MAX - 1);
                }
                last = Holder { id: id.clone(), producer_id: response.producer_id.0, epoch: response.producer_epoch };
            }
        }
    }
}

fn a_marker_of_an_operator_ends_a_transaction_on_its_partition_only(world: &mut World) {
    let (one, two) = (world.topic(), world.topic());
    let holder = holder(world);
    begin(world, &holder, &one);
    begin(world, &holder, &two);
    assert_eq!(write(world, &holder, &one, 0, 2), (0, 0));
    assert_eq!(write(world, &holder, &two, 0, 2), (0, 0));
    let marker = crate::world::Marker {
        producer_id: holder.producer_id,
        epoch: holder.epoch,
        is_commit: false,
        coordinator_epoch: 0,
    };
    assert_eq!(world.write_markers(&one, &[marker]), [0]);
    assert_eq!((world.last_stable_offset(&one), world.last_stable_offset(&two)), (3, 0));
    assert_eq!(describe(world, &holder.id).1, "Ongoing");
    assert_eq!(end(world, &holder, true), 0);
    await_state(world, &holder.id, "CompleteCommit");
    // The coordinator's own marker comes on top, and changes nothing.
    assert_eq!((world.log_end(&one), world.log_end(&two)), (4, 3));
    assert_eq!(world.fetch(&one, 0, 1).aborted_transactions.unwrap_or_default().len(), 1);
    assert!(world.fetch(&two, 0, 1).aborted_transactions.unwrap_or_default().is_empty());
}

statements!(
    a_marker_of_an_operator_ends_a_transaction_on_its_partition_only,
    each_init_raises_the_epoch_and_fences_the_former_holder,
    the_old_epoch_writes_plain_batches_until_the_new_one_has_written,
    a_holder_may_raise_its_own_epoch,
    timeouts_have_limits,
    readers_of_committed_data_wait_for_the_end,
    aborted_data_is_named_to_readers_of_committed_data,
    an_empty_transaction_takes_one_offset_on_each_partition,
    a_transactional_batch_needs_its_partition_in_a_transaction,
    one_unknown_partition_spoils_the_request,
    a_new_holder_has_the_open_transaction_aborted,
    a_transaction_that_nobody_ends_is_aborted_and_its_holder_fenced,
    transactions_are_listed_by_state_and_producer,
    offsets_of_a_transaction_count_when_it_commits,
    offsets_of_a_transaction_are_taken_from_members_and_from_the_nameless,
    offsets_need_their_group_in_the_transaction,
    the_producer_id_changes_before_the_epochs_run_out,
);

fn an_id_that_nobody_uses_expires(world: &mut World) {
    let topic = world.topic();
    let first = holder(world);
    wait_until("the id to expire", || (describe(world, &first.id).0 == ID_NOT_FOUND).then_some(()));
    assert_eq!(add(world, &first, &[&topic]), [INVALID_MAPPING]);
    assert_ne!(init(world, &first.id, 60_000).producer_id, first.producer_id);
}

statements!(
    &crate::runs::FORGETFUL;
    forgetful: an_id_that_nobody_uses_expires,
);
