use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::*;
use crate::wire::tests::fake::{FakeBroker, establish, settings};
use crate::wire::{Connection, Settings};

fn literal(text: &str) -> SecretSource {
    SecretSource::Literal(Secret::new(text.to_owned()))
}

async fn attempt<F>(sasl: SaslSettings, script: F) -> Result<Connection, WireError>
where
    F: AsyncFnOnce(&mut FakeBroker),
{
    let settings = Settings { sasl: Some(sasl), ..settings() };
    establish(&settings, async |broker: &mut FakeBroker| {
        broker.introduce().await;
        script(broker).await;
    })
    .await
    .0
}

fn reason(outcome: Result<Connection, WireError>) -> String {
    match outcome.unwrap_err() {
        WireError::Authentication { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

async fn accept(broker: &mut FakeBroker, mechanism: &str) {
    let (request, handshake) = broker.expect::<SaslHandshakeRequest>().await;
    assert_eq!((handshake.mechanism.as_str(), request.version), (mechanism, 1));
    broker.answer(&request, &SaslHandshakeResponse::default()).await;
}

/// Takes one token and answers with another one.
async fn answer_with(broker: &mut FakeBroker, token: impl FnOnce(&str) -> String) {
    let (request, message) = broker.expect::<SaslAuthenticateRequest>().await;
    let token = token(std::str::from_utf8(&message.auth_bytes).unwrap());
    let response = SaslAuthenticateResponse::default().with_auth_bytes(token.into());
    broker.answer(&request, &response).await;
}

async fn refuse_with(broker: &mut FakeBroker, message: &str) {
    let (request, _) = broker.expect::<SaslAuthenticateRequest>().await;
    let response = SaslAuthenticateResponse::default()
        .with_error_code(ResponseError::SaslAuthenticationFailed.code())
        .with_error_message(Some(StrBytes::from_string(message.to_owned())));
    broker.answer(&request, &response).await;
}

/// The server's side of SCRAM, written from the standard and not from our client.
struct ScramServer {
    password: &'static str,
    is_honest: bool,
}

macro_rules! scram_server {
    ($name:ident, $hash:ty) => {
        async fn $name(&self, broker: &mut FakeBroker) {
            let sign = |key: &[u8], text: &[u8]| {
                Hmac::<$hash>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
            };
            let mut bare = String::new();
            let mut first = String::new();
            answer_with(broker, |message| {
                bare = message.strip_prefix("n,,").unwrap().to_owned();
                let nonce = bare.split_once(",r=").unwrap().1;
                first = format!("r={nonce}server,s={},i=5000", STANDARD.encode("salt"));
                first.clone()
            })
            .await;
            let mut salted = vec![0; <$hash>::output_size()];
            pbkdf2::pbkdf2_hmac::<$hash>(self.password.as_bytes(), b"salt", 5_000, &mut salted);
            answer_with(broker, |message| {
                let (without_proof, proof) = message.split_once(",p=").unwrap();
                let auth_message = format!("{bare},{first},{without_proof}");
                let stored_key = <$hash>::digest(sign(&salted, b"Client Key"));
                let signature = sign(&stored_key, auth_message.as_bytes());
                let proof = STANDARD.decode(proof).unwrap();
                let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
                if <$hash>::digest(&client_key) != stored_key {
                    return "e=invalid-proof".to_owned();
                }
                let server_key = if self.is_honest { sign(&salted, b"Server Key") } else { vec![0; 32] };
                format!("v={}", STANDARD.encode(sign(&server_key, auth_message.as_bytes())))
            })
            .await;
        }
    };
}

impl ScramServer {
    scram_server!(serve_256, Sha256);
    scram_server!(serve_512, Sha512);
}

fn scram_256(password: &str) -> SaslSettings {
    SaslSettings::ScramSha256 { username: "b=o,b".to_owned(), password: literal(password) }
}

fn scram_512(password: &str) -> SaslSettings {
    SaslSettings::ScramSha512 { username: "carol".to_owned(), password: literal(password) }
}

#[tokio::test]
async fn scram_proves_both_sides() {
    let server = ScramServer { password: "pencil", is_honest: true };
    let outcome = attempt(scram_256("pencil"), async |broker: &mut FakeBroker| {
        accept(broker, "SCRAM-SHA-256").await;
        server.serve_256(broker).await;
    });
    assert!(outcome.await.is_ok());
    let outcome = attempt(scram_512("pencil"), async |broker: &mut FakeBroker| {
        accept(broker, "SCRAM-SHA-512").await;
        server.serve_512(broker).await;
    });
    assert!(outcome.await.is_ok());
    let outcome = attempt(scram_512("wrong"), async |broker: &mut FakeBroker| {
        accept(broker, "SCRAM-SHA-512").await;
        server.serve_512(broker).await;
    });
    assert_eq!(reason(outcome.await), "invalid-proof");
}

#[tokio::test]
async fn a_broker_that_does_not_know_the_password_is_refused() {
    let server = ScramServer { password: "pencil", is_honest: false };
    let outcome = attempt(scram_256("pencil"), async |broker: &mut FakeBroker| {
        accept(broker, "SCRAM-SHA-256").await;
        server.serve_256(broker).await;
    });
    assert!(reason(outcome.await).contains("signature is wrong"));
}

#[tokio::test]
async fn a_password_is_read_at_each_attempt_and_never_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let sasl =
        SaslSettings::Plain { username: "alice".to_owned(), password: SecretSource::File(file.path().to_owned()) };
    for password in ["hunter2", "hunter3"] {
        std::fs::write(file.path(), format!("{password}\n")).unwrap();
        let outcome = attempt(sasl.clone(), async |broker: &mut FakeBroker| {
            accept(broker, "PLAIN").await;
            refuse_with(broker, &format!("no such user with {password}")).await;
        });
        let error = outcome.await.unwrap_err();
        assert_eq!(error.to_string(), "broker:9092 refused to authenticate alice: no such user with ***");
    }
    let path = file.path().to_owned();
    drop(file);
    let outcome = attempt(sasl, async |_: &mut FakeBroker| {}).await;
    assert!(reason(outcome).contains(path.to_str().unwrap()));
}

#[tokio::test]
async fn a_mechanism_that_is_not_offered_is_named_with_those_that_are() {
    let outcome = attempt(scram_512("pencil"), async |broker: &mut FakeBroker| {
        let (request, _) = broker.expect::<SaslHandshakeRequest>().await;
        let response = SaslHandshakeResponse::default()
            .with_error_code(ResponseError::UnsupportedSaslMechanism.code())
            .with_mechanisms(vec![StrBytes::from_static_str("PLAIN"), StrBytes::from_static_str("GSSAPI")]);
        broker.answer(&request, &response).await;
    });
    assert_eq!(reason(outcome.await), "the listener offers PLAIN, GSSAPI, not SCRAM-SHA-512");
}

#[tokio::test]
async fn a_token_goes_with_its_extensions_and_a_challenge_is_answered() {
    let sasl = SaslSettings::OAuthBearer {
        token: literal("abc.def"),
        extensions: vec![("logicalCluster".to_owned(), "lkc-1".to_owned())],
    };
    let outcome = attempt(sasl.clone(), async |broker: &mut FakeBroker| {
        accept(broker, "OAUTHBEARER").await;
        answer_with(broker, |message| {
            assert_eq!(message, "n,,\x01auth=Bearer abc.def\x01logicalCluster=lkc-1\x01\x01");
            String::new()
        })
        .await;
    });
    assert!(outcome.await.is_ok());
    let outcome = attempt(sasl, async |broker: &mut FakeBroker| {
        accept(broker, "OAUTHBEARER").await;
        answer_with(broker, |_| r#"{"status":"invalid_token"}"#.to_owned()).await;
        let (request, message) = broker.expect::<SaslAuthenticateRequest>().await;
        assert_eq!(message.auth_bytes, Bytes::from_static(b"\x01"));
        let response = SaslAuthenticateResponse::default()
            .with_error_code(ResponseError::SaslAuthenticationFailed.code())
            .with_error_message(Some(StrBytes::from_static_str("token expired")));
        broker.answer(&request, &response).await;
    });
    assert_eq!(reason(outcome.await), "token expired");
    let invalid = SaslSettings::OAuthBearer {
        token: literal("abc.def"),
        extensions: vec![("auth".to_owned(), "x\x01y".to_owned())],
    };
    let outcome = attempt(invalid, async |broker: &mut FakeBroker| accept(broker, "OAUTHBEARER").await);
    assert_eq!(reason(outcome.await), "`auth` is not a valid SASL extension");
}
