use std::collections::BTreeSet;

use base64::Engine;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::{settings, start};
use crate::api::json::{Order, OrderAction, TopicSelection};
use crate::types::{PartitionIndex, ResolveVerb, TopicName};

#[tokio::test]
async fn links_and_topics_are_listed_and_shown() {
    let server = start(settings()).await;
    let links = server.get("/v1/links").await.json();
    assert_eq!(links["links"][1]["name"], "onprem-to-aws");
    let link = server.get("/v1/links/onprem-to-aws").await.json();
    assert_eq!((&link["topics"], &link["offsets"]), (&json!(3), &json!("translate")));
    let topics = server.get("/v1/links/onprem-to-aws/topics").await.json();
    assert_eq!(topics["topics"][2]["target_topic"], "dr.orders.eu");
    let topic = server.get("/v1/links/onprem-to-aws/topics/orders").await.json();
    assert_eq!(topic["partitions"][0]["lag_records"], 10);
    assert_eq!(server.get("/v1/daemon").await.json()["id"], "causeway-1");
}

#[tokio::test]
async fn names_in_paths_are_percent_encoded() {
    let server = start(settings()).await;
    assert_eq!(server.get("/v1/links/onprem%2Dto%2daws/topics/orders%2Eeu").await.json()["source_topic"], "orders.eu");
    let slash = server.get("/v1/links/onprem-to-aws/topics/a%2Fb").await;
    assert_eq!(slash.error().0, "unknown_topic");
    assert!(slash.error().1.contains("`a/b`"));
    let not_utf8 = server.get("/v1/links/onprem-to-aws/topics/%FF").await;
    assert_eq!((not_utf8.status, not_utf8.error().0.as_str()), (400, "bad_parameter"));
}

#[tokio::test]
async fn health_and_readiness_are_apart() {
    let server = start(settings()).await;
    assert_eq!(server.get("/healthz").await.json(), json!({"alive": true, "version": env!("CARGO_PKG_VERSION")}));
    assert_eq!(server.get("/readyz").await.status, 200);
    server.backend.reasons.lock().unwrap().push("the state topic is being read".to_owned());
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json(), json!({"ready": false, "reasons": ["the state topic is being read"]}));
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let answer = start(settings()).await.get("/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(answer.body, "causeway_ready 1\n");
}

#[tokio::test]
async fn translations_go_both_ways() {
    let server = start(settings()).await;
    let path = "/v1/links/onprem-to-aws/translate?topic=orders&partition=0&offset=";
    assert_eq!(
        server.get(&format!("{path}12")).await.json(),
        json!({"topic":"orders","partition":0,"source_offset":12,"target_offset":10,"translation":"exact"})
    );
    assert_eq!(
        server.get(&format!("{path}10&direction=reverse")).await.json(),
        json!({"topic":"orders","partition":0,"source_offset":12,"target_offset":10,"translation":"exact"})
    );
    let beyond = server.get(&format!("{path}5000&direction=forward")).await.json();
    assert_eq!((&beyond["target_offset"], &beyond["translation"]), (&Value::Null, &json!("not_yet_mirrored")));
}

