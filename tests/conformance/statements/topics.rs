//! Topics, their ids, and what is left of them in a second life.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};

use super::statements;
use crate::batch::Batch;
use crate::world::{World, produced, topic_name};

fn a_topic_that_was_created_again_has_another_id_and_knows_no_producers(world: &mut World) {
    let (topic, id) = (world.topic(), world.foreign_producer_id());
    let first = world.topic_id(&topic);
    world.lands(&topic, &Batch::of(id, 0, 0, 20), 0);
    world.delete_topic(&topic);
    world.create(&topic, 1, &[]);
    assert_ne!(world.topic_id(&topic), first);
    assert_eq!(world.log_end(&topic), 0);
    world.lands(&topic, &Batch::of(id, 0, 20, 1), 0);
}

fn metadata_is_told_by_id_too(world: &mut World) {
    let topic = world.topic();
    let id = world.topic_id(&topic);
    let ask = |world: &mut World, id| {
        let wanted = MetadataRequestTopic::default().with_topic_id(id).with_name(None);
        let request = MetadataRequest::default().with_topics(Some(vec![wanted]));
        world.wire.call(&request, 12).topics.remove(0)
    };
    let told = ask(world, id);
    assert_eq!((told.error_code, told.name), (0, Some(topic_name(&topic))));
    assert_eq!((told.partitions[0].leader_epoch, told.partitions[0].replica_nodes.len()), (0, 1));
    world.delete_topic(&topic);
    assert_eq!(ask(world, id).error_code, 100);
}

fn produce_13_names_topics_by_id(world: &mut World) {
    let offered = world.wire.call(&ApiVersionsRequest::default(), 0);
    let of_produce = offered.api_keys.iter().find(|api| api.api_key == 0).unwrap();
    if of_produce.max_version < 13 {
        assert_eq!(world.major, 3, "only 3.9 may lack it");
        return;
    }
    let topic = world.topic();
    let id = world.topic_id(&topic);
    let produce = |world: &mut World, id| {
        let partition = PartitionProduceData::default().with_index(0).with_records(Some(Batch::plain(&["a"]).bytes()));
        let data = TopicProduceData::default().with_topic_id(id).with_partition_data(vec![partition]);
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![data]);
        produced(&world.wire.call(&request, 13))
    };
    assert_eq!(produce(world, id), (0, 0));
    assert_eq!(produce(world, uuid::Uuid::from_u128(99)).0, 100);
    world.delete_topic(&topic);
    world.create(&topic, 1, &[]);
    assert_eq!(produce(world, id).0, 100);
    assert_eq!(world.log_end(&topic), 0);
}

fn names_are_taken_once(world: &mut World) {
    use kafka_protocol::messages::CreateTopicsRequest;
    use kafka_protocol::messages::create_topics_request::CreatableTopic;
    let topic = world.topic();
    let mut code = |name: &str, partitions, factor| {
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(factor);
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        world.wire.call(&request, 5).topics[0].error_code
    };
    assert_eq!(code(&topic, 1, 1), 36);
    assert_eq!(code("not a name", 1, 1), 17);
    assert_eq!(code("too-many-replicas", 1, 5), 38);
    assert_eq!(code("no-partitions", 0, 1), 37);
}

statements!(
    a_topic_that_was_created_again_has_another_id_and_knows_no_producers,
    metadata_is_told_by_id_too,
    produce_13_names_topics_by_id,
    names_are_taken_once,
);
