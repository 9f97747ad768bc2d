use super::*;

#[test]
fn topics_of_all_kinds_come_in_turn() {
    let plans = workload::plans(6);
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    assert_eq!(names, ["orders", "clicks", "payments", "customers", "orders-2", "clicks-2"]);
}

#[tokio::test]
async fn a_busy_port_is_named_when_it_was_asked_for_and_replaced_when_not() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut told = Vec::new();
    let refused = start("source cluster", port, 1, true, &mut |text| told.push(text)).await.unwrap_err();
    assert!(refused.to_string().contains(&port.to_string()), "{refused}");
    let cluster = start("source cluster", port, 1, false, &mut |text| told.push(text)).await.unwrap();
    assert!(told.concat().starts_with(&format!("port {port} is busy")), "{told:?}");
    assert!(!cluster.bootstrap().ends_with(&port.to_string()));
    cluster.close().await;
}

#[tokio::test]
async fn the_configuration_is_one_that_a_user_could_write() {
    let source = Cluster::start(workload::cluster("source cluster", 1)).await.unwrap();
    let target = Cluster::start(workload::cluster("target cluster", 2)).await.unwrap();
    let stage = Stage { source, target, page: 8480 };
    let config = Config::parse(&tell::configuration(&stage), Path::new("demo.toml")).unwrap();
    assert_eq!((config.clusters.len(), config.links.len()), (2, 1));
}