#[tokio::test]
async fn a_bad_question_is_answered_with_the_parameter_that_is_wrong() {
    let server = start(settings()).await;
    for (query, start_of_message) in [
        ("partition=0&offset=1", "topic: is missing"),
        ("topic=orders&offset=1", "partition: is missing"),
        ("topic=orders&partition=0", "offset: is missing"),
        ("topic=a%2Fb&partition=0&offset=1", "topic: `a/b` is not a valid topic name"),
        ("topic=orders&partition=-1&offset=1", "partition: must be a whole number from 0"),
        ("topic=orders&partition=x&offset=1", "partition: must be"),
        ("topic=orders&partition=0&offset=-1", "offset: -1 is not an offset"),
        ("topic=orders&partition=0&offset=9223372036854775808", "offset: must be"),
        ("topic=orders&partition=0&offset=1&direction=back", "direction: `back` is neither"),
        (
            "topic=orders&partition=0&offset=1&direktion=reverse",
            "direktion: there is no such parameter: did you mean `direction`?",
        ),
        ("topic=orders&partition=0&partition=1&offset=1", "partition: stands twice"),
    ] {
        let answer = server.get(&format!("/v1/links/onprem-to-aws/translate?{query}")).await;
        let (code, message) = answer.error();
        assert_eq!((answer.status, code.as_str()), (400, "bad_parameter"), "{query}");
        assert!(message.starts_with(start_of_message), "{message}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_named_with_the_nearest() {
    let server = start(settings()).await;
    for (path, code, message) in [
        ("/v1/links/onprem-to-aw", "unknown_link", "there is no link `onprem-to-aw`; did you mean `onprem-to-aws`?"),
        ("/v1/links/zzz/topics", "unknown_link", "there is no link `zzz`"),
        ("/v1/links/zzz/topics/orders", "unknown_link", "there is no link `zzz`"),
        (
            "/v1/links/onprem-to-aws/topics/ordesr",
            "unknown_topic",
            "link `onprem-to-aws` mirrors no topic `ordesr`; did you mean `orders`?",
        ),
        (
            "/v1/links/onprem-to-aws/translate?topic=orders&partition=2&offset=0",
            "unknown_partition",
            "topic `orders` has no mirror partition 2: it has 2, counted from 0",
        ),
        ("/v2/links", "unknown_path", "there is nothing at /v2/links; /openapi.json lists what there is"),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.error()), (404, (code.to_owned(), message.to_owned())));
    }
    let answer = server.post("/v1/links", "", "").await;
    assert_eq!((answer.status, answer.error().0.as_str()), (405, "wrong_method"));
}

