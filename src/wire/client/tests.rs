use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::future::BoxFuture;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, MetadataResponse,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::*;
use crate::types::{LeaderEpoch, PartitionIndex};
use crate::wire::BrokerAddress;
use crate::wire::connection::{End, establish};
use crate::wire::tests::fake::{FakeBroker, Received};
use crate::wire::versions::Ceilings;

/// A cluster at the other end of pipes in memory.
#[derive(Debug, Clone)]
struct FakeCluster {
    settings: Arc<Settings>,
    tasks: TaskGroup,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    brokers: BTreeSet<i32>,
    /// Hosts where nobody listens.
    dead: BTreeSet<String>,
    /// By topic and partition: leader and epoch.
    leaders: BTreeMap<(String, i32), (i32, i32)>,
    topic_errors: BTreeMap<String, ResponseError>,
    coordinator: i32,
    throttle_ms: i32,
    dialled: Vec<String>,
    /// Topics of each metadata request.
    asked: Vec<Vec<String>>,
    coordinator_requests: usize,
    /// Where heartbeats went.
    beats: Vec<String>,
    hang_up_at_heartbeat: bool,
    connections: usize,
}

impl FakeCluster {
    fn new(brokers: impl IntoIterator<Item = i32>) -> Self {
        let settings = Settings::plain(vec!["boot-1:1".to_owned(), "boot-2:1".to_owned()], "test");
        let settings = Settings { request_timeout: Duration::from_secs(10), ..settings };
        let state = State { brokers: brokers.into_iter().collect(), coordinator: 1, ..State::default() };
        Self { settings: Arc::new(settings), tasks: TaskGroup::new(), state: Arc::new(Mutex::new(state)) }
    }

    fn client(&self) -> Client {
        Client::with_dialer(Arc::clone(&self.settings), Arc::new(self.clone()))
    }

