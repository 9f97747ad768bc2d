//! Administration of a cluster, request by request.
//!
//! Owns: a blocking connection per call, and the few requests that the tests need.
//! Promises: it fails at once with the broker's error code; it shares no code with the daemon's own client.
//! Does not know: relays, TLS, SASL (it comes in by the side door).

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, CreateAclsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteAclsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeAclsRequest, DescribeConfigsRequest, GroupId,
    IncrementalAlterConfigsRequest, MetadataRequest, MetadataResponse, OffsetCommitRequest, RequestHeader,
    ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::process::wait_for;

const TOPIC: i8 = 2;
const CLUSTER: i8 = 4;
const DENY: i8 = 2;
const ALLOW: i8 = 3;
const LIMIT: Duration = Duration::from_secs(30);

/// Talks to the first broker of a list that accepts a connection.
pub struct Admin {
    addresses: Vec<String>,
}

/// One permission, in the numbers of the protocol.
#[derive(Debug, Clone)]
pub struct Acl {
    /// 2 topic, 3 group, 4 cluster, 5 transactional id.
    pub resource_type: i8,
    /// The resource's name; `*` for all.
    pub resource: String,
    /// 3 literal, 4 prefixed.
    pub pattern: i8,
    /// 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe, 10 describe configs, 11 alter configs,
    /// 12 idempotent write.
    pub operation: i8,
}

impl Admin {
    /// `host:port`, separated by commas.
    pub fn new(addresses: &str) -> Self {
        Self { addresses: addresses.split(',').map(str::to_owned).collect() }
    }

    /// How many brokers are registered.
    pub fn brokers(&self) -> io::Result<usize> {
        Ok(self.metadata(Some(Vec::new()))?.brokers.len())
    }

    /// Creates a topic with the cluster's default replication factor and waits until all partitions have a leader.
    pub fn create_topic(&self, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
        self.create_topic_replicated(topic, partitions, -1, configs);
    }