#[tokio::test]
async fn orders_reach_the_backend_as_they_were_meant() {
    let server = start(settings()).await;
    let pause = server.order("/v1/links/onprem-to-aws/pause", r#"{"topics":"all","dry_run":true}"#).await;
    assert_eq!((pause.status, &pause.json()["request"]), (200, &Value::Null));
    let body = r#"{"topics":["audit.log"],"partition":0,"with":"accept-gap","who":"ada","why":"disk lost"}"#;
    let resolve = server.order("/v1/links/onprem-to-aws/resolve", body).await;
    assert_eq!((resolve.status, resolve.json()["affected"].as_array().unwrap().len()), (202, 1));
    assert_eq!(server.order("/v1/links/onprem-to-aws/resume", r#"{"topics":["orders"]}"#).await.status, 202);
    let name = |text| TopicName::new(text).unwrap();
    let order = |action, topics, who: &str| Order { action, topics, dry_run: false, who: who.to_owned(), why: None };
    let expected = [
        Order { dry_run: true, ..order(OrderAction::Pause, TopicSelection::All, "API caller at 127.0.0.1") },
        Order {
            why: Some("disk lost".to_owned()),
            ..order(
                OrderAction::Resolve { partition: Some(PartitionIndex(0)), with: ResolveVerb::AcceptGap },
                TopicSelection::These(vec![name("audit.log")]),
                "ada",
            )
        },
        order(OrderAction::Resume, TopicSelection::These(vec![name("orders")]), "API caller at 127.0.0.1"),
    ];
    let orders: Vec<Order> = server.backend.orders().into_iter().map(|(_, order)| order).collect();
    assert_eq!(orders, expected);
}

#[tokio::test]
async fn orders_that_make_no_sense_are_refused() {
    let server = start(settings()).await;
    let long = "x".repeat(201);
    for (verb, body, status, start_of_message) in [
        ("pause", String::new(), 400, "the body can't be read as an order: EOF"),
        ("pause", "{}".to_owned(), 400, "the body can't be read as an order: missing field `topics`"),
        ("pause", r#"{"topics":[]}"#.to_owned(), 400, "the body can't be read as an order: invalid length 0"),
        (
            "pause",
            r#"{"topics":"all","dryrun":1}"#.to_owned(),
            400,
            "the body can't be read as an order: unknown field",
        ),
        ("pause", r#"{"topics":"all","with":"retry"}"#.to_owned(), 400, "with: belongs to `resolve` only"),
        ("resume", r#"{"topics":"all","partition":1}"#.to_owned(), 400, "partition: belongs to `resolve` only"),
        ("resolve", r#"{"topics":"all"}"#.to_owned(), 400, "with: is missing: retry, skip"),
        ("resolve", r#"{"topics":"all","with":"retry","partition":-1}"#.to_owned(), 400, "partition: must be"),
        ("resolve", r#"{"topics":["orders"],"with":"retry","partition":7}"#.to_owned(), 404, "topic `orders` has no"),
        ("pause", r#"{"topics":["ordersx"]}"#.to_owned(), 404, "link `onprem-to-aws` mirrors no topic `ordersx`"),
        ("pause", format!(r#"{{"topics":"all","who":"{long}"}}"#), 400, "who: is longer than 200 characters"),
        ("pause", r#"{"topics":"all","why":"a\nb"}"#.to_owned(), 400, "why: has control characters"),
    ] {
        let answer = server.order(&format!("/v1/links/onprem-to-aws/{verb}"), &body).await;
        let message = answer.error().1;
        assert_eq!(answer.status, status, "{body}: {message}");
        assert!(message.starts_with(start_of_message), "{body}: {message}");
    }
    let answer = server.order("/v1/links/nope/pause", r#"{"topics":"all"}"#).await;
    assert_eq!((answer.status, answer.error().0.as_str()), (404, "unknown_link"));
    let answer = server.order("/v1/links/aws-to-onprem/pause", r#"{"topics":"all"}"#).await;
    assert_eq!((answer.status, answer.error().0.as_str()), (409, "refused"));
    assert!(server.backend.orders().is_empty());
}

#[tokio::test]
async fn the_page_needs_nothing_else_and_may_run_only_its_own_script() {
    let answer = start(settings()).await.get("/").await;
    assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    let policy = &answer.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    for (kind, tag) in [("script-src", "script"), ("style-src", "style")] {
        let (_, rest) = answer.body.split_once(&format!("<{tag}>")).unwrap();
        let (inline, _) = rest.split_once(&format!("</{tag}>")).unwrap();
        let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(inline));
        assert!(policy.contains(&format!("{kind} 'sha256-{digest}'")), "{kind}");
        assert!(inline.len() > 1000, "the {tag} is in its place");
    }
    assert_eq!(answer.body.matches("://").count(), 0, "nothing comes from elsewhere");
    assert_eq!(answer.body.matches("innerHTML").count(), 0, "text is set as text");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn the_description_names_every_path_and_every_field() {
    let server = start(settings()).await;
    let description = server.get("/openapi.json").await.json();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = path.replace("{link}", "onprem-to-aws").replace("{topic}", "orders").replace("{group}", "billing");
        for (method, about) in methods.as_object().unwrap() {
            let answer = match method.as_str() {
                "get" => {
                    server
                        .get(&format!(
                            "{path}{}",
                            if path.ends_with("translate") || path.ends_with("await") { TRANSLATE } else { "" }
                        ))
                        .await
                }
                "post" => server.order(&path, r#"{"topics":["audit.log"],"with":"retry"}"#).await,
                other => panic!("{other}"),
            };
            // `with` is refused by pause and resume, which shows that they are there.
            assert!([200, 202, 400].contains(&answer.status), "{method} {path}: {}", answer.status);
            if let Some(schema) = about["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].as_str()
                && answer.status != 400
            {
                assert_described(&description, schema, &answer.json());
            }
        }
    }
}

const TRANSLATE: &str = "?topic=orders&partition=0&offset=1";

/// The value has exactly the described fields, on all levels.
fn assert_described(description: &Value, reference: &str, value: &Value) {
    let schema = description.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("no {reference}"));
    assert_fields(description, schema, value, reference);
}

fn assert_fields(description: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        return assert_described(description, reference, value);
    }
    if let (Some(choices), false) = (schema["oneOf"].as_array(), value.is_null()) {
        return assert_fields(description, &choices[0], value, place);
    }
    match value {
        Value::Object(fields) => {
            let described: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().collect();
            assert_eq!(fields.keys().collect::<BTreeSet<_>>(), described, "{place}");
            for (name, value) in fields {
                assert_fields(description, &schema["properties"][name], value, &format!("{place}/{name}"));
            }
        }
        Value::Array(values) => {
            for value in values {
                assert_fields(description, &schema["items"], value, place);
            }
        }
        Value::String(text) => {
            let allowed = schema["enum"].as_array();
            assert!(allowed.is_none_or(|allowed| allowed.contains(&json!(text))), "{place}: {text}");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test]
async fn groups_are_listed_and_shown() {
    let server = start(settings()).await;
    let listed = server.get("/v1/links/onprem-to-aws/groups").await.json();
    assert_eq!(listed["groups"].as_array().unwrap().len(), 2);
    let one = server.get("/v1/links/onprem-to-aws/groups/billing").await.json();
    assert_eq!((one["group"].as_str(), one["kind"].as_str()), (Some("billing"), Some("consumer")));
    assert_eq!(one["offsets"][1]["conflict"], true);
    let none = server.get("/v1/links/onprem-to-aws/groups/biling").await;
    assert_eq!((none.status, none.json()["error"]["code"].as_str()), (404, Some("unknown_group")));
    assert!(none.body.contains("did you mean `billing`?"), "{}", none.body);
}

#[tokio::test]
async fn many_positions_are_translated_at_once_and_without_a_token() {
    let server = start(settings()).await;
    let path = "/v1/links/onprem-to-aws/translate";
    let position = |topic: &str, offset: i64| json!({"topic": topic, "partition": 0, "offset": offset});
    let body = json!({"positions": [position("orders", 1), position("orders.eu", 500)]}).to_string();
    let answer = server.post(path, "", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let translations = answer.json()["translations"].clone();
    assert_eq!(translations[0]["translation"], "below_map");
    assert_eq!((&translations[1]["topic"], &translations[1]["target_offset"]), (&json!("orders.eu"), &json!(498)));
    for (body, code) in [
        (json!({"positions": [position("orders", 1), position("nothing", 1)]}), "unknown_topic"),
        (json!({"positions": [position("orders", -1)]}), "bad_parameter"),
        (json!({"positions": [{"topic": "orders", "partition": 7, "offset": 1}]}), "unknown_partition"),
        (json!({"positions": vec![position("o", 1); 5001]}), "bad_parameter"),
        (json!({"position": []}), "bad_body"),
    ] {
        assert_eq!(server.post(path, "", &body.to_string()).await.json()["error"]["code"], code);
    }
}

#[tokio::test]
async fn an_offset_is_waited_for_as_long_as_its_caller_says() {
    let mut settings = settings();
    settings.limits.answer_time = std::time::Duration::from_millis(1);
    let server = start(settings).await;
    let path = |offset: i64, more: &str| {
        format!("/v1/links/onprem-to-aws/await?topic=orders&partition=0&offset={offset}{more}")
    };
    assert_eq!(server.get(&path(5, "")).await.json()["reached"], true);
    let late = server.get(&path(1004, "&timeout=20ms")).await.json();
    assert_eq!((&late["reached"], &late["missing"]), (&json!(false), &json!(5)));
    assert_eq!(server.get(&path(5, "&timeout=11m")).await.status, 400);
    assert_eq!(server.get(&path(5, "&timeout=soon")).await.status, 400);
}