    fn now<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut lock(&self.state))
    }

    fn lead(&self, topic: &str, partition: i32, leader: i32, epoch: i32) {
        self.now(|state| state.leaders.insert((topic.to_owned(), partition), (leader, epoch)));
    }

    async fn serve(self, mut broker: FakeBroker, host: String) {
        lock(&self.state).connections += 1;
        broker.introduce().await;
        while let Some(received) = broker.next().await {
            let Some(response) = self.respond(&received, &host) else { break };
            broker.send(&response).await;
        }
        lock(&self.state).connections -= 1;
    }

    fn respond(&self, received: &Received, host: &str) -> Option<Bytes> {
        let mut state = lock(&self.state);
        match received.key {
            ApiKey::Metadata => {
                let request = received.read::<MetadataRequest>();
                let named = |topic: kafka_protocol::messages::metadata_request::MetadataRequestTopic| topic.name;
                let topics = request.topics.unwrap_or_default().into_iter().filter_map(named);
                let topics: Vec<String> = topics.map(|name| name.0.to_string()).collect();
                assert!(!request.allow_auto_topic_creation);
                state.asked.push(topics.clone());
                Some(received.response(&state.metadata(&topics)))
            }
            ApiKey::FindCoordinator => {
                let request = received.read::<FindCoordinatorRequest>();
                assert_eq!(request.coordinator_keys.len(), 1);
                state.coordinator_requests += 1;
                let coordinator = kafka_protocol::messages::find_coordinator_response::Coordinator::default()
                    .with_node_id(state.coordinator.into())
                    .with_host(StrBytes::from_string(format!("host-{}", state.coordinator)))
                    .with_port(9);
                Some(received.response(&FindCoordinatorResponse::default().with_coordinators(vec![coordinator])))
            }
            ApiKey::Heartbeat if state.hang_up_at_heartbeat => None,
            ApiKey::Heartbeat => {
                state.beats.push(host.to_owned());
                Some(received.response(&HeartbeatResponse::default().with_throttle_time_ms(state.throttle_ms)))
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

impl State {
    fn metadata(&self, topics: &[String]) -> MetadataResponse {
        let broker = |id: &i32| {
            let host = StrBytes::from_string(format!("host-{id}"));
            MetadataResponseBroker::default().with_node_id((*id).into()).with_host(host).with_port(9)
        };
        let topic = |name: &String| {
            let partition = |((_, index), (leader, epoch)): (&(String, i32), &(i32, i32))| {
                MetadataResponsePartition::default()
                    .with_partition_index(*index)
                    .with_leader_id((*leader).into())
                    .with_leader_epoch(*epoch)
            };
            let partitions = self.leaders.iter().filter(|((topic, _), _)| topic == name).map(partition);
            MetadataResponseTopic::default()
                .with_name(Some(StrBytes::from_string(name.clone()).into()))
                .with_topic_id(uuid::Uuid::from_u128(7))
                .with_error_code(self.topic_errors.get(name).map_or(0, ResponseError::code))
                .with_partitions(partitions.collect())
        };
        MetadataResponse::default()
            .with_cluster_id(Some(StrBytes::from_static_str("cluster")))
            .with_controller_id((*self.brokers.first().unwrap_or(&-1)).into())
            .with_brokers(self.brokers.iter().map(broker).collect())
            .with_topics(topics.iter().map(topic).collect())
    }
}

impl Dial for FakeCluster {
    fn dial<'a>(
        &'a self,
        address: &'a BrokerAddress,
        broker: Option<BrokerId>,
    ) -> BoxFuture<'a, Result<Connection, WireError>> {
        Box::pin(async move {
            let is_dead = self.now(|state| {
                state.dialled.push(address.host.clone());
                state.dead.contains(&address.host)
            });
            if is_dead {
                return Err(WireError::Connect { address: address.to_string(), reason: "refused".to_owned() });
            }
            let (stream, broker_end) = FakeBroker::pipe();
            self.tasks.spawn("fake broker", self.clone().serve(broker_end, address.host.clone()));
            let (reader, writer) = tokio::io::split(stream);
            let address = address.to_string();
            let end = End { address: &address, broker, ceilings: Ceilings::default(), is_judged: false };
            establish(reader, writer, end, &self.settings).await
        })
    }
}

fn partition(topic: &str, index: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).unwrap(), PartitionIndex(index))
}

fn leader(broker: i32, epoch: i32) -> Leader {
    Leader { broker: BrokerId(broker), epoch: LeaderEpoch(epoch) }
}

async fn beat(client: &Client, route: Route) -> Result<HeartbeatResponse, WireError> {
    client.call(route, &HeartbeatRequest::default()).await
}

#[tokio::test(start_paused = true)]
async fn many_look_ups_become_few_requests() {
    let cluster = FakeCluster::new([1, 2]);
    for index in 0..100 {
        cluster.lead("orders", index, 1 + index % 2, 5);
        cluster.lead("logs", index, 2, 6);
    }
    let client = cluster.client();
    let look_ups = (0..200).map(|n| {
        let client = client.clone();
        let partition = partition(if n % 2 == 0 { "orders" } else { "logs" }, n / 2);
        tokio::spawn(async move { (client.leader(&partition).await.unwrap(), partition) })
    });
    for look_up in look_ups.collect::<Vec<_>>() {
        let (found, of) = look_up.await.unwrap();
        let expected = if of.topic.as_str() == "logs" { leader(2, 6) } else { leader(1 + of.partition.0 % 2, 5) };
        assert_eq!(found, expected);
    }
    let (asked, dialled) = cluster.now(|state| (state.asked.clone(), state.dialled.clone()));
    assert!(asked.len() <= 2, "{asked:?}");
    assert_eq!(dialled, ["boot-1"]);
    client.leader(&partition("orders", 3)).await.unwrap();
    assert_eq!(cluster.now(|state| state.asked.len()), asked.len(), "a young leader is not asked for again");
    tokio::time::sleep(cluster.settings.metadata_age_max).await;
    client.leader(&partition("orders", 3)).await.unwrap();
    assert_eq!(cluster.now(|state| state.asked.len()), asked.len() + 1);
}