    /// Creates a topic with a replication factor.
    pub fn create_topic_replicated(&self, topic: &str, partitions: i32, copies: i16, configs: &[(&str, &str)]) {
        let configs = configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value))))
            .collect();
        let new = CreatableTopic::default()
            .with_name(name_of(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(copies)
            .with_configs(configs);
        let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(30_000);
        let answer = self.ask(&request, 5).expect("CreateTopics");
        for t in &answer.topics {
            assert_eq!(t.error_code, 0, "creating {topic}: {:?}", t.error_message);
        }
        wait_for(&format!("leaders of {topic}"), LIMIT, || {
            self.topic(topic)
                .filter(|t| i32::try_from(t.partitions.len()) == Ok(partitions))
                .and_then(|t| t.partitions.iter().all(|p| p.error_code == 0 && p.leader_id.0 >= 0).then_some(()))
        });
    }

    /// Raises the number of partitions.
    pub fn add_partitions(&self, topic: &str, count: i32) {
        let new = CreatePartitionsTopic::default().with_name(name_of(topic)).with_count(count).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![new]).with_timeout_ms(30_000);
        let answer = self.ask(&request, 3).expect("CreatePartitions");
        answer.results.iter().for_each(|r| assert_eq!(r.error_code, 0, "{:?}", r.error_message));
    }

    /// Deletes a topic and waits until it is gone.
    pub fn delete_topic(&self, topic: &str) {
        let state = DeleteTopicState::default().with_name(Some(name_of(topic)));
        let request = DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(30_000);
        let answer = self.ask(&request, 6).expect("DeleteTopics");
        answer.responses.iter().for_each(|r| assert_eq!(r.error_code, 0, "{:?}", r.error_message));
        wait_for(&format!("the end of {topic}"), LIMIT, || self.topic(topic).is_none().then_some(()));
    }

    /// Moves the log start offset of a partition up.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let part = DeleteRecordsPartition::default().with_partition_index(partition).with_offset(before);
        let of_topic = DeleteRecordsTopic::default().with_name(name_of(topic)).with_partitions(vec![part]);
        let request = DeleteRecordsRequest::default().with_topics(vec![of_topic]).with_timeout_ms(30_000);
        let answer = self.ask(&request, 2).expect("DeleteRecords");
        let codes: Vec<i16> = answer.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect();
        assert_eq!(codes, [0]);
    }

    /// Sets settings of a topic; others stay.
    pub fn set_configs(&self, topic: &str, configs: &[(&str, &str)]) {
        let alter = |(name, value): &(&str, &str)| {
            AlterableConfig::default().with_name(text(name)).with_config_operation(0).with_value(Some(text(value)))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(configs.iter().map(alter).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.ask(&request, 1).expect("IncrementalAlterConfigs");
        answer.responses.iter().for_each(|r| assert_eq!(r.error_code, 0, "{:?}", r.error_message));
    }

    /// The value of one setting of a topic.
    pub fn config(&self, topic: &str, name: &str) -> Option<String> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configuration_keys(Some(vec![text(name)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.ask(&request, 4).expect("DescribeConfigs");
        let mut values = answer.results.iter().flat_map(|r| &r.configs);
        values.find(|c| c.name.as_str() == name).and_then(|c| c.value.as_ref()).map(|v| v.as_str().to_owned())
    }

    /// Number of partitions; `None` without such a topic.
    pub fn partitions(&self, topic: &str) -> Option<usize> {
        self.topic(topic).map(|t| t.partitions.len())
    }

    /// The broker that leads a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> i32 {
        wait_for(&format!("a leader of {topic}-{partition}"), LIMIT, || {
            let found = self.topic(topic)?;
            found
                .partitions
                .iter()
                .find(|p| p.partition_index == partition && p.leader_id.0 >= 0)
                .map(|p| p.leader_id.0)
        })
    }

    /// The brokers that hold a partition and are in sync.
    pub fn in_sync(&self, topic: &str, partition: i32) -> Vec<i32> {
        let found = self.topic(topic);
        let mut partitions = found.iter().flat_map(|t| &t.partitions);
        let own = partitions.find(|p| p.partition_index == partition);
        own.map(|p| p.isr_nodes.iter().map(|b| b.0).collect()).unwrap_or_default()
    }

    /// Allows a user something, from anywhere.
    pub fn allow(&self, user: &str, acls: &[Acl]) {
        self.add_acls(user, acls, ALLOW);
    }

    /// Denies a user something, from anywhere.
    pub fn deny(&self, user: &str, acls: &[Acl]) {
        self.add_acls(user, acls, DENY);
    }

    /// The entries for exactly this topic, such as `allow 3 User:app`.
    pub fn acls_of(&self, topic: &str) -> BTreeSet<String> {
        let request = DescribeAclsRequest::default()
            .with_resource_type_filter(TOPIC)
            .with_resource_name_filter(Some(text(topic)))
            .with_pattern_type_filter(3)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(1)
            .with_permission_type(1);
        let answer = self.ask(&request, 3).expect("DescribeAcls");
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
        let permission = |number| if number == ALLOW { "allow" } else { "deny" };
        let entries = answer.resources.iter().flat_map(|resource| &resource.acls);
        entries.map(|e| format!("{} {} {}", permission(e.permission_type), e.operation, e.principal)).collect()
    }

    fn add_acls(&self, user: &str, acls: &[Acl], permission: i8) {
        let creation = |acl: &Acl| {
            AclCreation::default()
                .with_resource_type(acl.resource_type)
                .with_resource_name(text(if acl.resource_type == CLUSTER { "kafka-cluster" } else { &acl.resource }))
                .with_resource_pattern_type(acl.pattern)
                .with_principal(text(&format!("User:{user}")))
                .with_host(text("*"))
                .with_operation(acl.operation)
                .with_permission_type(permission)
        };
        let request = CreateAclsRequest::default().with_creations(acls.iter().map(creation).collect());
        let answer = self.ask(&request, 3).expect("CreateAcls");
        answer.results.iter().for_each(|r| assert_eq!(r.error_code, 0, "{:?}", r.error_message));
    }

    /// Takes one permission back.
    pub fn disallow(&self, user: &str, acl: &Acl) {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(acl.resource_type)
            .with_resource_name_filter((acl.resource_type != CLUSTER).then(|| text(&acl.resource)))
            .with_pattern_type_filter(acl.pattern)
            .with_principal_filter(Some(text(&format!("User:{user}"))))
            .with_host_filter(None)
            .with_operation(acl.operation)
            .with_permission_type(3);
        let request = DeleteAclsRequest::default().with_filters(vec![filter]);
        let answer = self.ask(&request, 3).expect("DeleteAcls");
        let deleted: usize = answer.filter_results.iter().map(|r| r.matching_acls.len()).sum();
        assert_eq!(deleted, 1, "{acl:?}");
    }

    /// Gives a user another password for SCRAM-SHA-512.
    pub fn set_password(&self, user: &str, password: &str) {
        const ITERATIONS: u32 = 4096;
        let (salt, mut salted) = (b"salt-of-the-tests", [0; 64]);
        pbkdf2::pbkdf2_hmac::<sha2::Sha512>(password.as_bytes(), salt, ITERATIONS, &mut salted);
        let upsertion = ScramCredentialUpsertion::default()
            .with_name(text(user))
            .with_mechanism(2)
            .with_iterations(i32::try_from(ITERATIONS).expect("a small number"))
            .with_salt(Bytes::from_static(salt))
            .with_salted_password(Bytes::copy_from_slice(&salted));
        let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]);
        let answer = self.ask(&request, 0).expect("AlterUserScramCredentials");
        answer.results.iter().for_each(|r| assert_eq!(r.error_code, 0, "{:?}", r.error_message));
    }

    /// Commits a position of a group from outside of it.
    pub fn commit_offset(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let of_partition =
            OffsetCommitRequestPartition::default().with_partition_index(partition).with_committed_offset(offset);
        let of_topic =
            OffsetCommitRequestTopic::default().with_name(name_of(topic)).with_partitions(vec![of_partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![of_topic]);
        wait_for(&format!("a commit of {group}"), LIMIT, || {
            let answer = self.ask(&request, 8).ok()?;
            answer.topics.iter().all(|t| t.partitions.iter().all(|p| p.error_code == 0)).then_some(())
        });
    }

    fn topic(&self, topic: &str) -> Option<MetadataResponseTopic> {
        let answer = self.metadata(Some(vec![MetadataRequestTopic::default().with_name(Some(name_of(topic)))])).ok()?;
        answer.topics.into_iter().find(|t| t.error_code != 3)
    }

    fn metadata(&self, topics: Option<Vec<MetadataRequestTopic>>) -> io::Result<MetadataResponse> {
        // What Kafka 2.8 takes as well.
        self.ask(&MetadataRequest::default().with_topics(topics), 9)
    }

    fn ask<R: Request + HeaderVersion>(&self, request: &R, version: i16) -> io::Result<R::Response> {
        let mut stream = self.connect()?;
        let mut body = BytesMut::new();
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(7)
            .with_client_id(Some(text("causeway-tests")));
        header.encode(&mut body, R::header_version(version)).map_err(io::Error::other)?;
        request.encode(&mut body, version).map_err(io::Error::other)?;
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(body.len()).map_err(io::Error::other)?);
        frame.extend_from_slice(&body);
        stream.write_all(&frame)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer)?;
        let mut answer = Bytes::from(answer);
        ResponseHeader::decode(&mut answer, R::Response::header_version(version)).map_err(io::Error::other)?;
        R::Response::decode(&mut answer, version).map_err(io::Error::other)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::other("no address");
        for address in &self.addresses {
            match address.parse().map(|a| TcpStream::connect_timeout(&a, Duration::from_secs(2))) {
                Ok(Ok(stream)) => {
                    stream.set_read_timeout(Some(LIMIT))?;
                    return Ok(stream);
                }
                Ok(Err(e)) => last = e,
                Err(e) => last = io::Error::other(e),
            }
        }
        Err(last)
    }
}

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

fn name_of(topic: &str) -> TopicName {
    TopicName(text(topic))
}