#[tokio::test(start_paused = true)]
async fn refreshes_keep_their_distance() {
    let cluster = FakeCluster::new([1]);
    cluster.lead("orders", 0, 1, 5);
    let client = cluster.client();
    let began = Instant::now();
    for _ in 0..20 {
        client.leader(&partition("orders", 0)).await.unwrap();
        client.forget_leader(&partition("orders", 0));
    }
    assert!(began.elapsed() >= Duration::from_millis(1_900), "{:?}", began.elapsed());
    assert_eq!(cluster.now(|state| state.asked.len()), 20);
}

#[tokio::test(start_paused = true)]
async fn a_missing_leader_is_waited_for_but_not_for_ever() {
    let cluster = FakeCluster::new([1]);
    cluster.lead("orders", 0, -1, 5);
    let client = cluster.client();
    let elected = cluster.clone();
    cluster.tasks.spawn("election", async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        elected.lead("orders", 0, 1, 6);
    });
    let began = Instant::now();
    assert_eq!(client.leader(&partition("orders", 0)).await.unwrap(), leader(1, 6));
    assert!((3..6).contains(&began.elapsed().as_secs()));

    let began = Instant::now();
    let error = client.leader(&partition("orders", 1)).await.unwrap_err();
    assert!(matches!(error, WireError::NotAvailable { .. }), "{error:?}");
    assert!((5..=10).contains(&began.elapsed().as_secs()));

    cluster.now(|state| state.topic_errors.insert("secret".to_owned(), ResponseError::TopicAuthorizationFailed));
    let began = Instant::now();
    let error = client.leader(&partition("secret", 0)).await.unwrap_err();
    assert!(matches!(error, WireError::Denied { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_lags_behind_is_not_believed() {
    let cluster = FakeCluster::new([1, 2]);
    cluster.lead("orders", 0, 1, 5);
    let client = cluster.client();
    assert_eq!(client.leader(&partition("orders", 0)).await.unwrap(), leader(1, 5));
    client.forget_leader(&partition("orders", 0));
    cluster.lead("orders", 0, 2, 4);
    let newer = cluster.clone();
    cluster.tasks.spawn("catch up", async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        newer.lead("orders", 0, 2, 6);
    });
    assert_eq!(client.leader(&partition("orders", 0)).await.unwrap(), leader(2, 6));
}

#[tokio::test(start_paused = true)]
async fn one_connection_per_broker_is_opened_once() {
    let cluster = FakeCluster::new([1, 2]);
    let client = cluster.client();
    let calls = (0..50).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { beat(&client, Route::Broker(BrokerId(1 + n % 2))).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    let mut dialled = cluster.now(|state| state.dialled.clone());
    dialled.sort();
    assert_eq!(dialled, ["boot-1", "host-1", "host-2"]);
    let own = client.connect(BrokerId(2)).await.unwrap();
    assert_eq!(own.broker(), Some(BrokerId(2)));
    assert_eq!(cluster.now(|state| state.dialled.len()), 4);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_opened_again() {
    let cluster = FakeCluster::new([1]);
    let client = cluster.client();
    beat(&client, Route::Broker(BrokerId(1))).await.unwrap();
    cluster.now(|state| state.hang_up_at_heartbeat = true);
    assert!(matches!(beat(&client, Route::Broker(BrokerId(1))).await.unwrap_err(), WireError::Closed { .. }));
    cluster.now(|state| state.hang_up_at_heartbeat = false);
    beat(&client, Route::Broker(BrokerId(1))).await.unwrap();
    // Long idle connections are not trusted.
    tokio::time::sleep(Duration::from_mins(9)).await;
    beat(&client, Route::Broker(BrokerId(1))).await.unwrap();
    let dialled = cluster.now(|state| state.dialled.iter().filter(|host| *host == "host-1").count());
    assert_eq!(dialled, 3);
}

#[tokio::test(start_paused = true)]
async fn the_bootstrap_list_is_tried_in_turn_and_again_when_all_brokers_are_dead() {
    let cluster = FakeCluster::new([1, 2]);
    cluster.now(|state| state.dead.insert("boot-1".to_owned()));
    let client = cluster.client();
    beat(&client, Route::Broker(BrokerId(1))).await.unwrap();
    assert_eq!(cluster.now(|state| state.dialled.clone()), ["boot-1", "boot-2", "host-1"]);
    // The whole cluster moves: other ids, other hosts, and the old connections end.
    cluster.now(|state| {
        state.brokers = [7].into();
        state.dead.extend(["host-1", "host-2"].map(str::to_owned));
        state.hang_up_at_heartbeat = true;
    });
    assert!(beat(&client, Route::Any).await.is_err());
    assert!(beat(&client, Route::Any).await.is_err());
    cluster.now(|state| state.hang_up_at_heartbeat = false);
    beat(&client, Route::Broker(BrokerId(7))).await.unwrap();
    let error = beat(&client, Route::Broker(BrokerId(1))).await.unwrap_err();
    assert!(matches!(error, WireError::NotAvailable { .. }), "{error:?}");
    assert_eq!(client.brokers().keys().collect::<Vec<_>>(), [&BrokerId(7)]);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_cluster_is_named_and_not_hammered() {
    let cluster = FakeCluster::new([1]);
    cluster.now(|state| state.dead.extend(["boot-1", "boot-2"].map(str::to_owned)));
    let client = cluster.client();
    let began = Instant::now();
    for _ in 0..10 {
        let error = client.metadata(None).await.unwrap_err();
        assert!(matches!(&error, WireError::Connect { address, .. } if address.starts_with("boot-")), "{error:?}");
    }
    assert!(began.elapsed() > Duration::from_secs(5), "{:?}", began.elapsed());
    let nowhere = Settings::plain(vec!["no port".to_owned()], "test");
    let error = Client::new(nowhere).metadata(None).await.unwrap_err();
    assert!(error.to_string().contains("no port"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn coordinators_are_remembered_until_an_error() {
    let cluster = FakeCluster::new([1, 2]);
    let client = cluster.client();
    let route = Route::Group("billing".to_owned());
    beat(&client, route.clone()).await.unwrap();
    beat(&client, route.clone()).await.unwrap();
    assert_eq!(cluster.now(|state| (state.coordinator_requests, state.coordinator)), (1, 1));
    cluster.now(|state| state.coordinator = 2);
    client.forget_coordinator(&route);
    beat(&client, route.clone()).await.unwrap();
    assert_eq!(cluster.now(|state| state.beats.clone()), ["host-1", "host-1", "host-2"]);
    cluster.now(|state| state.hang_up_at_heartbeat = true);
    assert!(beat(&client, route.clone()).await.is_err());
    cluster.now(|state| (state.hang_up_at_heartbeat, state.coordinator) = (false, 1));
    beat(&client, route).await.unwrap();
    assert_eq!(cluster.now(|state| state.coordinator_requests), 3);
    beat(&client, Route::Controller).await.unwrap();
    assert_eq!(cluster.now(|state| state.beats.last().cloned()).unwrap(), "host-1");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_wants_quiet_gets_it() {
    let cluster = FakeCluster::new([1]);
    let client = cluster.client();
    cluster.now(|state| state.throttle_ms = 2_000);
    let began = Instant::now();
    for _ in 0..3 {
        beat(&client, Route::Broker(BrokerId(1))).await.unwrap();
    }
    assert_eq!(began.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_ends_all_connections() {
    let cluster = FakeCluster::new([1, 2]);
    let client = cluster.client();
    beat(&client, Route::Broker(BrokerId(1))).await.unwrap();
    let clone = client.clone();
    drop(client);
    beat(&clone, Route::Broker(BrokerId(2))).await.unwrap();
    assert_eq!(cluster.now(|state| state.connections), 3);
    drop(clone);
    while cluster.now(|state| state.connections) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
